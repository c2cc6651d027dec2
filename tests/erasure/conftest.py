"""Two service processes on one database, in which nobody but these tests is erased."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.http.service import Service, service
from tests.http.world import World


@pytest.fixture(scope="module")
def both(new_database: Callable[[], str]) -> Iterator[tuple[Service, Service]]:
    """Both processes; they share files and keys, and each has memory of its own."""
    folder = Path(tempfile.mkdtemp(prefix="brojobs-erase-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        url = new_database()
        with service(url, folder) as one, service(url, folder) as other:
            yield one, other
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def world(both: tuple[Service, Service]) -> Iterator[World]:
    """Fresh people, seen through the first process; the second one's clock follows."""
    with World(both[0].url) as made, World(both[1].url, people=made.people) as twin:
        made.follow(twin)
        made.advance(days=1)
        yield made


@pytest.fixture
def twin(world: World) -> World:
    """The same people seen through the second process."""
    return world._followers[0]
