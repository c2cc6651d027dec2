"""The second refusal of a cancellation unlocks the dispute for the buyer; it opens nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import CancellationRequestExpired, CancelRefused, DisputeUnlocked, Ground


def unlock_dispute_on_second_refusal(
    event: CancelRefused | CancellationRequestExpired, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    refused_enough = len(order.refusals) >= order.terms.refusals_to_unlock_dispute
    if refused_enough and not order.has_unlocked(Ground.CANCELLATION_REFUSED_TWICE):
        yield DisputeUnlocked(ground=Ground.CANCELLATION_REFUSED_TWICE, caused_by=order.refusals)
