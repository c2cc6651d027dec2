"""Who may write in the chat of an order, and what unlocks it: the lock follows the order's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.chatting import ChatLock, chat_lock
from brojobs_es.aggregates.order_parts import Status


@dataclass(slots=True)
class ChatState:
    """What of an order's history the lock depends on."""

    open_after_end: timedelta
    status: Status = Status.AWAITING_PAYMENT
    status_before_dispute: Status | None = None
    closes_at: datetime | None = None
    closed: bool = False

    def lock(self) -> ChatLock:
        return chat_lock(self.status, closed=self.closed, closes_at=self.closes_at)


class ChatLockView:
    """The view `chat_lock`."""

    name: ClassVar[str] = "chat_lock"
    columns: ClassVar[Mapping[str, str]] = {
        "buyer_can_write": "bool",
        "seller_can_write": "bool",
        "code": "text",
        "until": "timestamptz",
    }

    @property
    def takes(self) -> frozenset[type[Event]]:
        return frozenset({e.OrderPlaced, *_CHANGES})

    def fold(self, state: ChatState | None, event: Event) -> ChatState | None:
        if isinstance(event, e.OrderPlaced):
            return ChatState(event.terms.chat_open_after_end)
        change = _CHANGES.get(type(event))
        if state is not None and change is not None:
            change(state, event)
        return state

    def row(self, state: ChatState) -> dict[str, object]:
        lock = state.lock()
        return {
            "buyer_can_write": lock.buyer_can_write,
            "seller_can_write": lock.seller_can_write,
            "code": lock.code,
            "until": lock.until,
        }


Change = Callable[[ChatState, Any], None]


def _to(status: Status) -> Change:
    def change(state: ChatState, _: Event) -> None:
        state.status = status

    return change


def _ended(status: Status) -> Change:
    def change(state: ChatState, event: Event) -> None:
        state.status, state.closes_at = status, event.effective_at + state.open_after_end

    return change


def _frozen(state: ChatState, _: Event) -> None:
    state.status, state.status_before_dispute = Status.DISPUTED, state.status


def _unfrozen(state: ChatState, _: Event) -> None:
    assert state.status_before_dispute is not None
    state.status = state.status_before_dispute


def _closed(state: ChatState, _: Event) -> None:
    state.closed, state.closes_at = True, None


_CHANGES: Final[Mapping[type[Event], Change]] = {
    e.EscrowFunded: _to(Status.IN_PROGRESS),
    e.RevisionAccepted: _to(Status.IN_PROGRESS),
    e.OrderRelaunched: _to(Status.IN_PROGRESS),
    e.Delivered: _to(Status.DELIVERED),
    e.RevisionRefused: _to(Status.DELIVERED),
    e.RevisionRequestExpired: _to(Status.DELIVERED),
    e.RevisionRequested: _to(Status.REVISION_REQUESTED),
    e.OrderFrozen: _frozen,
    e.OrderUnfrozen: _unfrozen,
    e.OrderCompleted: _ended(Status.COMPLETED),
    e.OrderCancelled: _ended(Status.CANCELLED),
    e.ChatClosed: _closed,
}
