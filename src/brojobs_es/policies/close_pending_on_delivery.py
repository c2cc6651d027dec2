"""A delivery answers what was pending: a request to cancel or refund is refused by it and counts, a deadline proposal is void."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import CancelRefused, Delivered, Pending, Refused, RequestsSuperseded


def close_pending_on_delivery(event: Delivered, order: Order, dispute: Dispute | None) -> Iterator[Event]:
    if order.request:
        yield CancelRefused(refusal_count=len(order.refusals) + 1, how=Refused.OVERTAKEN_BY_DELIVERY)
    if order.deadline_proposal:
        yield RequestsSuperseded(closed=(Pending.DEADLINE_PROPOSAL,))
