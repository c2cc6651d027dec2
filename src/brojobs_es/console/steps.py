"""A recorded history, step by step: what happened, and where order, chat and money stood after it.

Nothing here asks what time it is and no timer fires: the same history gives the same steps for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from brojobs_es.aggregates.commands.chatting import ChatLock
from brojobs_es.aggregates.order_parts import Status
from brojobs_es.application.history import Entry, History
from brojobs_es.case import Case
from brojobs_es.language import sentence
from brojobs_es.mapper import data_of, state_of
from brojobs_es.projections.chat_lock import ChatLockView, ChatState
from brojobs_es.projections.escrow import EscrowView, Ledger


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and what stood after it."""

    entry: Entry
    status: Status
    chat: ChatLock
    money: Ledger

    def same_cause(self, other: Step | None) -> bool:
        """Whether one command, or one firing of a timer, recorded both."""
        if other is None:
            return False
        mine, theirs = self.entry.event, other.entry.event
        when = (mine.effective_at, mine.timestamp) == (theirs.effective_at, theirs.timestamp)
        return when and mine.cause == theirs.cause

    def told(self, lang: str) -> str:
        """The event in one sentence."""
        event = self.entry.event
        data: Mapping[str, object] = {**data_of(state_of(event)), "currency": self.money.currency}
        return sentence(event.type, data, lang, str(event.cause.actor.role))


def steps_of(history: History) -> list[Step]:
    """Each event of a history with what stood after it, in recorded order."""
    chat_view, money_view = ChatLockView(), EscrowView()
    chat: ChatState | None = None
    money: Ledger | None = None
    case: Case | None = None
    steps = []
    for entry in history.entries:
        if case is None:
            case = Case.of([entry.event])
        else:
            case.apply(entry.event)
        chat, money = chat_view.fold(chat, entry.event), money_view.fold(money, entry.event)
        assert case is not None
        assert chat is not None
        assert money is not None
        steps.append(Step(entry, case.order.status, chat.lock(), money))
    return steps


def until_instant(history: History, at: datetime) -> History | None:
    """The part of a history that had taken effect at an instant; None before the placing."""
    return History.of([entry for entry in history.entries if entry.event.effective_at <= at], at)


def money_errors(step: Step) -> list[str]:
    """What is wrong with the money after a step; empty when the books balance."""
    money = step.money
    found = []
    if total := sum(money.accounts().values()):
        found.append(f"the accounts sum to {total}")
    if money.held < 0:
        found.append(f"escrow holds {money.held}")
    parts = money.held + money.refunded + money.released + money.commission
    if money.funded != parts:
        found.append(f"{money.funded} came in and {parts} is accounted for")
    return found
