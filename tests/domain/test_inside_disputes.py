"""Rows D1–D7: assignment, the thread, evidence, the decision, the way back, and the dates that are missed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import NOWHERE, PRICE, T0, TICK, D, H, euros

OPENED = T0 + D
FAR = T0 + 40 * D


def decide(story: kit.Story, outcome: str, refused: str | None = None, **body: Any) -> kit.Story:
    given = {"assignment": 1, "outcome": outcome, "reason": "The brief is clear.", **body}
    return story.mediator("dispute/decide", refused=refused, **given)


def test_d1_a_mediator_takes_the_case_and_may_repeat_it() -> None:
    """The dispute is under review; the same mediator again changes nothing, another is refused."""
    story = kit.disputed().mediator("dispute/assign").expect("MediatorAssigned")
    assert (story.dispute.status, story.dispute.assignment, story.dispute.mediator_id) == ("under_review", 1, "mia")
    story.mediator("dispute/assign").expect()
    story.mediator("dispute/assign", by="max", refused="already_assigned")


def test_d1_the_assignment_only_grows_when_the_case_is_handed_over() -> None:
    """By the assignee or an operator; the old number is stale from then on."""
    story = kit.under_review().mediator("dispute/hand-over", to="max").expect("MediatorAssigned")
    assert (story.dispute.assignment, story.dispute.mediator_id) == (2, "max")
    story.mediator("dispute/hand-over", to="mia", refused="not_assigned")
    story.operator("dispute/hand-over", to="mia").expect("MediatorAssigned")
    assert story.dispute.assignment == 3
    decide(story, "full_refund", assignment=2, refused="stale_assignment")
    decide(story, "full_refund", assignment=3)


def test_d1_a_case_that_nobody_has_cannot_be_handed_over_nor_goes_to_a_party() -> None:
    """Somebody is assigned first; a party never mediates."""
    kit.disputed().operator("dispute/hand-over", refused="not_assigned")
    for party in ("ana", "sam"):
        kit.under_review().mediator("dispute/hand-over", to=party, refused="party_of_the_order")


def test_d2_parties_and_mediators_write_and_only_mediators_note() -> None:
    """In the thread, while it is open."""
    story = kit.disputed()
    for role in ("buyer", "seller", "mediator"):
        story.act(role, "dispute/post-message").expect("DisputeMessagePosted")
    story.mediator("dispute/add-note").expect("MediatorNoteAdded")
    for role in ("buyer", "seller", "operator", "auditor"):
        story.act(role, "dispute/add-note", refused="forbidden")


def test_d3_a_question_names_who_is_asked_and_until_when() -> None:
    """Without a date, the response window; a date lies in the future."""
    story = kit.under_review().mediator("dispute/request-information").expect("InformationRequested")
    asked = story.last("InformationRequested")
    assert (asked.asked, asked.answer_by) == ("seller", OPENED + 72 * H)
    body = {"from": "buyer", "question": "Why?"}
    story.mediator("dispute/request-information", **body, answer_by=OPENED, refused="due_at_out_of_range")
    story.mediator("dispute/request-information", **body, answer_by=OPENED + TICK)


def test_d4_evidence_is_late_from_five_days_on_and_still_taken() -> None:
    """At the exact instant it is late."""
    story = kit.disputed().at(OPENED + 5 * D - TICK).seller("dispute/submit-evidence").expect("EvidenceSubmitted")
    assert story.last("EvidenceSubmitted").evidence.late is False
    assert story.at(OPENED + 5 * D).buyer("dispute/submit-evidence").last("EvidenceSubmitted").evidence.late is True


def test_d4_evidence_refers_to_events_files_and_other_evidence() -> None:
    """Of this order and this dispute only."""
    story = kit.disputed()
    body: dict[str, Any] = {"kind": "document", "description": "x"}
    known = str(story.dispute.evidence[0].evidence_id)
    story.seller("dispute/submit-evidence", **body, files=["no"], refused="unknown_file")
    story.seller("dispute/submit-evidence", **body, events=[0], refused="unknown_reference")
    story.seller("dispute/submit-evidence", **body, counters=[NOWHERE], refused="unknown_reference")
    story.seller("dispute/submit-evidence", **body, events=[1], files=[kit.FILE], counters=[known])
    assert story.last("EvidenceSubmitted").evidence.counters == (story.dispute.evidence[0].evidence_id,)


def test_d5_both_sides_are_heard_or_the_response_window_is_over() -> None:
    """The opener's first pieces count; at exactly 72 hours the window is over."""
    story = kit.disputed().mediator("dispute/assign")
    decide(story, "full_refund", refused="evidence_window").saying(available_from=OPENED + 72 * H)
    heard = story.fork().seller("dispute/submit-evidence")
    assert heard.dispute.one_sided is False
    assert decide(heard, "full_refund").last("DisputeDecided").one_sided is False
    decide(story.at(OPENED + 72 * H - TICK), "full_refund", refused="evidence_window")
    story.at(OPENED + 72 * H).expect("ResponseWindowClosed")
    assert decide(story, "full_refund").last("DisputeDecided").one_sided is True


