"""Rows O1–O3: placing an order, paying it into escrow, and the payment that never comes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import DUE, PRICE, T0, TICK, D, H, euros

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.commands.ordering import place
from brojobs_es.errors import Refusal
from brojobs_es.terms import DEFAULT_TERMS, Terms


def test_o1_placing_records_the_parties_the_price_the_date_and_the_terms() -> None:
    """The first event holds everything by which the order will be judged."""
    story = kit.placed().is_(status="awaiting_payment", buyer_id="ana", seller_id="sam", due_at=DUE, held_minor=0)
    (fact,) = story.case.new
    assert (fact.type, fact.price.amount, fact.price.currency) == ("OrderPlaced", 10_001, "EUR")  # type: ignore[attr-defined]
    assert (fact.title.text, fact.title.of, fact.brief.text) == ("Logo", "ana", "Two colours.")  # type: ignore[attr-defined]
    assert fact.terms == DEFAULT_TERMS  # type: ignore[attr-defined]
    assert (fact.effective_at, fact.timestamp, fact.cause.actor.role) == (T0, T0, Role.BUYER)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": euros(0)}, "amount_out_of_range"),
        ({"price": euros(-1)}, "amount_out_of_range"),
        ({"seller_id": "ana"}, "invalid_request"),
        ({"due_at": T0}, "due_at_out_of_range"),
        ({"due_at": T0 - TICK}, "due_at_out_of_range"),
        ({"due_at": T0 + timedelta(days=80) + TICK}, "due_at_out_of_range"),
    ],
)
def test_o1_refuses_what_cannot_be_ordered(changes: dict[str, object], code: str) -> None:
    """A price above zero, two people, and a date between now (excluded) and 80 days (included) are needed."""
    with pytest.raises(Refusal) as refusal:
        place(kit.place_body(**changes), "ana", T0, DEFAULT_TERMS)
    assert refusal.value.code == code


@pytest.mark.parametrize("due_at", [T0 + TICK, T0 + timedelta(days=80)])
def test_o1_takes_the_first_and_the_last_possible_date(due_at: object) -> None:
    """The edges of the horizon that belong to it are accepted."""
    kit.placed(due_at=due_at).is_(due_at=due_at)


def test_o1_takes_the_smallest_and_the_largest_price() -> None:
    """One minor unit is a price, and so is the largest integer that JSON carries without loss."""
    for amount in (1, 2**53 - 1):
        assert kit.paid(price=euros(amount)).order.held_minor == amount


@pytest.mark.parametrize(
    "changes",
    [
        {"price": {"amount": 100, "currency": "EUX"}},
        {"price": {"amount": 100, "currency": "XAU"}},
        {"price": {"amount": "100", "currency": "EUR"}},
        {"price": {"amount": 1.0, "currency": "EUR"}},
        {"price": {"amount": True, "currency": "EUR"}},
        {"price": {"amount": 2**53, "currency": "EUR"}},
        {"title": " "},
        {"brief": "a\x00b"},
        {"seller_id": ""},
        {"seller_id": "s" * 256},
        {"buyer_id": "eve"},
        {"order_id": "not-a-uuid"},
    ],
)
def test_o1_the_body_alone_shows_what_is_wrong(changes: dict[str, object]) -> None:
    """Unknown currencies, sums that are no integers, blank texts, null characters and unknown fields are no order."""
    with pytest.raises(ValidationError):
        kit.place_body(**changes)


def test_o2_the_payment_funds_escrow_and_starts_the_work() -> None:
    """The whole price is held and the order is in progress."""
    story = kit.placed().operator("confirm-payment").expect("EscrowFunded")
    story.is_(status="in_progress", funded_minor=PRICE, held_minor=PRICE, payment_reference="pay-1", paid_at=T0)


@pytest.mark.parametrize("amount", [euros(10_000), euros(10_002), euros(10_001, "USD")])
def test_o2_another_sum_or_currency_is_refused(amount: dict[str, object]) -> None:
    """Amount and currency must equal the price."""
    kit.placed().operator("confirm-payment", payment_reference="p", amount=amount, refused="amount_mismatch")


def test_o2_the_same_payment_again_changes_nothing() -> None:
    """The same reference is a retry: no event, also when the order has moved on or has ended."""
    for story in (kit.paid(), kit.delivered(), kit.disputed(), kit.completed(), kit.cancelled()):
        story.operator("confirm-payment").expect()


def test_o2_another_payment_is_refused() -> None:
    """A second payment with a reference of its own is not taken."""
    other = {"payment_reference": "pay-2", "amount": euros(PRICE)}
    kit.paid().operator("confirm-payment", **other, refused="already_paid")
    kit.completed().operator("confirm-payment", **other, refused="order_closed")
    kit.disputed().operator("confirm-payment", **other, refused="order_frozen")


def test_o2_the_same_reference_with_another_sum_is_another_payment() -> None:
    """A reference that comes back with another amount is not the recorded payment."""
    kit.paid().operator("confirm-payment", payment_reference="pay-1", amount=euros(1), refused="already_paid")


def test_o3_unpaid_for_a_day_the_order_is_cancelled() -> None:
    """At exactly 24 hours the payment window has closed; nothing was held, so nothing is refunded."""
    kit.placed().at(T0 + 24 * H - TICK).expect().operator("confirm-payment").expect("EscrowFunded")
    story = kit.placed().at(T0 + 24 * H).expect("PaymentExpired", "OrderCancelled")
    story.is_(status="cancelled", ending="payment_expired", ended_at=T0 + 24 * H)
    story.operator("confirm-payment", refused="order_closed")


def test_o3_an_earlier_delivery_date_ends_the_wait_for_the_payment() -> None:
    """An order due in six hours is not paid after that."""
    due_at = T0 + 6 * H
    kit.placed(due_at=due_at).at(due_at - TICK).operator("confirm-payment").at(due_at).expect("DeliveryOverdue")
    kit.placed(due_at=due_at).at(due_at).expect("PaymentExpired", "OrderCancelled")


def test_terms_of_the_first_event_judge_the_order_for_life() -> None:
    """An order placed under other terms keeps them, whatever the defaults say."""
    terms = Terms(version=2, payment_window=2 * H, validation_window=1 * D, validation_reminders=(12 * H,))
    kit.placed(terms=terms).at(T0 + 2 * H - TICK).expect().at(T0 + 2 * H).expect("PaymentExpired", "OrderCancelled")
    story = kit.delivered(terms=terms).at(T0 + D + 12 * H).expect("ValidationReminderSent")
    story.at(T0 + 2 * D).expect("DeliveryAutoAccepted", "OrderCompleted", "EscrowReleased")


def test_terms_are_what_the_procedure_promises() -> None:
    """Every default of version 1, by hand."""
    assert (
        Terms(
            version=1,
            payment_window=timedelta(hours=24),
            cancellation_answer_window=timedelta(hours=48),
            cancellation_cooldown=timedelta(hours=24),
            refusals_to_unlock_dispute=2,
            silence_window=timedelta(hours=72),
            reminder_cooldown=timedelta(hours=24),
            refund_answer_window=timedelta(hours=48),
            deadline_proposal_ttl=timedelta(hours=48),
            deadline_horizon=timedelta(days=80),
            validation_window=timedelta(days=7),
            validation_reminders=(timedelta(days=3), timedelta(days=6)),
            revision_answer_window=timedelta(hours=72),
            revision_work_window_default=timedelta(days=3),
            revision_work_window_max=timedelta(days=14),
            included_revisions=2,
            chat_open_after_end=timedelta(days=7),
            settlement_proposal_ttl=timedelta(hours=48),
            dispute_response_window=timedelta(hours=72),
            dispute_evidence_window=timedelta(days=5),
            mediator_assignment_target=timedelta(hours=48),
            decision_target=timedelta(days=14),
            disputes_max=2,
            relaunch_notice_min=timedelta(hours=24),
            resumed_timer_min=timedelta(hours=24),
            escrow_age_alarm=timedelta(days=75),
            conflict_messages_min=3,
            conflict_span_min=timedelta(hours=48),
            commission_bps=0,
            summary_lines_max=10,
            summary_line_chars_max=120,
        )
        == DEFAULT_TERMS
    )
