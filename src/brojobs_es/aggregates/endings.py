"""How an order ends and where its money goes: the facts of each end, in one place.

Every end that moves money carries instructions with stable ids for the payment system. They are recorded
before anybody pays, and paying one twice shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.order import Order
from brojobs_es.ids import part_id_for
from brojobs_es.money import split


def cancel(order: Order, reason: e.Ending) -> Iterator[Event]:
    """The order is cancelled and everything that escrow holds goes back to the buyer."""
    held = order.held_minor
    yield e.OrderCancelled(reason=reason)
    if held:
        yield e.EscrowRefunded(refund_instruction_id=part_id_for(order.id, "refund", 1), refund_minor=held)


def complete_with_release(order: Order, reason: e.Ending) -> Iterator[Event]:
    """The order is completed and everything goes to the seller, less commission."""
    parts = split(order.held_minor, 0, order.terms.commission_bps)
    yield e.OrderCompleted(reason=reason)
    yield e.EscrowReleased(
        payout_instruction_id=part_id_for(order.id, "payout", 1),
        payout_minor=parts.payout_minor,
        commission_minor=parts.commission_minor,
    )


def complete_with_split(order: Order, reason: e.Ending, refund_minor: int) -> Iterator[Event]:
    """The order is completed with a part refunded; the rest goes to the seller, less commission."""
    parts = split(order.held_minor, refund_minor, order.terms.commission_bps)
    yield e.OrderCompleted(reason=reason)
    yield e.EscrowSplit(
        refund_instruction_id=part_id_for(order.id, "refund", 1),
        payout_instruction_id=part_id_for(order.id, "payout", 1),
        refund_minor=parts.refund_minor,
        payout_minor=parts.payout_minor,
        commission_minor=parts.commission_minor,
    )