def test_d5_one_sided_is_recorded_and_stays() -> None:
    """Evidence that comes after the window does not change what was."""
    story = kit.disputed().mediator("dispute/assign").at(OPENED + 72 * H).seller("dispute/submit-evidence")
    assert story.dispute.one_sided is True
    assert decide(story, "full_refund").last("DisputeDecided").one_sided is True


def test_external_evidence_is_kept_but_is_no_submission() -> None:
    """A screenshot of another chat does not make a side heard."""
    story = kit.disputed().mediator("dispute/assign")
    story.seller("dispute/submit-evidence", kind="screenshot", description="Chat", origin="external")
    assert story.last("EvidenceSubmitted").evidence.origin == "external"
    decide(story, "full_refund", refused="evidence_window")


def test_d5_refusals_in_their_order() -> None:
    """Closed, not assigned, stale, the evidence window, the outcome; then what is wrong with amounts and dates."""
    decide(kit.disputed(), "validate_delivery", refused="not_assigned")
    story = kit.refused_twice().buyer("open-dispute").mediator("dispute/assign")
    story.mediator("dispute/decide", by="max", assignment=1, outcome="full_refund", reason="x", refused="not_assigned")
    decide(story, "validate_delivery", assignment=2, refused="stale_assignment")
    decide(story, "validate_delivery", refused="evidence_window")
    story.seller("dispute/submit-evidence")
    decide(story, "validate_delivery", refused="outcome_not_available")
    decide(story, "full_refund", cited=[NOWHERE], refused="unknown_reference")
    decide(decide(story, "full_refund"), "validate_delivery", assignment=7, refused="dispute_closed")


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "full_refund", "refund": euros(1)},
        {"outcome": "partial_refund"},
        {"outcome": "relaunch"},
        {"outcome": "validate_delivery", "due_at": "2026-03-20T12:00:00Z"},
        {"outcome": "settled"},
        {"outcome": "full_refund", "reason": " "},
    ],
)
def test_d5_fields_that_do_not_belong_together(body: dict[str, object]) -> None:
    """A refund belongs to a partial one only, a date to a relaunch only, and both are needed there."""
    with pytest.raises(ValidationError):
        kit.command_of("dispute/decide").body.model_validate({"assignment": 1, "reason": "x", **body})


def test_d5_full_refund() -> None:
    """Cancelled as decided; the decision, the order and the money are one commit."""
    story = decide(kit.under_review(), "full_refund")
    story.expect("DisputeDecided", "DisputeClosed", "OrderCancelled", "EscrowRefunded")
    story.is_(status="cancelled", ending="decided", refunded_minor=PRICE, held_minor=0)
    assert (story.dispute.status, story.dispute.outcome) == ("closed", "full_refund")


def test_d5_partial_refund() -> None:
    """Completed as decided, with a true part of what is held."""
    for amount in (0, PRICE, PRICE + 1):
        decide(kit.under_review(), "partial_refund", refund=euros(amount), refused="amount_out_of_range")
    decide(kit.under_review(), "partial_refund", refund=euros(1, "USD"), refused="amount_mismatch")
    story = decide(kit.under_review(), "partial_refund", refund=euros(3_333))
    story.expect("DisputeDecided", "DisputeClosed", "OrderCompleted", "EscrowSplit")
    story.is_(status="completed", ending="decided", refunded_minor=3_333, released_minor=6_668, held_minor=0)


def test_d5_validate_delivery_needs_one() -> None:
    """Completed as decided; without any delivery it is not available."""
    story = decide(kit.under_review(), "validate_delivery")
    story.expect("DisputeDecided", "DisputeClosed", "OrderCompleted", "EscrowReleased")
    story.is_(status="completed", ending="decided", released_minor=PRICE, held_minor=0)


