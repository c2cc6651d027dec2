"""Agreeing to a new deadline takes an unspent unlock for overdue work back."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import DeadlineAgreed, DisputeUnlockTakenBack, Ground


def take_overdue_unlock_back_on_new_deadline(
    event: DeadlineAgreed, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if order.has_unlocked(Ground.REVISION_OVERDUE):
        yield DisputeUnlockTakenBack(ground=Ground.REVISION_OVERDUE)
