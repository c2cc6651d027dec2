"""The logs as the service uses them while somebody waits: append one command's events, load an order's history."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from brojobs_es.application.records import (
    Append,
    FileRow,
    IdempotencyRecord,
    KeyTaken,
    NewEvent,
    RecordedEvent,
    RefusedCommand,
    StoreUnavailable,
    VersionConflict,
    VersionGap,
)
from brojobs_es.ids import log_of
from brojobs_es.store import sql
from brojobs_es.store.append import LogWriter
from brojobs_es.store.arrays import BigInts, BytesOrNulls, Texts, Uuids
from brojobs_es.store.batches import Batches
from brojobs_es.store.connections import Retrying, conninfo, pool
from brojobs_es.store.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

__all__ = [
    "Append",
    "FileRow",
    "IdempotencyRecord",
    "KeyTaken",
    "Logs",
    "NewEvent",
    "RecordedEvent",
    "RefusedCommand",
    "StoreUnavailable",
    "VersionConflict",
    "VersionGap",
]

T = TypeVar("T")

_MIN_CONNECTIONS: Final = 2


class Logs:
    """All logs of one database, through one pool of connections that take the role of the writer.

    Every method raises StoreUnavailable where the database is not reached within `patience_seconds`; after a restart
    or a failover of the database the pool finds its way back by itself.
    """

    def __init__(self, url: str, logs: int = 1, *, max_connections: int = 10, patience_seconds: float = 5.0) -> None:
        self.count = logs
        target = conninfo(url, "brojobs_writer")
        self._pool = pool(target, max_connections, patience_seconds, least=min(_MIN_CONNECTIONS, max_connections))
        self._db = Retrying(self._pool, patience_seconds)
        self._writing = pool(target, logs, patience_seconds)  # of their own: nobody who writes waits for those who read
        self._loads = [Batches(partial(self._load_after, number)) for number in range(logs)]
        self._new_files = [Batches(partial(self._add_files, number)) for number in range(logs)]
        self.writers = [LogWriter(Retrying(self._writing, patience_seconds), number) for number in range(logs)]
        self.listener = Listener(target, [sql.channel(number) for number in range(logs)])

    async def open(self) -> None:
        """Connect; StoreUnavailable where that takes longer than the patience."""
        await self._pool.open()
        await self._writing.open()
        try:
            await self.ping()
        except StoreUnavailable:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections; reads and appends under way end first."""
        await self.listener.close()
        for writer in self.writers:
            await writer.close()
        await self._writing.close()
        await self._pool.close()

    async def ping(self) -> None:
        """Ask the database something; StoreUnavailable if it doesn't answer."""
        await self._db.run(_ping)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection for queries over views; errors of reaching the database come out as StoreUnavailable."""
        async with self._db.connection() as connection:
            yield connection

    async def run(self, work: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]) -> T:
        """Do work that may safely be done twice, on a connection of the pool."""
        return await self._db.run(work)

    def log_of(self, stream_id: UUID) -> int:
        """The number of the log in which an order (or a dispute of it) lives."""
        return log_of(stream_id, self.count)

    async def append(self, append: Append) -> list[int]:
        """Store one command's events, and the answer for its key, in one commit; returns the events' positions.

        Raises KeyTaken (first of all, where the key already has an answer), VersionConflict, VersionGap. When the
        connection dies around the commit, what really happened is found out before anything is answered.
        """
        return await self.writers[self.log_of(append.order_id)].write(append)

    async def load(self, order_id: UUID, after: int = 0) -> list[RecordedEvent]:
        """An order's history after a position: its own events and its disputes', by position."""
        return await self._loads[self.log_of(order_id)].ask((order_id, after))

    async def _load_after(self, log: int, asked: Sequence[tuple[UUID, int]]) -> list[list[RecordedEvent]]:
        orders, positions = Uuids([order_id for order_id, _ in asked]), BigInts([after for _, after in asked])
        histories: list[list[RecordedEvent]] = [[] for _ in asked]
        for number, *event in await self._rows(sql.select_orders_after(log), (orders, positions)):
            histories[number - 1].append(RecordedEvent(log, *event))
        return histories

    async def load_many(self, order_ids: Sequence[UUID]) -> dict[UUID, list[RecordedEvent]]:
        """The histories of several orders, one query a log; an order without events is left out."""
        by_log: dict[int, list[UUID]] = {}
        for order_id in order_ids:
            by_log.setdefault(self.log_of(order_id), []).append(order_id)
        histories: dict[UUID, list[RecordedEvent]] = {}
        for log, ids in by_log.items():
            for event in await self._events(log, sql.select_orders(log), (ids,)):
                histories.setdefault(event.order_id, []).append(event)
        return histories

    async def order_of_stream(self, stream_id: UUID) -> UUID | None:
        """The order that a stream belongs to: itself, or for a dispute its order; None where nothing is stored."""
        rows = await self._rows(sql.select_order_of_stream(self.log_of(stream_id)), (stream_id,))
        return rows[0][0] if rows else None

    async def find_key(self, caller: str, key: str) -> IdempotencyRecord | None:
        """The answer kept for a caller's key, in whichever log; the oldest, should two logs have taken it at once."""
        rows = await self._rows(sql.select_key(range(self.count)), {"caller": caller, "key": key})
        return IdempotencyRecord(*rows[0]) if rows else None

    async def add_file(self, file: FileRow, content: bytes | None = None) -> FileRow:
        """Note a file of an order, with its sealed bytes or without; the row that stands.

        Where its uploader gave the order that content before under the same key, that is the old one.
        """
        while (kept := await self._new_files[self.log_of(file.order_id)].ask((file, content))) is None:
            pass  # the same file was being noted at this very moment; now it is there
        return kept

    async def _add_files(self, log: int, new: Sequence[tuple[FileRow, bytes | None]]) -> list[FileRow | None]:
        files = [file for file, _ in new]
        columns = (
            Uuids([file.order_id for file in files]),
            Texts([file.file_id for file in files]),
            Texts([file.name for file in files]),
            BigInts([file.size for file in files]),
            Texts([file.media_type for file in files]),
            Texts([file.uploaded_by for file in files]),
            Texts([file.uploaded_at.isoformat() for file in files]),
            BigInts([file.key for file in files]),
            BytesOrNulls([content for _, content in new]),
        )
        kept = {_identity(file): file for file in starmap(FileRow, await self._rows(sql.insert_files(log), columns))}
        return [kept.get(_identity(file)) for file in files]

    async def files(self, order_id: UUID, file_ids: Sequence[str] | None = None) -> list[FileRow]:
        """An order's files, all of them or those named, by time of upload."""
        query = sql.select_files(self.log_of(order_id))
        wanted = list(file_ids) if file_ids is not None else None

        async def read(connection: AsyncConnection[TupleRow]) -> list[FileRow]:
            async with connection.cursor(row_factory=class_row(FileRow)) as cursor:
                await cursor.execute(query, {"order_id": order_id, "file_ids": wanted})
                return await cursor.fetchall()

        return await self._db.run(read)

    async def file_content(self, file: FileRow) -> bytes | None:
        """The sealed bytes that lie in a file's row; None where there are none."""
        rows = await self._rows(sql.select_file_content(self.log_of(file.order_id)), _identity(file))
        return rows[0][0] if rows else None

    async def add_refusal(self, refused: RefusedCommand) -> None:
        """Keep a refused command; one without an order goes to log 0."""
        log = self.log_of(refused.order_id) if refused.order_id is not None else 0
        who = (refused.order_id, refused.actor_id, refused.actor_role)
        await self._rows(sql.insert_refusal(log), (*who, refused.command, refused.code, refused.command_id, refused.at))

    async def refusals(self, log: int, after: int, limit: int) -> list[tuple[int, RefusedCommand]]:
        """Refused commands of a log after a number, with their numbers, oldest first."""
        rows = await self._rows(sql.select_refusals(log), (after, limit))
        return [(number, RefusedCommand(*values)) for number, *values in rows]

    async def last_position(self, log: int) -> int:
        """The position of a log's newest event; 0 for an empty log."""
        rows = await self._rows(sql.select_last_position(log), ())
        return int(rows[0][0])

    async def read(self, log: int, after: int, limit: int) -> list[RecordedEvent]:
        """A log's events after a position, in commit order; whoever asks after its last one misses none."""
        return await self._events(log, sql.select_after(log), (after, limit))

    async def _events(self, log: int, query: str, params: tuple[Any, ...]) -> list[RecordedEvent]:
        return [RecordedEvent(log, *row) for row in await self._rows(query, params)]

    async def _rows(self, query: str, params: Any) -> list[TupleRow]:
        async def ask(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(query, params)
                return await cursor.fetchall() if cursor.description else []

        return await self._db.run(ask)


async def _ping(connection: AsyncConnection[TupleRow]) -> None:
    await connection.execute("SELECT 1")


def _identity(file: FileRow) -> tuple[UUID, str, str, int]:
    return (file.order_id, file.file_id, file.uploaded_by, file.key)