def test_d5_relaunch_goes_on_with_a_new_date_and_an_open_chat() -> None:
    """Between 24 hours and 80 days from now, both included."""
    story = kit.under_review()
    for due_at in (story.now + 24 * H - TICK, story.now + 80 * D + TICK):
        decide(story, "relaunch", due_at=due_at, refused="due_at_out_of_range")
    story.saying(available_from=story.now + 24 * H, available_until=story.now + 80 * D)
    decide(story.fork(), "relaunch", due_at=story.now + 80 * D)
    decide(story, "relaunch", due_at=story.now + 24 * H).expect("DisputeDecided", "DisputeClosed", "OrderRelaunched")
    story.is_(status="in_progress", due_at=OPENED + 24 * H, held_minor=PRICE, refusals=(), unlocks=())
    assert story.lock.buyer_can_write
    assert story.lock.seller_can_write


def test_d5_relaunch_is_offered_once_an_order() -> None:
    """A second dispute, by whomever, cannot relaunch again."""
    story = kit.relaunched(due_at=FAR).at(T0 + 75 * D).operator("open-dispute").mediator("dispute/assign")
    story.after(72 * H)
    decide(story, "relaunch", due_at=story.now + 2 * D, refused="outcome_not_available")


def test_d5_relaunch_is_never_offered_in_the_openers_last_dispute() -> None:
    """That one ends the order."""
    story = kit.quarrelling().buyer("open-dispute").buyer("dispute/withdraw").buyer("open-dispute")
    story.seller("dispute/submit-evidence").mediator("dispute/assign")
    decide(story, "relaunch", due_at=story.now + 2 * D, refused="outcome_not_available")
    decide(story, "full_refund")


def test_d6_only_the_opener_withdraws() -> None:
    """The other side, and an operator who did not open it, may not."""
    kit.disputed().seller("dispute/withdraw", refused="forbidden").operator("dispute/withdraw", refused="forbidden")
    story = kit.paid().at(T0 + 75 * D).operator("open-dispute").buyer("dispute/withdraw", refused="forbidden")
    story.operator("dispute/withdraw").expect("DisputeWithdrawn", "DisputeClosed", "OrderUnfrozen")


@pytest.mark.parametrize(
    ("given", "before"),
    [
        (kit.revision_refused, "delivered"),
        (kit.refused_twice, "in_progress"),
        (lambda: kit.revision_refused().buyer("accept-delivery"), None),
        (lambda: kit.refused_twice().seller("deliver").buyer("request-revision"), "revision_requested"),
    ],
)
def test_d6_the_order_returns_to_its_state_before(given: kit.Given, before: str | None) -> None:
    """In one commit with the withdrawal; an ended order had no dispute to begin with."""
    story = given()
    if before is None:
        story.buyer("open-dispute", refused="order_closed")
        return
    story.buyer("open-dispute").after(H).buyer("dispute/withdraw")
    story.expect("DisputeWithdrawn", "DisputeClosed", "OrderUnfrozen").is_(status=before)
    assert (story.dispute.status, story.dispute.outcome) == ("closed", "withdrawn")


def test_d6_suspended_timers_resume_with_what_remained() -> None:
    """The delivery date moves with its timer."""
    story = kit.refused_twice().buyer("open-dispute")
    assert story.last("OrderFrozen").suspended == {"delivery_due": 4 * D}
    story.after(10 * D).buyer("dispute/withdraw").is_(due_at=T0 + 15 * D)
    assert story.last("OrderUnfrozen").resumed == {"delivery_due": T0 + 15 * D}
    assert story.last("OrderUnfrozen").due_at == T0 + 15 * D
    story.at(T0 + 15 * D - TICK).expect().at(T0 + 15 * D).expect("DeliveryOverdue")


def test_d6_at_least_a_day_remains() -> None:
    """A timer that had less gets 24 hours."""
    story = kit.refused_twice(due_at=T0 + D + H).buyer("open-dispute").after(2 * H).buyer("dispute/withdraw")
    story.is_(due_at=T0 + D + 2 * H + 24 * H)


def test_d6_an_overdue_order_stays_overdue() -> None:
    """A timer that had fired does not come back."""
    story = kit.refused_twice(due_at=T0 + D).buyer("open-dispute").after(2 * H).buyer("dispute/withdraw")
    story.is_(due_at=T0 + D).buyer("cancel-overdue").expect("OrderCancelled", "EscrowRefunded")


def test_d6_a_suspended_revision_comes_back_with_its_date() -> None:
    """Both the date of the order and that of the revision move."""
    story = kit.refused_twice().seller("deliver").buyer("request-revision").seller("accept-revision")
    story.buyer("open-dispute").after(5 * D).buyer("dispute/withdraw").is_(due_at=T0 + 9 * D)
    assert story.order.revisions[-1].due_at == T0 + 9 * D
    story.at(T0 + 9 * D - TICK).expect().at(T0 + 9 * D).expect("RevisionOverdue", "DisputeUnlocked")


