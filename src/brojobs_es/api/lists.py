"""Lists with opaque cursors: orders, disputes, and the parts of one history."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from fastapi import Request
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.order_parts import Status
from brojobs_es.api import render, render_dispute
from brojobs_es.api.audit_query import only_known
from brojobs_es.api.http import LIMIT_MAX, BadRequest, Edge, flag, limit
from brojobs_es.application.access import STAFF, Caller, Viewer
from brojobs_es.application.history import History
from brojobs_es.errors import Refusal
from brojobs_es.store.lists import DisputeFilter, OrderFilter, find_disputes, find_orders

DEFAULT_LIMIT: Final = 50
CATCH_UP_SECONDS: Final = 5.0
CURSOR_DIGITS_MAX: Final = 18
DOCKET_STATUSES: Final = ("open", "unassigned", "under_review", "overdue", "closed")
USER_ID_CHARS_MAX: Final = 255
PARTY_NAMES: Final = ("buyer", "seller")
T = TypeVar("T")


def part(request: Request, items: Sequence[T]) -> tuple[Sequence[T], str | None]:
    """A part of a list that is in memory, and the cursor of the next part."""
    only_known(request, ("at", "cursor", "limit"))
    text = _read_cursor(request)
    if text is not None and not (len(text) <= CURSOR_DIGITS_MAX and text.isdecimal()):
        raise BadRequest("cursor", "this cursor is not one of ours")
    start = int(text) if text else 0
    end = start + limit(request, LIMIT_MAX)
    return items[start:end], _cursor(str(end)) if end < len(items) else None


def page(request: Request, items: Sequence[dict[str, Any]]) -> Response:
    """A list that is in memory, a part at a time."""
    shown, following = part(request, items)
    return JSONResponse({"items": list(shown), "next": following})


def events(edge: Edge, request: Request, history: History, viewer: Viewer) -> Response:
    """The order's recorded events that this viewer may see."""
    log = edge.runtime.logs.log_of(history.order_id)
    sees_notes = any(role in render_dispute.SEES_NOTES for role in viewer.roles)
    seen = [
        entry
        for entry in history.entries
        if entry.position is not None and (sees_notes or entry.event.type != "MediatorNoteAdded")
    ]
    shown, following = part(request, seen)
    return JSONResponse({"items": [render.event(entry, history.order_id, log) for entry in shown], "next": following})


async def orders(edge: Edge, request: Request) -> Response:
    """One's own orders, for staff all; every timer that is due has fired."""
    caller = await edge.caller(request)
    only_known(request, ("status", "role", "overdue", "cursor", "limit"))
    role = _one_of(request, "role", PARTY_NAMES)
    wanted = OrderFilter(
        person=caller.sub if role or not _is_staff(caller) else None,
        as_party=tuple(name for name in PARTY_NAMES if name in caller.roles and role in (None, name)),
        status=_one_of(request, "status", set(Status)),
        overdue=flag(request, "overdue") if "overdue" in request.query_params else None,
        now=edge.runtime.clock.now(),
        before=_before(request),
        limit=limit(request, DEFAULT_LIMIT),
    )
    await bring_up_to_date(edge)
    found = await find_orders(edge.runtime.logs, wanted)
    rows = found[: wanted.limit]
    standings = await edge.runtime.service.standings([order_id for order_id, _ in rows])
    more = len(found) > wanted.limit
    following = _cursor(f"{rows[-1][1].isoformat()} {rows[-1][0]}") if more else None
    return JSONResponse({"items": [render.order(standing) for standing in standings], "next": following})


async def disputes(edge: Edge, request: Request) -> Response:
    """The docket, for mediators, auditors and operators; `assigned_to=me` are one's own."""
    caller = await edge.caller(request)
    if not _is_staff(caller):
        raise Refusal("forbidden")
    only_known(request, ("status", "assigned_to", "cursor", "limit"))
    assigned_to = request.query_params.get("assigned_to")
    if assigned_to is not None and (not 1 <= len(assigned_to) <= USER_ID_CHARS_MAX or "\x00" in assigned_to):
        raise BadRequest("assigned_to", "a user id, or me")
    status = _one_of(request, "status", DOCKET_STATUSES)
    wanted = DisputeFilter(
        status="open" if status == "unassigned" else status,
        assigned_to=caller.sub if assigned_to == "me" else assigned_to,
        now=edge.runtime.clock.now(),
        after=_after(request),
        limit=limit(request, DEFAULT_LIMIT),
    )
    await bring_up_to_date(edge)
    found = await find_disputes(edge.runtime.logs, wanted)
    rows = found[: wanted.limit]
    standings = {s.order_id: s for s in await edge.runtime.service.standings([row[0] for row in rows])}
    following = _cursor(f"{rows[-1][2]} {rows[-1][1]}") if len(found) > wanted.limit else None
    items = [render_dispute.dispute(standings[order_id], dispute_id) for order_id, dispute_id, _ in rows]
    return JSONResponse({"items": items, "next": following})


async def bring_up_to_date(edge: Edge) -> None:
    """Let the tables show what has happened until now: the timers that are due, and the newest events."""
    runtime = edge.runtime
    while await runtime.scheduler.fire_due():
        await _views_caught_up(edge)
    await _views_caught_up(edge)


async def _views_caught_up(edge: Edge) -> None:
    for log in range(edge.runtime.logs.count):
        await edge.runtime.projector.caught_up(log, await edge.runtime.logs.last_position(log), CATCH_UP_SECONDS)


def _is_staff(caller: Caller) -> bool:
    """Staff see all; somebody without any role sees nothing."""
    if not caller.roles:
        raise Refusal("forbidden")
    return any(role in caller.roles for role in STAFF)


def _one_of(request: Request, name: str, known: Collection[str]) -> str | None:
    value = request.query_params.get(name)
    if value is not None and value not in known:
        raise BadRequest(name, f"one of {', '.join(sorted(known))}")
    return value


def _before(request: Request) -> tuple[datetime, UUID] | None:
    text = _read_cursor(request)
    if text is None:
        return None
    placed_at, _, order_id = text.partition(" ")
    try:
        return datetime.fromisoformat(placed_at), UUID(order_id)
    except ValueError:
        raise BadRequest("cursor", "this cursor is not one of ours") from None


def _after(request: Request) -> tuple[Decimal, UUID] | None:
    text = _read_cursor(request)
    if text is None:
        return None
    rank, _, dispute_id = text.partition(" ")
    try:
        made = Decimal(rank)
        if not made.is_finite() or not -CURSOR_DIGITS_MAX <= made.adjusted() <= CURSOR_DIGITS_MAX:
            raise ValueError(rank)
        return made, UUID(dispute_id)
    except (ValueError, ArithmeticError):
        raise BadRequest("cursor", "this cursor is not one of ours") from None


def _cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(request: Request) -> str | None:
    cursor = request.query_params.get("cursor")
    if cursor is None:
        return None
    try:
        return urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        raise BadRequest("cursor", "this cursor is not one of ours") from None
