"""A service on a database of its own, since these tests look at whole logs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.http.service import Service, service
from tests.http.world import World


@pytest.fixture(scope="module")
def running(new_database: Callable[[], str]) -> Iterator[Service]:
    """The service that the tests of one file share."""
    folder = Path(tempfile.mkdtemp(prefix="brojobs-audit-", dir="/var/tmp"))
    folder.chmod(0o755)
    with service(new_database(), folder) as process:
        yield process
    shutil.rmtree(folder)


@pytest.fixture
def world(running: Service) -> Iterator[World]:
    """People that no other test knows; whatever fails inside the service fails the test."""
    before = len(running.failures)
    with World(running.url) as made:
        made.advance(days=1)
        yield made
    assert "Traceback" not in running.failures[before:], running.failures[before:]
