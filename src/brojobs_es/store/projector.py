"""The runner of the views: follows each log, a batch and its tracking in one transaction, and never stops for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from brojobs_es.application.records import RecordedEvent, StoreUnavailable
from brojobs_es.projections.view import View
from brojobs_es.store import sql
from brojobs_es.store.connections import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Retrying,
    cancellation_kept,
    conninfo,
)
from brojobs_es.store.listener import Listener, wait
from brojobs_es.store.view_table import Connection, Decode, ViewTable

_logger = logging.getLogger(__name__)

BATCH: Final = 500
_LOOK_AGAIN_SECONDS: Final = 0.05

Progress = Callable[[int, int, int], None]
"""Called with log, position reached, position to reach."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many positions a view is behind its log."""

    view: str
    log: int
    behind: int


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a view could not take, and why."""

    view: str
    log: int
    position: int
    order_id: UUID
    reason: str


class Table(Protocol):
    """What keeps the rows of one view."""

    @property
    def name(self) -> str: ...

    async def clear(self, connection: Connection) -> None:
        """Throw the rows away."""
        ...

    async def take(self, connection: Connection, log: int, events: Sequence[RecordedEvent]) -> int:
        """Add a batch of one log's events; how many were parked."""
        ...


class Projector:
    """Keeps the tables of some views up to date with all logs. Any number of them may run at once, in any process.

    A view's row in `views.tracking` is locked while a batch of it is taken; who finds it locked leaves the view alone.
    `decode` turns a stored event into what the views fold; where it raises, the event is parked. `tables` are kept in
    the same way, each by a way of its own.
    """

    def __init__(
        self,
        url: str,
        logs: int,
        views: Sequence[View[Any]],
        decode: Decode,
        *,
        tables: Sequence[Table] = (),
        poll_seconds: float = 1.0,
    ) -> None:
        self._logs = logs
        self._tables: dict[str, Table] = {view.name: ViewTable(view, decode) for view in views}
        self._tables |= {table.name: table for table in tables}
        self._poll_seconds = poll_seconds
        target = conninfo(url, "brojobs_projector", lock_timeout="0")
        self._pool = AsyncConnectionPool(
            target, min_size=1, max_size=logs + 3, timeout=5.0, kwargs={"autocommit": True}, open=False
        )
        self._db = Retrying(self._pool, patience_seconds=5.0)
        self._listener = Listener(target, [sql.channel(log) for log in range(logs)])
        self._reached: dict[int, int] = {}
        self._moved = asyncio.Event()

    async def open(self) -> None:
        """Connect and note views that were never tracked; StoreUnavailable where the database is not reached."""
        await self._pool.open()
        await self._db.run(self._begin_tracking)

    async def close(self) -> None:
        """Close all connections."""
        await self._listener.close()
        await self._pool.close()

    async def run(self) -> None:
        """Follow all logs until cancelled. Lost connections and failing transactions are tried again, with pauses."""
        async with asyncio.TaskGroup() as tasks:
            for log in range(self._logs):
                tasks.create_task(self._follow(log), name=f"views of log {log}")

    async def step(self, log: int) -> bool:
        """Take at most one batch per view; False if there was nothing, or others are at it."""
        async with self._db.connection() as connection, connection.transaction():
            held = await self._hold(connection, log)
            took = False
            reached = dict(held)
            for position in sorted(set(held.values())):
                events = await _read(connection, log, position)
                if events:
                    took = True
                    views = [view for view, at in held.items() if at == position]
                    await self._take(connection, log, views, events)
                    reached |= dict.fromkeys(views, events[-1].position)
        if len(reached) == len(self._tables):
            self._reached[log] = min(reached.values(), default=0)
        if took:
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
        return took

    async def catch_up(self) -> None:
        """Take everything that is there now, without waiting for more."""
        for log in range(self._logs):
            while await self.step(log):
                pass

    async def lag(self) -> list[Lag]:
        """How far each view is behind each log, for readiness and metrics."""
        lags: list[Lag] = []
        for log in range(self._logs):
            rows = await self._db.run(lambda connection, log=log: _last_and_tracked(connection, log))  # type: ignore[misc]
            last, tracked = rows
            lags += [Lag(view, log, max(0, last - tracked.get(view, 0))) for view in self._tables]
        return lags

    async def parked(self) -> list[ParkedEvent]:
        """All parked events of these views, by view, log and position."""
        query = """
            SELECT view, log, position, order_id, reason FROM views.parked WHERE view = ANY(%s)
            ORDER BY view, log, position
        """

        async def ask(connection: Connection) -> list[ParkedEvent]:
            cursor = await connection.execute(query, (list(self._tables),))
            return [ParkedEvent(*row) for row in await cursor.fetchall()]

        return await self._db.run(ask)

    async def caught_up(
        self, log: int, position: int, timeout_seconds: float, views: Sequence[str] | None = None
    ) -> bool:
        """Wait until the views (all, or those named) have taken a log up to a position; False when the time is up."""
        wanted = list(self._tables) if views is None else list(views)
        give_up = monotonic() + timeout_seconds
        while True:
            moved = self._moved
            if self._reached.get(log, -1) >= position:
                return True
            _, tracked = await self._db.run(lambda connection: _last_and_tracked(connection, log))
            if all(tracked.get(view, 0) >= position for view in wanted):
                return True
            left = give_up - monotonic()
            if left <= 0:
                return False
            await wait(moved, min(left, _LOOK_AGAIN_SECONDS), clear=False)

    async def rebuild(self, view: str, progress: Progress | None = None) -> int:
        """Fold a view again from the first event of each log; returns how many events it took. Un-parks what can be.

        It is one transaction: readers see the old rows until all new ones are there, a rebuild that dies leaves the
        old ones, and the runners keep the other views going meanwhile.
        """
        table = self._tables[view]
        taken = 0
        async with self._db.connection() as connection, connection.transaction():
            await self._begin_tracking(connection)
            await connection.execute("SELECT FROM views.tracking WHERE view = %s ORDER BY log FOR UPDATE", (view,))
            await table.clear(connection)
            for log in range(self._logs):
                position = 0
                last, _ = await _last_and_tracked(connection, log)
                while events := await _read(connection, log, position):
                    await table.take(connection, log, events)
                    position = events[-1].position
                    taken += len(events)
                    if progress is not None:
                        progress(log, position, max(last, position))
                await _track(connection, log, [view], position)
        return taken

    async def _follow(self, log: int) -> None:
        pause = FIRST_PAUSE_SECONDS
        async with self._listener.subscribe() as grown:
            while True:
                try:
                    if not await self.step(log):
                        await wait(grown, self._poll_seconds)
                    pause = FIRST_PAUSE_SECONDS
                except (StoreUnavailable, psycopg.Error) as error:
                    _logger.warning("views of log %d wait %.2f s: %s", log, pause, error)
                    await asyncio.sleep(pause)
                    with cancellation_kept():
                        await self._pool.check()
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _begin_tracking(self, connection: Connection) -> None:
        query = """
            INSERT INTO views.tracking (view, log, position)
            SELECT view, log, 0 FROM unnest(%s::text[]) AS view, generate_series(0, %s) AS log
            ON CONFLICT DO NOTHING
        """
        await connection.execute(query, (list(self._tables), self._logs - 1))

    async def _hold(self, connection: Connection, log: int) -> dict[str, int]:
        """Lock the views that nobody else is working on, and say where they are."""
        query = """
            SELECT view, position FROM views.tracking WHERE log = %s AND view = ANY(%s)
            ORDER BY view FOR UPDATE SKIP LOCKED
        """
        cursor = await connection.execute(query, (log, list(self._tables)))
        return {row[0]: row[1] for row in await cursor.fetchall()}

    async def _take(
        self, connection: Connection, log: int, views: Sequence[str], events: Sequence[RecordedEvent]
    ) -> None:
        for view in views:
            parked = await self._tables[view].take(connection, log, events)
            if parked:
                _logger.error("%s parked %d event(s) of log %d: see views.parked", view, parked, log)
        await _track(connection, log, views, events[-1].position)


async def _read(connection: AsyncConnection[TupleRow], log: int, after: int) -> list[RecordedEvent]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql.select_after(log).encode(), (after, BATCH))
        return [RecordedEvent(log, *row) for row in await cursor.fetchall()]


async def _track(connection: Connection, log: int, views: Sequence[str], position: int) -> None:
    query = "UPDATE views.tracking SET position = %s WHERE log = %s AND view = ANY(%s)"
    await connection.execute(query, (position, log, list(views)))


async def _last_and_tracked(connection: Connection, log: int) -> tuple[int, Mapping[str, int]]:
    cursor = await connection.execute(sql.select_last_position(log).encode())
    last = await cursor.fetchone()
    cursor = await connection.execute("SELECT view, position FROM views.tracking WHERE log = %s", (log,))
    return (last[0] if last else 0), {row[0]: row[1] for row in await cursor.fetchall()}
