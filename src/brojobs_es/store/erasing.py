"""Erasures in the database, with the rights of the eraser, who destroys keys and cannot read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo
from brojobs_es.store.log import Logs

_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended('brojobs erasure', 0))"
_UNLOCK: Final = "SELECT pg_advisory_unlock(hashtextextended('brojobs erasure', 0))"
_NEXT_EPOCH: Final = "UPDATE vault.epoch SET number = number + 1"
_VACUUM_LOCK_TIMEOUT: Final = "5s"


class PostgresEraser:
    """The erasures of one database."""

    def __init__(self, url: str, logs: Logs, connection: AsyncConnection[TupleRow]) -> None:
        self._url = url
        self._logs = logs
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, logs: Logs) -> AsyncIterator[Self]:
        """Connected with a connection of its own."""
        connection = await AsyncConnection.connect(conninfo(url, "brojobs_eraser"), autocommit=True)
        async with connection:
            yield cls(url, logs, connection)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold off every other erasure; psycopg.errors.LockNotAvailable where one takes long."""
        await self._connection.execute(_LOCK)
        try:
            yield
        finally:
            if not self._connection.closed:  # a lost connection has let go of the lock
                await self._connection.execute(_UNLOCK)

    async def keys(self, person: str) -> tuple[int, ...]:
        """The generations of the person's keys that are not destroyed."""
        return await self._generations("SELECT generation FROM vault.keys WHERE person = %s ORDER BY 1", person)

    async def begun(self, person: str) -> tuple[int, ...]:
        """The generations whose erasure was begun and not finished."""
        query = "SELECT generation FROM vault.erasures WHERE person = %s AND finished_at IS NULL ORDER BY 1"
        return await self._generations(query, person)

    async def begin(self, person: str, generations: Sequence[int]) -> None:
        """Hand these keys out no more."""
        query = "INSERT INTO vault.erasures (person, generation) SELECT %s, unnest(%s::bigint[])"
        await self._change(query, person, generations)

    async def fence(self) -> None:
        """Have each log's turn to append once: it comes after those of all who wait for it already."""
        for log in range(self._logs.count):
            async with self._connection.transaction():
                await self._connection.execute("SET LOCAL lock_timeout = '60s'")
                lock = f"SELECT pg_advisory_xact_lock(hashtextextended('brojobs append {sql.schema(log)}', 0))"
                await self._connection.execute(lock.encode())

    async def take_back(self, person: str, generations: Sequence[int]) -> None:
        """Hand them out again."""
        query = "DELETE FROM vault.erasures WHERE person = %s AND generation = ANY(%s) AND finished_at IS NULL"
        await self._change(query, person, generations)

    async def finish(self, person: str, generations: Sequence[int]) -> None:
        """Destroy the keys. Their bytes then leave the table's file, too, where we may see to that."""
        destroy = "DELETE FROM vault.keys WHERE person = %s AND generation = ANY(%s)"
        note = "UPDATE vault.erasures SET finished_at = clock_timestamp() WHERE person = %s AND generation = ANY(%s)"
        await self._change(destroy, person, generations, note)

    async def empty_files(self, person: str, generations: Sequence[int]) -> int:
        """Remove the bytes of files that these keys seal from their rows; how many files there were."""
        count = 0
        async with self._connection.transaction():
            await self._connection.execute("SET LOCAL statement_timeout = 0")  # no index leads to a person's files
            for log in range(self._logs.count):
                cursor = await self._connection.execute(sql.empty_files(log).encode(), (person, list(generations)))
                count += cursor.rowcount
        return count

    async def rewrite(self) -> bool:
        """Write the table of keys anew without the destroyed ones; whether the user of the URL was allowed to.

        A deleted row's bytes otherwise stay in the table's file until something is written over them.
        """
        told: list[str] = []
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                connection.add_notice_handler(lambda notice: told.append(notice.sqlstate or ""))
                await connection.execute(f"SET lock_timeout = '{_VACUUM_LOCK_TIMEOUT}'".encode())
                await connection.execute("VACUUM (FULL) vault.keys")
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable):
            return False
        return not told

    async def orders_naming(self, person: str) -> list[UUID]:
        """All orders in whose events or files the person's id stands. Reads every event: this is rare, and must be true."""
        needle = json.dumps(person, ensure_ascii=False).encode()
        found: set[UUID] = set()
        for log in range(self._logs.count):
            query = f"""
                SELECT order_id FROM {sql.schema(log)}.events WHERE position(%(needle)s::bytea IN state) > 0
                UNION SELECT order_id FROM {sql.schema(log)}.files WHERE uploaded_by = %(person)s
            """
            async with self._logs.connection() as connection, connection.transaction():
                await connection.execute("SET LOCAL statement_timeout = 0")
                cursor = await connection.execute(query.encode(), {"needle": needle, "person": person})
                found |= {row[0] for row in await cursor.fetchall()}
        return sorted(found)

    async def _generations(self, query: str, person: str) -> tuple[int, ...]:
        cursor = await self._connection.execute(query.encode(), (person,))
        return tuple(row[0] for row in await cursor.fetchall())

    async def _change(self, query: str, person: str, generations: Sequence[int], *more: str) -> None:
        values: tuple[Any, ...] = (person, list(generations))
        async with self._connection.transaction():
            for statement in (query, *more):
                await self._connection.execute(statement.encode(), values)
            await self._connection.execute(_NEXT_EPOCH)
