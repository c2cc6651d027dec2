"""A mediator's decision does what it says to the order and its money, in the same commit."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeDecided, Outcome
from brojobs_es.aggregates.endings import cancel, complete_with_release, complete_with_split
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import Ending, OrderRelaunched


def execute_decision(event: DisputeDecided, order: Order, dispute: Dispute | None) -> Iterator[Event]:
    match event.outcome:
        case Outcome.FULL_REFUND:
            yield from cancel(order, Ending.DECIDED)
        case Outcome.PARTIAL_REFUND:
            assert event.refund_minor is not None
            yield from complete_with_split(order, Ending.DECIDED, event.refund_minor)
        case Outcome.VALIDATE_DELIVERY:
            yield from complete_with_release(order, Ending.DECIDED)
        case Outcome.RELAUNCH:
            assert event.due_at is not None
            yield OrderRelaunched(dispute_id=event.originator_id, due_at=event.due_at)
