"""An erasure and a log that somebody else holds: what waits there with the old key is seen before the key is destroyed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import TupleRow
from tests.application.desk import NOW, PEOPLE, Desk, desk, standing_clock
from tests.store.helpers import eventually

from brojobs_es.application.erasing import Erasing
from brojobs_es.clock import Clock
from brojobs_es.errors import Refusal
from brojobs_es.store.erasing import PostgresEraser

SETTLE_SECONDS = 0.1
HELD_SECONDS = 0.5
"""How long the log is held once the keys are being taken away: longer than the erasure waits by the clock."""


@contextlib.contextmanager
def held(url: str, logs: int) -> Iterator[psycopg.Connection[TupleRow]]:
    """Nobody else can append until the block ends."""
    with psycopg.connect(url, autocommit=True) as connection:
        for log in range(logs):
            connection.execute(f"SELECT pg_advisory_lock(hashtextextended('brojobs append log_{log}', 0))".encode())
        yield connection


def count(connection: psycopg.Connection[TupleRow], what: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {what}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def erasing(process: Desk, eraser: PostgresEraser, clock: Clock) -> Erasing:
    async def no_files(person: str, generation: int) -> int:
        return 0

    return Erasing(
        process.logs, process.vault, eraser, clock, forget_files=no_files, retention=timedelta(0), settle_seconds=SETTLE_SECONDS
    )  # fmt: skip


async def test_what_waits_for_the_log_is_not_erased(clean_logs: str, log_count: int) -> None:
    """An order under the old key gets its turn only when the time to settle is long over: it stops the erasure, and is readable."""
    clock = standing_clock()
    async with desk(clean_logs, log_count, clock) as web, desk(clean_logs, log_count, clock) as line:
        ended = await web.place()
        clock.move_to(NOW + timedelta(days=2))
        await web.service.history(ended)  # nobody has paid it
        async with PostgresEraser.opened(clean_logs, line.logs) as eraser:
            with held(clean_logs, log_count) as holding:
                placing = asyncio.create_task(web.place())
                await eventually(lambda: count(holding, "pg_locks WHERE locktype = 'advisory' AND NOT granted") > 0)
                job = asyncio.create_task(erasing(line, eraser, clock).erase("ana", "They asked for it", "ops"))
                await eventually(lambda: count(holding, "vault.erasures") == 1)
                await asyncio.sleep(HELD_SECONDS)
            order_id = await placing
            with pytest.raises(Refusal):
                await job
        async with desk(clean_logs, log_count, clock) as fresh:
            standing, _ = await fresh.service.stand(order_id, PEOPLE["buyer"])
        assert (standing.case.order.title.text, standing.case.order.brief.text) == ("Logo", "Two colours.")


async def test_a_log_that_nobody_holds_is_not_waited_for(clean_logs: str, log_count: int) -> None:
    """The erasure of somebody whose orders have ended takes the time to settle and no more of it; others write on."""
    clock = standing_clock()
    async with desk(clean_logs, log_count, clock) as web, desk(clean_logs, log_count, clock) as line:
        ended = await web.place()
        clock.move_to(NOW + timedelta(days=2))
        await web.service.history(ended)
        async with PostgresEraser.opened(clean_logs, line.logs) as eraser:
            erased = await asyncio.wait_for(erasing(line, eraser, clock).erase("ana", "They asked for it", "ops"), 5)
            assert erased.orders == 1
            await web.place()
