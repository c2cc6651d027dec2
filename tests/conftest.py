"""Databases for tests: real PostgreSQL, made fresh, dropped afterwards.

`BROJOBS_TEST_DATABASE_URL` names a server (as a superuser) to use instead of the embedded one; where that server is
thrown away as well, `BROJOBS_TEST_KEEP_DATABASES=1` saves dropping each database. `BROJOBS_LOGS` is the number of logs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from tests.authority import Authority, serving

from brojobs_es.store import embedded
from brojobs_es.store.migrate import migrate


@pytest.fixture(scope="session")
def log_count() -> int:
    """How many logs the databases of this run have."""
    return int(os.environ.get("BROJOBS_LOGS", "1"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URI of a superuser on a running server."""
    given = os.environ.get("BROJOBS_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="brojobs-test-", dir="/var/tmp"))  # its parents are open to the server's user
    folder.chmod(0o755)
    try:
        server = embedded.start(folder)
        yield server.uri
        _stop_at_once(folder / "postgresql" / str(embedded.MAJOR) / "postmaster.pid")
        with contextlib.suppress(
            embedded.EmbeddedPostgresError
        ):  # it may be seen ending, and be gone when told to stop
            server.close()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def empty_database(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Makes an empty database, never migrated, and returns its URI."""
    with _databases(postgres_server, "template0") as make:
        yield make


@pytest.fixture(scope="session")
def new_database(
    postgres_server: str, empty_database: Callable[[], str], log_count: int
) -> Iterator[Callable[[], str]]:
    """Makes a fresh migrated database and returns its URI; quick, as it is copied from one that nobody uses."""
    template = empty_database()
    migrate(template, log_count)
    with _databases(postgres_server, urlsplit(template).path.removeprefix("/")) as make:
        yield make


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """A migrated database that the tests of this run share."""
    return new_database()


@pytest.fixture
def clean_logs(new_database: Callable[[], str]) -> str:
    """A migrated database for one test alone."""
    return new_database()


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Authority, Authority]]:
    """Two time stamping authorities that know nothing of each other; to be used through `authority` and `stranger`."""
    if shutil.which("openssl") is None:
        pytest.skip("the time stamping authorities of these tests are the program openssl")
    one, other = (Authority(tmp_path_factory.mktemp("authority")) for _ in range(2))
    with serving(one), serving(other):
        yield one, other


@pytest.fixture
def authority(authorities: tuple[Authority, Authority]) -> Authority:
    """An honest time stamping authority."""
    authorities[0].mood = "honest"
    authorities[0].asked.clear()
    return authorities[0]


@pytest.fixture
def stranger(authorities: tuple[Authority, Authority]) -> Authority:
    """A time stamping authority that nobody accepts."""
    return authorities[1]


def _stop_at_once(pid_file: Path) -> None:
    """End a server without writing everything to disk first, which takes long and serves nobody; wait until it is gone."""
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    give_up = time.monotonic() + 20
    while pid_file.exists() and time.monotonic() < give_up:
        time.sleep(0.02)


class _databases:  # noqa: N801  (used like a function)
    """Makes databases from a template, and drops them at the end."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._made: list[str] = []

    def __enter__(self) -> Callable[[], str]:
        return self._make

    def __exit__(self, *_: object) -> None:
        if "BROJOBS_TEST_DATABASE_URL" not in os.environ or os.environ.get("BROJOBS_TEST_KEEP_DATABASES"):
            return  # the whole server goes, and each drop would wait for a checkpoint
        with psycopg.connect(self._server, autocommit=True) as connection:
            for name in self._made:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def _make(self) -> str:
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self._template}"'.encode())
        self._made.append(name)
        url = urlunsplit(urlsplit(self._server)._replace(path=f"/{name}"))
        with psycopg.connect(url) as connection:
            if connection.execute("SELECT to_regclass('brojobs.deployment') IS NOT NULL").fetchone() == (True,):
                # A copy would pass for its template: a service that shares its folder with that of another copy
                # would rightly refuse to sign it.
                connection.execute("UPDATE brojobs.deployment SET id = gen_random_uuid()")
        return url
