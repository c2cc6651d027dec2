"""Migrations run once, in order, whoever runs them and however many at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from brojobs_es.store import migrate as module
from brojobs_es.store.migrate import MigrationError, check, migrate

SQL = Path(module.__file__).parent / "migrations"


@pytest.fixture
def url(empty_database: Callable[[], str]) -> str:
    return empty_database()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first three files alone: what is added to the project later does not change these tests."""
    copies = tmp_path / "migrations"
    copies.mkdir()
    for file in sorted(SQL.glob("000[1-3]_*.sql")):
        shutil.copy(file, copies)
    return copies


def test_each_file_runs_once_and_log_files_once_a_log(url: str, folder: Path) -> None:
    """A second run finds nothing to do."""
    assert migrate(url, 2, folder) == [
        "0001_roles.sql database",
        "0002_log.sql log_0",
        "0002_log.sql log_1",
        "0003_views.sql database",
    ]
    assert migrate(url, 2, folder) == []
    check(url, 2, folder)


def test_eight_threads_at_once(url: str, folder: Path) -> None:
    """One works, the others find everything done, nobody fails."""
    with ThreadPoolExecutor(8) as threads:
        applied = list(threads.map(lambda _: migrate(url, 3, folder), range(8)))
    assert sorted(map(len, applied)) == [0] * 7 + [5]


def test_eight_processes_at_once_over_two_databases_of_one_server(
    empty_database: Callable[[], str], folder: Path
) -> None:
    """Roles belong to the server: databases that are migrated at the same moment do not trip over each other."""
    urls = [empty_database(), empty_database()]
    program = """
import sys
from pathlib import Path
from brojobs_es.store.migrate import migrate
print(len(migrate(sys.argv[1], 1, Path(sys.argv[2]))))
"""
    running = [
        subprocess.Popen([sys.executable, "-c", program, url, str(folder)], stdout=subprocess.PIPE, text=True)
        for url in urls * 4
    ]
    applied = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0] * 8
    assert sorted(applied) == ["0"] * 6 + ["3"] * 2


def test_roles_are_made_by_several_databases_at_once(
    empty_database: Callable[[], str], postgres_server: str, folder: Path
) -> None:
    """The role file alone, on names that do not exist yet, from eight databases of one server at once."""
    text = (folder / "0001_roles.sql").read_text().replace("'brojobs_", "'racing_")
    block = text[: text.index("$$;") + 3]
    urls = [empty_database() for _ in range(8)]

    def run(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(block.encode())

    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(run, urls))
    finally:
        with psycopg.connect(postgres_server) as connection:
            connection.execute("DROP ROLE racing_writer, racing_projector, racing_auditor")


def test_a_changed_file_is_refused(url: str, folder: Path) -> None:
    """What has run is history: the message names the file, and nothing is run."""
    migrate(url, 1, folder)
    (folder / "0002_log.sql").write_text((folder / "0002_log.sql").read_text() + "-- improved\n")
    (folder / "0009_more.sql").write_text("CREATE TABLE views.more ();")
    with pytest.raises(MigrationError, match=r"0002_log\.sql has changed"):
        migrate(url, 1, folder)
    with pytest.raises(MigrationError, match=r"0002_log\.sql has changed"):
        check(url, 1, folder)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('views.more')").fetchone() == (None,)


def test_a_file_that_fails_leaves_nothing_and_can_be_mended(url: str, folder: Path) -> None:
    """A migration and its record are one transaction."""
    migrate(url, 1, folder)
    more = folder / "0009_more.sql"
    more.write_text("CREATE TABLE views.more (); SELECT 1/0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(url, 1, folder)
    with pytest.raises(MigrationError, match="older than the program"):
        check(url, 1, folder)
    more.write_text("CREATE TABLE views.more ();")
    assert migrate(url, 1, folder) == ["0009_more.sql database"]


def test_a_newer_database_is_refused(url: str, folder: Path) -> None:
    """An old program does not touch a database whose files it does not know."""
    newer = folder / "0009_more.sql"
    newer.write_text("CREATE TABLE views.more ();")
    migrate(url, 1, folder)
    newer.unlink()
    with pytest.raises(MigrationError, match=r"newer than the program.*0009_more\.sql"):
        migrate(url, 1, folder)


def test_the_projects_own_files_are_complete(url: str) -> None:
    """All of the project's migrations run, for two logs, and then there is nothing left to do."""
    assert len(migrate(url, 2)) > 4
    check(url, 2)
    assert migrate(url, 2) == []


@pytest.mark.parametrize("wanted", [1, 3])
def test_the_number_of_logs_never_changes(url: str, wanted: int) -> None:
    """Orders hash to logs: neither more nor fewer."""
    migrate(url, 2)
    with pytest.raises(MigrationError, match=r"made with 2 log\(s\) and cannot run with"):
        migrate(url, wanted)
    with pytest.raises(MigrationError, match="BROJOBS_LOGS=2"):
        check(url, wanted)


def test_an_empty_database_does_not_pass_the_check(url: str) -> None:
    """The message says what to run."""
    with pytest.raises(MigrationError, match="run `brojobs migrate`"):
        check(url)
