"""Every hot query goes by an index, also where it was planned for a log that was empty then."""

from __future__ import annotations

import re
from uuid import uuid4

import psycopg
import pytest

from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo

PLANNED_AFTER = 6
"""Executions after which PostgreSQL keeps a plan, in a function as in a prepared statement."""

FEW = 200
FILLED = 20_000

HOT = {
    "load": sql.select_orders_after(0),
    "load many": sql.select_orders(0),
    "log": sql.select_after(0),
    "same": sql.select_same(0),
    "clashing": sql.select_clashing(0),
    "dispute's order": sql.select_order_of_stream(0),
    "new files": sql.insert_files(0),
    "bytes of a file": sql.select_file_content(0),
    "last position": sql.select_last_position(0),
}

INSERT = b"INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) VALUES (%s, %s, 1, 'Toy', '')"

FILL = b"""
    INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
    SELECT id, id, 1, 'Toy', '' FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) AS ids
"""

ROWS_READ = b"""
    SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
    WHERE relid = 'log_0.events'::regclass
"""


@pytest.mark.parametrize("name", HOT)
def test_no_hot_query_reads_a_table_from_end_to_end(name: str, clean_logs: str) -> None:
    """The plan that is kept for whatever values, made while the log was empty."""
    count = HOT[name].count("%s")
    numbers = iter(range(1, count + 1))
    numbered = re.sub("%s", lambda _: f"${next(numbers)}", HOT[name])
    with psycopg.connect(conninfo(clean_logs, "brojobs_writer"), autocommit=True) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE hot AS {numbered}".encode())
        nothing = ", ".join(["NULL"] * count)
        plan = connection.execute(f"EXPLAIN EXECUTE hot{f'({nothing})' if count else ''}".encode()).fetchall()
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan on" not in text, text
    assert "Index" in text, text


def test_an_append_reads_a_few_rows_however_the_log_has_grown(clean_logs: str) -> None:
    """A session that has planned its checks on an empty log appends to one of many events."""
    with psycopg.connect(clean_logs, autocommit=True) as superuser:
        superuser.execute(FILL, (FEW,))
        superuser.execute("ANALYZE log_0.events")
    with psycopg.connect(conninfo(clean_logs, "brojobs_writer")) as old:
        for _ in range(PLANNED_AFTER):
            order = uuid4()
            old.execute(INSERT, (order, order))
            old.commit()
        with psycopg.connect(conninfo(clean_logs, "brojobs_writer"), autocommit=True) as other:
            other.execute(FILL, (FILLED,))
        order = uuid4()
        old.execute(INSERT, (order, order))
        row = old.execute(ROWS_READ).fetchone()
    assert row is not None
    assert row[0] < 100
