"""One line an order, for lists: whose it is, where it stands, and its dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import TypeAdapter

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.order_parts import Status


@dataclass(frozen=True, slots=True)
class Summary:
    buyer_id: str
    seller_id: str
    placed_at: datetime
    due_at: datetime
    status: Status = Status.AWAITING_PAYMENT
    status_before_dispute: Status | None = None
    dispute_id: UUID | None = None
    ended_at: datetime | None = None


_ADAPTER = TypeAdapter(Summary)


class OrderSummaryView:
    """The view `order_summary`."""

    name: ClassVar[str] = "order_summary"
    columns: ClassVar[Mapping[str, str]] = {
        "status": "text",
        "buyer_id": "text",
        "seller_id": "text",
        "placed_at": "timestamptz",
        "due_at": "timestamptz",
        "dispute_id": "uuid",
        "ended_at": "timestamptz",
    }

    def fold(self, state: Summary | None, event: Event) -> Summary | None:
        if isinstance(event, e.OrderPlaced):
            return Summary(event.buyer_id, event.seller_id, event.effective_at, event.due_at)
        if state is None:
            return None
        match event:
            case e.EscrowFunded():
                return replace(state, status=Status.IN_PROGRESS)
            case e.RevisionAccepted() | e.OrderRelaunched():
                return replace(state, status=Status.IN_PROGRESS, due_at=event.due_at)
            case e.DeadlineAgreed():
                return replace(state, due_at=event.due_at)
            case e.Delivered() | e.RevisionRefused() | e.RevisionRequestExpired():
                return replace(state, status=Status.DELIVERED)
            case e.RevisionRequested():
                return replace(state, status=Status.REVISION_REQUESTED)
            case e.OrderFrozen():
                frozen = replace(state, status=Status.DISPUTED, status_before_dispute=state.status)
                return replace(frozen, dispute_id=event.dispute_id)
            case e.OrderUnfrozen():
                assert state.status_before_dispute is not None
                return replace(state, status=state.status_before_dispute, due_at=event.due_at)
            case e.OrderCompleted():
                return replace(state, status=Status.COMPLETED, ended_at=event.effective_at)
            case e.OrderCancelled():
                return replace(state, status=Status.CANCELLED, ended_at=event.effective_at)
            case _:
                return state

    def row(self, state: Summary) -> dict[str, object]:
        return {name: getattr(state, name) for name in self.columns}

    def dump(self, state: Summary) -> str:
        return _ADAPTER.dump_json(state).decode()

    def load(self, text: str) -> Summary:
        return _ADAPTER.validate_json(text)
