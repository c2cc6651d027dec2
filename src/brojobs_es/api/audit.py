"""The log over HTTP: pages, an export of any size, a stream that resumes, and the commands that were refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from eventsourcing.persistence import MapperDeserialisationError
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from brojobs_es.api import render
from brojobs_es.api.audit_query import (
    EVENT_FILTERS,
    REFUSAL_FILTERS,
    Cursor,
    asked_logs,
    event_filter,
    given,
    only_known,
    reader_role,
    refusal_filter,
)
from brojobs_es.api.auth import Unauthenticated
from brojobs_es.api.custody import LogReaders
from brojobs_es.api.http import Edge, limit
from brojobs_es.api.keys import KeysUnavailable
from brojobs_es.api.openapi import view_docs
from brojobs_es.api.schemas import EventList, RefusalList
from brojobs_es.application.history import Entry, decode
from brojobs_es.application.records import RecordedEvent, RefusedCommand, StoreUnavailable
from brojobs_es.application.sealing import ring_for
from brojobs_es.digests import event_digest
from brojobs_es.store.audit import EventFilter, find_events
from brojobs_es.store.feed import tail
from brojobs_es.store.refusals import find_refusals
from brojobs_es.vault import Ring

Json = dict[str, Any]
Rows = list[RecordedEvent]
T = TypeVar("T")

DEFAULT_LIMIT: Final = 100
BATCH: Final = 100
"""Events that a stream reads and writes at once: other requests wait no longer than making these takes."""

HEARTBEAT_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5
_FILTER_DOCS: Final = {
    "after": "The cursor of the last item that was read.",
    "order_id": "Of this order.",
    "actor_id": "Done by this person.",
    "from": "Recorded at or after this instant.",
    "to": "Recorded before this instant.",
    "log": "In this log; without it, log after log.",
}
_EXPORT_LIMIT_DOCS: Final = "1 to 1000; without it, every event."
_TYPE_DOCS: Final = {"type": "Of this type, like Delivered."}


def audit(edge: Edge) -> APIRouter:
    """The routes of the log."""
    router = APIRouter(prefix="/v1", tags=["log"])
    routes = _Routes(edge)
    events, refusals = {**_FILTER_DOCS, **_TYPE_DOCS}, {**_FILTER_DOCS, "code": "Refused with this code."}
    for path, endpoint, summary, docs in (
        ("/events", routes.events, "Every event", view_docs(EventList, **events, limit="1 to 1000.")),
        (
            "/events.jsonl",
            routes.export,
            "Export every event",
            view_docs(EventList, **events, limit=_EXPORT_LIMIT_DOCS),
        ),
        ("/events/stream", routes.follow, "Follow the log", view_docs(EventList, **events)),
        ("/refusals", routes.refusals, "Refused commands", view_docs(RefusalList, **refusals, limit="1 to 1000.")),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], summary=summary, openapi_extra=docs)
    return router


class _Routes:
    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._logs = edge.runtime.logs
        self._readers = LogReaders(edge)

    async def events(self, request: Request) -> Response:
        """Events in commit order, log after log; whoever asks after the last cursor sees each exactly once."""
        wanted, cursor = await self._question(request, "events", "limit")
        most = limit(request, DEFAULT_LIMIT)
        found: Rows = []
        for log, after in cursor.positions.items():
            if len(found) <= most:
                found += await find_events(self._logs, log, wanted, after, most + 1 - len(found))
        items = await self._shown(found[:most], cursor)
        return JSONResponse({"items": items, "next": items[-1]["cursor"] if len(found) > most else None})

    async def export(self, request: Request) -> Response:
        """All that was recorded when the export began or the first of it, one JSON object a line, for any size."""
        wanted, cursor = await self._question(request, "export", "limit")
        most = limit(request, sys.maxsize)
        last = {log: await self._logs.last_position(log) for log in cursor.positions}
        lines = self._lines(wanted, cursor, last, most)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    async def follow(self, request: Request) -> Response:
        """Server-Sent Events: what lies after the cursor, then what is added. `Last-Event-ID` counts before `after`."""
        wanted, cursor = await self._question(request, "stream")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        content = self._messages(request, wanted, cursor)
        return StreamingResponse(content, media_type="text/event-stream", headers=headers)

    async def refusals(self, request: Request) -> Response:
        """Commands that were refused: who, what, when and with which code; in commit order, log after log."""
        caller = await self._edge.caller(request)
        wanted = refusal_filter(request, caller)
        only_known(request, ("after", "limit", "log", *REFUSAL_FILTERS))
        asked = asked_logs(request, self._logs.count)
        cursor = Cursor.read(request.query_params.get("after"), asked, self._logs.count)
        most = limit(request, DEFAULT_LIMIT)
        found: list[tuple[int, int, RefusedCommand]] = []
        for log, after in cursor.positions.items():
            if len(found) <= most:
                more = await find_refusals(self._logs, log, wanted, after, most + 1 - len(found))
                found += [(log, number, refused) for number, refused in more]
        items = [_refusal(refused, log, number, cursor) for log, number, refused in found[:most]]
        return JSONResponse({"items": items, "next": items[-1]["cursor"] if len(found) > most else None})

    async def _question(self, request: Request, what: str, *more: str) -> tuple[EventFilter, Cursor]:
        """Which events, from where on; that somebody asks for them is kept before they are shown."""
        caller = await self._edge.caller(request)
        wanted = event_filter(request, caller)
        only_known(request, ("after", "log", *EVENT_FILTERS, *more))
        asked = asked_logs(request, self._logs.count)
        resumed = request.headers.get("last-event-id") if what == "stream" else None
        start, where = (resumed, "Last-Event-ID") if resumed else (request.query_params.get("after"), "after")
        cursor = Cursor.read(start, asked, self._logs.count, where)
        await cursor.must_exist(self._logs)
        filters = given(request, EVENT_FILTERS)
        await self._readers.looked(caller, reader_role(caller), what, wanted.order_id, filters, asked)
        return wanted, cursor

    async def _lines(
        self, wanted: EventFilter, cursor: Cursor, last: dict[int, int], most: int
    ) -> AsyncIterator[bytes]:
        """No connection is held while the client takes its time; each batch is asked for when the one before is gone."""
        for log, upto in last.items():
            more = True
            while more and most:
                batch = min(BATCH, most)
                rows = await self._patiently(wanted, log, cursor.positions[log], upto, batch)
                more, most = len(rows) == batch, most - len(rows)
                if rows:
                    yield b"".join(line(item) + b"\n" for item in await self._shown(rows, cursor))

    async def _patiently(self, wanted: EventFilter, log: int, after: int, upto: int, batch: int) -> Rows:
        """A batch, also through a restart of the database. When that takes too long the answer breaks off, unfinished."""
        give_up = monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await _whole(find_events(self._logs, log, wanted, after, batch, upto))
            except StoreUnavailable:
                if monotonic() > give_up:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _messages(self, request: Request, wanted: EventFilter, cursor: Cursor) -> AsyncIterator[bytes]:
        """Ends when the client goes or its token no longer holds."""

        async def read(log: int, after: int, _: int) -> Rows:
            return await _whole(find_events(self._logs, log, wanted, after, BATCH))

        yield b"retry: 1000\n\n"
        checked = monotonic()
        following = tail(self._logs, cursor.positions, read=read, beat_seconds=HEARTBEAT_SECONDS)
        async with contextlib.aclosing(following) as batches:
            async for rows in batches:
                if monotonic() - checked >= HEARTBEAT_SECONDS:
                    checked = monotonic()
                    if not await self._still_holds(request):
                        return
                yield b"".join(map(_message, await self._shown(rows, cursor))) or b": still here\n\n"

    async def _shown(self, rows: Sequence[RecordedEvent], cursor: Cursor) -> list[Json]:
        """Events as everywhere in the contract, words opened; each with the reader's cursor behind it."""
        ring = await _whole(ring_for(self._edge.runtime.vault, rows))
        return [{**_item(row, ring), "cursor": cursor.reached(row.log, row.position)} for row in rows]

    async def _still_holds(self, request: Request) -> bool:
        try:
            reader_role(await self._edge.caller(request))
        except Unauthenticated:
            return False
        except KeysUnavailable:
            return True  # the keys cannot be read at the moment: that says nothing about the token
        return True


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Let work on a connection come to its end even where its reader goes: a connection cut off would be lost."""
    return await asyncio.shield(asyncio.ensure_future(work))


# -- shapes


def _item(row: RecordedEvent, ring: Ring) -> Json:
    try:
        return render.event(Entry(decode(row, ring), row.position, row.state), row.order_id, row.log)
    except MapperDeserialisationError:
        return _unreadable(row)


def _unreadable(row: RecordedEvent) -> Json:
    """An event that this version cannot read: auditors see that it is there and what it holds, and all that follow.

    Its instants are unknown: the digest does not cover the database's own note of when it was stored.
    """
    digest = event_digest(
        log=row.log,
        position=row.position,
        order_id=row.order_id,
        stream_id=row.stream_id,
        stream_version=row.stream_version,
        topic=row.topic,
        state=row.state,
    )
    nothing = dict.fromkeys(("on_behalf_of", "command", "command_id", "correlation_id"))
    return {
        "log": row.log,
        "position": row.position,
        "order_id": str(row.order_id),
        "stream_id": str(row.stream_id),
        "stream_version": row.stream_version,
        "type": row.topic.partition(":")[2] or row.topic,
        "type_version": 0,
        "data": {"unreadable": row.state.decode("utf-8", "replace")},
        "actor": {"role": None, "id": None},
        **nothing,
        "effective_at": None,
        "recorded_at": None,
        "digest": digest.hex(),
    }


def _refusal(refused: RefusedCommand, log: int, number: int, cursor: Cursor) -> Json:
    return {
        "log": log,
        "number": number,
        "cursor": cursor.reached(log, number),
        "order_id": str(refused.order_id) if refused.order_id else None,
        "actor": {"role": refused.actor_role, "id": refused.actor_id},
        "command": refused.command,
        "command_id": str(refused.command_id) if refused.command_id else None,
        "code": refused.code,
        "at": render.instant(refused.at),
    }


def line(item: Json) -> bytes:
    """JSON on one line, whatever its reader takes for the end of a line: all but ASCII is escaped."""
    return json.dumps(item, separators=(",", ":"), allow_nan=False).encode("ascii")


def _message(item: Json) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (item["cursor"].encode("ascii"), line(item))
