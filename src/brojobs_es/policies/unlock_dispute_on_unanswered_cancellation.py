"""A cancellation request that nobody answers unlocks the dispute at once: silence is never better than refusing."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import CancellationRequestExpired, DisputeUnlocked, Ground


def unlock_dispute_on_unanswered_cancellation(
    event: CancellationRequestExpired, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if not order.has_unlocked(Ground.CANCELLATION_UNANSWERED):
        yield DisputeUnlocked(ground=Ground.CANCELLATION_UNANSWERED, caused_by=(event.originator_version,))
