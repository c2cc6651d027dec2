"""What each role may do, tried on a real database with the connections that the service makes."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import GeneratedAlways, InsufficientPrivilege

from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo

TABLES = ["log_0.events", "log_0.idempotency", "log_0.files", "log_0.refusals"]
INSERT = "INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) VALUES (%s, %s, %s, 'T', '{}')"


def run(url: str, role: str, statement: str, params: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo(url, role)) as connection:
        cursor = connection.execute(statement.encode(), params)
        return cursor.fetchall() if cursor.description else []


def store(url: str, stream: UUID, version: int, order: UUID | None = None) -> None:
    run(url, "brojobs_writer", INSERT, (order or stream, stream, version))


def test_connections_take_their_role(database_url: str) -> None:
    """From the first moment, without a statement; and they speak UTC."""
    rows = run(database_url, "brojobs_writer", "SELECT current_user::text, current_setting('TimeZone')")
    assert rows == [("brojobs_writer", "UTC")]


@pytest.mark.parametrize("role", ["brojobs_writer", "brojobs_projector", "brojobs_auditor"])
@pytest.mark.parametrize("table", TABLES)
def test_nobody_changes_or_removes_what_is_recorded(database_url: str, role: str, table: str) -> None:
    """No role of the service has UPDATE, DELETE or TRUNCATE on a log."""
    column = "order_id"
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(InsufficientPrivilege):
            run(database_url, role, statement)


@pytest.mark.parametrize("role", ["brojobs_projector", "brojobs_auditor"])
def test_only_the_writer_writes_events(database_url: str, role: str) -> None:
    """Others cannot insert."""
    stream = uuid4()
    with pytest.raises(InsufficientPrivilege):
        run(database_url, role, INSERT, (stream, stream, 1))


@pytest.mark.parametrize("column", ["position", "recorded_at"])
def test_the_writer_cannot_choose_position_or_time(database_url: str, column: str) -> None:
    """Both are the database's to say, also with OVERRIDING SYSTEM VALUE."""
    value = "77" if column == "position" else "now()"
    for overriding in ("", "OVERRIDING SYSTEM VALUE"):
        statement = (
            f"INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state, {column}) {overriding} "
            f"VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'T', '{{}}', {value})"
        )
        with pytest.raises((InsufficientPrivilege, GeneratedAlways)):
            run(database_url, "brojobs_writer", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT setval('log_0.events_position_seq', 1)",
        "SELECT nextval('log_0.events_position_seq')",
        "ALTER TABLE log_0.events DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "CREATE TABLE log_0.mine ()",
        "CREATE TABLE views.mine ()",
        "DROP TABLE log_0.events",
        "INSERT INTO brojobs.migrations (name, target, sha256) VALUES ('x', 'x', 'x')",
        "UPDATE brojobs.deployment SET logs = 2",
        "UPDATE views.order_summary SET status = 'completed'",
    ],
)
def test_the_writer_cannot_get_around_it(database_url: str, statement: str) -> None:
    """Sequences, triggers, schema, bookkeeping and views are out of the writer's reach."""
    with pytest.raises(InsufficientPrivilege):
        run(database_url, "brojobs_writer", statement)


@pytest.mark.parametrize("role", ["brojobs_writer", "brojobs_projector", "brojobs_auditor"])
def test_every_role_reads_everything(database_url: str, role: str) -> None:
    """Logs, views, and which migrations ran."""
    for table in [*TABLES, "log_0.readable_events", "views.order_summary", "views.parked", "brojobs.migrations"]:
        run(database_url, role, f"SELECT * FROM {table} LIMIT 1")


FILE = """
    INSERT INTO log_0.files (order_id, file_id, name, size, media_type, uploaded_by, uploaded_at, key, content)
    VALUES (%s, 'aa', 'x', 5, 'x/y', 'bob', now(), 1, 'sealed')
"""


def test_the_eraser_empties_files_and_sees_no_more_of_them_than_that_needs(database_url: str) -> None:
    """It finds a person's rows and removes their bytes; names, orders and digests are none of its business."""
    order = uuid4()
    run(database_url, "brojobs_writer", FILE, (order,))
    run(database_url, "brojobs_eraser", sql.empty_files(0), ("bob", [2]))
    query = "SELECT content FROM log_0.files WHERE order_id = %s"
    assert run(database_url, "brojobs_writer", query, (order,)) == [(b"sealed",)]
    run(database_url, "brojobs_eraser", sql.empty_files(0), ("bob", [1]))
    assert run(database_url, "brojobs_writer", query, (order,)) == [(None,)]
    for statement in (
        "SELECT name FROM log_0.files",
        "SELECT order_id FROM log_0.files",
        "UPDATE log_0.files SET name = 'x'",
        "DELETE FROM log_0.files",
        "INSERT INTO log_0.files (content) VALUES ('x')",
        "SELECT FROM log_0.events",
    ):
        with pytest.raises(InsufficientPrivilege):
            run(database_url, "brojobs_eraser", statement)


