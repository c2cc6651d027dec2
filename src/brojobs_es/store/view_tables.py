"""The tables of the views: takes a batch of events, folds it order by order, writes the rows, parks what it cannot take.

What an order was folded into stays in memory for the next batch. It is never stored: for an order that is not in memory,
its earlier events are read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.application.records import LoggedEvent
from brojobs_es.projections.view import View, taken_by
from brojobs_es.store import sql
from brojobs_es.store.logged import logged
from brojobs_es.store.view_rows import RowTable

Decode = Callable[[LoggedEvent], Any]
Connection = AsyncConnection[TupleRow]

AFTER_PARKED: Final = "an earlier event of this order is parked"
_REASON_MAX: Final = 1000
_ORDERS_READ: Final = 50
"""Orders whose earlier events one query reads."""

_BREATH: Final = 150
"""Events after which others in this process have their turn, about two milliseconds: they answer people."""

_UNKNOWN: Final[Any] = object()


@dataclass(slots=True)
class Folded:
    """One order: what each view folded it into, and the row that each table has of it."""

    states: list[Any]
    rows: list[Any]


@dataclass(slots=True)
class Memory:
    """Orders as some views left them at one position of a log, the longest untouched first."""

    orders: dict[UUID, Folded] = field(default_factory=dict)

    def keep(self, most: int) -> None:
        """Forget all but this many orders."""
        for order_id in list(islice(self.orders, max(0, len(self.orders) - most))):
            del self.orders[order_id]


class Unclear(Exception):
    """Something in a batch needs a closer look: `take` has it, in a transaction of its own."""


class Folds(dict[type[Any], Sequence[tuple[int, Callable[[Any, Any], Any]]]]):
    """For each class of events the folds of the views that take it, behind the view's index; looked up once a class."""

    def __init__(self, views: Iterable[tuple[int, View[Any]]]) -> None:
        super().__init__()
        self._views = [(index, view.fold, taken_by(view)) for index, view in views]

    def __missing__(self, kind: type[Any]) -> Sequence[tuple[int, Callable[[Any, Any], Any]]]:
        found = self[kind] = [(index, fold) for index, fold, takes in self._views if takes is None or kind in takes]
        return found


class ViewTables:
    """Folds events into `views.<name>`, for several views in one pass. All work happens in the caller's transaction."""

    def __init__(self, views: Sequence[View[Any]], decode: Decode) -> None:
        self._views = {view.name: view for view in views}
        self._tables = {view.name: RowTable(view) for view in views}
        self._decode = decode
        self._folds: dict[tuple[str, ...], Folds] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the views."""
        return tuple(self._views)

    async def clear(self, connection: Connection, names: Sequence[str]) -> None:
        """Empty tables and forget what was parked. Readers see the old rows until the transaction commits."""
        for name in names:
            await self._tables[name].clear(connection)
        await connection.execute("DELETE FROM views.parked WHERE view = ANY(%s)", (list(names),))

    def chosen(self, names: Iterable[str]) -> list[View[Any]]:
        """Some of the views."""
        return [self._views[name] for name in names]

    @property
    def decode(self) -> Decode:
        """What turns a stored event into what the views fold."""
        return self._decode

    async def put(self, connection: Connection, log: int, names: Sequence[str], rows: Sequence[bytes]) -> bool:
        """Write rows that were folded elsewhere, each view's as `RowTable.write_made` takes them; False where one cannot be."""
        try:
            async with connection.transaction():
                for name, of_view in zip(names, rows, strict=True):
                    await self._tables[name].write_made(connection, log, of_view)
        except (psycopg.DataError, psycopg.IntegrityError):
            return False
        return True

    async def take(
        self, connection: Connection, log: int, names: Sequence[str], events: Sequence[LoggedEvent], memory: Memory
    ) -> int:
        """Fold events of one log into some views' tables; returns how many were parked.

        An order's events come in order of position and follow all that these views have taken of it. `memory` is what
        the last batch left, or empty; after an exception it must be thrown away.

        An event that cannot be decoded, folded or written is parked with its reason, and so are all later events of its
        order; the row stays as it was before. Where a batch is cut does not change rows. (Only a state that cannot be
        written and is overtaken by a writable one within a batch goes unnoticed.)
        """
        return await self._batch(connection, log, names, memory).take(self._decode, events)

    async def take_plain(
        self,
        connection: Connection,
        log: int,
        names: Sequence[str],
        events: Sequence[LoggedEvent],
        memory: Memory,
        *,
        some_parked: bool,
    ) -> None:
        """The same for a batch that nothing is wrong with, none of whose orders has parked events (`some_parked`: some have).

        Rows are written without waiting for the outcome, where the connection is a pipeline. Raises Unclear, or what the
        database says of the rows, then or later: the transaction is to be undone, `memory` thrown away, and `take` asked.
        """
        await self._batch(connection, log, names, memory).take_plain(self._decode, events, some_parked)

    def _batch(self, connection: Connection, log: int, names: Sequence[str], memory: Memory) -> _Batch:
        names = tuple(names)
        if names not in self._folds:
            self._folds[names] = Folds(enumerate(self._views[name] for name in names))
        views, tables = [self._views[name] for name in names], [self._tables[name] for name in names]
        return _Batch(connection, log, memory, views, tables, self._folds[names])


