"""What support and mediators see first: the summary in a few lines, and a case on one page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event, Role, Words
from brojobs_es.api import render, render_dispute
from brojobs_es.api.render import Json, instant
from brojobs_es.application.history import Entry, History
from brojobs_es.language import LANGUAGES
from brojobs_es.projections.support_summary import key_dates, support_summary

_WAITS_FOR: Final = {
    "silence": Role.SELLER,
    "delivery_due": Role.SELLER,
    "revision_due": Role.SELLER,
    "revision_answer": Role.SELLER,
    "cancellation_answer": Role.SELLER,
    "refund_answer": Role.SELLER,
    "validation": Role.BUYER,
    "payment": Role.BUYER,
}
"""Whose clock a timer is; the others belong to both."""

_REQUESTS: Final = (
    e.SellerReminded,
    e.RefundRequested,
    e.CancellationRequested,
    e.CancelRefused,
    e.CancellationRequestExpired,
    e.CancellationWithdrawn,
    e.DeadlineProposed,
    e.DeadlineAgreed,
    e.DeadlineRefused,
    e.DeadlineWithdrawn,
    e.DeadlineProposalExpired,
    e.RevisionRequested,
    e.RevisionAccepted,
    e.RevisionRefused,
    e.RevisionRequestExpired,
    e.RevisionOverdue,
    e.SettlementProposed,
    e.SettlementRefused,
    e.SettlementWithdrawn,
    e.SettlementProposalExpired,
    e.DisputeUnlocked,
)


def summary(history: History, language: str) -> Json:
    """The order's id, its key dates, and what happened in a few lines."""
    dates = {name: instant(value) for name, value in asdict(key_dates(history.case)).items()}
    return {"order_id": str(history.order_id), "key_dates": dates, "lines": _lines(history, language)}


def _lines(history: History, language: str) -> list[str]:
    return support_summary(history.case, [entry.event for entry in history.entries], language)


def overview(history: History, dispute_id: UUID) -> Json:
    """A dispute and its order on one page, for whoever has to decide it."""
    order, dispute = render.order(history), render_dispute.dispute(history, dispute_id)
    return {
        "dispute": dispute,
        "summary": {language: _lines(history, language) for language in LANGUAGES},
        "order_status_before": dispute["order_status_before"],
        "clocks": _clocks(history),
        "requests": [_request(entry) for entry in history.entries if isinstance(entry.event, _REQUESTS)],
        "refusals": order["refusals"],
        "deliveries": order["deliveries"],
        "revisions": order["revisions"],
        "settlement_proposal": order["settlement_proposal"],
        "chat": render.chat(history),
        "escrow": render.escrow(history),
    }


def _clocks(history: History) -> list[Json]:
    """Every clock of the order: running until an instant, or standing with what remains of it."""
    order = history.case.order
    running = [_clock(name, at=instant(at)) for name, at in sorted(order.timers.items())]
    standing = [
        _clock(name, remaining_seconds=int(left.total_seconds())) for name, left in sorted(order.suspended.items())
    ]
    return running + standing


def _clock(name: str, *, at: str | None = None, remaining_seconds: int | None = None) -> Json:
    side = _WAITS_FOR.get(name)
    return {
        "timer": name,
        "side": str(side) if side else None,
        "at": at,
        "remaining_seconds": remaining_seconds,
    }


def _request(entry: Entry) -> Json:
    event = entry.event
    return {
        "position": entry.position,
        "type": event.type,
        "by": str(event.cause.actor.role),
        "at": instant(event.effective_at),
        "reason": _said(event, "reason", "comment", "text"),
    }


def _said(event: Event, *names: str) -> Any:
    """The first of these fields that says something; words without whose they are."""
    values = (getattr(event, name, None) for name in names)
    said = next((value for value in values if value), None)
    return said.text if isinstance(said, Words) else said
