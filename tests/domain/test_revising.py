"""Rows O22–O26: revisions, their answers, and what a denied or insufficient one unlocks."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import FILE, T0, TICK, D, H

ASKED = T0 + D
FAR = T0 + 40 * D


def grounds(story: kit.Story) -> list[str]:
    return [str(unlock.ground) for unlock in story.order.unlocks]


def test_o22_points_are_numbered_and_the_validation_clock_stops() -> None:
    """The seller has 72 hours; nothing is accepted by the clock meanwhile."""
    story = kit.revision_requested().expect("RevisionRequested").is_(status="revision_requested")
    fact = story.last("RevisionRequested")
    assert (fact.number, fact.answer_by) == (1, ASKED + 72 * H)
    assert [(point.number, point.text.text) for point in fact.points] == [(1, "Darker blue"), (2, "Bigger letters")]
    assert "validation" not in story.order.timers


@pytest.mark.parametrize("body", [{"points": []}, {}, {"points": [{"text": " "}]}, {"points": [{"files": [FILE]}]}])
def test_o22_at_least_one_point_each_with_words(body: dict[str, object]) -> None:
    """Files alone are no point."""
    with pytest.raises(ValidationError):
        kit.command_of("request-revision").body.model_validate(body)


def test_o22_files_of_points_are_files_of_the_order() -> None:
    """An unknown one is refused."""
    kit.delivered().buyer("request-revision", points=[{"text": "x", "files": ["nope"]}], refused="unknown_file")
    story = kit.delivered().buyer("request-revision", points=[{"text": "x", "files": [FILE]}])
    assert story.last("RevisionRequested").points[0].files[0].file_id == FILE


def test_o22_refusals_in_their_order() -> None:
    """Nothing delivered, one pending, not delivered, already refused."""
    kit.paid().buyer("request-revision", refused="nothing_delivered").saying(unlocked_by=("deliver",))
    kit.revision_requested().buyer("request-revision", refused="revision_pending")
    kit.revision_accepted().buyer("request-revision", refused="not_delivered")
    kit.relaunched().buyer("request-revision", refused="not_delivered")
    kit.revision_refused().buyer("request-revision", refused="revision_already_refused")


def test_o22_after_an_expired_request_the_same_delivery_may_be_revised() -> None:
    """Only a refusal closes the revision of a delivery."""
    story = kit.revision_requested(due_at=FAR).buyer("request-revision", refused="revision_pending")
    story.saying(available_from=ASKED + 72 * H).at(ASKED + 72 * H).buyer("request-revision").expect("RevisionRequested")
    assert story.last("RevisionRequested").number == 2


def test_o22_a_refusal_counts_for_that_delivery_only() -> None:
    """The delivery after a relaunch can be revised again."""
    kit.relaunched().seller("deliver").buyer("request-revision").expect("RevisionRequested")


def test_o22_more_than_the_included_revisions_is_possible() -> None:
    """The number of included revisions informs, it forbids nothing."""
    story = kit.delivered(due_at=FAR)
    for _ in range(4):
        story.buyer("request-revision").seller("deliver")
    assert story.order.revisions[-1].number == 4


def test_o23_accepting_sets_the_date_and_the_work_goes_on() -> None:
    """Three days without a date of one's own."""
    story = kit.revision_accepted().expect("RevisionAccepted").is_(status="in_progress", due_at=ASKED + 3 * D)
    assert story.order.revisions[-1].due_at == ASKED + 3 * D
    assert story.order.revisions[-1].status == "accepted"


def test_o23_the_date_lies_within_14_days() -> None:
    """After now, at most 14 days on."""
    story = kit.revision_requested()
    for due_at in (ASKED, ASKED + 14 * D + TICK):
        story.seller("accept-revision", due_at=due_at, refused="due_at_out_of_range")
    story.saying(available_until=ASKED + 14 * D)
    story.fork().seller("accept-revision", due_at=ASKED + TICK)
    story.seller("accept-revision", due_at=ASKED + 14 * D).is_(due_at=ASKED + 14 * D)