class _Batch:
    """The work on one batch. Views and what belongs to them go by their index."""

    def __init__(
        self,
        connection: Connection,
        log: int,
        memory: Memory,
        views: Sequence[View[Any]],
        tables: Sequence[RowTable],
        folds: Folds,
    ) -> None:
        self._connection = connection
        self._log = log
        self._memory = memory.orders
        self._views = views
        self._tables = tables
        self._folds = folds
        self._closed: set[tuple[int, UUID]] = set()
        self._doubtful: dict[tuple[int, UUID], None] = {}
        self._parked: list[tuple[str, LoggedEvent, str]] = []

    async def take(self, decode: Decode, events: Sequence[LoggedEvent]) -> int:
        by_order = _by_order(events)
        self._closed = await self._parked_before(list(by_order))
        await self._write_all(await self._folded(decode, by_order))
        for index, order_id in self._doubtful:
            await self._step_by_step(decode, index, order_id, by_order[order_id])
        for index, order_id in self._closed:
            self._park(index, by_order[order_id], AFTER_PARKED)
        for _, order_id in (*self._doubtful, *self._closed):
            self._memory.pop(order_id, None)
        await self._write_parked()
        return len(self._parked)

    async def take_plain(self, decode: Decode, events: Sequence[LoggedEvent], some_parked: bool) -> None:
        by_order = _by_order(events)
        if some_parked and await self._parked_before(list(by_order)):
            raise Unclear
        changed = await self._folded(decode, by_order)
        if self._doubtful:
            raise Unclear
        for table, rows in zip(self._tables, changed, strict=True):
            if rows:
                await table.write(self._connection, self._log, rows)

    async def _folded(self, decode: Decode, by_order: Mapping[UUID, Sequence[LoggedEvent]]) -> list[dict[UUID, Any]]:
        """Fold all orders of the batch; for each table the rows that are others now."""
        await self._remember(decode, {order_id: history[0] for order_id, history in by_order.items()})
        changed: list[dict[UUID, Any]] = [{} for _ in self._views]
        unheard = 0
        for order_id, history in by_order.items():
            self._fold(decode, order_id, history, changed)
            unheard += len(history)
            if unheard >= _BREATH:
                await asyncio.sleep(0)
                unheard = 0
        return changed

    def _fold(
        self, decode: Decode, order_id: UUID, history: Sequence[LoggedEvent], changed: Sequence[dict[UUID, Any]]
    ) -> None:
        folded = self._memory[order_id] = self._memory.pop(order_id)
        states, rows, folds = folded.states, folded.rows, self._folds_for(order_id)
        touched: set[int] = set()
        try:
            for stored in history:
                event = decode(stored)
                for index, fold in folds[type(event)]:
                    states[index] = fold(states[index], event)
                    touched.add(index)
            new = [(index, self._tables[index].row(states[index])) for index in touched]
        except Exception:  # noqa: BLE001  (an event may break its reader in any way; found out step by step later)
            self._doubtful |= dict.fromkeys((index, order_id) for index, _ in self._open(order_id))
            return
        for index, row in new:
            if row != rows[index]:
                rows[index] = changed[index][order_id] = row

    async def _write_all(self, changed: Sequence[Mapping[UUID, Any]]) -> None:
        """All tables under one savepoint; where one cannot take its rows, each under its own."""
        try:
            async with self._connection.transaction():
                for table, rows in zip(self._tables, changed, strict=True):
                    if rows:
                        await table.write(self._connection, self._log, rows)
        except Exception as error:
            if not is_about_data(error):
                raise
            for index, rows in enumerate(changed):
                await self._write(index, rows)

    async def _write(self, index: int, rows: Mapping[UUID, Any]) -> None:
        if not rows:
            return
        try:
            async with self._connection.transaction():
                await self._tables[index].write(self._connection, self._log, rows)
        except Exception as error:
            if not is_about_data(error):
                raise
            if len(rows) == 1:
                self._doubtful |= dict.fromkeys((index, order_id) for order_id in rows)
                return
            half = len(rows) // 2
            await self._write(index, dict(islice(rows.items(), half)))
            await self._write(index, dict(islice(rows.items(), half, None)))

    async def _step_by_step(self, decode: Decode, index: int, order_id: UUID, history: Sequence[LoggedEvent]) -> None:
        """Take one order's events one at a time up to the first that this view cannot take; park it and what follows."""
        view, table = self._views[index], self._tables[index]
        earlier: list[LoggedEvent] = [event async for event in self._before({order_id: history[0]})]
        state: Any = None
        for number, stored in enumerate((*earlier, *history), -len(earlier)):
            try:
                state = view.fold(state, decode(stored))
                if number >= 0:
                    async with self._connection.transaction():
                        await table.write(self._connection, self._log, {order_id: table.row(state)})
            except Exception as error:
                if not is_about_data(error):
                    raise
                first = max(number, 0)
                self._park(index, history[first : first + 1], _reason(error))
                self._park(index, history[first + 1 :], AFTER_PARKED)
                return

    async def _remember(self, decode: Decode, first: Mapping[UUID, LoggedEvent]) -> None:
        """Have every order of the batch in memory, as it stands before its first event there."""
        nothing, unknown = [None] * len(self._views), [_UNKNOWN] * len(self._views)
        cold: dict[UUID, LoggedEvent] = {}
        for order_id, event in first.items():
            if order_id in self._memory:
                continue
            begins = event.stream_id == order_id and event.stream_version <= 1
            self._memory[order_id] = Folded(nothing.copy(), nothing.copy() if begins else unknown.copy())
            if not begins and self._open(order_id):
                cold[order_id] = event
        async for stored in self._before(cold):
            order_id = stored.order_id
            states = self._memory[order_id].states
            try:
                event_read = decode(stored)
                for index, fold in self._folds_for(order_id)[type(event_read)]:
                    states[index] = fold(states[index], event_read)
            except Exception:  # noqa: BLE001  (as in `_fold`)
                self._doubtful |= dict.fromkeys((index, order_id) for index, _ in self._open(order_id))

    def _folds_for(self, order_id: UUID) -> Mapping[type[Any], Sequence[tuple[int, Callable[[Any, Any], Any]]]]:
        """The folds of the views that go on with an order: nearly always all."""
        if not self._closed and not self._doubtful:
            return self._folds
        views = self._open(order_id)
        return self._folds if len(views) == len(self._views) else Folds(views)

    def _open(self, order_id: UUID) -> list[tuple[int, View[Any]]]:
        """The views that go on with an order: none of its events is parked, and nothing went wrong with it so far."""
        known = self._closed | self._doubtful.keys() if self._doubtful else self._closed
        return [(index, view) for index, view in enumerate(self._views) if (index, order_id) not in known]

    async def _before(self, first: Mapping[UUID, LoggedEvent]) -> AsyncIterator[LoggedEvent]:
        """All that lies before these events of these orders, some orders a query."""
        wanted = [(order_id, event.position) for order_id, event in first.items()]
        for start in range(0, len(wanted), _ORDERS_READ):
            orders, positions = zip(*wanted[start : start + _ORDERS_READ], strict=True)
            async with self._connection.cursor(binary=True) as cursor:
                await cursor.execute(sql.select_logged_before(self._log).encode(), (list(orders), list(positions)))
                for event in logged(await cursor.fetchall()):
                    yield event

    async def _parked_before(self, orders: list[UUID]) -> set[tuple[int, UUID]]:
        query = (
            "SELECT DISTINCT view, order_id FROM views.parked WHERE log = %s AND view = ANY(%s) AND order_id = ANY(%s)"
        )
        index = {view.name: number for number, view in enumerate(self._views)}
        cursor = await self._connection.execute(query, (self._log, list(index), orders))
        return {(index[row[0]], row[1]) for row in await cursor.fetchall()}

    def _park(self, index: int, events: Sequence[LoggedEvent], reason: str) -> None:
        self._parked += [(self._views[index].name, event, reason) for event in events]

    async def _write_parked(self) -> None:
        query = """
            INSERT INTO views.parked (view, log, position, order_id, reason)
            SELECT view, %s, position, order_id, reason
            FROM unnest(%s::text[], %s::bigint[], %s::uuid[], %s::text[]) AS p (view, position, order_id, reason)
            ON CONFLICT DO NOTHING
        """
        if self._parked:
            views, events, reasons = zip(*self._parked, strict=True)
            where = ([event.position for event in events], [event.order_id for event in events])
            await self._connection.execute(query, (self._log, list(views), *where, list(reasons)))


def _by_order(events: Sequence[LoggedEvent]) -> dict[UUID, list[LoggedEvent]]:
    found: dict[UUID, list[LoggedEvent]] = {}
    for event in events:
        history = found.get(event.order_id)
        if history is None:
            found[event.order_id] = [event]
        else:
            history.append(event)
    return found


def is_about_data(error: Exception) -> bool:
    """Whether the event is to blame. What the database says about itself (gone, full, no such table) is not parked."""
    return not isinstance(error, psycopg.Error) or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return text.replace("\x00", "�")[:_REASON_MAX]
