"""A withdrawn dispute gives the order back as it was: each suspended timer resumes with what remained, and 24 hours at least."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeWithdrawn
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import OrderUnfrozen


def unfreeze_order_on_withdrawn_dispute(
    event: DisputeWithdrawn, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    assert dispute is not None
    least = order.terms.resumed_timer_min
    resumed = {name: event.effective_at + max(left, least) for name, left in order.suspended.items()}
    if dispute.seller_spoke:
        resumed.pop("silence", None)
    due_at = resumed.get("delivery_due", resumed.get("revision_due", order.due_at))
    yield OrderUnfrozen(dispute_id=dispute.id, due_at=due_at, resumed=resumed, silence_broken=dispute.seller_spoke)
