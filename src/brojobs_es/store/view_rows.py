"""The rows of one view's table, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from brojobs_es.projections.view import View

Connection = AsyncConnection[TupleRow]
Row = tuple[object, ...]
"""The values of a view's columns; None in its place for an order that the view does not list."""


class RowTable:
    """`views.<name>`: a row an order, made from the fold's state and from nothing else."""

    def __init__(self, view: View[Any]) -> None:
        self._view = view
        self._columns = tuple(view.columns)
        self._table = sql.Identifier("views", view.name)
        self._upsert = self._upsert_statement().as_bytes(None)

    async def clear(self, connection: Connection) -> None:
        """Empty the table."""
        await connection.execute(sql.SQL("DELETE FROM {}").format(self._table))

    def row(self, state: Any) -> Row | None:
        """The row of an order folded into this state; None for none."""
        values = self._view.row(state) if state is not None else None
        if values is None:
            return None
        if tuple(values) == self._columns:
            return tuple(values.values())
        if values.keys() != self._view.columns.keys():
            raise ValueError(f"a row of {self._view.name} has {sorted(values)}, not {sorted(self._columns)}")
        return tuple([values[name] for name in self._columns])

    async def write(self, connection: Connection, log: int, rows: Mapping[UUID, Row | None]) -> None:
        """Make the table say this of these orders of a log."""
        gone = [order_id for order_id, row in rows.items() if row is None]
        if gone:
            await connection.execute(sql.SQL("DELETE FROM {} WHERE order_id = ANY(%s)").format(self._table), (gone,))
        kept = [(order_id, *row) for order_id, row in rows.items() if row is not None]
        if kept:
            await self.write_made(connection, log, msgspec.json.encode(kept))

    async def write_made(self, connection: Connection, log: int, rows: bytes) -> None:
        """The same for a JSON array with an array for each row: the order's id, and the columns' values."""
        await connection.execute(self._upsert, (log, rows))

    def _upsert_statement(self) -> sql.Composed:
        """A log and one JSON array of arrays in, any number of rows out. The names of columns are not sent with each row."""
        names = [sql.Identifier(name) for name in ("order_id", "log", *self._columns)]
        values: list[sql.Composable] = [sql.SQL("(r ->> 0)::uuid, %s")]
        values += [
            sql.SQL("(r ->> {})::{}").format(sql.Literal(number), sql.SQL(_known_type(kind)))
            for number, kind in enumerate(self._view.columns.values(), 1)
        ]
        comma = sql.SQL(", ")
        return sql.SQL(
            "INSERT INTO {table} ({names}) "
            "SELECT {values} FROM jsonb_array_elements(convert_from(%b, 'UTF8')::jsonb) AS r "
            "ON CONFLICT (order_id) DO UPDATE SET {changes}"
        ).format(
            table=self._table,
            names=comma.join(names),
            values=comma.join(values),
            changes=comma.join(sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]),
        )


def _known_type(kind: str) -> Any:
    """A column's SQL type, which is put into a statement as it is: letters, digits and brackets only."""
    if not kind.replace(" ", "").replace("[", "").replace("]", "").isalnum():
        raise ValueError(f"not an SQL type: {kind!r}")
    return kind
