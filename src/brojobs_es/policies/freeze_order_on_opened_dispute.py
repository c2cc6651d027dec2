"""An open dispute freezes the order, with the time that remained to each timer."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeOpened
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import OrderFrozen
from brojobs_es.aggregates.timers import RUNS_WHILE_FROZEN


def freeze_order_on_opened_dispute(event: DisputeOpened, order: Order, dispute: Dispute | None) -> Iterator[Event]:
    running = {name: at for name, at in order.timers.items() if name not in RUNS_WHILE_FROZEN}
    yield OrderFrozen(
        dispute_id=event.originator_id,
        number=event.number,
        opened_by=event.opened_by,
        ground=event.ground,
        suspended={**order.suspended, **{name: at - event.effective_at for name, at in running.items()}},
    )
