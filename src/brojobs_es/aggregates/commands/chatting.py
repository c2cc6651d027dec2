"""The chat lock, messages, and the reminder that starts the silence clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event, Role
from brojobs_es.aggregates.commands.bodies import Body, FileIds, Text
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    EITHER_PARTY,
    ENDS_A_DISPUTE,
    RUNNING,
    Command,
    Situation,
    in_progress,
    known_files,
)
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import ENDED, Status
from brojobs_es.errors import Refusal
from brojobs_es.ids import part_id_for


@dataclass(frozen=True, slots=True)
class ChatLock:
    """Who may write in the chat, and if not, why and what unlocks it; `until` when it closes for good."""

    buyer_can_write: bool
    seller_can_write: bool
    code: str | None = None
    unlocked_by: tuple[str, ...] = ()
    until: datetime | None = None


_OPEN: Final = ChatLock(True, True)
_DELIVERED: Final = ChatLock(False, True, "delivered", ("accept-delivery", "request-revision", "open-dispute"))
_DISPUTED: Final = ChatLock(False, False, "disputed", ENDS_A_DISPUTE)
_CLOSED: Final = ChatLock(False, False, "closed")
_BY_STATUS: Final = {Status.DELIVERED: _DELIVERED, Status.DISPUTED: _DISPUTED}


def chat_lock(status: Status, *, closed: bool, closes_at: datetime | None) -> ChatLock:
    """The lock that follows from the order's state alone."""
    if status in ENDED:
        return _CLOSED if closed else ChatLock(True, True, until=closes_at)
    return _BY_STATUS.get(status, _OPEN)


def lock_of(s: Situation) -> ChatLock:
    """The chat lock of the order in this situation."""
    return chat_lock(s.order.status, closed=s.order.chat_closed, closes_at=s.order.timers.get("chat_close"))


def takes_files(order: Order, now: datetime) -> bool:
    """Files are taken until the chat is closed, and as long again: judging the command that names one is its own matter."""
    return order.ended_at is None or now < order.ended_at + _taken_after_end(order)


def still_takes_files(order: Order, now: datetime, seen_at: datetime) -> bool:
    """The same, sure for an order seen at an earlier instant: an end that is not known here came after that."""
    return takes_files(order, now) and now < seen_at + _taken_after_end(order)


def _taken_after_end(order: Order) -> timedelta:
    return 2 * order.terms.chat_open_after_end


class PostMessage(Body):
    """A message, with files of the order if need be."""

    text: Text
    files: FileIds = []


def _chat_open(s: Situation) -> Refusal | None:
    lock = lock_of(s)
    if lock.buyer_can_write if s.role is Role.BUYER else lock.seller_can_write:
        return None
    if lock.code == "closed":
        return Refusal("chat_closed")
    return Refusal("chat_locked", unlocked_by=lock.unlocked_by)


def _writes_until(s: Situation) -> datetime | None:
    """When the chat closes, or locks for the buyer as the delivery stands again because its revision was not answered."""
    timers = s.order.timers
    return timers.get("chat_close") or (timers.get("revision_answer") if s.role is Role.BUYER else None)


def _post_message(s: Situation) -> Iterator[Event]:
    yield e.MessagePosted(
        message_id=part_id_for(s.order.id, "message", s.order.version + 1),
        text=s.words(s.body.text),
        files=s.files(s.body.files),
    )


class SendReminder(Body):
    """A nudge to the seller."""

    text: Text


def _no_proposal_of_the_seller(s: Situation) -> Refusal | None:
    proposals = {"deadline": s.order.deadline_proposal, "settlement": s.order.settlement_proposal}
    waiting = {kind: p for kind, p in proposals.items() if p and p.by is Role.SELLER}
    if not waiting:
        return None
    return Refusal(
        "proposal_pending",
        available_from=max(p.expires_at for p in waiting.values()),
        unlocked_by=tuple(f"{answer}-{kind}" for kind in waiting for answer in ("accept", "refuse")),
    )


def _again_at(s: Situation) -> datetime | None:
    """When the last reminder has cooled down."""
    return s.order.last_reminder_at + s.order.terms.reminder_cooldown if s.order.last_reminder_at else None


def _reminder_cooled_down(s: Situation) -> Refusal | None:
    again_at = _again_at(s)
    return Refusal("reminder_cooldown", available_from=again_at) if again_at and s.now < again_at else None


def _send_reminder(s: Situation) -> Iterator[Event]:
    yield e.SellerReminded(text=s.words(s.body.text))


COMMANDS: Final = (
    Command(
        name="post-message",
        by=EITHER_PARTY,
        body=PostMessage,
        guards=(_chat_open,),
        checks=(known_files(lambda body: body.files),),
        decide=_post_message,
        until=_writes_until,
        example={"text": "Bonjour, here is my brief.", "files": []},
        summary="Write in the order's chat.",
    ),
    Command(
        name="send-reminder",
        by=BUYER,
        body=SendReminder,
        guards=(*RUNNING, in_progress, _no_proposal_of_the_seller, _reminder_cooled_down),
        decide=_send_reminder,
        example={"text": "Are you there?"},
        summary="Remind a silent seller; the first reminder starts the silence clock.",
    ),
)