def test_o24_refusing_needs_words_delivers_again_and_unlocks() -> None:
    """A fresh validation window, reminders included."""
    with pytest.raises(ValidationError):
        kit.command_of("refuse-revision").body.model_validate({"reason": ""})
    story = kit.delivered().at(T0 + 5 * D).buyer("request-revision").at(T0 + 6 * D).seller("refuse-revision")
    story.expect("RevisionRefused", "DisputeUnlocked").is_(status="delivered")
    assert grounds(story) == ["revision_refused"]
    assert story.last("DisputeUnlocked").caused_by == (story.last("RevisionRefused").originator_version,)
    assert story.last("RevisionRefused").reason.text == "It is what the brief says."
    story.at(T0 + 9 * D).expect("ValidationReminderSent").at(T0 + 13 * D - TICK)
    story.at(T0 + 13 * D).expect("DeliveryAutoAccepted", "OrderCompleted", "EscrowReleased")


def test_o25_an_unanswered_revision_expires_at_72_hours_and_unlocks() -> None:
    """Delivered again with a fresh window; never a refund by clock."""
    story = kit.revision_requested(due_at=FAR).at(ASKED + 72 * H - TICK).expect()
    story.fork().seller("accept-revision").expect("RevisionAccepted")
    story.at(ASKED + 72 * H).expect("RevisionRequestExpired", "DisputeUnlocked").is_(status="delivered")
    assert grounds(story) == ["revision_unanswered"]
    assert story.order.timers["validation"] == ASKED + 72 * H + 7 * D
    assert story.order.revisions[-1].status == "expired"


def test_o25_a_revision_that_is_overdue_unlocks_and_goes_on() -> None:
    """At its date; the seller may still deliver, late."""
    story = kit.revision_accepted().at(ASKED + 3 * D - TICK).expect()
    story.at(ASKED + 3 * D).expect("RevisionOverdue", "DisputeUnlocked").is_(status="in_progress")
    assert grounds(story) == ["revision_overdue"]
    assert story.order.is_overdue(story.now)
    assert story.seller("deliver").last("Delivered").late is True


@pytest.mark.parametrize("command", ["accept-revision", "refuse-revision"])
def test_o23_o24_answers_without_a_pending_revision(command: str) -> None:
    """Told apart: it ended by its timer, or there is none for any other reason."""
    for given in (kit.paid, kit.delivered, kit.revision_accepted, kit.revision_refused, kit.relaunched):
        given().seller(command, refused="no_revision_pending").saying(unlocked_by=("request-revision",))
    kit.revision_requested(due_at=FAR).after(72 * H).seller(command, refused="request_expired")
    kit.revision_requested(due_at=FAR).seller("deliver").seller(command, refused="no_revision_pending")


@pytest.mark.parametrize("given", [kit.revision_requested, kit.revision_accepted])
def test_o26_a_delivery_that_answers_a_revision_may_be_insufficient(given: kit.Given) -> None:
    """Whether the revision was accepted first or answered at once."""
    story = given().seller("deliver").expect("Delivered", "DisputeUnlocked")
    assert grounds(story) == ["revision_insufficient"]
    assert story.last("DisputeUnlocked").caused_by == (story.last("Delivered").originator_version,)


def test_o26_a_first_delivery_unlocks_nothing() -> None:
    """Neither does the delivery of a relaunched order, which answers no revision."""
    kit.delivered().expect("Delivered")
    kit.relaunched().seller("deliver").expect("Delivered")


def test_o26_a_second_insufficient_revision_does_not_unlock_twice() -> None:
    """The unspent ground is there already."""
    story = kit.revision_requested().seller("deliver").buyer("request-revision").seller("deliver").expect("Delivered")
    assert grounds(story) == ["revision_insufficient"]


def answered(points: list[dict[str, object]]) -> kit.Story:
    return kit.revision_requested().seller("deliver", note="v2", files=[FILE], points=points)


@pytest.mark.parametrize(
    ("answers", "cited", "expected"),
    [
        ([], [], (1, 2)),
        ([{"number": 1, "status": "addressed"}], [], (2,)),
        ([{"number": 1, "status": "addressed"}, {"number": 2, "status": "contested"}], [], (2,)),
        ([{"number": 1, "status": "addressed"}, {"number": 2, "status": "addressed"}], [], (1, 2)),
        ([{"number": 1, "status": "addressed"}], [1], (1,)),
    ],
)
def test_o26_the_points_of_an_insufficient_revision(
    answers: list[dict[str, object]], cited: list[int], expected: tuple[int, ...]
) -> None:
    """The cited ones; without any, all that were not addressed; and all if all were."""
    body = {"statement": "No.", "evidence": [{"description": "v2"}], "points": cited}
    story = answered(answers).buyer("open-dispute", **body)
    assert story.last("DisputeOpened").points == expected
    answered([]).buyer("open-dispute", **{**body, "points": [3]}, refused="unknown_point")
