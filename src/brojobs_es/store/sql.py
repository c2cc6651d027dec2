"""The SQL of the logs, by name. A log is a schema `log_0`, `log_1`, …; numbers are our own, all values are parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

VERSION_GAP: Final = "VG001"
"""SQLSTATE of the trigger that refuses versions that don't follow each other."""

STATEMENT_MAX: Final = 500
"""Events in one INSERT; more are spread over several statements of one transaction."""

_COLUMNS: Final = "position, order_id, stream_id, stream_version, topic, state"
_LOGGED_COLUMNS: Final = "position, order_id, nullif(stream_id, order_id), stream_version, topic, state"
"""What folds read. Most streams are the order's own: NULL says so, which is quicker read than an id once more."""

_ORDERED_COLUMNS: Final = (
    "position, nullif(order_id, lag(order_id) OVER (ORDER BY order_id, position)), "
    "nullif(stream_id, order_id), stream_version, topic, state"
)
"""The same for events that come one order after the other: NULL for the order of the row before."""

_KEY_COLUMNS: Final = "caller, key, request_digest, order_id, answer"
_FILE_COLUMNS: Final = "order_id, file_id, name, size, media_type, uploaded_by, uploaded_at, key"
_FILE_KEY: Final = "order_id, file_id, uploaded_by, key"
_REFUSAL_COLUMNS: Final = "order_id, actor_id, actor_role, command, code, command_id, at"


def schema(log: int) -> str:
    """The schema of a log."""
    return f"log_{log:d}"


def channel(log: int) -> str:
    """The channel on which a log announces its last position after a commit."""
    return f"brojobs_{schema(log)}"


def insert_events(log: int) -> str:
    """Five arrays of equal length: order, stream, version, topic, state; returns the positions in that order."""
    return f"""
        INSERT INTO {schema(log)}.events (order_id, stream_id, stream_version, topic, state)
        SELECT e.order_id, e.stream_id, e.stream_version, e.topic, e.state
        FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::bytea[])
            WITH ORDINALITY AS e (order_id, stream_id, stream_version, topic, state, n)
        ORDER BY e.n
        RETURNING position
    """


def insert_events_and_keys(log: int) -> str:
    """Events as above, and five arrays of idempotency records: caller, key, digest, order, answer.

    One statement, which is a transaction by itself: nothing waits for the client inside of it.
    """
    return f"""
        WITH stored AS ({insert_events(log)}), kept AS (
            INSERT INTO {schema(log)}.idempotency ({_KEY_COLUMNS})
            SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::uuid[], %s::bytea[])
        )
        SELECT position FROM stored ORDER BY 1
    """


def select_clashing(log: int) -> str:
    """Numbers of commands whose rows are taken: number, stream and version of events; number, caller and key."""
    return f"""
        SELECT n FROM unnest(%s::int[], %s::uuid[], %s::int[]) AS e (n, stream_id, stream_version)
        JOIN {schema(log)}.events USING (stream_id, stream_version)
        UNION
        SELECT n FROM unnest(%s::int[], %s::text[], %s::text[]) AS k (n, caller, key)
        JOIN {schema(log)}.idempotency USING (caller, key)
    """


def select_key(logs: Iterable[int]) -> str:
    """The record of a caller's key over several logs, the oldest first."""
    one = "SELECT {columns}, recorded_at FROM {schema}.idempotency WHERE caller = %(caller)s AND key = %(key)s"
    union = " UNION ALL ".join(one.format(columns=_KEY_COLUMNS, schema=schema(log)) for log in logs)
    return f"SELECT {_KEY_COLUMNS} FROM ({union}) found ORDER BY recorded_at LIMIT 1"


def select_same(log: int) -> str:
    """Positions of stored events that equal the given ones (streams, versions, topics, states), in order."""
    return f"""
        SELECT s.position
        FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::bytea[]) AS e (stream_id, stream_version, topic, state)
        JOIN {schema(log)}.events s USING (stream_id, stream_version, topic, state)
        ORDER BY s.position
    """


def select_orders_after(log: int) -> str:
    """For each of some orders, its events after a position of its own, behind the order's number (from 1) in the arrays."""
    return f"""
        SELECT w.n, {_COLUMNS} FROM unnest(%s::uuid[], %s::bigint[]) WITH ORDINALITY AS w (order_id, after, n)
        JOIN {schema(log)}.events USING (order_id) WHERE position > after ORDER BY position
    """


def select_orders(log: int) -> str:
    """All events of some orders."""
    return f"SELECT {_COLUMNS} FROM {schema(log)}.events WHERE order_id = ANY(%s) ORDER BY position"


def select_after(log: int) -> str:
    """Events after a position, at most so many."""
    return f"SELECT {_COLUMNS} FROM {schema(log)}.events WHERE position > %s ORDER BY position LIMIT %s"


def select_logged_after(log: int) -> str:
    """What folds read of the events after a position, at most so many."""
    return f"SELECT {_LOGGED_COLUMNS} FROM {schema(log)}.events WHERE position > %s ORDER BY position LIMIT %s"


