"""Custody: who of the staff looked at a case or took a copy of it, kept beside the events and as unchangeable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.store import sql
from brojobs_es.store.audit import rows_of
from brojobs_es.store.log import Logs

_COLUMNS: Final = "order_id, reader_id, reader_role, what, filters, at"


@dataclass(frozen=True, slots=True)
class Look:
    """One look: at an order, or (`order_id` None) at a log as far as `filters` let the reader see."""

    order_id: UUID | None
    reader_id: str
    reader_role: str
    what: str
    at: datetime
    filters: Mapping[str, str] = field(default_factory=dict)


async def add_look(logs: Logs, look: Look, in_logs: Sequence[int]) -> None:
    """Keep a look in each of these logs; raises StoreUnavailable if it cannot be kept, whatever the reason."""
    values = (look.order_id, look.reader_id, look.reader_role, look.what, Jsonb(dict(look.filters)), look.at)

    async def insert(connection: AsyncConnection[TupleRow]) -> None:
        for log in in_logs:
            query = f"INSERT INTO {sql.schema(log)}.custody ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)"
            await connection.execute(query.encode(), values)

    try:
        await logs.run(insert)  # where a connection is lost a look may be kept twice, but never not at all
    except psycopg.Error as error:
        raise StoreUnavailable(f"custody could not be kept: {error}") from error


async def looks_at(
    logs: Logs, order_id: UUID, mediators: Sequence[str], since: datetime, after: int, limit: int
) -> list[tuple[int, Look]]:
    """Looks at an order after a number, with their numbers, oldest first.

    Looks at its whole log from `since` on count, where the reader could see this order there: a mediator only as one of
    its `mediators`.
    """
    log = logs.log_of(order_id)
    table = f"{sql.schema(log)}.custody"
    query = f"""
        SELECT number, order_id, reader_id, reader_role, what, at, filters FROM (
            (SELECT * FROM {table} WHERE order_id = %(order_id)s AND number > %(after)s ORDER BY number LIMIT %(limit)s)
            UNION ALL
            (SELECT * FROM {table} WHERE order_id IS NULL AND number > %(after)s AND at >= %(since)s
                AND (reader_role <> 'mediator' OR reader_id = ANY (%(mediators)s)) ORDER BY number LIMIT %(limit)s)
        ) AS found ORDER BY number LIMIT %(limit)s
    """
    values = {
        "order_id": order_id,
        "mediators": list(mediators),
        "since": since,
        "after": after,
        "limit": limit,
    }
    return [(number, Look(*rest)) for number, *rest in await rows_of(logs, query, values)]
