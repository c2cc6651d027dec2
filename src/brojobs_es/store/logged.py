"""Stored events as folds read them, by the million: a batch after a position, or all of a log, one order after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from brojobs_es.application.records import LoggedEvent
from brojobs_es.store import sql

Connection = AsyncConnection[TupleRow]

BATCH: Final = 2000
"""Events of one reading, when there are as many."""


def logged(rows: Iterable[tuple[Any, ...]]) -> list[LoggedEvent]:
    """Events of rows with the columns of `sql.select_logged_…`."""
    return [
        LoggedEvent(at, order, stream or order, version, topic, state)
        for at, order, stream, version, topic, state in rows
    ]


def logged_by_order(rows: Iterable[tuple[Any, ...]], order_id: UUID | None) -> list[LoggedEvent]:
    """The same where an order stands in its first row only; `order_id` is that of the row before. Its events share the id."""
    found = []
    for at, order, stream, version, topic, state in rows:
        order_id = order or order_id
        assert order_id is not None
        found.append(LoggedEvent(at, order_id, stream or order_id, version, topic, state))
    return found


async def asked_after(connection: Connection, log: int, position: int) -> AsyncCursor[TupleRow]:
    """At most a batch of the events after a position; in a pipeline the answer is not waited for."""
    cursor = connection.cursor(binary=True)
    return await cursor.execute(sql.select_logged_after(log).encode(), (position, BATCH))


async def by_order(connection: Connection, log: int, last: int) -> AsyncGenerator[list[LoggedEvent], None]:
    """All events up to a position in batches, one order after the other; an order may go on in the next batch.

    The next batch is on its way while the caller works on this one. Needs a transaction and a connection of its own.
    """
    async with connection.cursor(name="orders", binary=True) as cursor:
        await cursor.execute(sql.select_logged_by_order(log).encode(), (last,))
        order_id: UUID | None = None
        coming = asyncio.create_task(cursor.fetchmany(BATCH))
        try:
            while rows := await coming:
                coming = asyncio.create_task(cursor.fetchmany(BATCH))
                events = logged_by_order(rows, order_id)
                order_id = events[-1].order_id
                yield events
        finally:
            if not coming.done():
                coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
