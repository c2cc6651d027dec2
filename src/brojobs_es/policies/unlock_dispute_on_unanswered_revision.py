"""A revision request that nobody answers unlocks the dispute: work exists, so no clock refunds it."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import DisputeUnlocked, Ground, RevisionRequestExpired


def unlock_dispute_on_unanswered_revision(
    event: RevisionRequestExpired, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if not order.has_unlocked(Ground.REVISION_UNANSWERED):
        yield DisputeUnlocked(ground=Ground.REVISION_UNANSWERED, caused_by=(event.originator_version,))
