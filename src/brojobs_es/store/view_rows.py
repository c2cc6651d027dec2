"""The rows of one view's table, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from brojobs_es.projections.view import View

Connection = AsyncConnection[TupleRow]
Row = tuple[object, ...]
"""The values of a view's columns; None in its place for an order that the view does not list."""

_FIXED: Final = ("order_id", "log")


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
        if values.keys() != self._view.columns.keys():
            raise ValueError(f"a row of {self._view.name} has {sorted(values)}, not {sorted(self._columns)}")
        return tuple([values[name] for name in self._columns])

    async def write(self, connection: Connection, log: int, rows: Mapping[UUID, Row | None]) -> None:
        """Make the table say this of these orders of a log."""
        gone = [order_id for order_id, row in rows.items() if row is None]
        if gone:
            await connection.execute(sql.SQL("DELETE FROM {} WHERE order_id = ANY(%s)").format(self._table), (gone,))
        names = (*_FIXED, *self._columns)
        kept = [dict(zip(names, (order, log, *row), strict=True)) for order, row in rows.items() if row is not None]
        if kept:
            await connection.execute(self._upsert, (msgspec.json.encode(kept),))

    def _upsert_statement(self) -> sql.Composed:
        """One JSON array in, any number of rows out."""
        names = [sql.Identifier(name) for name in (*_FIXED, *self._columns)]
        shapes: list[sql.Composable] = [sql.SQL("order_id uuid, log int")]
        shapes += [
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_known_type(kind)))
            for name, kind in self._view.columns.items()
        ]
        comma = sql.SQL(", ")
        return sql.SQL(
            "INSERT INTO {table} ({names}) "
            "SELECT {names} FROM json_to_recordset(convert_from(%b, 'UTF8')::json) AS r ({shapes}) "
            "ON CONFLICT (order_id) DO UPDATE SET {changes}"
        ).format(
            table=self._table,
            names=comma.join(names),
            shapes=comma.join(shapes),
            changes=comma.join(sql.SQL("{0} = excluded.{0}").format(name) for name in names[1:]),
        )


def _known_type(kind: str) -> Any:
    """A column's SQL type, which is put into a statement as it is: letters, digits and brackets only."""
    if not kind.replace(" ", "").replace("[", "").replace("]", "").isalnum():
        raise ValueError(f"not an SQL type: {kind!r}")
    return kind
