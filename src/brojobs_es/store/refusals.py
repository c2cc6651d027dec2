"""Refused commands as auditors ask for them: pages in commit order, by order, person, code and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from brojobs_es.application.records import RefusedCommand
from brojobs_es.store import sql
from brojobs_es.store.audit import own_orders, rows_of
from brojobs_es.store.log import Logs

_COLUMNS: Final = "number, order_id, actor_id, actor_role, command, code, command_id, at"


@dataclass(frozen=True, slots=True)
class RefusalFilter:
    """Which refusals; None leaves a condition out. `own_orders_of`: only of orders whose mediator that person was."""

    own_orders_of: str | None = None
    order_id: UUID | None = None
    actor_id: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def find_refusals(
    logs: Logs, log: int, wanted: RefusalFilter, after: int, limit: int
) -> list[tuple[int, RefusedCommand]]:
    """A log's refused commands after a number, with their numbers, in commit order; raises StoreUnavailable."""
    values: dict[str, Any] = {"after": after, "limit": limit, "log": log, "reader": wanted.own_orders_of}
    conditions = ["number > %(after)s"]
    for name, column, comparison in (
        ("order_id", "order_id", "="),
        ("actor_id", "actor_id", "="),
        ("code", "code", "="),
        ("since", "at", ">="),
        ("until", "at", "<"),
    ):
        if (value := getattr(wanted, name)) is not None:
            conditions.append(f"{column} {comparison} %({name})s")
            values[name] = value
    if wanted.own_orders_of is not None:
        conditions.append(f"order_id = ANY (ARRAY({own_orders(f'{sql.schema(log)}.events')}))")
    query = f"""
        SELECT {_COLUMNS} FROM {sql.schema(log)}.refusals WHERE {" AND ".join(conditions)}
        ORDER BY number LIMIT %(limit)s
    """  # only fixed words are put together; every value is a parameter
    rows = await rows_of(logs, query, values)
    return [(number, RefusedCommand(*rest)) for number, *rest in rows]
