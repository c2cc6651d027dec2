"""A service over a real socket for the tests of this folder, and a world of fresh people for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.http.service import Service, service
from tests.http.world import World


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    """Where the services of this run keep their files and their key."""
    folder = Path(tempfile.mkdtemp(prefix="brojobs-http-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def running(database_url: str, data_folder: Path) -> Iterator[Service]:
    """The service that most tests share."""
    with service(database_url, data_folder) as process:
        yield process


@pytest.fixture(scope="session")
def second(running: Service) -> Iterator[Service]:
    """Another process on the same database, files and key."""
    with service(running.database_url, running.folder) as process:
        yield process


@pytest.fixture
def world(running: Service) -> Iterator[World]:
    """People that no other test knows, at an instant of their own; whatever fails inside the service fails the test."""
    before = len(running.failures)
    with World(running.url) as made:
        made.advance(days=1)
        yield made
        made.clock(run_timers=True)
    assert "Traceback" not in running.failures[before:], running.failures[before:]


@pytest.fixture
def twin(world: World, second: Service) -> Iterator[World]:
    """The same people seen through the second process, with the same clock."""
    with World(second.url, people=world.people) as made:
        world.follow(made)
        yield made
    world.unfollow()
