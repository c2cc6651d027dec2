"""The runner of the views: follows each log, a batch and its tracking in one transaction, and never stops for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
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
    pool,
)
from brojobs_es.store.listener import Listener, wait
from brojobs_es.store.view_tables import Connection, Decode, Memory, ViewTables

_logger = logging.getLogger(__name__)

BATCH: Final = 2000
"""Events taken in one transaction, when there are as many."""

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


class Table(Protocol):
    """A view that is kept in a way of its own."""

    @property
    def name(self) -> str: ...

    async def clear(self, connection: Connection) -> None:
        """Throw the rows away."""
        ...

    async def take(self, connection: Connection, log: int, events: Sequence[LoggedEvent]) -> None:
        """Add a batch of one log's events; they come in order of position."""
        ...


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
        taken = [await self._step(log, names) for names in (self._views.names, *((name,) for name in self._tables))]
        return any(taken)

    async def catch_up(self) -> None:
        """Take everything that is there now, without waiting for more."""
        for log in range(self._logs):
            while await self.step(log):
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

    async def rebuild(self, names: Sequence[str], progress: Progress | None = None) -> int:
        """Fold views again from the first event of each log; returns how many events they took. Un-parks what can be.

        It is one transaction: readers see the old rows until all new ones are there, a rebuild that dies leaves the
        old ones, and the runners keep the other views going meanwhile.
        """
        views = [name for name in self._views.names if name in names]
        taken = 0
        async with self._db.connection() as connection, connection.transaction():
            await self._begin_tracking(connection)
            query = "SELECT FROM views.tracking WHERE view = ANY(%s) ORDER BY view, log FOR UPDATE"
            await connection.execute(query, (list(names),))
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL enable_seqscan = on")
            await self._views.clear(connection, views)
            for name in names:
                if name in self._tables:
                    await self._tables[name].clear(connection)
            for log in range(self._logs):
                last, _ = await _last_and_tracked(connection, log)
                report = partial(progress, log) if progress is not None else _nobody
                if views:
                    taken += await self._refold(connection, log, views, last, report)
                for name in names:
                    if name in self._tables:
                        taken += await self._refill(connection, log, self._tables[name], last, report)
                await _track(connection, log, names, last)
        return taken

    async def _refold(
        self, connection: Connection, log: int, views: Sequence[str], last: int, report: Callable[[int, int], None]
    ) -> int:
        """One order after the other, so that each is folded once and then forgotten."""
        memory, taken = Memory(), 0
        async with connection.cursor(name="refold", binary=True) as cursor:
            await cursor.execute(sql.select_logged_by_order(log).encode(), (last,))
            while rows := await cursor.fetchmany(BATCH):
                events = list(map(LoggedEvent._make, rows))
                await self._views.take(connection, log, views, events, memory)
                memory.keep(1)  # the next batch may go on with the last order of this one
                taken += len(events)
                report(taken, last)
        return taken

    async def _refill(
        self, connection: Connection, log: int, table: Table, last: int, report: Callable[[int, int], None]
    ) -> int:
        position = taken = 0
        while position < last and (events := await _read(connection, log, position)):
            events = [event for event in events if event.position <= last]
            if events:
                await table.take(connection, log, events)
            position = events[-1].position if events else last
            taken += len(events)
            report(taken, last)
        return taken

    async def _follow(self, log: int, names: Sequence[str]) -> None:
        pause = FIRST_PAUSE_SECONDS
        pause_between = _PAUSE_SECONDS if names == self._views.names else _TABLE_PAUSE_SECONDS
        async with self._listener.subscribe() as grown:
            while True:
                try:
                    if await self._step(log, names):
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

    async def _step(self, log: int, names: Sequence[str]) -> bool:
        """Take at most one batch for each of these views."""
        memories = self._memories.pop(log, {}) if names == self._views.names else {}
        async with self._db.connection() as connection, connection.transaction():
            held = await self._hold(connection, log, names)
            reached = dict(held)
            left: dict[tuple[int, tuple[str, ...]], Memory] = {}
            age = 0.0
            for position in sorted(set(held.values())):
                views = tuple(view for view, at in held.items() if at == position)
                memory = memories.get((position, views)) or Memory()
                events = await _read(connection, log, position)
                if events:
                    await self._take(connection, log, views, events, memory)
                    await _track(connection, log, views, events[-1].position)
                    age = max(age, await _age(connection, log, events[0].position))
                    memory.keep(ORDERS_KEPT)
                    reached |= dict.fromkeys(views, events[-1].position)
                left[reached[views[0]], views] = memory
        if names == self._views.names:
            self._memories[log] = left
            self._looked[log] = (monotonic(), age)
        self._reached |= {(log, view): position for view, position in reached.items()}
        if reached == held:
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

    async def _hold(self, connection: Connection, log: int, names: Sequence[str]) -> dict[str, int]:
        """Lock the views that nobody else is working on, and say where they are."""
        query = """
            SELECT view, position FROM views.tracking WHERE log = %s AND view = ANY(%s)
            ORDER BY view FOR UPDATE SKIP LOCKED
        """
        cursor = await connection.execute(query, (log, list(names)))
        return {row[0]: row[1] for row in await cursor.fetchall()}

    async def _take(
        self, connection: Connection, log: int, names: Sequence[str], events: Sequence[LoggedEvent], memory: Memory
    ) -> None:
        if names[0] in self._tables:
            await self._tables[names[0]].take(connection, log, events)
            return
        parked = await self._views.take(connection, log, names, events, memory)
        if parked:
            _logger.error("%d event(s) of log %d were parked: see views.parked", parked, log)


async def _read(connection: AsyncConnection[TupleRow], log: int, after: int) -> list[LoggedEvent]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql.select_after(log).encode(), (after, BATCH))
        return list(map(LoggedEvent._make, await cursor.fetchall()))


def _nobody(done: int, last: int) -> None:
    """Progress that nobody wants to see."""


async def _track(connection: Connection, log: int, views: Sequence[str], position: int) -> None:
    query = "UPDATE views.tracking SET position = %s WHERE log = %s AND view = ANY(%s)"
    await connection.execute(query, (position, log, list(views)))


async def _age(connection: Connection, log: int, position: int) -> float:
    cursor = await connection.execute(sql.select_age(log).encode(), (position,))
    row = await cursor.fetchone()
    return float(row[0]) if row is not None else 0.0


async def _behind(connection: Connection, log: int, views: Sequence[str]) -> list[tuple[str, int, float]]:
    cursor = await connection.execute(sql.select_behind(log).encode(), (log, list(views)))
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def _last_and_tracked(connection: Connection, log: int) -> tuple[int, Mapping[str, int]]:
    cursor = await connection.execute(sql.select_last_position(log).encode())
    last = await cursor.fetchone()
    cursor = await connection.execute("SELECT view, position FROM views.tracking WHERE log = %s", (log,))
    return (last[0] if last else 0), {row[0]: row[1] for row in await cursor.fetchall()}
