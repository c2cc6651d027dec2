"""Who may write in the chat of an order, and what unlocks it: the lock follows the order's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import TypeAdapter

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.chatting import ChatLock, chat_lock
from brojobs_es.aggregates.order_parts import Status


@dataclass(frozen=True, slots=True)
class ChatState:
    """What of an order's history the lock depends on."""

    open_after_end: timedelta
    status: Status = Status.AWAITING_PAYMENT
    status_before_dispute: Status | None = None
    closes_at: datetime | None = None
    closed: bool = False

    def lock(self) -> ChatLock:
        return chat_lock(self.status, closed=self.closed, closes_at=self.closes_at)


_ADAPTER = TypeAdapter(ChatState)


class ChatLockView:
    """The view `chat_lock`."""

    name: ClassVar[str] = "chat_lock"
    columns: ClassVar[Mapping[str, str]] = {
        "buyer_can_write": "bool",
        "seller_can_write": "bool",
        "code": "text",
        "until": "timestamptz",
    }

    def fold(self, state: ChatState | None, event: Event) -> ChatState | None:
        if isinstance(event, e.OrderPlaced):
            return ChatState(event.terms.chat_open_after_end)
        if state is None:
            return None
        match event:
            case e.EscrowFunded() | e.RevisionAccepted() | e.OrderRelaunched():
                return replace(state, status=Status.IN_PROGRESS)
            case e.Delivered() | e.RevisionRefused() | e.RevisionRequestExpired():
                return replace(state, status=Status.DELIVERED)
            case e.RevisionRequested():
                return replace(state, status=Status.REVISION_REQUESTED)
            case e.OrderFrozen():
                return replace(state, status=Status.DISPUTED, status_before_dispute=state.status)
            case e.OrderUnfrozen():
                assert state.status_before_dispute is not None
                return replace(state, status=state.status_before_dispute)
            case e.OrderCompleted():
                return self._ended(state, Status.COMPLETED, event)
            case e.OrderCancelled():
                return self._ended(state, Status.CANCELLED, event)
            case e.ChatClosed():
                return replace(state, closed=True, closes_at=None)
            case _:
                return state

    def _ended(self, state: ChatState, status: Status, event: Event) -> ChatState:
        return replace(state, status=status, closes_at=event.effective_at + state.open_after_end)

    def row(self, state: ChatState) -> dict[str, object]:
        lock = state.lock()
        return {
            "buyer_can_write": lock.buyer_can_write,
            "seller_can_write": lock.seller_can_write,
            "code": lock.code,
            "until": lock.until,
        }

    def dump(self, state: ChatState) -> str:
        return _ADAPTER.dump_json(state).decode()

    def load(self, text: str) -> ChatState:
        return _ADAPTER.validate_json(text)
