"""The view `audit`: a row an event, by which the log is searched. Kept by the runner of the views like every other one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from brojobs_es.application.records import LoggedEvent
from brojobs_es.store import sql
from brojobs_es.store.view_tables import Connection

VIEW: Final = "audit"
BLOCK: Final = 1000
"""Positions of which `views.audit_times` knows the earliest and the latest instant."""


class AuditTable:
    """Folds events into `views.audit` and what belongs to it. All work happens inside the caller's transaction.

    The database reads what it needs out of the events by itself; one that it cannot read is listed with its type alone,
    so nothing is ever parked.
    """

    name: Final = VIEW

    async def clear(self, connection: Connection) -> None:
        """Empty the tables; readers see the old rows until the transaction commits."""
        for table in ("audit", "audit_times", "audit_mediators"):
            await connection.execute(f"DELETE FROM views.{table}".encode())

    async def take(self, connection: Connection, log: int, events: Sequence[LoggedEvent]) -> None:
        """Add a batch of one log's events, in order of position."""
        values = {"log": log, "first": events[0].position, "last": events[-1].position}
        await connection.execute(_insert(log).encode(), values)
        await connection.execute(_TIMES.encode(), values)
        assigned = [event.position for event in events if event.topic == "dispute:MediatorAssigned"]
        if assigned:
            await connection.execute(_insert_mediators(log).encode(), {"log": log, "positions": assigned})


def _insert(log: int) -> str:
    return f"""
        INSERT INTO views.audit (log, position, type, actor_id, recorded_at)
        SELECT %(log)s, e.position, left(split_part(e.topic, ':', 2), 64), f.actor_id, f.recorded_at
        FROM {sql.schema(log)}.events e CROSS JOIN LATERAL views.audit_facts(e.state) f
        WHERE e.position BETWEEN %(first)s AND %(last)s ORDER BY e.position
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
