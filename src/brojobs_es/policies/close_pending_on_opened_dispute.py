"""Opening a dispute supersedes what is pending, except a settlement and a revision; a seller's opening refuses a request to cancel."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event, Role
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeOpened
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import CancelRefused, Pending, Refused, RequestsSuperseded

SURVIVES = frozenset({Pending.SETTLEMENT_PROPOSAL, Pending.REVISION})


def close_pending_on_opened_dispute(event: DisputeOpened, order: Order, dispute: Dispute | None) -> Iterator[Event]:
    if order.request and event.opened_by is Role.SELLER:
        yield CancelRefused(refusal_count=len(order.refusals) + 1, how=Refused.OVERTAKEN_BY_DISPUTE)
    if superseded := tuple(kind for kind in order.pending() if kind not in SURVIVES):
        yield RequestsSuperseded(closed=superseded)
