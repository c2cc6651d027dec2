"""The shapes of the contract: what an order, its chat, its escrow and its events look like as JSON values.

Everything here is a pure function of a history and a viewer; instants are RFC 3339 in UTC, money is minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from pydantic import TypeAdapter

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import FileRef, Role, Words
from brojobs_es.aggregates.commands.chatting import ChatLock, chat_lock
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Delivery, Proposal, Revision
from brojobs_es.application.explain import Verdict
from brojobs_es.application.history import Entry, History
from brojobs_es.application.standing import Standing
from brojobs_es.digests import event_digest
from brojobs_es.ids import id_text
from brojobs_es.language import detail
from brojobs_es.mapper import data_of, state_of
from brojobs_es.projections.escrow import EscrowView, Ledger
from brojobs_es.projections.view import View, folded
from brojobs_es.terms import Terms

Json = dict[str, Any]
_written = msgspec.json.Encoder().encode  # twenty times as quick as isoformat; leaves out microseconds that are 0
_WHOLE_SECONDS_CHARS = len("2026-11-24T09:00:00Z")
_TERMS = TypeAdapter(Terms)


@lru_cache(maxsize=16_384)
def instant(value: datetime | None) -> str | None:
    """RFC 3339 in UTC with `Z` and microseconds."""
    if value is None:
        return None
    text = _written(value if value.tzinfo is UTC else value.astimezone(UTC))[1:-1].decode()
    return text if len(text) > _WHOLE_SECONDS_CHARS else f"{text[:-1]}.000000Z"


@lru_cache(maxsize=64)
def terms(of: Terms) -> Json:
    """The terms of an order, the same ones for nearly all."""
    made: Json = _TERMS.dump_python(of, mode="json")
    return made


@lru_cache(maxsize=64)
def written_terms(of: Terms) -> msgspec.Raw:
    """The same as they stand in an answer that msgspec writes."""
    return msgspec.Raw(_written(terms(of)))


def money(amount_minor: int, currency: str) -> Json:
    """An amount as the contract writes it."""
    return {"amount": amount_minor, "currency": currency}


def text(words: Words | None) -> str | None:
    """The words without whose they are."""
    return words.text if words is not None else None


def file(ref: FileRef) -> Json:
    """A file as a message or a delivery shows it."""
    return {
        "file_id": ref.file_id,
        "name": ref.name.text,
        "size": ref.size,
        "media_type": ref.media_type,
        "sha256": ref.file_id,
    }


def files(refs: Iterable[FileRef]) -> list[Json]:
    """Several files."""
    return [file(ref) for ref in refs]


# -- the order


def order(standing: Standing, shown_terms: Callable[[Terms], Any] = terms) -> Json:
    """The order as its parties and staff see it."""
    o, now = standing.case.order, standing.now
    turn = standing.case.turn(now)
    return {
        "order_id": id_text(o.id),
        "version": o.version,
        "status": str(o.status),
        "buyer_id": o.buyer_id,
        "seller_id": o.seller_id,
        "title": o.title.text,
        "brief": o.brief.text,
        "price": money(o.price.amount, o.price.currency),
        "placed_at": instant(o.placed_at),
        "paid_at": instant(o.paid_at),
        "ended_at": instant(o.ended_at),
        "ending": o.ending and str(o.ending),
        "due_at": instant(o.due_at),
        "overdue": o.is_overdue(now),
        "deliveries": [_delivery(delivery) for delivery in o.deliveries],
        "revisions": [_revision(revision) for revision in o.revisions],
        "cancellation": _request(o),
        "deadline_proposal": _deadline_proposal(o.deadline_proposal),
        "settlement_proposal": _settlement_proposal(o.settlement_proposal, o.price.currency),
        "refusals": {
            "count": len(o.refusals),
            "needed": o.terms.refusals_to_unlock_dispute,
            "events": [standing.position_of(version) for version in o.refusals],
        },
        "dispute_unlocked_by": [str(unlock.ground) for unlock in o.unlocks],
        "dispute_id": str(o.disputes[-1].dispute_id) if o.disputes else None,
        "chat": lock(_lock_of(o)),
        "escrow": _totals(o),
        "terms": shown_terms(o.terms),
        "turn": str(turn) if turn else None,
    }


def _delivery(delivery: Delivery) -> Json:
    return {
        "number": delivery.number,
        "note": delivery.note.text,
        "files": files(delivery.files),
        "points": [{"number": p.number, "status": p.status, "note": text(p.note)} for p in delivery.points],
        "late": delivery.late,
        "delivered_at": instant(delivery.delivered_at),
    }


def _revision(revision: Revision) -> Json:
    answers = {answer.number: answer for answer in revision.answers}
    points = [
        {
            "number": point.number,
            "text": point.text.text,
            "files": files(point.files),
            "status": answers[point.number].status if point.number in answers else "open",
            "note": text(answers[point.number].note) if point.number in answers else None,
        }
        for point in revision.points
    ]
    return {
        "number": revision.number,
        "points": points,
        "status": str(revision.status),
        "requested_at": instant(revision.requested_at),
        "due_at": instant(revision.due_at),
    }


def _request(o: Order) -> Json | None:
    request = o.request
    if request is None:
        return None
    return {
        "kind": str(request.kind),
        "reason": request.reason,
        "comment": text(request.comment),
        "requested_at": instant(request.requested_at),
        "answer_by": instant(request.answer_by),
    }


def _deadline_proposal(proposal: Proposal | None) -> Json | None:
    return (
        None
        if proposal is None
        else {
            "proposal_id": str(proposal.proposal_id),
            "by": str(proposal.by),
            "due_at": instant(proposal.due_at),
            "comment": text(proposal.comment),
            "expires_at": instant(proposal.expires_at),
        }
    )


def _settlement_proposal(proposal: Proposal | None, currency: str) -> Json | None:
    return (
        None
        if proposal is None
        else {
            "proposal_id": str(proposal.proposal_id),
            "by": str(proposal.by),
            "refund": money(proposal.refund_minor, currency),
            "comment": text(proposal.comment),
            "expires_at": instant(proposal.expires_at),
        }
    )


def _lock_of(o: Order) -> ChatLock:
    return chat_lock(o.status, closed=o.chat_closed, closes_at=o.timers.get("chat_close"))


def lock(chat: ChatLock) -> Json:
    """The chat lock."""
    return {
        "buyer_can_write": chat.buyer_can_write,
        "seller_can_write": chat.seller_can_write,
        "code": chat.code,
        "unlocked_by": list(chat.unlocked_by),
        "until": instant(chat.until),
    }


def _totals(o: Order) -> Json:
    return {
        "currency": o.price.currency,
        "funded": o.funded_minor,
        "held": o.held_minor,
        "refunded": o.refunded_minor,
        "released": o.released_minor,
        "commission": o.commission_minor,
    }


# -- chat, escrow, events, actions


def chat(history: History) -> Json:
    """The lock and all messages, oldest first."""
    messages = [message(entry.event) for entry in history.entries if isinstance(entry.event, e.MessagePosted)]
    return {"lock": lock(_lock_of(history.case.order)), "messages": messages}


def message(event: Any) -> Json:
    """A message of the chat or of a dispute's thread."""
    return {
        "message_id": str(event.message_id),
        "by": str(event.cause.actor.role),
        "text": event.text.text,
        "files": files(event.files),
        "posted_at": instant(event.effective_at),
    }


