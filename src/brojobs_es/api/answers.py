"""Answers to commands and questions: an order or a dispute as it stands afterwards, and what is possible now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import JSONResponse, Response

from brojobs_es.api import render, render_dispute
from brojobs_es.api.http import REPLAYED, Edge, Header, versioned
from brojobs_es.api.problems import refusal_facts
from brojobs_es.application.access import Viewer
from brojobs_es.application.asking import Answer
from brojobs_es.application.explain import explain
from brojobs_es.application.history import Entry, History


def order_answer(edge: Edge, answer: Answer, status: int = 200, headers: Iterable[Header] = ()) -> Response:
    """The order after a command, with what a dry run would have recorded."""
    content = _with_dry_events(edge, answer, render.order(answer.standing, render.written_terms))
    return versioned(content, status, (*_replayed(answer), *headers))


def dispute_answer(edge: Edge, answer: Answer, *, opened: bool = False, dry_run: bool = False) -> Response:
    """The dispute after a command; a new one is 201 with its address."""
    assert answer.dispute_id is not None
    content = _with_dry_events(edge, answer, render_dispute.dispute(answer.standing, answer.dispute_id))
    if not opened or dry_run:
        return versioned(content, headers=_replayed(answer))
    location = f"/v1/disputes/{answer.dispute_id}".encode()
    return versioned(content, 201, (*_replayed(answer), (b"location", location)))


def action_list(
    edge: Edge, request: Request, history: History, viewer: Viewer, dispute_id: UUID | None = None
) -> JSONResponse:
    """The verdicts, in the reader's language, and whose turn it is."""
    language = edge.language(request)
    items = [
        render.action(verdict, language, refusal_facts(verdict.refusal) if verdict.refusal else {})
        for verdict in explain(history, viewer, dispute_id)
    ]
    return JSONResponse({"items": items, "turn": render.role_name(history.case.turn(history.now))})


def _with_dry_events(edge: Edge, answer: Answer, content: dict[str, Any]) -> dict[str, Any]:
    if answer.would_record is not None:
        order_id = answer.standing.order_id
        log = edge.runtime.logs.log_of(order_id)
        content["events"] = [render.event(Entry(event, None), order_id, log) for event in answer.would_record]
    return content


def _replayed(answer: Answer) -> tuple[Header, ...]:
    return (REPLAYED,) if answer.replayed else ()
