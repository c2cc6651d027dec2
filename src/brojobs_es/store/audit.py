"""The log as auditors ask for it: pages of events in commit order, by type, actor, order and time, fast at any depth.

An order's events are found by the log's own index. All other filters look into `views.audit` as far as the runner of the
views has come, and read the few events beyond that point themselves: no answer depends on how far it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.application.records import RecordedEvent
from brojobs_es.store import sql
from brojobs_es.store.audit_table import BLOCK, VIEW
from brojobs_es.store.log import Logs

POSITION_MAX: Final = 2**63 - 1
NOTE: Final = "MediatorNoteAdded"
_COLUMNS: Final = "e.position, e.order_id, e.stream_id, e.stream_version, e.topic, e.state"
_TYPE: Final = "split_part(e.topic, ':', 2)"
_TRACKED: Final = f"(SELECT coalesce(max(position), 0) FROM views.tracking WHERE view = '{VIEW}' AND log = %(log)s)"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events, for whom. `since` and `until` bound `recorded_at`, half open; None leaves a condition out.

    `own_orders_only`: of the orders whose mediator the reader is or was. `sees_notes`: private notes too, except those
    about an order that the reader is a party of.
    """

    reader: str
    sees_notes: bool
    own_orders_only: bool = False
    type: str | None = None
    order_id: UUID | None = None
    actor_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def looks_inside(self) -> bool:
        """Whether it asks for something that only the stored state says."""
        return not (self.actor_id is None and self.since is None and self.until is None)


async def find_events(
    logs: Logs, log: int, wanted: EventFilter, after: int, limit: int, upto: int = POSITION_MAX
) -> list[RecordedEvent]:
    """A log's events after a position (and up to another), in commit order; raises StoreUnavailable."""
    values = {
        "log": log,
        "after": after,
        "upto": upto,
        "limit": limit,
        "reader": wanted.reader,
        "type": wanted.type,
        "order_id": wanted.order_id,
        "actor_id": wanted.actor_id,
        "since": wanted.since,
        "until": wanted.until,
    }
    rows = await rows_of(logs, select_events(log, wanted), values)
    return [RecordedEvent(log, *row) for row in rows]


async def rows_of(logs: Logs, query: str, values: Mapping[str, Any]) -> list[TupleRow]:
    """What a query gives, asked again where the connection was lost; raises StoreUnavailable."""

    async def ask(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
        async with connection.cursor(binary=True) as cursor:
            # Planned for these very values: a plan for any actor and any type would be wrong for most.
            await cursor.execute(query.encode(), values, prepare=False)
            return await cursor.fetchall()

    return await logs.run(ask)


def select_events(log: int, wanted: EventFilter) -> str:
    """The statement for a filter: only fixed words are put together, every value is a parameter."""
    events = f"{sql.schema(log)}.events"
    if wanted.own_orders_only:
        found = _of_own_orders(events, wanted)
    elif wanted.order_id is not None:
        found = f"SELECT e.position {_matching(events, wanted)}"
    elif wanted.type is not None or wanted.looks_inside:
        found = _by_index(events, wanted)
    else:
        return f"SELECT {_COLUMNS} {_matching(events, wanted)}"
    return f"""
        SELECT {_COLUMNS} FROM {events} e WHERE e.position = ANY (ARRAY({found}))
        ORDER BY e.position LIMIT %(limit)s
    """


def _matching(events: str, wanted: EventFilter, *more: str) -> str:
    """FROM events, WHERE they match as they are stored, the first ones."""
    facts = "CROSS JOIN LATERAL views.audit_facts(e.state) f" if wanted.looks_inside else ""
    conditions = ["e.position > %(after)s AND e.position <= %(upto)s", *more]
    if wanted.order_id is not None:
        conditions.append("e.order_id = %(order_id)s")
    if wanted.type is not None:
        conditions.append(f"{_TYPE} = %(type)s")
    conditions += _about_facts("f", wanted)
    conditions += _about_notes(events, "e", _TYPE, wanted)
    return f"FROM {events} e {facts} WHERE {' AND '.join(conditions)} ORDER BY e.position LIMIT %(limit)s"


def _by_index(events: str, wanted: EventFilter) -> str:
    """Positions from the view as far as it has come, and from the log beyond."""
    lower, upper = ["%(after)s::bigint"], ["%(upto)s::bigint", _TRACKED]
    if wanted.since is not None:
        first = f"SELECT {BLOCK} * min(block) - 1 FROM views.audit_times WHERE log = %(log)s AND latest >= %(since)s"
        lower.append(f"coalesce(({first}), {POSITION_MAX})")
    if wanted.until is not None:
        last = f"SELECT {BLOCK} * (max(block) + 1) FROM views.audit_times WHERE log = %(log)s AND earliest < %(until)s"
        upper.append(f"coalesce(({last}), 0)")
    conditions = [
        "a.log = %(log)s",
        f"a.position > greatest({', '.join(lower)})",
        f"a.position <= least({', '.join(upper)})",
    ]
    if wanted.type is not None:
        conditions.append("a.type = %(type)s")
    conditions += _about_facts("a", wanted)
    conditions += _about_notes(events, "a", "a.type", wanted)
    beyond = _matching(events, wanted, f"e.position > {_TRACKED}")
    return f"""
        (SELECT a.position FROM views.audit a WHERE {" AND ".join(conditions)} ORDER BY a.position LIMIT %(limit)s)
        UNION ALL (SELECT e.position {beyond})
    """


def _of_own_orders(events: str, wanted: EventFilter) -> str:
    """Positions in the reader's own cases, case by case: each is short, and found by the log's own index."""
    return f"""
        SELECT e.position FROM ({own_orders(events)}) AS mine
        CROSS JOIN LATERAL (SELECT e.position {_matching(events, wanted, "e.order_id = mine.order_id")}) e
        ORDER BY e.position LIMIT %(limit)s
    """


def own_orders(events: str) -> str:
    """The orders whose mediator `reader` is or was, in the log of that number, whose events are named."""
    return f"""
        SELECT order_id FROM views.audit_mediators WHERE mediator_id = %(reader)s AND log = %(log)s
        UNION
        SELECT e.order_id FROM {events} e CROSS JOIN LATERAL views.audit_facts(e.state) f
        WHERE e.position > {_TRACKED} AND e.position <= {POSITION_MAX}
            AND e.topic = 'dispute:MediatorAssigned' AND f.mediator_id = %(reader)s
    """  # the upper bound says nothing but to the planner: an interval is short, and worth an index


def _about_facts(table: str, wanted: EventFilter) -> list[str]:
    conditions = []
    if wanted.actor_id is not None:
        conditions.append(f"{table}.actor_id = %(actor_id)s")
    if wanted.since is not None:
        conditions.append(f"{table}.recorded_at >= %(since)s")
    if wanted.until is not None:
        conditions.append(f"{table}.recorded_at < %(until)s")
    return conditions


def _about_notes(events: str, table: str, type_of: str, wanted: EventFilter) -> list[str]:
    """Private notes are not for everybody; whether the reader is a party is looked up for notes alone."""
    if not wanted.sees_notes:
        return [f"{type_of} <> '{NOTE}'"]
    is_party = f"""
        SELECT %(reader)s IN (p.buyer_id, p.seller_id)
        FROM {events} n JOIN {events} placed ON placed.stream_id = n.order_id AND placed.stream_version = 1
        CROSS JOIN LATERAL views.audit_facts(placed.state) p WHERE n.position = {table}.position
    """
    return [f"({type_of} <> '{NOTE}' OR NOT coalesce(({is_party}), false))"]
