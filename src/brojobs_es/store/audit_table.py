"""The view `audit`: a row an event, by which the log is searched. Kept by the runner of the views like every other one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

from brojobs_es.application.records import LoggedEvent
from brojobs_es.store import sql
from brojobs_es.store.view_tables import Connection

VIEW: Final = "audit"
BLOCK: Final = 1000
"""Positions of which `views.audit_times` knows the earliest and the latest instant."""


_ID_MAX: Final = 300
"""Characters; longer ids would not fit an index, and are not ours. `views.audit_facts` says the same."""

_TYPE_MAX: Final = 64


class _Actor(msgspec.Struct):
    id: str | None


class _Cause(msgspec.Struct):
    actor: _Actor


class _Facts(msgspec.Struct):
    """What the filters need of a stored event."""

    cause: _Cause
    recorded_at: Annotated[datetime, msgspec.Meta(tz=True)]


class _Line(msgspec.Struct):
    position: int
    type: str
    actor_id: str | None
    recorded_at: datetime


_facts: Final = msgspec.json.Decoder(_Facts)


class AuditTable:
    """Folds events into `views.audit` and what belongs to it. All work happens inside the caller's transaction.

    What the filters need is read here where a state is as ours are, which is quicker; any other is left to
    the database, with `views.audit_facts`. One that it cannot read is listed with its type alone, so nothing is ever
    parked.
    """

    name: Final = VIEW

    async def clear(self, connection: Connection) -> None:
        """Empty the tables; readers see the old rows until the transaction commits."""
        for table in ("audit", "audit_times", "audit_mediators"):
            await connection.execute(f"DELETE FROM views.{table}".encode())

    async def take(self, connection: Connection, log: int, events: Sequence[LoggedEvent]) -> None:
        """Add a batch of one log's events, in order of position."""
        values = {"log": log, "first": events[0].position, "last": events[-1].position}
        read = {event.position: _line(event) for event in events}
        lines = [line for line in read.values() if line is not None]
        await connection.execute(_INSERT_LINES, {"log": log, "lines": msgspec.json.encode(lines)})
        if unread := [position for position, line in read.items() if line is None]:
            await connection.execute(_insert(log).encode(), {"log": log, "positions": unread})
        await connection.execute(_TIMES.encode(), values)
        assigned = [event.position for event in events if event.topic == "dispute:MediatorAssigned"]
        if assigned:
            await connection.execute(_insert_mediators(log).encode(), {"log": log, "positions": assigned})


def _line(event: LoggedEvent) -> _Line | None:
    """The row of an event, None for a state whose reading is the database's business: escapes, other types."""
    state = event.state
    if b"\\" in state:
        return None
    try:
        state.decode()
        facts = _facts.decode(state)
    except ValueError:
        return None
    actor_id = facts.cause.actor.id
    kind = event.topic.partition(":")[2].partition(":")[0]
    return _Line(event.position, kind[:_TYPE_MAX], actor_id and actor_id[:_ID_MAX], facts.recorded_at)


_INSERT_LINES: Final = """
    INSERT INTO views.audit (log, position, type, actor_id, recorded_at)
    SELECT %(log)s, r.* FROM json_to_recordset(convert_from(%(lines)b, 'UTF8')::json)
        AS r (position bigint, type text, actor_id text, recorded_at timestamptz) ORDER BY r.position
    ON CONFLICT DO NOTHING
"""


def _insert(log: int) -> str:
    return f"""
        INSERT INTO views.audit (log, position, type, actor_id, recorded_at)
        SELECT %(log)s, e.position, left(split_part(e.topic, ':', 2), 64), f.actor_id, f.recorded_at
        FROM {sql.schema(log)}.events e CROSS JOIN LATERAL views.audit_facts(e.state) f
        WHERE e.position = ANY (%(positions)s) ORDER BY e.position
        ON CONFLICT DO NOTHING
    """


_TIMES: Final = f"""
    INSERT INTO views.audit_times (log, block, earliest, latest)
    SELECT log, position / {BLOCK}, min(recorded_at), max(recorded_at) FROM views.audit
    WHERE log = %(log)s AND position BETWEEN %(first)s AND %(last)s AND recorded_at IS NOT NULL GROUP BY 1, 2
    ON CONFLICT (log, block) DO UPDATE SET
        earliest = least(audit_times.earliest, excluded.earliest),
        latest = greatest(audit_times.latest, excluded.latest)
"""


def _insert_mediators(log: int) -> str:
    return f"""
        INSERT INTO views.audit_mediators (mediator_id, order_id, log)
        SELECT f.mediator_id, e.order_id, %(log)s
        FROM {sql.schema(log)}.events e CROSS JOIN LATERAL views.audit_facts(e.state) f
        WHERE e.position = ANY (%(positions)s) AND f.mediator_id IS NOT NULL
        ON CONFLICT DO NOTHING
    """
