"""Queries over the tables of the views, for lists: keyset pages, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from brojobs_es.store.log import Logs


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders: of a person in some of the parties' roles (or everybody's), by status, overdue at an instant."""

    person: str | None
    as_party: tuple[str, ...]
    status: str | None
    overdue: bool | None
    now: datetime
    before: tuple[datetime, UUID] | None
    limit: int


async def find_orders(logs: Logs, wanted: OrderFilter) -> list[tuple[UUID, datetime]]:
    """Ids and instants of placing, the newest first: one more than the limit if there are more."""
    conditions, values = ["TRUE"], {"limit": wanted.limit + 1, "now": wanted.now, "person": wanted.person}
    if wanted.person is not None:
        mine = [f"{party}_id = %(person)s" for party in wanted.as_party]
        conditions.append(f"({' OR '.join(mine) or 'FALSE'})")
    if wanted.status is not None:
        conditions.append("status = %(status)s")
        values["status"] = wanted.status
    if wanted.overdue is not None:
        conditions.append(f"(status = 'in_progress' AND due_at <= %(now)s) IS {'TRUE' if wanted.overdue else 'FALSE'}")
    if wanted.before is not None:
        conditions.append("(placed_at, order_id) < (%(placed_at)s, %(order_id)s)")
        values |= {"placed_at": wanted.before[0], "order_id": wanted.before[1]}
    query = f"""
        SELECT order_id, placed_at FROM views.order_summary WHERE {" AND ".join(conditions)}
        ORDER BY placed_at DESC, order_id DESC LIMIT %(limit)s
    """  # only fixed words are put together; every value is a parameter
    return [(row[0], row[1]) for row in await _rows(logs, query, values)]


@dataclass(frozen=True, slots=True)
class DisputeFilter:
    """Which disputes: by status (or `overdue`, whose promise is broken at an instant), by mediator."""

    status: str | None
    assigned_to: str | None
    now: datetime
    after: tuple[Decimal, UUID] | None
    limit: int


async def find_disputes(logs: Logs, wanted: DisputeFilter) -> list[tuple[UUID, UUID, Decimal]]:
    """Order, dispute and rank: open ones by promise, the oldest first, then closed ones, the newest first."""
    conditions, values = ["TRUE"], {"limit": wanted.limit + 1, "now": wanted.now, "status": wanted.status}
    if wanted.status == "overdue":
        conditions.append("status <> 'closed' AND promise_at <= %(now)s")
    elif wanted.status is not None:
        conditions.append("status = %(status)s")
    if wanted.assigned_to is not None:
        conditions.append("mediator_id = %(mediator)s")
        values["mediator"] = wanted.assigned_to
    if wanted.after is not None:
        conditions.append("(rank, dispute_id) > (%(rank)s, %(dispute_id)s)")
        values |= {"rank": wanted.after[0], "dispute_id": wanted.after[1]}
    query = f"""
        SELECT order_id, dispute_id, rank FROM (
            SELECT docket.order_id, d.*, CASE WHEN d.status = 'closed'
                THEN 1e12 - extract(epoch FROM d.closed_at) ELSE extract(epoch FROM d.promise_at) END AS rank
            FROM views.docket, jsonb_to_recordset(docket.disputes) AS d (
                dispute_id uuid, status text, promise_at timestamptz, mediator_id text, closed_at timestamptz)
        ) AS listed
        WHERE {" AND ".join(conditions)} ORDER BY rank, dispute_id LIMIT %(limit)s
    """  # only fixed words are put together; every value is a parameter
    return [(row[0], row[1], row[2]) for row in await _rows(logs, query, values)]


async def find_due(logs: Logs, now: datetime, most: int) -> list[tuple[UUID, datetime]]:
    """Orders whose next timer wins by `now`, and its instant, the earliest first."""
    query = """
        SELECT order_id, next_at FROM views.deadlines WHERE next_at <= %(now)s
        ORDER BY next_at, order_id LIMIT %(most)s
    """
    return [(row[0], row[1]) for row in await _rows(logs, query, {"now": now, "most": most})]


async def _rows(logs: Logs, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    async with logs.connection() as connection:
        cursor = await connection.execute(query.encode(), values)
        return list(await cursor.fetchall())
