"""One line an order, for lists: whose it is, where it stands, and its dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.order_parts import Status


@dataclass(slots=True)
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

    @property
    def takes(self) -> frozenset[type[Event]]:
        return frozenset({e.OrderPlaced, *_CHANGES})

    def fold(self, state: Summary | None, event: Event) -> Summary | None:
        if isinstance(event, e.OrderPlaced):
            return Summary(event.buyer_id, event.seller_id, event.effective_at, event.due_at)
        change = _CHANGES.get(type(event))
        if state is not None and change is not None:
            change(state, event)
        return state

    def row(self, state: Summary) -> dict[str, object]:
        return {name: getattr(state, name) for name in self.columns}


Change = Callable[[Summary, Any], None]


def _to(status: Status) -> Change:
    def change(state: Summary, _: Event) -> None:
        state.status = status

    return change


def _due_again(state: Summary, event: e.RevisionAccepted | e.OrderRelaunched) -> None:
    state.status, state.due_at = Status.IN_PROGRESS, event.due_at


def _deadline_agreed(state: Summary, event: e.DeadlineAgreed) -> None:
    state.due_at = event.due_at


def _frozen(state: Summary, event: e.OrderFrozen) -> None:
    state.status, state.status_before_dispute = Status.DISPUTED, state.status
    state.dispute_id = event.dispute_id


def _unfrozen(state: Summary, event: e.OrderUnfrozen) -> None:
    assert state.status_before_dispute is not None
    state.status, state.due_at = state.status_before_dispute, event.due_at


def _ended(status: Status) -> Change:
    def change(state: Summary, event: Event) -> None:
        state.status, state.ended_at = status, event.effective_at

    return change


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
