"""One line an order, for lists: whose it is, where it stands, and its dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

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
        change = _CHANGES.get(type(event))
        return change(state, event) if state is not None and change is not None else state

    def row(self, state: Summary) -> dict[str, object]:
        return {name: getattr(state, name) for name in self.columns}


Change = Callable[[Summary, Any], Summary]


def _to(status: Status) -> Change:
    return lambda state, _: replace(state, status=status)


def _due_again(state: Summary, event: e.RevisionAccepted | e.OrderRelaunched) -> Summary:
    return replace(state, status=Status.IN_PROGRESS, due_at=event.due_at)


def _deadline_agreed(state: Summary, event: e.DeadlineAgreed) -> Summary:
    return replace(state, due_at=event.due_at)


def _frozen(state: Summary, event: e.OrderFrozen) -> Summary:
    return replace(state, status=Status.DISPUTED, status_before_dispute=state.status, dispute_id=event.dispute_id)


def _unfrozen(state: Summary, event: e.OrderUnfrozen) -> Summary:
    assert state.status_before_dispute is not None
    return replace(state, status=state.status_before_dispute, due_at=event.due_at)


def _ended(status: Status) -> Change:
    return lambda state, event: replace(state, status=status, ended_at=event.effective_at)


_CHANGES: Final[Mapping[type[Event], Change]] = {
    e.EscrowFunded: _to(Status.IN_PROGRESS),
    e.RevisionAccepted: _due_again,
    e.OrderRelaunched: _due_again,
    e.DeadlineAgreed: _deadline_agreed,
    e.Delivered: _to(Status.DELIVERED),
    e.RevisionRefused: _to(Status.DELIVERED),
    e.RevisionRequestExpired: _to(Status.DELIVERED),
    e.RevisionRequested: _to(Status.REVISION_REQUESTED),
    e.OrderFrozen: _frozen,
    e.OrderUnfrozen: _unfrozen,
    e.OrderCompleted: _ended(Status.COMPLETED),
    e.OrderCancelled: _ended(Status.CANCELLED),
}
