"""A stage for each test: a log of its own, empty or copied from one that was sealed once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from tests.evidence.stage import Copies, Stage

if os.environ.get("BROJOBS_LOGS", "1") != "1":
    collect_ignore = ["test_attacks.py", "test_sealer.py", "test_witness.py", "test_verify.py"]  # they speak of log 0


@pytest.fixture
def stage(new_database: Callable[[], str], tmp_path: Path) -> Stage:
    """An empty log."""
    return Stage(new_database(), tmp_path)


@pytest.fixture(scope="session")
def sealed_once(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """1300 events, sealed and signed. To be copied, not to be touched."""
    stage = Stage(new_database(), tmp_path_factory.mktemp("sealed"))
    stage.grow(1300)
    stage.seal()
    return stage


@pytest.fixture
def copied() -> Iterator[Copies]:
    """Copies a database as it is now, under another name; the copies go with the test."""
    made: list[str] = []

    def copy(url: str) -> str:
        parts = urlsplit(url)
        name = f"test_{secrets.token_hex(6)}"
        _as_server(url, f'CREATE DATABASE "{name}" TEMPLATE "{parts.path[1:]}"')
        made.append(urlunsplit(parts._replace(path=f"/{name}")))
        return made[-1]

    yield copy
    for url in made:
        _as_server(url, f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')


def _as_server(url: str, statement: str) -> None:
    with psycopg.connect(urlunsplit(urlsplit(url)._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(statement.encode())
