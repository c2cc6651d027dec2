"""Rows O14–O18: asking to cancel, and every way in which such a request ends."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import PRICE, T0, TICK, D, H

FAR = T0 + 20 * D
HELD_STATES = (
    kit.paid, kit.overdue, kit.delivered, kit.revision_requested, kit.revision_accepted, kit.silent, kit.relaunched,
)  # fmt: skip


def grounds(story: kit.Story) -> list[str]:
    return [str(unlock.ground) for unlock in story.order.unlocks]


@pytest.mark.parametrize("state", HELD_STATES)
def test_o14_the_buyer_asks_to_cancel_while_money_is_held(state: kit.Given) -> None:
    """Wherever money is held and nothing is frozen; the seller has 48 hours."""
    story = state()
    asked_at, status = story.now, story.order.status
    story.buyer("request-cancellation", reason="no_response").expect("CancellationRequested").is_(status=status)
    request = story.order.request
    assert request is not None
    assert (request.kind, request.reason) == ("cancellation", "no_response")
    assert (request.requested_at, request.answer_by) == (asked_at, asked_at + 48 * H)


def test_o14_not_before_the_payment_nor_after_the_end_nor_in_a_dispute() -> None:
    """Without held money there is nothing to cancel; a dispute is decided by a mediator."""
    kit.placed().buyer("request-cancellation", refused="not_paid").saying(unlocked_by=("confirm-payment",))
    kit.completed().buyer("request-cancellation", refused="order_closed")
    kit.disputed().buyer("request-cancellation", refused="order_frozen")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "other"}, "reason_required"),
        ({"reason": "other", "comment": " "}, "reason_required"),
        ({"reason": "because"}, "literal_error"),
        ({}, "missing"),
        ({"reason": "delay", "comment": ""}, "value_error"),
        ({"reason": "delay", "comment": "a\x00b"}, "value_error"),
    ],
)
def test_o14_the_reason_is_one_of_three_and_other_needs_words(body: dict[str, object], code: str) -> None:
    """Seen in the body alone; only the missing comment of `other` has a code of its own."""
    with pytest.raises(ValidationError) as error:
        kit.command_of("request-cancellation").body.model_validate(body)
    assert error.value.errors()[0]["type"] == code


def test_o14_one_request_at_a_time() -> None:
    """The pending one comes first, with the instant at which it will have ended."""
    story = kit.paid().buyer("request-cancellation").buyer("request-cancellation", refused="cancellation_pending")
    story.saying(available_from=T0 + 48 * H)


@pytest.mark.parametrize(
    ("role", "command"), [("seller", "refuse-cancellation"), ("buyer", "withdraw-cancellation"), ("seller", "deliver")]
)
def test_o14_a_day_lies_between_two_requests_however_the_last_one_ended(role: str, command: str) -> None:
    """Counted from when the last one was made."""
    story = kit.paid().buyer("request-cancellation").at(T0 + 2 * H).act(role, command)
    story.at(T0 + 24 * H - TICK).buyer("request-cancellation", refused="cancellation_cooldown")
    story.saying(available_from=T0 + 24 * H).at(T0 + 24 * H).buyer("request-cancellation")


def test_o14_no_date_for_the_next_request_where_the_delivery_is_accepted_before() -> None:
    """With less than a day of the validation clock left, a withdrawn request is not followed by another."""
    story = kit.delivered().at(T0 + 8 * D - H).buyer("request-cancellation").buyer("withdraw-cancellation")
    story.buyer("request-cancellation", refused="cancellation_cooldown").saying(available_from=None)
    story.after(H).is_(status="completed", ending="auto_accepted")


def test_o14_after_an_expired_request_the_day_is_long_over() -> None:
    """An expiry comes after 48 hours, so the next request is possible at once."""
    kit.paid().buyer("request-cancellation").at(T0 + 48 * H).buyer("request-cancellation")


def test_o14_a_refund_request_starts_no_cooldown() -> None:
    """Only a cancellation request counts for the day."""
    story = kit.silent(due_at=FAR).buyer("request-refund").buyer("withdraw-cancellation")
    story.buyer("request-cancellation").expect("CancellationRequested")


def test_o15_the_seller_agrees_and_everything_goes_back() -> None:
    """Cancelled as agreed, with a full refund."""
    story = kit.paid().buyer("request-cancellation").seller("accept-cancellation")
    story.expect("CancellationAccepted", "OrderCancelled", "EscrowRefunded")
    story.is_(status="cancelled", ending="agreed", refunded_minor=PRICE, held_minor=0)


def test_o16_a_refusal_needs_words_and_counts() -> None:
    """The order goes on; the count is recorded with the words."""
    with pytest.raises(ValidationError):
        kit.command_of("refuse-cancellation").body.model_validate({"reason": " "})
    story = kit.paid().buyer("request-cancellation").seller("refuse-cancellation").expect("CancelRefused")
    refused = story.last("CancelRefused")
    assert (refused.refusal_count, refused.how, refused.reason.text) == (1, "in_words", "Nearly done.")
    story.is_(status="in_progress", request=None, unlocks=())


def test_o16_the_second_refusal_unlocks_the_dispute_and_opens_nothing() -> None:
    """The unlock is proved by both refusals; no dispute exists by itself."""
    story = kit.refused_twice().expect("CancelRefused", "DisputeUnlocked")
    first, second = (event.originator_version for event in story.case.new if event.type == "CancelRefused")
    assert story.last("DisputeUnlocked").ground == "cancellation_refused_twice"
    assert story.last("DisputeUnlocked").caused_by == (first, second)
    assert story.last("CancelRefused").refusal_count == 2
    story.is_(status="in_progress", disputes=())
    assert story.case.dispute is None


def test_o16_a_third_refusal_does_not_unlock_a_second_time() -> None:
    """A ground is unlocked once while it is unspent."""
    story = kit.refused_twice(due_at=FAR).after(D).buyer("request-cancellation").seller("refuse-cancellation")
    assert story.expect("CancelRefused").last("CancelRefused").refusal_count == 3


def test_o17_taking_a_request_back_is_no_refusal() -> None:
    """Nothing is counted."""
    story = kit.paid().buyer("request-cancellation").buyer("withdraw-cancellation").expect("CancellationWithdrawn")
    story.is_(refusals=(), request=None)


def test_o18_silence_counts_as_a_refusal_and_unlocks_at_once() -> None:
    """At exactly 48 hours; one tick before the seller may still answer."""
    story = kit.paid().buyer("request-cancellation").at(T0 + 48 * H - TICK).expect()
    story.fork().seller("refuse-cancellation").expect("CancelRefused")
    story.at(T0 + 48 * H).expect("CancellationRequestExpired", "DisputeUnlocked").is_(status="in_progress")
    expired = story.last("CancellationRequestExpired")
    assert expired.refusal_count == 1
    assert story.last("DisputeUnlocked").caused_by == (expired.originator_version,)
    assert grounds(story) == ["cancellation_unanswered"]


def test_o18_an_expiry_that_is_the_second_refusal_unlocks_both_grounds() -> None:
    """A silent seller is never better off than one who refuses."""
    story = kit.paid(due_at=FAR).buyer("request-cancellation").seller("refuse-cancellation").after(D)
    story.buyer("request-cancellation").after(48 * H)
    story.expect("CancellationRequestExpired", "DisputeUnlocked", "DisputeUnlocked")
    assert set(grounds(story)) == {"cancellation_unanswered", "cancellation_refused_twice"}


@pytest.mark.parametrize(
    ("role", "command"),
    [("seller", "accept-cancellation"), ("seller", "refuse-cancellation"), ("buyer", "withdraw-cancellation")],
)
def test_an_answer_without_a_pending_request(role: str, command: str) -> None:
    """Told apart: the last one ended by its timer, or there is none for any other reason."""
    ask = ("request-cancellation",)
    kit.paid().act(role, command, refused="no_cancellation_pending").saying(unlocked_by=ask)
    expired = kit.paid(due_at=FAR).buyer("request-cancellation").at(T0 + 48 * H)
    expired.act(role, command, refused="request_expired")
    withdrawn = expired.buyer("request-cancellation").buyer("withdraw-cancellation")
    withdrawn.act(role, command, refused="no_cancellation_pending")
    kit.refused_twice().act(role, command, refused="no_cancellation_pending")


@pytest.mark.parametrize("state", [kit.delivered, kit.revision_requested])
def test_a_cancellation_can_be_agreed_after_a_delivery(state: kit.Given) -> None:
    """The parties may always agree to cancel; what else was pending ends with it."""
    story = state().buyer("request-cancellation").seller("accept-cancellation")
    assert [event.type for event in story.fresh][:3] == ["CancellationAccepted", "OrderCancelled", "EscrowRefunded"]
