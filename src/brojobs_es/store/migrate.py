"""Brings a database to this version's schema: numbered SQL files, each run once, in order, by one process at a time."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable

PLACEHOLDER: Final = "{log}"
"""A file that names it is run once for each log; all others once for the database."""

_DATABASE: Final = "database"
_NAME: Final = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended('brojobs migrations', 0))"
_BOOTSTRAP: Final = """
CREATE SCHEMA IF NOT EXISTS brojobs;
CREATE TABLE IF NOT EXISTS brojobs.migrations (
    name text NOT NULL,
    target text NOT NULL,
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, target)
);
CREATE TABLE IF NOT EXISTS brojobs.deployment (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    logs int NOT NULL CHECK (logs > 0)
);
"""


class MigrationError(Exception):
    """The database and this version of the program do not fit together; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file for one target (`database`, `log_0`, `log_1`, …), with its text as it will run."""

    name: str
    target: str
    sha256: bytes
    sql: str


def migrate(url: str, logs: int = 1, folder: Traversable | None = None) -> list[str]:
    """Run what has not run yet and return its names (`0002_log.sql log_0`); nothing to do gives an empty list.

    Any number of processes may call it at once: one works, the others wait and find everything done. The user of the
    URL makes schemas and roles. Raises MigrationError where an old file has changed or the number of logs differs.
    """
    wanted = _migrations(logs, folder)
    applied: list[str] = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_LOCK)  # released with the connection, whatever happens
        connection.execute(_BOOTSTRAP)
        _check_logs(connection, logs)
        for migration in _pending(connection, wanted):
            with connection.transaction():
                connection.execute(migration.sql.encode())
                connection.execute(
                    "INSERT INTO brojobs.migrations (name, target, sha256) VALUES (%s, %s, %s)",
                    (migration.name, migration.target, migration.sha256),
                )
            applied.append(f"{migration.name} {migration.target}")
    return applied


def check(url: str, logs: int = 1, folder: Traversable | None = None) -> None:
    """Raise MigrationError unless the database is exactly what `migrate` would leave; changes nothing."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            row = connection.execute("SELECT to_regclass('brojobs.deployment') IS NOT NULL").fetchone()
            if row is None or not row[0]:
                raise MigrationError("this database was never migrated: run `brojobs migrate`")
            _check_logs(connection, logs, record=False)
        except psycopg.errors.InsufficientPrivilege as error:
            raise MigrationError(f"{error.diag.message_primary}: this login was not granted its roles") from None
        if missing := _pending(connection, _migrations(logs, folder)):
            names = ", ".join(f"{m.name} {m.target}" for m in missing)
            raise MigrationError(f"this database is older than the program: run `brojobs migrate` ({names})")


def _migrations(logs: int, folder: Traversable | None) -> list[Migration]:
    if logs < 1:
        raise MigrationError(f"a deployment has at least one log, not {logs}")
    source = folder if folder is not None else resources.files("brojobs_es.store") / "migrations"
    found: list[Migration] = []
    for file in sorted(source.iterdir(), key=lambda entry: entry.name):
        if not _NAME.fullmatch(file.name):
            continue
        text = file.read_bytes()
        digest = hashlib.sha256(text).digest()
        sql = text.decode()
        targets = [f"log_{number}" for number in range(logs)] if PLACEHOLDER in sql else [_DATABASE]
        found += [Migration(file.name, target, digest, sql.replace(PLACEHOLDER, target)) for target in targets]
    return found


def _check_logs(connection: psycopg.Connection[Any], logs: int, *, record: bool = True) -> None:
    if record:
        connection.execute("INSERT INTO brojobs.deployment (logs) VALUES (%s) ON CONFLICT DO NOTHING", (logs,))
    row = connection.execute("SELECT logs FROM brojobs.deployment").fetchone()
    existing = row[0] if row else 0
    if existing != logs:
        raise MigrationError(
            f"this database was made with {existing} log(s) and cannot run with {logs}: "
            f"an order's log follows from its id, so the number stays as it was (BROJOBS_LOGS={existing})"
        )


def _pending(connection: psycopg.Connection[Any], wanted: Iterable[Migration]) -> list[Migration]:
    rows = connection.execute("SELECT name, target, sha256 FROM brojobs.migrations").fetchall()
    done = {(name, target): bytes(sha256) for name, target, sha256 in rows}
    pending: list[Migration] = []
    for migration in wanted:
        known = done.pop((migration.name, migration.target), None)
        if known is None:
            pending.append(migration)
        elif known != migration.sha256:
            raise MigrationError(
                f"{migration.name} has changed since it ran here: restore it and add a new file instead"
            )
    if done:
        newest = max(name for name, _ in done)
        raise MigrationError(f"this database is newer than the program: it has run {newest}, which is not known here")
    return pending
