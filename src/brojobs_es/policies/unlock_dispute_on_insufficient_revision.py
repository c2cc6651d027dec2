"""A delivery that answers a revision lets the buyer claim that it is insufficient."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import Delivered, DisputeUnlocked, Ground


def unlock_dispute_on_insufficient_revision(event: Delivered, order: Order, dispute: Dispute | None) -> Iterator[Event]:
    if event.revision is not None and not order.has_unlocked(Ground.REVISION_INSUFFICIENT):
        yield DisputeUnlocked(ground=Ground.REVISION_INSUFFICIENT, caused_by=(event.originator_version,))
