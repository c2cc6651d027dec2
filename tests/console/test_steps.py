from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

from tests import kit
from tests.console.helpers import history_of

from brojobs_es.aggregates.order_parts import Status
from brojobs_es.console.steps import money_errors, steps_of, until_instant
from brojobs_es.projections.escrow import Account


def test_each_step_shows_what_stood_after_its_event() -> None:
    """State, chat lock and money follow the events one by one, not the end of the story."""
    steps = steps_of(history_of(kit.completed()))

    seen = [(s.entry.event.type, str(s.status), s.chat.buyer_can_write, s.money.held, s.money.released) for s in steps]
    assert seen == [
        ("OrderPlaced", "awaiting_payment", True, 0, 0),
        ("EscrowFunded", "in_progress", True, 10_001, 0),
        ("Delivered", "delivered", False, 10_001, 0),
        ("DeliveryAccepted", "delivered", False, 10_001, 0),
        ("OrderCompleted", "completed", True, 10_001, 0),
        ("EscrowReleased", "completed", True, 0, 10_001),
    ]


def test_a_dispute_s_events_stand_among_the_order_s() -> None:
    """Both streams are told as one, in recorded order."""
    steps = steps_of(history_of(kit.disputed()))

    assert [s.entry.event.type for s in steps][-3:] == ["DisputeUnlocked", "DisputeOpened", "OrderFrozen"]
    assert [s.status for s in steps][-2:] == [Status.DELIVERED, Status.DISPUTED]


def test_a_sentence_names_money_in_the_order_s_currency() -> None:
    """Events hold minor units alone; the replay gives them their currency."""
    steps = steps_of(history_of(kit.placed(price=kit.euros(1_200, "JPY")).operator("confirm-payment")))

    assert "1,200" in steps[1].told("en")
    assert "JPY" in steps[1].told("en")


def test_events_of_one_command_share_a_cause() -> None:
    """An acceptance, the end and the payout are one act; the delivery before is another."""
    steps = steps_of(history_of(kit.completed()))

    assert [b.same_cause(a) for a, b in itertools.pairwise(steps)] == [False, False, False, True, True]
    assert not steps[0].same_cause(None)


def test_the_past_is_what_had_taken_effect() -> None:
    """A deadline recorded days late belongs to the past from its own instant on."""
    late = kit.paid().at(kit.DUE + 3 * kit.D)
    assert late.last("DeliveryOverdue").timestamp == kit.DUE + 3 * kit.D

    past = until_instant(history_of(late), kit.DUE)

    assert past is not None
    assert past.entries[-1].event.type == "DeliveryOverdue"


def test_before_the_placing_there_is_nothing() -> None:
    """An order has no state before its first event."""
    assert until_instant(history_of(kit.placed()), kit.T0 - timedelta(microseconds=1)) is None


def test_a_look_at_the_past_fires_no_timer() -> None:
    """What was due and not recorded stays out: a replay reads."""
    history = history_of(kit.paid())

    past = until_instant(history, kit.DUE + 30 * kit.D)

    assert past is not None
    assert [entry.event.type for entry in past.entries] == ["OrderPlaced", "EscrowFunded"]


def test_books_that_balance_have_no_error() -> None:
    """Every step of a story with a divided end holds."""
    story = kit.under_review().mediator(
        "dispute/decide", assignment=1, outcome="partial_refund", refund=kit.euros(3_333), reason="A third."
    )

    assert [money_errors(step) for step in steps_of(history_of(story))] == [[]] * len(story.case.new)


def test_money_that_leaves_twice_is_an_error() -> None:
    """A second release makes escrow negative, and that is said."""
    last = steps_of(history_of(kit.completed()))[-1]
    (paid_out,) = (entry for entry in last.money.entries if entry.credit is Account.SELLER)
    twice = replace(last, money=replace(last.money, entries=(*last.money.entries, paid_out)))

    assert money_errors(twice) == ["escrow holds -10001"]
