"""A refused revision unlocks the dispute for the buyer."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import DisputeUnlocked, Ground, RevisionRefused


def unlock_dispute_on_refused_revision(
    event: RevisionRefused, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if not order.has_unlocked(Ground.REVISION_REFUSED):
        yield DisputeUnlocked(ground=Ground.REVISION_REFUSED, caused_by=(event.originator_version,))
