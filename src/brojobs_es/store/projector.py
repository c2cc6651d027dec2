"""The runner of the views: follows each log, a batch and its tracking in one transaction, and never stops for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from brojobs_es.application.records import LoggedEvent, StoreUnavailable
from brojobs_es.projections.view import View
from brojobs_es.store import sql
from brojobs_es.store.connections import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Retrying,
    cancellation_kept,
    conninfo,
    pipelined,
    pool,
)
from brojobs_es.store.listener import Listener, wait
from brojobs_es.store.logged import BATCH, asked_after, logged
from brojobs_es.store.rebuilding import Rebuilding, Table
from brojobs_es.store.view_tables import Connection, Decode, Memory, Unclear, ViewTables

_logger = logging.getLogger(__name__)

PARTS: Final = 4
"""Batches taken in one transaction, when there are as many: rows of one are written while the next one is folded."""

ORDERS_KEPT: Final = 4000
"""Orders whose folds stay in memory between batches, some ten kilobytes each."""

_PAUSE_SECONDS: Final = 0.05
_TABLE_PAUSE_SECONDS: Final = 0.2
"""Pauses after a batch, in which more gathers for the next transaction; whoever waits in this process ends them."""

_LOOK_AGAIN_SECONDS: Final = 0.05

Progress = Callable[[int, int, int], None]
"""Called with log, events taken, events to take (or a few more: positions are counted, and some may be missing)."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How many positions a view is behind its log, and the age of the oldest event that it lacks (0.0 for none)."""

    view: str
    log: int
    behind: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that a view could not take, and why."""

    view: str
    log: int
    position: int
    order_id: UUID
    reason: str


class Projector:
    """Keeps the tables of some views up to date with all logs. Any number of them may run at once, in any process.

    A view's row in `views.tracking` is locked while a batch of it is taken; who finds it locked leaves the view alone.
    `decode` turns a stored event into what the views fold, once for all of them; where it raises, the event is parked.
    Each of the `tables` follows the logs by itself, so that the views don't wait for it.
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
        self._url = url
        self._logs = logs
        self._views = ViewTables(views, decode)
        self._tables = {table.name: table for table in tables}
        self._names = (*self._views.names, *self._tables)
        self._poll_seconds = poll_seconds
        target = conninfo(url, "brojobs_projector", lock_timeout="0")
        self._pool = pool(target, 2 * logs + 3, patience_seconds=5.0)
        self._db = Retrying(self._pool, patience_seconds=5.0)
        self._listener = Listener(target, [sql.channel(log) for log in range(logs)])
        self._memories: dict[int, dict[tuple[int, tuple[str, ...]], Memory]] = {}
        self._reached: dict[tuple[int, str], int] = {}
        self._expected: dict[tuple[int, Sequence[str]], int] = {}
        self._looked: dict[int, tuple[float, float]] = {}
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()

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
                if self._views.names:
                    tasks.create_task(self._follow(log, self._views.names), name=f"views of log {log}")
                for name in self._tables:
                    tasks.create_task(self._follow(log, (name,)), name=f"{name} of log {log}")

    async def step(self, log: int) -> bool:
        """Take at most one batch per view; False if there was nothing, or others are at it."""
        return await self._step_of_all(log, 1)

    async def catch_up(self) -> None:
        """Take everything that is there now, without waiting for more."""
        for log in range(self._logs):
            while await self._step_of_all(log, PARTS):
                pass

    async def lag(self) -> list[Lag]:
        """How far each view is behind each log, for readiness and metrics."""
        lags: list[Lag] = []
        for log in range(self._logs):
            rows = await self._db.run(lambda connection, log=log: _behind(connection, log, self._names))  # type: ignore[misc]
            lags += [Lag(view, log, behind, seconds) for view, behind, seconds in rows]
        return lags

    def lag_seconds(self) -> float | None:
        """How late the views of orders are, from what this process's runner saw last: nothing is asked of the database.

        The age that the oldest event of the last batch had reached when it came into the views, 0.0 where there was
        none to take; and the time by which the runner is late to look again. The worst of all logs; None where no
        runner of this process has looked yet.
        """
        now = monotonic()
        late = [age + max(0.0, now - looked - self._poll_seconds) for looked, age in self._looked.values()]
        return max(late, default=None)

    async def parked(self) -> list[ParkedEvent]:
        """All parked events of these views, by view, log and position."""
        query = """
            SELECT view, log, position, order_id, reason FROM views.parked WHERE view = ANY(%s)
            ORDER BY view, log, position
        """

        async def ask(connection: Connection) -> list[ParkedEvent]:
            cursor = await connection.execute(query, (list(self._names),))
            return [ParkedEvent(*row) for row in await cursor.fetchall()]

        return await self._db.run(ask)

    async def caught_up(
        self, log: int, position: int, timeout_seconds: float, views: Sequence[str] | None = None
    ) -> bool:
        """Wait until the views (all but the tables, or those named) have taken a log up to a position.

        False when the time is up.
        """
        wanted = self._views.names if views is None else tuple(views)
        give_up = monotonic() + timeout_seconds
        while True:
            moved = self._moved
            if all(self._reached.get((log, view), -1) >= position for view in wanted):
                return True
            self._wanted.set()
            _, tracked = await self._db.run(lambda connection: _last_and_tracked(connection, log))
            if all(tracked.get(view, 0) >= position for view in wanted):
                return True
            left = give_up - monotonic()
            if left <= 0:
                return False
            await wait(moved, min(left, _LOOK_AGAIN_SECONDS), clear=False)

    async def rebuild(self, names: Sequence[str], progress: Progress | None = None, *, processes: int = 1) -> int:
        """Fold views again from the first event of each log; returns how many events they took. Un-parks what can be.

        With several `processes` that many others read and fold, and this one writes; views and `decode` go to them.

        It is one transaction: readers see the old rows until all new ones are there, a rebuild that dies leaves the
        old ones, and the runners keep the other views going meanwhile.
        """
        async with self._db.connection() as connection, connection.transaction():
            await self._begin_tracking(connection)
            query = "SELECT FROM views.tracking WHERE view = ANY(%s) ORDER BY view, log FOR UPDATE"
            await connection.execute(query, (list(names),))
            rebuilding = Rebuilding(self._url, self._db, self._views, self._tables, connection, names, processes)
            await rebuilding.clear()
            taken = 0
            for log in range(self._logs):
                last, _ = await _last_and_tracked(connection, log)
                taken += await rebuilding.take(log, last, partial(progress, log) if progress is not None else _nobody)
                await _track(connection, log, names, last)
        return taken

    async def _follow(self, log: int, names: Sequence[str]) -> None:
        pause = FIRST_PAUSE_SECONDS
        pause_between = _PAUSE_SECONDS if names == self._views.names else _TABLE_PAUSE_SECONDS
        async with self._listener.subscribe() as grown:
            while True:
                try:
                    if await self._step(log, names, PARTS):
                        await wait(self._wanted, pause_between)
                    else:
                        await wait(grown, self._poll_seconds)
                    pause = FIRST_PAUSE_SECONDS
                except (StoreUnavailable, psycopg.Error) as error:
                    _logger.warning("%s of log %d wait %.2f s: %s", ", ".join(names), log, pause, error)
                    await asyncio.sleep(pause)
                    with cancellation_kept():
                        await self._pool.check()
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _step_of_all(self, log: int, parts: int) -> bool:
        groups = (self._views.names, *((name,) for name in self._tables))
        return any([await self._step(log, names, parts) for names in groups])

    async def _step(self, log: int, names: Sequence[str], parts: int) -> bool:
        """Take at most so many batches for each of these views; one and carefully where something is wrong with them."""
        try:
            return await self._attempt(log, names, parts)
        except (Unclear, psycopg.DataError, psycopg.IntegrityError):
            return await self._attempt(log, names, 1, careful=True)

    async def _attempt(self, log: int, names: Sequence[str], parts: int, *, careful: bool = False) -> bool:
        memories = self._memories.pop(log, {}) if names == self._views.names else {}
        expected, began = self._expected.get((log, names), 0), monotonic()
        async with self._db.connection() as connection, connection.transaction() if careful else pipelined(connection):
            held = await connection.execute(sql.hold_views(log).encode(), {"log": log, "views": list(names)})
            reading = await asked_after(connection, log, expected)
            found = await held.fetchall()
            before = {view: position for view, position, _, _ in found}
            reached, left = dict(before), dict[tuple[int, tuple[str, ...]], Memory]()
            take = self._carefully if careful else partial(self._quickly, any(parked for *_, parked in found))
            for position in sorted(set(before.values())):
                views = tuple(view for view, at in before.items() if at == position)
                memory = memories.get((position, views)) or Memory()
                if position != expected:
                    reading = await asked_after(connection, log, position)
                last = await _take_parts(partial(take, connection, log, views, memory), connection, log, reading, parts)
                if last is not None:
                    await _track(connection, log, views, last)
                    reached |= dict.fromkeys(views, last)
                left[reached[views[0]], views] = memory
        if names == self._views.names:
            self._memories[log] = left
            age = max((age + monotonic() - began for _, _, age, _ in found if age), default=0.0)
            self._looked[log] = (monotonic(), age)
        self._expected[log, names] = max(reached.values(), default=expected)
        self._reached |= {(log, view): position for view, position in reached.items()}
        if reached == before:
            return False
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return True

    async def _begin_tracking(self, connection: Connection) -> None:
        query = """
            INSERT INTO views.tracking (view, log, position)
            SELECT view, log, 0 FROM unnest(%s::text[]) AS view, generate_series(0, %s) AS log
            ON CONFLICT DO NOTHING
        """
        await connection.execute(query, (list(self._names), self._logs - 1))

    async def _quickly(
        self,
        some_parked: bool,
        connection: Connection,
        log: int,
        names: Sequence[str],
        memory: Memory,
        events: Sequence[LoggedEvent],
    ) -> None:
        if names[0] in self._tables:
            await self._tables[names[0]].take(connection, log, events)
        else:
            await self._views.take_plain(connection, log, names, events, memory, some_parked=some_parked)
            memory.keep(ORDERS_KEPT)

    async def _carefully(
        self, connection: Connection, log: int, names: Sequence[str], memory: Memory, events: Sequence[LoggedEvent]
    ) -> None:
        if names[0] in self._tables:
            await self._tables[names[0]].take(connection, log, events)
            return
        parked = await self._views.take(connection, log, names, events, memory)
        memory.keep(ORDERS_KEPT)
        if parked:
            _logger.error("%d event(s) of log %d were parked: see views.parked", parked, log)


