"""Work that is overdue after an earlier delivery unlocks the dispute, since nobody can cancel alone any more."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import DeliveryOverdue, DisputeUnlocked, Ground, RevisionOverdue


def unlock_dispute_on_overdue_revision(
    event: RevisionOverdue | DeliveryOverdue, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if order.deliveries and not order.has_unlocked(Ground.REVISION_OVERDUE):
        yield DisputeUnlocked(ground=Ground.REVISION_OVERDUE, caused_by=(event.originator_version,))
