"""How one command's events get into a log: the one place that writes them, and the one that finds out what happened.

A later writer may put several commands into one transaction; it has to keep `LogWriter.write`, nothing else.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.application.records import (
    Append,
    IdempotencyRecord,
    KeyTaken,
    NewEvent,
    StoreUnavailable,
    VersionConflict,
    VersionGap,
)
from brojobs_es.store import sql
from brojobs_es.store.connections import ConnectionLost, Retrying


class LogWriter:
    """Appends to one log."""

    def __init__(self, db: Retrying, log: int) -> None:
        self._db = db
        self._log = log

    async def write(self, append: Append) -> list[int]:
        """Store all of it or nothing, and answer truly, also when the connection dies around the commit.

        Repeating a lost try is safe: whichever of the two the database takes second, hits the first one's rows, and
        rows equal to ours are ours.
        """
        uncertain = False
        patience = self._db.patience()
        while await patience.another_try():
            try:
                async with self._db.connection() as connection:
                    return await self._insert(connection, append)
            except ConnectionLost:
                uncertain = True
            except psycopg.errors.UniqueViolation as error:
                if uncertain and (positions := await self._already_stored(append)) is not None:
                    return positions
                raise await self._conflict(append) from error
            except psycopg.Error as error:
                if error.sqlstate == sql.VERSION_GAP:
                    raise VersionGap(str(error)) from error
                raise
        raise StoreUnavailable("the connection was lost while storing, and what became of it cannot be known yet")

    async def _insert(self, connection: AsyncConnection[TupleRow], append: Append) -> list[int]:
        record = append.idempotency
        if len(append.events) <= sql.STATEMENT_MAX:
            if record is not None and append.events:
                query, params = sql.insert_events_and_key(self._log), (*_columns(append), *_key_values(record))
            elif append.events:
                query, params = sql.insert_events(self._log), _columns(append)
            elif record is not None:
                query, params = sql.insert_key(self._log), _key_values(record)
            else:
                return []
            cursor = await connection.execute(query, params)
            return [row[0] for row in await cursor.fetchall()] if append.events else []
        positions: list[int] = []
        async with connection.transaction():
            if record is not None:
                await connection.execute(sql.insert_key(self._log), _key_values(record))
            for start in range(0, len(append.events), sql.STATEMENT_MAX):
                part = append.events[start : start + sql.STATEMENT_MAX]
                cursor = await connection.execute(sql.insert_events(self._log), _columns(append, part))
                positions += [row[0] for row in await cursor.fetchall()]
        return positions

    async def _already_stored(self, append: Append) -> list[int] | None:
        """The positions of these very events and of this very record; None if the log holds others or only some."""
        if append.idempotency is not None and await self._find_key(append.idempotency) != append.idempotency:
            return None
        if not append.events:
            return []

        async def ask(connection: AsyncConnection[TupleRow]) -> list[int]:
            cursor = await connection.execute(sql.select_same(self._log), _columns(append)[1:])
            return [row[0] for row in await cursor.fetchall()]

        positions = await self._db.run(ask)
        return positions if len(positions) == len(append.events) else None

    async def _conflict(self, append: Append) -> KeyTaken | VersionConflict:
        """What a hit on a unique index means: first of all, whether the command itself was already answered."""
        if append.idempotency is not None:
            kept = await self._find_key(append.idempotency)
            if kept is not None:
                return KeyTaken(kept)
        return VersionConflict(f"order {append.order_id} was changed by somebody else")

    async def _find_key(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        async def ask(connection: AsyncConnection[TupleRow]) -> TupleRow | None:
            where = {"caller": record.caller, "key": record.key}
            cursor = await connection.execute(sql.select_key([self._log]), where)
            return await cursor.fetchone()

        row = await self._db.run(ask)
        return IdempotencyRecord(*row) if row is not None else None


def _columns(append: Append, events: tuple[NewEvent, ...] | None = None) -> tuple[list[Any], ...]:
    part = append.events if events is None else events
    return (
        [append.order_id] * len(part),
        [event.stream_id for event in part],
        [event.stream_version for event in part],
        [event.topic for event in part],
        [event.state for event in part],
    )


def _key_values(record: IdempotencyRecord) -> tuple[Any, ...]:
    return (record.caller, record.key, record.request_digest, record.order_id, record.answer)