async def _take_parts(
    take: Callable[[Sequence[LoggedEvent]], Awaitable[None]],
    connection: Connection,
    log: int,
    reading: AsyncCursor[TupleRow],
    parts: int,
) -> int | None:
    """Take what was asked for, and more as long as there is, at most so many batches; the last position."""
    last: int | None = None
    for part in range(1, parts + 1):
        events = logged(await reading.fetchall())
        if not events:
            break
        last = events[-1].position
        more = len(events) == BATCH and part < parts
        if more:
            reading = await asked_after(connection, log, last)
        await take(events)
        if not more:
            break
    return last


def _nobody(done: int, last: int) -> None:
    """Progress that nobody wants to see."""


async def _track(connection: Connection, log: int, views: Sequence[str], position: int) -> None:
    query = "UPDATE views.tracking SET position = %s WHERE log = %s AND view = ANY(%s)"
    await connection.execute(query, (position, log, list(views)))


async def _behind(connection: Connection, log: int, views: Sequence[str]) -> list[tuple[str, int, float]]:
    cursor = await connection.execute(sql.select_behind(log).encode(), (log, list(views)))
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def _last_and_tracked(connection: Connection, log: int) -> tuple[int, Mapping[str, int]]:
    cursor = await connection.execute(sql.select_last_position(log).encode())
    last = await cursor.fetchone()
    cursor = await connection.execute("SELECT view, position FROM views.tracking WHERE log = %s", (log,))
    return (last[0] if last else 0), {row[0]: row[1] for row in await cursor.fetchall()}