@pytest.mark.parametrize("role", ["brojobs_eraser", None])
def test_the_bytes_of_a_file_are_only_ever_removed(database_url: str, role: str | None) -> None:
    """Neither the eraser nor the owner puts others in their place; what is left out of a change is none."""
    order = uuid4()
    run(database_url, "brojobs_writer", FILE, (order,))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"SET ROLE {role or 'none'}".encode())
        for content in ("'other'", "content || 'more'"):
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(f"UPDATE log_0.files SET content = {content} WHERE uploaded_by = 'bob'".encode())
            assert caught.value.sqlstate == "VG002"
        connection.execute("RESET ROLE")
        connection.execute("UPDATE log_0.files SET media_type = media_type WHERE order_id = %s", (order,))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO views.tracking VALUES ('x', 0, 0)",
        "DELETE FROM views.escrow",
        "INSERT INTO log_0.refusals (actor_id, actor_role, command, code, at) VALUES ('x', 'x', 'x', 'x', now())",
        "INSERT INTO log_0.idempotency (caller, key, request_digest, order_id, answer) VALUES ('x', 'x', '', NULL, '')",
    ],
)
def test_the_auditor_writes_nothing(database_url: str, statement: str) -> None:
    """The auditor only reads."""
    with pytest.raises(InsufficientPrivilege):
        run(database_url, "brojobs_auditor", statement)


def test_a_user_without_a_role_sees_nothing(database_url: str) -> None:
    """PUBLIC has no rights: a stranger cannot even look into the schemas."""
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE ROLE stranger_to_the_logs")
        connection.execute("SET LOCAL ROLE stranger_to_the_logs")
        for table in ("log_0.events", "views.escrow", "brojobs.migrations"):
            with pytest.raises(InsufficientPrivilege), connection.transaction():
                connection.execute(f"SELECT FROM {table}".encode())
        connection.rollback()


@pytest.mark.parametrize("first", [77, 2, -1])
def test_a_stream_starts_at_0_or_1(database_url: str, first: int) -> None:
    """Any other first version is a gap, with an SQLSTATE of its own."""
    with pytest.raises(psycopg.Error) as caught:
        store(database_url, uuid4(), first)
    assert caught.value.sqlstate == "VG001"


@pytest.mark.parametrize("start", [0, 1])
def test_versions_follow_each_other(database_url: str, start: int) -> None:
    """The next version is taken, one further is refused, one before the first too."""
    stream = uuid4()
    store(database_url, stream, start)
    store(database_url, stream, start + 1)
    for wrong in (start + 3, start - 1):
        with pytest.raises(psycopg.Error) as caught:
            store(database_url, stream, wrong)
        assert caught.value.sqlstate == "VG001"


@pytest.mark.parametrize("versions", [(1, 3), (2, 1), (1, 2, 4)])
def test_gaps_and_disorder_within_one_statement(database_url: str, versions: tuple[int, ...]) -> None:
    """All rows of an insert are looked at, in the order of their positions."""
    stream = uuid4()
    values = ", ".join(f"('{stream}', '{stream}', {version}, 'T', '{{}}')" for version in versions)
    statement = f"INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) VALUES {values}"
    with pytest.raises(psycopg.Error) as caught:
        run(database_url, "brojobs_writer", statement)
    assert caught.value.sqlstate == "VG001"


def test_copy_is_checked_like_insert(database_url: str) -> None:
    """The other way to add rows does not get around the checks."""
    stream = uuid4()
    copying = "COPY log_0.events (order_id, stream_id, stream_version, topic, state) FROM STDIN"
    with psycopg.connect(conninfo(database_url, "brojobs_writer")) as connection:
        copy = connection.cursor().copy(copying)
        copy.__enter__().write_row((stream, stream, 5, "T", b"{}"))
        with pytest.raises(psycopg.Error) as caught:
            copy.__exit__(None, None, None)
    assert caught.value.sqlstate == "VG001"


def test_a_stream_belongs_to_one_order(database_url: str) -> None:
    """A later event cannot carry another order's id."""
    stream = uuid4()
    store(database_url, stream, 1)
    with pytest.raises(psycopg.Error) as caught:
        store(database_url, stream, 2, order=uuid4())
    assert caught.value.sqlstate == "VG001"


@pytest.mark.parametrize(
    "statement", ["UPDATE log_0.events SET topic = 'x'", "DELETE FROM log_0.events", "TRUNCATE log_0.events"]
)
def test_even_the_owner_is_stopped(database_url: str, statement: str) -> None:
    """The migrating user has the rights and is stopped by a trigger, also where no row is hit."""
    with pytest.raises(psycopg.Error) as caught, psycopg.connect(database_url) as connection:
        connection.execute(statement.encode())
    assert caught.value.sqlstate == "VG002"


def test_events_are_readable_with_psql(database_url: str) -> None:
    """The view shows the stored JSON, accents included."""
    stream = uuid4()
    statement = INSERT.replace("'{}'", "convert_to('{\"texte\": \"livré\"}', 'UTF8')")
    run(database_url, "brojobs_writer", statement, (stream, stream, 1))
    query = "SELECT state_json->>'texte', state_text FROM log_0.readable_events WHERE stream_id = %s"
    assert run(database_url, "brojobs_auditor", query, (stream,)) == [("livré", '{"texte": "livré"}')]
