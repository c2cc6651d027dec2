"""Queries over the tables of the views, for lists: keyset pages, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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


async def _rows(logs: Logs, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    async with logs.connection() as connection:
        cursor = await connection.execute(query.encode(), values)
        return list(await cursor.fetchall())
