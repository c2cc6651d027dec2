"""Views folded again from the first event of a log, inside the one transaction of whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from brojobs_es.application.records import LoggedEvent
from brojobs_es.store import sql
from brojobs_es.store.connections import Retrying
from brojobs_es.store.logged import asked_after, by_order, logged
from brojobs_es.store.refolding import Work, refolded
from brojobs_es.store.view_tables import Connection, Memory, ViewTables

Report = Callable[[int, int], None]
"""Called with events taken and events to take."""


_WORTH_PROCESSES: Final = 100_000
"""Positions of a log from which on other processes save more time than their start takes."""

_PROCESSES_MAX: Final = 4
"""One writes for all of them, and more would only wait for it."""


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


class Rebuilding:
    """One rebuild of some views and tables, which are held by the transaction of this connection."""

    def __init__(
        self,
        url: str,
        db: Retrying,
        views: ViewTables,
        tables: Mapping[str, Table],
        connection: Connection,
        names: Sequence[str],
        processes: int,
    ) -> None:
        self._url = url
        self._db = db
        self._all = views
        self._connection = connection
        self._views = [name for name in views.names if name in names]
        self._tables = [tables[name] for name in names if name in tables]
        self._processes = processes

    async def clear(self) -> None:
        """Throw the rows away."""
        await _unlimited(self._connection)
        await self._all.clear(self._connection, self._views)
        for table in self._tables:
            await table.clear(self._connection)

    async def take(self, log: int, last: int, report: Report) -> int:
        """Take a log up to a position; how many events that were, over all views and tables."""
        taken = 0
        if self._views:
            together = self._processes > 1 and last >= _WORTH_PROCESSES
            refold = self._refold_together if together else self._refold
            taken += await refold(log, last, report)
        for table in self._tables:
            taken += await self._refill(log, table, last, report)
        return taken

    async def _refold(self, log: int, last: int, report: Report) -> int:
        """One order after the other, so that each is folded once and then forgotten."""
        memory, taken = Memory(), 0
        async with self._db.connection() as reading, reading.transaction():
            await _unlimited(reading)
            async with aclosing(by_order(reading, log, last)) as batches:
                async for events in batches:
                    await self._all.take(self._connection, log, self._views, events, memory)
                    memory.keep(1)  # the next batch may go on with the last order of this one
                    taken += len(events)
                    report(taken, last)
        return taken

    async def _refold_together(self, log: int, last: int, report: Report) -> int:
        """The same by several processes; orders that something is wrong with are folded here once more, and parked as ever."""
        work, taken = Work(self._url, log, last, self._all.chosen(self._views), self._all.decode), 0
        async with aclosing(refolded(work, min(self._processes, _PROCESSES_MAX))) as portions:
            async for portion in portions:
                written = await self._all.put(self._connection, log, self._views, portion.rows)
                for order_id in portion.doubtful if written else portion.orders:
                    async with self._connection.cursor(binary=True) as cursor:
                        await cursor.execute(sql.select_logged_of(log).encode(), (order_id, last))
                        events = logged(await cursor.fetchall())
                    await self._all.take(self._connection, log, self._views, events, Memory())
                taken += portion.events
                report(taken, last)
        return taken

    async def _refill(self, log: int, table: Table, last: int, report: Report) -> int:
        position = taken = 0
        while position < last:
            reading = await asked_after(self._connection, log, position)
            found = logged(await reading.fetchall())
            events = [event for event in found if event.position <= last]
            if events:
                await table.take(self._connection, log, events)
            position = events[-1].position if events else last
            taken += len(events)
            report(taken, last)
        return taken


async def _unlimited(connection: Connection) -> None:
    """Whoever reads a whole log takes the time for it, and reads it from end to end."""
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.execute("SET LOCAL enable_seqscan = on")
