"""The scheduler at work: what is wrong with one order or with the database for a while does not end it for the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from tests.application.desk import NOW, Desk, desk, standing_clock
from tests.store.helpers import full_disk

from brojobs_es import worker
from brojobs_es.application.history import decode
from brojobs_es.clock import SandboxClock
from brojobs_es.projections import VIEWS
from brojobs_es.store.projector import Projector
from brojobs_es.worker import Scheduler

EXPIRED = NOW + timedelta(days=2)
"""When an order of `NOW` that nobody has paid has ended."""


@pytest.fixture
def clock() -> SandboxClock:
    return standing_clock()


@pytest.fixture
async def here(clean_logs: str, log_count: int, clock: SandboxClock) -> AsyncIterator[Desk]:
    async with desk(clean_logs, log_count, clock) as made:
        yield made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler looks as often as a test needs it."""
    monkeypatch.setattr(worker, "PAUSE_SECONDS", 0.02)


async def see(url: str, logs: int) -> None:
    """Bring the views up to date; afterwards they stand still."""
    views = Projector(url, logs, VIEWS, decode)
    await views.open()
    await views.catch_up()
    await views.close()


@contextlib.asynccontextmanager
async def at_work(here: Desk, clock: SandboxClock) -> AsyncIterator[asyncio.Task[None]]:
    """A scheduler that runs until the block ends."""
    running = asyncio.create_task(Scheduler(here.logs, here.service, clock).run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def expired(here: Desk, order_id: UUID) -> None:
    """Wait until it is recorded, once, that nobody has paid the order; fails when that does not come."""
    async with asyncio.timeout(10):
        while not (times := [row.topic for row in await here.logs.load(order_id)].count("order:PaymentExpired")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert times == 1


async def test_a_full_disk_is_waited_for(here: Desk, clock: SandboxClock, clean_logs: str, log_count: int) -> None:
    """Nothing can be recorded for a while; when there is room again, what is due is fired."""
    order_id = await here.place()
    await see(clean_logs, log_count)
    clock.move_to(EXPIRED)
    async with at_work(here, clock) as running:
        with full_disk(clean_logs, log_count):
            await asyncio.sleep(0.3)
            assert not running.done()
        await expired(here, order_id)


async def test_a_view_that_is_not_there_is_waited_for(
    here: Desk, clock: SandboxClock, clean_logs: str, log_count: int
) -> None:
    """Whatever the database answers instead of what is due: the scheduler asks again."""
    order_id = await here.place()
    await see(clean_logs, log_count)
    clock.move_to(EXPIRED)
    with psycopg.connect(clean_logs, autocommit=True) as connection:
        connection.execute("ALTER TABLE views.deadlines RENAME TO elsewhere")
        async with at_work(here, clock) as running:
            await asyncio.sleep(0.3)
            assert not running.done()
            connection.execute("ALTER TABLE views.elsewhere RENAME TO deadlines")
            await expired(here, order_id)


async def test_an_order_that_cannot_be_read_stops_no_other(
    here: Desk, clock: SandboxClock, clean_logs: str, log_count: int
) -> None:
    """The first that is due holds an event of a newer program: all others are fired."""
    newer, *others = [await here.place() for _ in range(4)]
    await see(clean_logs, log_count)
    with psycopg.connect(clean_logs) as connection:
        log = here.logs.log_of(newer)
        connection.execute(
            f"INSERT INTO log_{log}.events (order_id, stream_id, stream_version, topic, state) "
            f"""VALUES ('{newer}', '{newer}', 2, 'order:EscrowFunded', '{{"class_version":2}}')""".encode()
        )
        connection.execute(
            "UPDATE views.deadlines SET next_at = next_at - interval '1 hour' WHERE order_id = %s", [newer]
        )
    clock.move_to(EXPIRED)
    async with at_work(here, clock) as running:
        for order_id in others:
            await expired(here, order_id)
        assert not running.done()
    assert len(await here.logs.load(newer)) == 2


async def test_more_than_a_batch_is_fired_while_the_views_stand_still(
    here: Desk, clock: SandboxClock, clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that were fired and still stand in the view keep no other from being found; none is fired twice."""
    monkeypatch.setattr(worker, "BATCH", 3)
    orders = [await here.place() for _ in range(8)]
    await see(clean_logs, log_count)
    clock.move_to(EXPIRED)
    scheduler = Scheduler(here.logs, here.service, clock)
    assert [await scheduler.fire_due() for _ in range(4)] == [3, 3, 2, 0]
    for order_id in orders:
        await expired(here, order_id)
