"""The shapes of the contract for disputes: the case, its thread, and what each reader may see of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from brojobs_es.aggregates import dispute_events as d
from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.dispute import Decision, Dispute
from brojobs_es.api.render import Json, files, instant, message, money
from brojobs_es.application.access import Viewer
from brojobs_es.application.history import History
from brojobs_es.application.standing import Standing

SEES_NOTES = frozenset({Role.MEDIATOR, Role.AUDITOR})


def dispute(standing: Standing, dispute_id: UUID) -> Json:
    """The dispute as its parties and staff see it."""
    it = standing.case.dispute_of(dispute_id)
    assert it is not None
    currency = standing.case.order.price.currency
    return {
        "dispute_id": str(it.id),
        "order_id": str(it.order_id),
        "number": it.number,
        "version": it.version,
        "status": str(it.status),
        "ground": str(it.ground),
        "opened_by": str(it.opened_by),
        "opened_at": instant(it.opened_at),
        "closed_at": instant(it.closed_at),
        "statement": it.statement.text,
        "revision": it.revision,
        "points": list(it.points),
        "order_status_before": it.order_status_before,
        "assignment": it.assignment,
        "mediator_id": it.mediator_id,
        "evidence": [_evidence(piece) for piece in it.evidence],
        "one_sided": it.one_sided,
        "windows": _windows(it),
        "decision": _decision(it.decision, currency),
        "outcome": str(it.outcome) if it.outcome else None,
    }


def _evidence(piece: d.Evidence) -> Json:
    return {
        "evidence_id": str(piece.evidence_id),
        "by": str(piece.by),
        "kind": piece.kind,
        "description": piece.description.text,
        "events": list(piece.events),
        "files": files(piece.files),
        "counters": [str(evidence_id) for evidence_id in piece.counters],
        "origin": str(piece.origin),
        "late": piece.late,
        "submitted_at": instant(piece.submitted_at),
    }


def _windows(it: Dispute) -> Json:
    return {
        "assignment": instant(it.assignment_due_at),
        "response": instant(it.response_due_at),
        "evidence": instant(it.evidence_due_at),
        "decision": instant(it.decision_due_at),
    }


def _decision(decision: Decision | None, currency: str) -> Json | None:
    return (
        None
        if decision is None
        else {
            "outcome": str(decision.outcome),
            "reason": decision.reason.text,
            "refund": money(decision.refund_minor, currency) if decision.refund_minor is not None else None,
            "due_at": instant(decision.due_at),
            "cited": [str(evidence_id) for evidence_id in decision.cited],
            "mediator_id": decision.mediator_id,
            "decided_at": instant(decision.decided_at),
        }
    )


def thread(history: History, dispute_id: UUID, viewer: Viewer) -> list[Json]:
    """What was said in the dispute, oldest first; private notes only for mediators and auditors."""
    sees_notes = any(role in SEES_NOTES for role in viewer.roles)
    items = (
        _thread_item(entry.event, sees_notes) for entry in history.entries if entry.event.originator_id == dispute_id
    )
    return [item for item in items if item is not None]


def _thread_item(event: Any, sees_notes: bool) -> Json | None:
    match event:
        case d.DisputeMessagePosted():
            return {"kind": "message", **message(event)}
        case d.InformationRequested():
            return {
                **_spoken("information_request", event.request_id, event, event.question.text),
                "from": str(event.asked),
                "answer_by": instant(event.answer_by),
            }
        case d.MediatorNoteAdded() if sees_notes:
            return _spoken("note", event.note_id, event, event.text.text)
        case _:
            return None


def _spoken(kind: str, message_id: UUID, event: Any, text: str) -> Json:
    return {
        "kind": kind,
        "message_id": str(message_id),
        "by": str(event.cause.actor.role),
        "text": text,
        "files": [],
        "posted_at": instant(event.effective_at),
    }
