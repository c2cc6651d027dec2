"""One view's table: takes a batch of events, folds them order by order, writes the rows, parks what it cannot take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from brojobs_es.application.records import RecordedEvent
from brojobs_es.projections.view import View

Decode = Callable[[RecordedEvent], Any]
Connection = AsyncConnection[TupleRow]

AFTER_PARKED: Final = "an earlier event of this order is parked"
_REASON_MAX: Final = 1000
_FIXED: Final = ("order_id", "log", "position", "state")


@dataclass(frozen=True, slots=True)
class _Row:
    """What one order's row becomes; `state` None means that there is none."""

    order_id: UUID
    position: int
    state: str | None
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Parked:
    event: RecordedEvent
    reason: str


class ViewTable:
    """Folds events into `views.<name>`. All work happens inside the caller's transaction."""

    def __init__(self, view: View[Any], decode: Decode) -> None:
        self._view = view
        self._decode = decode
        self._table = sql.Identifier("views", view.name)
        self._upsert = self._upsert_statement()

    @property
    def name(self) -> str:
        """The view's name."""
        return self._view.name

    async def clear(self, connection: Connection) -> None:
        """Empty the table and forget what was parked. Readers see the old rows until the transaction commits."""
        await connection.execute(sql.SQL("DELETE FROM {}").format(self._table))
        await connection.execute("DELETE FROM views.parked WHERE view = %s", (self.name,))

    async def take(self, connection: Connection, log: int, events: Sequence[RecordedEvent]) -> int:
        """Fold a batch of one log's events (in order of position) into the table; returns how many were parked.

        An event that cannot be decoded, folded or written is parked with its reason, and so are all later events of its
        order; the row stays as it was before. Where a batch is cut does not change rows. (Only a state that cannot be
        written and is overtaken by a writable one within a batch goes unnoticed.)
        """
        by_order: dict[UUID, list[RecordedEvent]] = {}
        for event in events:
            by_order.setdefault(event.order_id, []).append(event)
        already_parked = await self._parked_orders(connection, log, list(by_order))
        states = await self._states(connection, list(by_order))
        parked: list[_Parked] = []
        rows: list[_Row] = []
        doubtful: list[UUID] = []
        for order_id, history in by_order.items():
            if order_id in already_parked:
                parked += [_Parked(event, AFTER_PARKED) for event in history]
                continue
            try:
                rows.append(self._fold(states.get(order_id), history))
            except Exception:  # noqa: BLE001  (an event may break its reader in any way; found out step by step below)
                doubtful.append(order_id)
        try:
            async with connection.transaction():
                await self._write(connection, log, rows)
        except Exception as error:
            if not _is_about_data(error):
                raise
            doubtful += [row.order_id for row in rows]
        for order_id in doubtful:
            parked += await self._step_by_step(connection, log, states.get(order_id), by_order[order_id])
        await self._park(connection, log, parked)
        return len(parked)

    def _fold(self, stored: str | None, history: Sequence[RecordedEvent]) -> _Row:
        state = self._view.load(stored) if stored is not None else None
        for event in history:
            state = self._view.fold(state, self._decode(event))
        last = history[-1]
        if state is None:
            return _Row(last.order_id, last.position, None, {})
        return _Row(last.order_id, last.position, self._view.dump(state), self._view.row(state))

    async def _step_by_step(
        self, connection: Connection, log: int, stored: str | None, history: Sequence[RecordedEvent]
    ) -> list[_Parked]:
        """Take one order's events one at a time up to the first that cannot be taken; returns it and what follows it."""
        for number, event in enumerate(history):
            try:
                row = self._fold(stored, [event])
                async with connection.transaction():
                    await self._write(connection, log, [row])
            except Exception as error:
                if not _is_about_data(error):
                    raise
                later = [_Parked(after, AFTER_PARKED) for after in history[number + 1 :]]
                return [_Parked(event, _reason(error)), *later]
            stored = row.state
        return []

    async def _parked_orders(self, connection: Connection, log: int, orders: list[UUID]) -> set[UUID]:
        query = "SELECT DISTINCT order_id FROM views.parked WHERE view = %s AND log = %s AND order_id = ANY(%s)"
        cursor = await connection.execute(query, (self.name, log, orders))
        return {row[0] for row in await cursor.fetchall()}

    async def _states(self, connection: Connection, orders: list[UUID]) -> dict[UUID, str]:
        query = sql.SQL("SELECT order_id, state::text FROM {} WHERE order_id = ANY(%s)").format(self._table)
        cursor = await connection.execute(query, (orders,))
        return {row[0]: row[1] for row in await cursor.fetchall()}

    async def _write(self, connection: Connection, log: int, rows: Sequence[_Row]) -> None:
        gone = [row.order_id for row in rows if row.state is None]
        if gone:
            await connection.execute(sql.SQL("DELETE FROM {} WHERE order_id = ANY(%s)").format(self._table), (gone,))
        kept = [self._as_json(row, log) for row in rows if row.state is not None]
        if kept:
            await connection.execute(self._upsert, (json.dumps(kept),))

    def _as_json(self, row: _Row, log: int) -> dict[str, object]:
        if row.values.keys() != self._view.columns.keys():
            raise ValueError(f"a row of {self.name} has {sorted(row.values)}, not {sorted(self._view.columns)}")
        values = {name: _plain(value) for name, value in row.values.items()}
        fixed = {"order_id": str(row.order_id), "log": log, "position": row.position, "state": row.state}
        return {**fixed, **values}

    def _upsert_statement(self) -> sql.Composed:
        """One JSON array in, any number of rows out; `state` travels as text, so nobody has to parse it here."""
        names = [sql.Identifier(name) for name in (*_FIXED, *self._view.columns)]
        shapes: list[sql.Composable] = [sql.SQL("order_id uuid, log int, position bigint, state text")]
        shapes += [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_known_type(kind)))
            for name, kind in self._view.columns.items()
        ]
        values: list[sql.Composable] = [sql.SQL("r.order_id, r.log, r.position, r.state::jsonb")]
        values += [sql.Identifier("r", name) for name in self._view.columns]
        changes = [sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]]
        comma = sql.SQL(", ")
        return sql.SQL(
            "INSERT INTO {table} ({names}) SELECT {values} FROM json_to_recordset(%s::json) AS r ({shapes}) "
            "ON CONFLICT (order_id) DO UPDATE SET {changes}"
        ).format(
            table=self._table,
            names=comma.join(names),
            values=comma.join(values),
            shapes=comma.join(shapes),
            changes=comma.join(changes),
        )

    async def _park(self, connection: Connection, log: int, parked: Iterable[_Parked]) -> None:
        query = """
            INSERT INTO views.parked (view, log, position, order_id, reason) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
        """
        for one in parked:
            event = one.event
            await connection.execute(query, (self.name, log, event.position, event.order_id, one.reason))


def _is_about_data(error: Exception) -> bool:
    """Whether the event is to blame. What the database says about itself (gone, full, no such table) is not parked."""
    return not isinstance(error, psycopg.Error) or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return text.replace("\x00", "�")[:_REASON_MAX]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return value


def _known_type(kind: str) -> Any:
    """A column's SQL type, which is put into a statement as it is: letters, digits and brackets only."""
    if not kind.replace(" ", "").replace("[", "").replace("]", "").isalnum():
        raise ValueError(f"not an SQL type: {kind!r}")
    return kind
