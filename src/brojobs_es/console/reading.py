"""Reads an order's history for people who must not change it: with the auditor's rights, in read-only transactions."""

from __future__ import annotations

from uuid import UUID

import psycopg

from brojobs_es.application.records import RecordedEvent
from brojobs_es.ids import log_of
from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo


def recorded_events(database_url: str, logs: int, stream_id: UUID) -> list[RecordedEvent]:
    """The events of an order and its disputes, by position; `stream_id` may name the order or one of its disputes.

    Nothing stored gives an empty list. Raises psycopg.Error where the database is not reached.
    """
    log = log_of(stream_id, logs)
    target = conninfo(database_url, "brojobs_auditor", default_transaction_read_only="on")
    with psycopg.connect(target) as connection:
        found = connection.execute(sql.select_order_of_stream(log).encode(), (stream_id,)).fetchone()
        if found is None:
            return []
        rows = connection.execute(sql.select_orders(log).encode(), ([found[0]],)).fetchall()
    return [RecordedEvent(log, *row) for row in rows]