def escrow(history: History) -> Json:
    """The totals, the four accounts and every transfer."""
    view: View[Ledger] = EscrowView()
    ledger = folded(view, (entry.event for entry in history.entries))
    assert ledger is not None
    return {
        **ledger.totals(),
        "accounts": ledger.accounts(),
        "entries": [
            {
                "event": history.position_of(entry.version),
                "type": entry.type,
                "at": instant(entry.effective_at),
                "debit": str(entry.debit),
                "credit": str(entry.credit),
                "amount": entry.amount_minor,
            }
            for entry in ledger.entries
        ],
    }


def event(entry: Entry, order_id: UUID, log: int) -> Json:
    """One event of the log; position, cursor and digest are null for events that a dry run would record."""
    it = entry.event
    return {
        "log": log,
        "position": entry.position,
        "cursor": f"{log}-{entry.position}" if entry.position is not None else None,
        "order_id": str(order_id),
        "stream_id": str(it.originator_id),
        "stream_version": it.originator_version,
        "type": it.type,
        "type_version": it.class_version,
        "data": data_of(state_of(it)),
        "actor": {"role": str(it.cause.actor.role), "id": it.cause.actor.id},
        "on_behalf_of": it.cause.on_behalf_of,
        "command": it.cause.command,
        "command_id": _optional_id(it.cause.command_id),
        "correlation_id": _optional_id(it.cause.correlation_id),
        "effective_at": instant(it.effective_at),
        "recorded_at": instant(it.timestamp),
        "digest": _digest(entry, order_id, log),
    }


def _digest(entry: Entry, order_id: UUID, log: int) -> str | None:
    recorded = entry.recorded_as(order_id, log)
    return event_digest(**recorded).hex() if recorded is not None else None


def _optional_id(value: UUID | None) -> str | None:
    return str(value) if value is not None else None


def action(verdict: Verdict, language: str, facts: Mapping[str, Any]) -> Json:
    """A row of the list of possible actions."""
    refusal = verdict.refusal
    return {
        "command": verdict.command,
        "allowed": refusal is None,
        "code": refusal.code if refusal else None,
        "detail": detail(refusal.code, language, **facts) if refusal else None,
        "available_from": instant(refusal.available_from) if refusal else None,
        "available_until": instant(verdict.available_until),
        "unlocked_by": list(refusal.unlocked_by) if refusal else [],
    }


def role_name(role: Role | None) -> str | None:
    """A role as text."""
    return str(role) if role is not None else None
