"""Whatever is pending when the order ends or is relaunched is superseded and counts as nothing."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import OrderCancelled, OrderCompleted, OrderRelaunched, RequestsSuperseded


def close_pending_on_end_or_relaunch(
    event: OrderCompleted | OrderCancelled | OrderRelaunched, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if pending := order.pending():
        yield RequestsSuperseded(closed=pending)
