"""Reads everything that verification needs from one moment of the database, as the auditor, row by row."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from struct import Struct, error
from typing import Final
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from brojobs_es.store.connections import conninfo
from brojobs_es.store.sql import schema

_EVENT_HEAD: Final = Struct(">h iq i16s i16s ii i")
_LENGTH: Final = Struct(">i")
_HEADER_BYTES: Final = 19
_END_BYTES: Final = 2
_UNLIMITED: Final = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}

Event = tuple[int, bytes, bytes, int, bytes, bytes]
"""Position, order and stream (16 bytes each), version, topic, state."""


class UnreadableRow(Exception):
    """A row that no version of the service could have stored."""


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A checkpoint as it lies in the database, with the lines of its witnesses and its time stamp."""

    size: int
    root: bytes
    note: str
    lines: list[str]
    stamp: bytes | None
    stamped_at: datetime | None


class Snapshot:
    """One moment of the database; all its readings fit together."""

    def __init__(
        self, asking: Connection[TupleRow], events: Connection[TupleRow], digests: Connection[TupleRow]
    ) -> None:
        self._asking = asking
        self._events = events
        self._digests = digests

    def count(self, log: int) -> int:
        """About how many events a log has: its last position."""
        row = self._asking.execute(f"SELECT coalesce(max(position), 0) FROM {schema(log)}.events").fetchone()
        return int(row[0]) if row is not None else 0

    def events(self, log: int) -> Generator[bytes, None, None]:
        """A log's events in the order of positions, each to be read by `event`."""
        columns = "position, order_id, stream_id, stream_version, topic, state"
        return _copied(self._events, f"SELECT {columns} FROM {schema(log)}.events ORDER BY position")

    def digests(self, log: int) -> Generator[bytes, None, None]:
        """A log's rows of digests in the order of positions, as `sealing.packed` makes them."""
        columns = "position, order_id, leaf_index, digest, chain"
        return _copied(self._digests, f"SELECT {columns} FROM {schema(log)}.digests ORDER BY position")

    def nodes(self, log: int) -> dict[tuple[int, int], bytes]:
        """The kept nodes of a log's tree, by height and index."""
        rows = self._asking.execute(f"SELECT height, index, hash FROM {schema(log)}.nodes")
        return {(height, index): value for height, index, value in rows}

    def heads(self, log: int) -> Iterator[StoredHead]:
        """A log's checkpoints by size."""
        query = f"""
            SELECT c.size, c.root, c.note, coalesce(array_agg(s.line ORDER BY s.witness)
                                                    FILTER (WHERE s.line IS NOT NULL), '{{}}'), t.response, t.stamped_at
            FROM {schema(log)}.checkpoints c LEFT JOIN {schema(log)}.cosignatures s USING (size)
                LEFT JOIN {schema(log)}.stamps t USING (size)
            GROUP BY c.size, c.root, c.note, t.response, t.stamped_at ORDER BY c.size
        """
        with self._asking.cursor(name="heads") as cursor:
            cursor.execute(query)
            for row in cursor:
                yield StoredHead(*row)

    def sealed_of(self, log: int, order_id: UUID) -> dict[int, bytes]:
        """The sealed digests of an order by position."""
        query = f"SELECT position, digest FROM {schema(log)}.digests WHERE order_id = %s"
        return dict(self._asking.execute(query, (order_id,)).fetchall())

    def seconds_since(self, log: int, position: int) -> float:
        """How long ago, by the database's clock, the event at a position was stored."""
        query = f"""
            SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 FROM {schema(log)}.events
            WHERE position = %s
        """
        row = self._asking.execute(query, (position,)).fetchone()
        return float(row[0]) if row is not None else 0.0


@contextmanager
def snapshot(url: str) -> Iterator[Snapshot]:
    """Open one moment of the database, with the rights of the auditor."""
    with ExitStack() as stack:
        asking, *others = (stack.enter_context(_reading(url)) for _ in range(3))
        row = asking.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        for other in others:
            other.execute(psycopg.sql.SQL("SET TRANSACTION SNAPSHOT {}").format(psycopg.sql.Literal(row[0])))
        yield Snapshot(asking, *others)


def _reading(url: str) -> Connection[TupleRow]:
    connection = psycopg.connect(conninfo(url, "brojobs_auditor", **_UNLIMITED))
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def _copied(connection: Connection[TupleRow], query: str) -> Generator[bytes, None, None]:
    """The rows of a query in PostgreSQL's binary form. Whoever stops before the end closes the generator.

    Taken from libpq itself: millions of rows are read here, and each layer above it would cost as much as hashing.
    """
    connection.execute("SAVEPOINT copying")
    link = connection.pgconn
    started = link.exec_(f"COPY ({query}) TO STDOUT (FORMAT BINARY)".encode())
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(started.error_message.decode("utf-8", "replace"))
    whole = False
    try:
        size, row = link.get_copy_data(0)
        row = row[_HEADER_BYTES:]
        while size > 0:
            if len(row) > _END_BYTES:
                yield row.tobytes()
            size, row = link.get_copy_data(0)
        ended = link.get_result()
        if ended is None or ended.status != ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError("the database stopped in the middle of a table")
        whole = True
    finally:
        if not whole:
            link.get_cancel().cancel()
        _drain(link)
        connection.execute("ROLLBACK TO SAVEPOINT copying")


def _drain(link: PGconn) -> None:
    """Read away what is left of a copy, so that the connection takes the next command."""
    with suppress(psycopg.Error):
        while link.get_copy_data(0)[0] > 0:
            pass
    while link.get_result() is not None:
        pass


def event(row: bytes) -> Event:
    """A row of events; raises UnreadableRow."""
    try:
        columns, l1, position, l2, order, l3, stream, l4, version, topic_bytes = _EVENT_HEAD.unpack_from(row)
        start = _EVENT_HEAD.size + topic_bytes
        (state_bytes,) = _LENGTH.unpack_from(row, start)
    except error:
        raise UnreadableRow("a row of events has another shape") from None
    if (columns, l1, l2, l3, l4) != (6, 8, 16, 16, 4) or start + 4 + state_bytes != len(row):
        raise UnreadableRow("a row of events has another shape")
    return position, order, stream, version, row[_EVENT_HEAD.size : start], row[start + 4 :]
