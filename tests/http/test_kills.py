"""Killed in the middle, again and again: what was acknowledged is there, what is there was asked for, once."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.http.aftermath import Aftermath
from tests.http.besieged import Town, postgres
from tests.http.crowd import SOAK
from tests.http.siege import siege

from brojobs_es.store.migrate import migrate

ROUNDS: Final = 50 if SOAK else 5
AT_LEAST: Final = 25
"""Answers before each kill; the clients' lives have about ten steps, so that each kill finds them somewhere else."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where another system user can reach it."""
    made = Path(tempfile.mkdtemp(prefix="brojobs-kills-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("workers", [None, 2])
async def test_the_service_is_killed(clean_logs: str, folder: Path, log_count: int, workers: int | None) -> None:
    """All of its processes, or one of several: its clients ask again, and learn the truth."""
    dice = random.Random(workers or 1)
    with Town(clean_logs, folder, log_count, workers) as town:
        async with siege(town) as clients:
            aftermath = Aftermath(town, clients)
            for number in range(ROUNDS):
                await clients.more(AT_LEAST + dice.randrange(20))
                if workers is not None and number % 2:
                    await asyncio.to_thread(town.kill_one, dice.randrange(workers + 1))
                else:
                    await asyncio.to_thread(town.kill)
                    await asyncio.to_thread(town.start)
                async with clients.at_rest():
                    await aftermath.look()
        assert sum(request.lost for request in clients.requests) >= ROUNDS


async def test_the_database_is_killed(folder: Path, log_count: int) -> None:
    """Whole, or one of its processes so that it starts anew by itself: the service stays, and finds its way back."""
    dice = random.Random(3)
    with postgres(folder) as server:
        migrate(server.uri, log_count)
        with Town(server.uri, folder, log_count) as town:
            async with siege(town) as clients:
                aftermath = Aftermath(town, clients)
                for number in range(ROUNDS):
                    await clients.more(AT_LEAST + dice.randrange(20))
                    if number % 2:
                        await asyncio.to_thread(server.kill_one, dice.randrange(100))
                        await clients.more(AT_LEAST)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                    async with clients.at_rest():
                        await aftermath.look()
