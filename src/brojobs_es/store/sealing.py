"""The evidence of the logs in the database: digests, tree and checkpoints, added by the sealer and read for proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.store.connections import Retrying, conninfo, pool
from brojobs_es.store.sql import schema

Connection = AsyncConnection[TupleRow]

EventRow = tuple[int, bytes, bytes]
"""Position, order (its id's 16 bytes), digest."""

_DIGEST_COLUMNS: Final = "position, order_id, leaf_index, digest, chain"
_DIGEST_ROW: Final = Struct(">h iq i16s iq i32s i32s")
COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END: Final = b"\xff\xff"
_HASH_BYTES: Final = 32
_MAX_CONNECTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Sealed:
    """Where a log's evidence ends: the last sealed event."""

    position: int
    leaf_index: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A stored checkpoint; its age in seconds by the database's clock."""

    size: int
    root: bytes
    note: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Leaf:
    """A sealed event as the tree has it."""

    position: int
    order_id: UUID
    index: int
    digest: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class StoredStamp:
    """A checkpoint with what a time stamping authority answered for it."""

    size: int
    note: str
    response: bytes


def packed(position: int, order: bytes, leaf_index: int, digest: bytes, chain: bytes) -> bytes:
    """A row of digests as PostgreSQL copies it in binary form; `order` is the id's 16 bytes."""
    assert len(digest) == len(chain) == _HASH_BYTES
    return _DIGEST_ROW.pack(5, 8, position, 16, order, 8, leaf_index, 32, digest, 32, chain)


def unpacked(row: bytes) -> tuple[int, bytes, int, bytes, bytes]:
    """The opposite of `packed`; ValueError where the row has another shape."""
    if len(row) != _DIGEST_ROW.size:
        raise ValueError("a row of digests has another length")
    columns, *fields = _DIGEST_ROW.unpack(row)
    if (columns, *fields[::2]) != (5, 8, 16, 8, 32, 32):
        raise ValueError("a row of digests has another shape")
    return tuple(fields[1::2])


class SealStore:
    """The evidence of all logs, through connections that take the role of the sealer (or, to read only, another).

    Every method raises StoreUnavailable where the database is not reached.
    """

    def __init__(self, url: str, *, role: str = "brojobs_sealer", patience_seconds: float = 5.0) -> None:
        self._pool = pool(conninfo(url, role), _MAX_CONNECTIONS, patience_seconds, least=0)
        self._db = Retrying(self._pool, patience_seconds)

    async def open(self) -> None:
        """Get ready to connect; the first use does."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def deployment_id(self) -> UUID:
        """What tells this database from every other."""
        rows = await self._rows("SELECT id FROM brojobs.deployment", ())
        found: UUID = rows[0][0]
        return found

    @asynccontextmanager
    async def sealing(self, log: int) -> AsyncIterator[Sealing | None]:
        """A transaction that alone adds to a log's evidence; None where somebody else is at it."""
        async with self._db.connection() as connection, connection.transaction():
            query = f"SELECT pg_try_advisory_xact_lock(hashtextextended('brojobs seal {schema(log)}', 0))"
            row = await (await connection.execute(query)).fetchone()
            yield Sealing(connection, log) if row is not None and row[0] else None

    async def behind(self, log: int) -> bool:
        """Whether a log has events that are not sealed, or sealed ones under no checkpoint."""
        name = schema(log)
        query = f"""
            SELECT (SELECT max(position) FROM {name}.events) IS DISTINCT FROM (SELECT max(position) FROM {name}.digests)
                OR (SELECT max(leaf_index) + 1 FROM {name}.digests) IS DISTINCT FROM (SELECT max(size) FROM {name}.checkpoints)
        """
        return bool((await self._rows(query, ()))[0][0])

    async def newest_head(self, log: int) -> SignedHead | None:
        """The newest checkpoint."""
        return _head(await self._rows(_NEWEST_HEAD.format(schema(log)), ()))

    async def head(self, log: int, size: int) -> SignedHead | None:
        """The checkpoint of exactly this size."""
        return _head(await self._rows(_HEAD_OF_SIZE.format(schema(log)), (size,)))

    async def witnessed_head(self, log: int, leaf_index: int) -> SignedHead | None:
        """The newest checkpoint over a leaf that a witness has signed as well."""
        name = schema(log)
        query = f"""
            SELECT {_HEAD_COLUMNS} FROM {name}.checkpoints
            WHERE size = (SELECT max(size) FROM {name}.cosignatures WHERE size > %s)
        """
        return _head(await self._rows(query, (leaf_index,)))

    async def cosignatures(self, log: int, size: int) -> list[str]:
        """The lines that witnesses put under a checkpoint, by witness."""
        query = f"SELECT line FROM {schema(log)}.cosignatures WHERE size = %s ORDER BY witness"
        return [row[0] for row in await self._rows(query, (size,))]

    async def add_cosignature(self, log: int, size: int, witness: str, line: str) -> bool:
        """Keep a witness's line under a checkpoint; False where it already has one of that witness."""
        query = f"""
            INSERT INTO {schema(log)}.cosignatures (size, witness, line) VALUES (%s, %s, %s)
            ON CONFLICT DO NOTHING RETURNING 1
        """
        return bool(await self._rows(query, (size, witness, line)))

    async def to_stamp(self, log: int, every_seconds: float) -> SignedHead | None:
        """The newest checkpoint, if it has no stamp and the log's last stamp is old enough."""
        name = schema(log)
        query = f"""
            SELECT {_HEAD_COLUMNS} FROM {name}.checkpoints c
            WHERE size = (SELECT max(size) FROM {name}.checkpoints) AND NOT EXISTS (
                SELECT FROM {name}.stamps s
                WHERE s.size >= c.size OR s.received_at > clock_timestamp() - make_interval(secs => %s))
        """
        return _head(await self._rows(query, (every_seconds,)))

    async def add_stamp(self, log: int, size: int, response: bytes, stamped_at: datetime) -> None:
        """Keep an authority's answer for a checkpoint, unless there is one."""
        query = f"""
            INSERT INTO {schema(log)}.stamps (size, response, stamped_at) VALUES (%s, %s, %s)
            ON CONFLICT DO NOTHING RETURNING 1
        """
        await self._rows(query, (size, response, stamped_at))

    async def stamp_over(self, log: int, leaf_index: int) -> StoredStamp | None:
        """The newest stamped checkpoint over a leaf."""
        name = schema(log)
        query = f"""
            SELECT size, note, response FROM {name}.stamps JOIN {name}.checkpoints USING (size)
            WHERE size > %s ORDER BY size DESC LIMIT 1
        """
        rows = await self._rows(query, (leaf_index,))
        return StoredStamp(*rows[0]) if rows else None

    async def leaf_at(self, log: int, position: int) -> Leaf | None:
        """The sealed event at a position."""
        query = f"""
            SELECT position, order_id, leaf_index, digest, chain FROM {schema(log)}.digests WHERE position = %s
        """
        rows = await self._rows(query, (position,))
        return Leaf(*rows[0]) if rows else None

    async def has_event(self, log: int, position: int) -> bool:
        """Whether there is an event at a position, sealed or not."""
        return bool(await self._rows(f"SELECT FROM {schema(log)}.events WHERE position = %s", (position,)))

    async def chains(self, log: int, ranges: Sequence[tuple[int, int]]) -> dict[int, bytes]:
        """The chain heads of ranges of leaves (from, to before), by index."""
        return await self._within(_CHAINS.format(schema(log)), ranges)

    async def nodes(self, log: int, height: int, ranges: Sequence[tuple[int, int]]) -> dict[int, bytes]:
        """The kept nodes of a height within ranges of their indices (from, to before), by index."""
        return await self._within(_NODES.format(schema(log)), ranges, height)

    async def _within(self, query: str, ranges: Sequence[tuple[int, int]], *more: int) -> dict[int, bytes]:
        bounds = ([start for start, _ in ranges], [end for _, end in ranges])
        return dict(await self._rows(query, (*bounds, *more)))

    async def _rows(self, query: str, params: Any) -> list[TupleRow]:
        async def ask(connection: Connection) -> list[TupleRow]:
            return await _fetched(connection, query, params)

        return await self._db.run(ask)


class Sealing:
    """One transaction that adds to a log's evidence."""

    def __init__(self, connection: Connection, log: int) -> None:
        self.log = log
        self._connection = connection
        self._name = schema(log)

    async def last(self) -> Sealed | None:
        """Where the evidence ends."""
        query = f"SELECT position, leaf_index, chain FROM {self._name}.digests ORDER BY leaf_index DESC LIMIT 1"
        rows = await self._rows(query)
        return Sealed(*rows[0]) if rows else None

    async def newest_head(self) -> SignedHead | None:
        """The newest checkpoint."""
        return _head(await self._rows(_NEWEST_HEAD.format(self._name)))

    async def events(self, after: int, limit: int) -> list[EventRow]:
        """Committed events after a position. Positions are in commit order, so none comes in between later.

        The digest is made where the event lies, which spares this process most of the work. It is the one that
        `digests.event_digest` makes, and whoever verifies makes it again, outside the database.
        """
        query = f"""
            SELECT position, uuid_send(order_id), sha256(
                convert_to('{{"log":{self.log},"order_id":"' || order_id || '","position":' || position || ',"state":', 'UTF8')
                || state
                || convert_to(',"stream_id":"' || stream_id || '","stream_version":' || stream_version
                              || ',"topic":"' || topic || '"}}', 'UTF8'))
            FROM {self._name}.events WHERE position > %s ORDER BY position LIMIT %s
        """
        return await self._rows(query, (after, limit))

    async def heads(self, orders: Iterable[bytes]) -> dict[bytes, bytes]:
        """The chain heads of orders that have any."""
        query = f"""
            SELECT uuid_send(o.id), (SELECT chain FROM {self._name}.digests WHERE order_id = o.id
                                     ORDER BY leaf_index DESC LIMIT 1)
            FROM unnest(%s::uuid[]) AS o (id)
        """
        rows = await self._rows(query, ([UUID(bytes=order) for order in orders],))
        return {order: chain for order, chain in rows if chain is not None}

    async def chains(self, start: int, end: int) -> dict[int, bytes]:
        """The chain heads of a range of leaves, by index."""
        return dict(await self._rows(_CHAINS.format(self._name), ([start], [end])))

    async def nodes(self, height: int, start: int, end: int) -> dict[int, bytes]:
        """The kept nodes of a height within a range of their indices, by index."""
        return dict(await self._rows(_NODES.format(self._name), ([start], [end], height)))

    async def relax(self) -> None:
        """Let this transaction commit without waiting for the disk: what it adds would be computed again the same."""
        await self._connection.execute("SET LOCAL synchronous_commit = off")

    async def add(self, digests: bytes, nodes: Iterable[tuple[int, int, bytes]]) -> None:
        """Add sealed events, packed one after the other by `packed`, and the kept nodes that they complete."""
        query = f"COPY {self._name}.digests ({_DIGEST_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            await copy.write(COPY_HEADER + digests + COPY_END)
        kept = list(nodes)
        if kept:
            query = f"INSERT INTO {self._name}.nodes (height, index, hash) SELECT * FROM unnest(%s::int[], %s::bigint[], %s::bytea[])"
            await self._connection.execute(query, tuple(map(list, zip(*kept, strict=True))))

    async def add_heads(self, heads: Iterable[tuple[int, bytes, str]]) -> None:
        """Add checkpoints: size, root, note."""
        query = f"INSERT INTO {self._name}.checkpoints (size, root, note) VALUES (%s, %s, %s)"
        for head in heads:
            await self._connection.execute(query, head)

    async def _rows(self, query: str, params: Any = ()) -> list[TupleRow]:
        return await _fetched(self._connection, query, params)


_HEAD_COLUMNS: Final = "size, root, note, extract(epoch FROM clock_timestamp() - signed_at)::float8"
_NEWEST_HEAD: Final = f"SELECT {_HEAD_COLUMNS} FROM {{}}.checkpoints ORDER BY size DESC LIMIT 1"
_HEAD_OF_SIZE: Final = f"SELECT {_HEAD_COLUMNS} FROM {{}}.checkpoints WHERE size = %s"
_CHAINS: Final = """
    SELECT leaf_index, chain FROM unnest(%s::bigint[], %s::bigint[]) AS r (first, beyond)
    JOIN {}.digests ON leaf_index >= first AND leaf_index < beyond
"""
_NODES: Final = """
    SELECT index, hash FROM unnest(%s::bigint[], %s::bigint[]) AS r (first, beyond)
    JOIN {}.nodes ON index >= first AND index < beyond AND height = %s
"""


async def _fetched(connection: Connection, query: str, params: Any) -> list[TupleRow]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, params)
        return await cursor.fetchall()


def _head(rows: Sequence[TupleRow]) -> SignedHead | None:
    return SignedHead(*rows[0]) if rows else None