def select_logged_by_order(log: int) -> str:
    """What folds read of all events up to a position, one order after the other, which is NULL but for its first event."""
    return f"SELECT {_ORDERED_COLUMNS} FROM {schema(log)}.events WHERE position <= %s ORDER BY order_id, position"


def select_logged_share(log: int) -> str:
    """The same for a share of the orders: a position, how many shares, which of them (from 0). Ids end in chance."""
    return f"""
        SELECT {_ORDERED_COLUMNS} FROM {schema(log)}.events
        WHERE position <= %s AND get_byte(uuid_send(order_id), 15) %% %s = %s ORDER BY order_id, position
    """


def select_logged_of(log: int) -> str:
    """What folds read of one order up to a position."""
    return (
        f"SELECT {_LOGGED_COLUMNS} FROM {schema(log)}.events WHERE order_id = %s AND position <= %s ORDER BY position"
    )


def select_logged_before(log: int) -> str:
    """What folds read of some orders, each up to a position: arrays of orders and of the positions they end before."""
    return f"""
        SELECT {_LOGGED_COLUMNS} FROM unnest(%s::uuid[], %s::bigint[]) AS wanted (order_id, ends_before)
        JOIN {schema(log)}.events USING (order_id) WHERE position < ends_before ORDER BY order_id, position
    """


def hold_views(log: int) -> str:
    """Lock those of some views (log, names, names) that nobody else is working on.

    For each its position, the age (seconds, by the database's clock) of the oldest event that it lacks, 0.0 where it lacks
    none, and whether any events of the views are parked.
    """
    return f"""
        SELECT view, position, coalesce((
            SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 FROM {schema(log)}.events AS waiting
            WHERE waiting.position > tracking.position ORDER BY waiting.position LIMIT 1
        ), 0), EXISTS (SELECT FROM views.parked WHERE view = ANY(%(views)s) AND log = %(log)s)
        FROM views.tracking WHERE log = %(log)s AND view = ANY(%(views)s) ORDER BY view FOR UPDATE SKIP LOCKED
    """


def select_behind(log: int) -> str:
    """Each of some views with the positions that it is behind, and the age (seconds) of the oldest event it lacks."""
    events = f"{schema(log)}.events"
    return f"""
        SELECT view, greatest(0, coalesce((SELECT max(position) FROM {events}), 0) - tracking.position), coalesce((
            SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 FROM {events} AS waiting
            WHERE waiting.position > tracking.position ORDER BY waiting.position LIMIT 1
        ), 0) FROM views.tracking WHERE log = %s AND view = ANY(%s)
    """


def select_last_position(log: int) -> str:
    """The newest position, 0 for none."""
    return f"SELECT coalesce(max(position), 0) FROM {schema(log)}.events"


def select_order_of_stream(log: int) -> str:
    """The order of a stream."""
    return f"SELECT order_id FROM {schema(log)}.events WHERE stream_id = %s LIMIT 1"


def insert_files(log: int) -> str:
    """Files by columns, the last one their sealed bytes or NULL; the rows that stand come back without those.

    They are new ones or those of the same content before. One that is missing among them was being noted by somebody
    else at this very moment: ask again.
    """
    table = f"{schema(log)}.files"
    return f"""
        WITH given AS (
            SELECT order_id, file_id, name, size, media_type, uploaded_by, uploaded_at::timestamptz, key, content
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                %s::bytea[]) AS g ({_FILE_COLUMNS}, content)
        ), added AS (
            INSERT INTO {table} ({_FILE_COLUMNS}, content) SELECT {_FILE_COLUMNS}, content FROM given
            ON CONFLICT DO NOTHING RETURNING {_FILE_COLUMNS}, content IS NOT NULL
        )
        SELECT * FROM added
        UNION ALL SELECT {", ".join(f"f.{name}" for name in _FILE_COLUMNS.split(", "))}, f.content IS NOT NULL
            FROM given JOIN {table} f USING ({_FILE_KEY})
    """


def select_files(log: int) -> str:
    """An order's files; `file_ids` NULL means all."""
    return f"""
        SELECT {_FILE_COLUMNS}, content IS NOT NULL AS in_row FROM {schema(log)}.files
        WHERE order_id = %(order_id)s
            AND (%(file_ids)s::text[] IS NULL OR file_id = ANY(%(file_ids)s::text[]))
        ORDER BY uploaded_at, file_id
    """


def select_file_content(log: int) -> str:
    """The sealed bytes in one file's row: order, file, uploader, generation of the key."""
    return f"SELECT content FROM {schema(log)}.files WHERE ({_FILE_KEY}) = (%s, %s, %s, %s)"


def empty_files(log: int) -> str:
    """Remove the bytes from all rows of a person under some generations of the key."""
    return f"""
        UPDATE {schema(log)}.files SET content = NULL
        WHERE uploaded_by = %s AND key = ANY(%s::bigint[]) AND content IS NOT NULL
    """


def insert_refusal(log: int) -> str:
    """One refused command."""
    return f"INSERT INTO {schema(log)}.refusals ({_REFUSAL_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"


def select_refusals(log: int) -> str:
    """Refused commands after a number, at most so many."""
    return f"""
        SELECT number, {_REFUSAL_COLUMNS} FROM {schema(log)}.refusals WHERE number > %s ORDER BY number LIMIT %s
    """
