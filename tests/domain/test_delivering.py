"""Rows O19–O21: delivering, accepting a delivery, and the delivery that is accepted by the clock."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import DUE, FILE, PRICE, T0, TICK, D, H

FAR = T0 + 20 * D
AUTO_ACCEPTED = ("DeliveryAutoAccepted", "OrderCompleted", "EscrowReleased")


def test_o19_a_delivery_is_numbered_and_holds_its_files() -> None:
    """The order is delivered; nothing is late before the date."""
    story = kit.paid().seller("deliver", note="First", files=[FILE, FILE]).expect("Delivered").is_(status="delivered")
    fact = story.last("Delivered")
    assert (fact.number, fact.note.text, [f.file_id for f in fact.files]) == (1, "First", [FILE])
    assert (fact.late, fact.revision, fact.points) == (False, None, ())


def test_o19_at_least_one_file_and_a_note_are_needed() -> None:
    """An empty delivery cannot stop any clock."""
    body = kit.command_of("deliver").body
    with pytest.raises(ValidationError) as error:
        body.model_validate({"note": "done", "files": []})
    assert error.value.errors()[0]["type"] == "file_required"
    with pytest.raises(ValidationError):
        body.model_validate({"note": " ", "files": [FILE]})
    kit.paid().seller("deliver", note="x", files=["nope"], refused="unknown_file")


def test_o19_not_twice_and_only_where_work_is_expected() -> None:
    """A delivered order waits for the buyer; unpaid, frozen and ended ones expect no work."""
    kit.delivered().seller("deliver", refused="already_delivered")
    kit.placed().seller("deliver", refused="not_paid")
    kit.disputed().seller("deliver", refused="order_frozen")
    kit.completed().seller("deliver", refused="order_closed")


def test_late_means_at_or_after_the_date_of_that_delivery() -> None:
    """At the exact date it is late, one tick before it is not."""
    assert kit.paid().at(DUE - TICK).seller("deliver").last("Delivered").late is False
    assert kit.paid().at(DUE).seller("deliver").last("Delivered").late is True


def test_late_is_judged_by_an_agreed_a_revised_and_a_relaunched_date() -> None:
    """The date that counts is that of this delivery."""
    agreed = kit.overdue().seller("propose-deadline", due_at=DUE + D).buyer("accept-deadline")
    assert agreed.seller("deliver").last("Delivered").late is False
    for given in (kit.revision_accepted, kit.relaunched):
        story = given()
        assert story.fork().at(story.order.due_at - TICK).seller("deliver").last("Delivered").late is False
        assert story.at(story.order.due_at).seller("deliver").last("Delivered").late is True


def test_a_delivery_that_answers_a_pending_revision_directly_is_never_late() -> None:
    """No date was agreed for it."""
    story = kit.revision_requested(due_at=T0 + D + H).at(T0 + 2 * D).seller("deliver")
    assert story.last("Delivered").late is False


def test_o19_answering_a_pending_revision_accepts_it_implicitly() -> None:
    """The delivery says what became of the points; one that is left out stays open."""
    story = kit.revision_requested().seller(
        "deliver", note="v2", files=[FILE], points=[{"number": 2, "status": "contested", "note": "It would not fit."}]
    )
    story.expect("Delivered", "DisputeUnlocked").is_(status="delivered")
    fact = story.last("Delivered")
    assert (fact.number, fact.revision) == (2, 1)
    assert [(point.number, point.status, point.note.text) for point in fact.points] == [
        (2, "contested", "It would not fit.")
    ]
    assert (story.order.revisions[-1].status, story.order.pending_revision) == ("answered", None)


def test_o19_points_are_those_of_the_revision() -> None:
    """An unknown point is refused, any point without a revision, and one that is answered twice."""
    one = [{"number": 1, "status": "addressed"}]
    kit.paid().seller("deliver", note="x", files=[FILE], points=one, refused="unknown_point")
    for given in (kit.revision_requested, kit.revision_accepted):
        three = [{"number": 3, "status": "addressed"}]
        given().seller("deliver", note="x", files=[FILE], points=three, refused="unknown_point")
    with pytest.raises(ValidationError):
        kit.command_of("deliver").body.model_validate({"note": "x", "files": [FILE], "points": one * 2})
    with pytest.raises(ValidationError):
        kit.command_of("deliver").body.model_validate(
            {"note": "x", "files": [FILE], "points": [{"number": 1, "status": "open"}]}
        )


def test_o19_a_delivery_ends_a_cancellation_request_and_counts() -> None:
    """The request ends as overtaken; the second refusal so unlocks the dispute."""
    story = kit.paid().buyer("request-cancellation").seller("deliver").expect("Delivered", "CancelRefused")
    refused = story.last("CancelRefused")
    assert (refused.how, refused.refusal_count, refused.reason) == ("overtaken_by_delivery", 1, None)
    second = kit.paid().buyer("request-cancellation").seller("refuse-cancellation").after(D)
    second.buyer("request-cancellation").seller("deliver").expect("Delivered", "CancelRefused", "DisputeUnlocked")


def test_o19_a_delivery_voids_a_deadline_proposal_and_keeps_a_settlement_proposal() -> None:
    """There is no date to move any more, but the parties may still settle."""
    story = kit.paid().buyer("propose-deadline").buyer("propose-settlement").seller("deliver")
    story.expect("Delivered", "RequestsSuperseded").is_(deadline_proposal=None)
    assert story.last("RequestsSuperseded").closed == ("deadline_proposal",)
    assert story.order.conflict.unanswered == 0
    story.seller("accept-settlement").expect("SettlementAgreed", "OrderCompleted", "EscrowSplit")


@pytest.mark.parametrize("state", [kit.delivered, kit.revision_requested, kit.revision_accepted])
def test_o20_the_buyer_accepts_what_was_delivered(state: kit.Given) -> None:
    """Also while a revision is asked for or being made: the last delivery is accepted."""
    story = state().buyer("accept-delivery")
    assert [e.type for e in story.fresh][:3] == ["DeliveryAccepted", "OrderCompleted", "EscrowReleased"]
    story.is_(status="completed", ending="accepted", released_minor=PRICE, commission_minor=0, held_minor=0)
    assert story.last("DeliveryAccepted").number == 1


def test_o20_without_a_delivery_there_is_nothing_to_accept() -> None:
    """Never delivered, or relaunched and awaiting another one."""
    kit.paid().buyer("accept-delivery", refused="nothing_delivered").saying(unlocked_by=("deliver",))
    kit.relaunched().buyer("accept-delivery", refused="not_delivered")


def test_o21_seven_days_after_the_last_delivery_it_is_accepted() -> None:
    """One tick before the buyer may still ask for a revision."""
    story = kit.delivered().at(T0 + 8 * D - TICK)
    story.fork().buyer("request-revision").expect("RevisionRequested")
    story.at(T0 + 8 * D).expect(*AUTO_ACCEPTED)
    story.is_(status="completed", ending="auto_accepted", released_minor=PRICE, ended_at=T0 + 8 * D)
    story.buyer("request-revision", refused="order_closed")


def test_o21_reminders_come_on_the_third_and_the_sixth_day() -> None:
    """Each names when the delivery will accept itself."""
    story = kit.delivered().at(T0 + 4 * D - TICK).expect().at(T0 + 4 * D).expect("ValidationReminderSent")
    first = story.last("ValidationReminderSent")
    assert (first.number, first.auto_accepted_at) == (1, T0 + 8 * D)
    story.at(T0 + 7 * D - TICK).expect().at(T0 + 7 * D).expect("ValidationReminderSent")
    assert story.last("ValidationReminderSent").number == 2
    story.at(T0 + 8 * D - TICK).expect()


def test_o21_the_clock_counts_from_the_last_delivery() -> None:
    """A second delivery starts it afresh, reminders included."""
    story = kit.delivered().at(T0 + 5 * D).expect("ValidationReminderSent").buyer("request-revision")
    story.at(T0 + 6 * D).seller("deliver").at(T0 + 9 * D).expect("ValidationReminderSent")
    story.at(T0 + 12 * D).at(T0 + 13 * D - TICK).expect().at(T0 + 13 * D).expect(*AUTO_ACCEPTED)


def test_o21_the_clock_stands_while_a_cancellation_is_pending() -> None:
    """It goes on with what remained; reminders move with it."""
    story = kit.delivered().at(T0 + 3 * D).buyer("request-cancellation").at(T0 + 4 * D + 12 * H).expect()
    story.buyer("withdraw-cancellation")
    story.at(T0 + 5 * D + 12 * H - TICK).expect().at(T0 + 5 * D + 12 * H).expect("ValidationReminderSent")
    assert story.last("ValidationReminderSent").auto_accepted_at == T0 + 9 * D + 12 * H
    story.at(T0 + 9 * D).at(T0 + 9 * D + 12 * H - TICK).expect().at(T0 + 9 * D + 12 * H).expect(*AUTO_ACCEPTED)


def test_o21_after_a_request_that_unlocked_a_dispute_at_least_a_day_remains() -> None:
    """The buyer has a day to use the unlock; one tick would have remained."""
    story = kit.delivered(due_at=FAR).at(T0 + 8 * D - TICK).buyer("request-cancellation").after(48 * H)
    story.expect("CancellationRequestExpired", "DisputeUnlocked")
    story.after(24 * H - TICK).expect().after(TICK).expect(*AUTO_ACCEPTED)


def test_o21_after_a_request_that_unlocked_nothing_only_the_rest_remains() -> None:
    """A first refusal in the last second gives no day."""
    story = kit.delivered().at(T0 + 8 * D - H).buyer("request-cancellation").after(5 * H).seller("refuse-cancellation")
    story.after(H - TICK).expect().after(TICK).expect(*AUTO_ACCEPTED)


def test_o21_more_than_a_day_is_not_cut_by_an_unlock() -> None:
    """At least 24 hours is a floor, not a new window."""
    story = kit.delivered().at(T0 + 2 * D).buyer("request-cancellation").after(48 * H)
    story.at(T0 + 10 * D - TICK).at(T0 + 10 * D).expect(*AUTO_ACCEPTED)


def test_o21_a_revision_that_is_denied_while_a_cancellation_is_pending_starts_a_standing_clock() -> None:
    """The fresh seven days begin when the request has ended."""
    story = kit.revision_requested().buyer("request-cancellation").after(H).seller("refuse-revision")
    assert "validation" not in story.order.timers
    story.after(H).buyer("withdraw-cancellation")
    assert story.order.timers["validation"] == T0 + D + 2 * H + 7 * D


def test_the_auto_accepted_delivery_names_its_number() -> None:
    """It is the last one."""
    story = kit.revision_requested().seller("deliver").after(7 * D)
    assert story.last("DeliveryAutoAccepted").number == 2