def test_d6_a_pending_revision_is_answered_after_the_dispute() -> None:
    """Its clock stood meanwhile."""
    story = kit.refused_twice().seller("deliver").buyer("request-revision").after(70 * H).buyer("open-dispute")
    assert "RequestsSuperseded" not in story.types
    story.after(5 * D).buyer("dispute/withdraw").after(24 * H - TICK).expect()
    story.fork().seller("accept-revision").expect("RevisionAccepted")
    story.after(TICK).expect("RevisionRequestExpired", "DisputeUnlocked")


def test_d6_the_validation_clock_and_its_reminders_resume() -> None:
    """What remained, with the reminders that were not yet sent."""
    story = kit.revision_refused().after(2 * D).buyer("open-dispute").after(10 * D).buyer("dispute/withdraw")
    back = story.now
    story.at(back + D - TICK).expect().at(back + D).expect("ValidationReminderSent")
    assert story.last("ValidationReminderSent").auto_accepted_at == back + 5 * D
    story.at(back + 4 * D).expect("ValidationReminderSent").at(back + 5 * D - TICK).expect()
    story.at(back + 5 * D).expect("DeliveryAutoAccepted", "OrderCompleted", "EscrowReleased")


def test_d7_missed_dates_are_recorded() -> None:
    """Assignment after 48 hours, the response after 72, the decision after 14 days; all is still possible."""
    story = kit.disputed().at(OPENED + 48 * H - TICK).expect().at(OPENED + 48 * H).expect("MediatorAssignmentOverdue")
    story.at(OPENED + 72 * H).expect("ResponseWindowClosed")
    assert story.last("ResponseWindowClosed").one_sided is True
    story.at(OPENED + 14 * D - TICK).expect().at(OPENED + 14 * D).expect("DecisionOverdue")
    decide(story.mediator("dispute/assign"), "full_refund")


def test_d7_an_assigned_case_misses_no_assignment() -> None:
    """And a closed one misses nothing."""
    assert "MediatorAssignmentOverdue" not in kit.under_review().at(OPENED + 48 * H).types
    story = kit.under_review().buyer("dispute/withdraw").at(OPENED + 20 * D)
    assert not {"MediatorAssignmentOverdue", "ResponseWindowClosed", "DecisionOverdue"} & set(story.types)


DISPUTE_COMMANDS = [
    ("mediator", "dispute/assign"), ("mediator", "dispute/hand-over"), ("operator", "dispute/hand-over"),
    ("buyer", "dispute/post-message"), ("mediator", "dispute/add-note"), ("mediator", "dispute/request-information"),
    ("seller", "dispute/submit-evidence"), ("mediator", "dispute/decide"), ("buyer", "dispute/withdraw"),
]  # fmt: skip


@pytest.mark.parametrize("given", [
    lambda: decide(kit.under_review(), "full_refund"), lambda: kit.under_review().buyer("dispute/withdraw"),
    lambda: kit.under_review().seller("concede"), kit.relaunched,
])  # fmt: skip
def test_a_closed_dispute_takes_nothing_more(given: kit.Given) -> None:
    """However it closed, this is told first; also to the mediator who held it."""
    story = given()
    for role, command in DISPUTE_COMMANDS:
        story.act(role, command, refused="dispute_closed")


FROZEN = [
    ("buyer", "send-reminder"), ("buyer", "request-refund"), ("buyer", "cancel-overdue"), ("buyer", "propose-deadline"),
    ("seller", "accept-deadline"), ("buyer", "request-cancellation"), ("seller", "accept-cancellation"),
    ("seller", "refuse-cancellation"), ("buyer", "withdraw-cancellation"), ("seller", "deliver"),
    ("buyer", "accept-delivery"), ("buyer", "request-revision"), ("seller", "accept-revision"),
    ("seller", "refuse-revision"),
]  # fmt: skip


@pytest.mark.parametrize(("role", "command"), FROZEN)
def test_a_dispute_freezes_delivery_revision_validation_cancellation_and_deadline(role: str, command: str) -> None:
    """Each says that the order is frozen."""
    kit.disputed().act(role, command, refused="order_frozen")


def test_no_clock_of_a_frozen_order_runs() -> None:
    """Neither validation nor its reminders, nor a delivery date, for a hundred days."""
    story = kit.under_review().at(OPENED + 74 * D - TICK)
    assert {event.type for event in story.fresh} == {"DecisionOverdue"}
