"""Parties who end the order between themselves close its dispute in the same commit."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeClosed, Outcome
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import SellerConceded, SettlementAgreed


def close_dispute_on_order_end(
    event: SettlementAgreed | SellerConceded, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if dispute is None or dispute.closed:
        return
    yield DisputeClosed(outcome=Outcome.SETTLED if isinstance(event, SettlementAgreed) else Outcome.CONCEDED)
