"""A reader of the feed sees every event once and in order, whatever the writers do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import AsyncConnection
from tests.store.helpers import append, eventually, kill_backends, opened

from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo
from brojobs_es.store.feed import BATCH, tail
from brojobs_es.store.listener import wait
from brojobs_es.store.log import Logs, RecordedEvent

EVENTS = int(os.environ.get("BROJOBS_READER_EVENTS", "5000"))
STAY_SECONDS = 5.0 if EVENTS >= 20_000 else 2.0
WRITERS = 8


async def follow(logs: Logs, into: list[RecordedEvent], after: dict[int, int] | None = None) -> None:
    async with contextlib.aclosing(tail(logs, after or dict.fromkeys(range(logs.count), 0))) as batches:
        async for batch in batches:
            assert 1 <= len(batch) <= BATCH
            assert len({event.log for event in batch}) == 1
            into += batch


@contextlib.asynccontextmanager
async def reading(logs: Logs, after: dict[int, int] | None = None):  # type: ignore[no-untyped-def]
    seen: list[RecordedEvent] = []
    task = asyncio.create_task(follow(logs, seen, after))
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_there_and_what_comes(clean_logs: str, log_count: int) -> None:
    """More than a batch of old events, then new ones without waiting for the next look."""
    async with opened(clean_logs, log_count) as logs:
        order = uuid4()
        await logs.append(append(order, count=BATCH + 1))
        async with reading(logs) as seen:
            await eventually(lambda: len(seen) == BATCH + 1)
            started = asyncio.get_running_loop().time()
            for version in range(5):
                await logs.append(append(order, first=BATCH + 2 + version))
                await eventually(lambda version=version: len(seen) == BATCH + 2 + version)  # type: ignore[misc]
            assert asyncio.get_running_loop().time() - started < 1.0  # five looks would take five seconds
        assert seen == await logs.load(order)


async def test_going_on_after_the_last_position(clean_logs: str, log_count: int) -> None:
    """Who starts again after its last position sees the rest and nothing twice."""
    async with opened(clean_logs, log_count) as logs:
        order = uuid4()
        positions = await logs.append(append(order, count=10))
        after = dict.fromkeys(range(log_count), 0) | {logs.log_of(order): positions[5]}
        async with reading(logs, after) as seen:
            await eventually(lambda: len(seen) == 4)
        assert [event.position for event in seen] == positions[6:]


async def test_the_feed_survives_killed_connections(clean_logs: str, log_count: int) -> None:
    """All connections die, the listening one too, again and again: nothing is missing or repeated."""
    async with opened(clean_logs, log_count) as logs, reading(logs) as seen:
        order = uuid4()
        for version in range(1, 11):
            await logs.append(append(order, first=version))
            await asyncio.to_thread(kill_backends, clean_logs, "application_name = 'brojobs_writer'")
        await eventually(lambda: len(seen) >= 10)
        assert seen == await logs.load(order)


class Writer:
    """Writes transactions of its own on a connection of its own: short and long, committed, rolled back, killed."""

    def __init__(self, url: str, logs: int, number: int, enough: Callable[[], bool]) -> None:
        self._url = conninfo(url, "brojobs_writer", lock_timeout="60s", idle_in_transaction_session_timeout="60s")
        self._logs = logs
        self._dice = random.Random(number)
        self._number = number
        self._enough = enough
        self.stayed = self.rolled_back = self.died = 0

    async def run(self) -> None:
        while not self._enough():
            try:
                async with await AsyncConnection.connect(self._url) as connection:
                    while not self._enough():
                        await self._transaction(connection)
            except psycopg.OperationalError:
                self.died += 1

    async def _transaction(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        log = self._dice.randrange(self._logs)
        for _ in range(self._dice.randint(1, 2)):
            stream, count = uuid4(), self._dice.randint(1, 6)
            states = [b"{}"] * count
            values = ([stream] * count, [stream] * count, list(range(1, count + 1)), ["Toy"] * count, states)
            await connection.execute(sql.insert_events(log).encode(), values)
            await asyncio.sleep(self._dice.choice([0, 0, 0.002]))
        if self._number == 0 and self.stayed == 0:
            self.stayed += 1
            await asyncio.sleep(STAY_SECONDS)
        if self._dice.random() < 0.15:
            self.rolled_back += 1
            await connection.rollback()
        else:
            await connection.commit()


async def test_a_reader_misses_nothing(clean_logs: str, log_count: int) -> None:
    """Eight writers, one that stays in its transaction, rollbacks, killed backends: 0 skipped, 0 twice, in order."""
    async with opened(clean_logs, log_count) as logs, reading(logs) as early, reading(logs) as seen:

        def enough() -> bool:
            return len(seen) >= EVENTS

        async def kill() -> None:
            while not enough():
                await asyncio.sleep(0.3)
                where = "application_name = 'brojobs_writer' AND pid % 5 = 0"
                await asyncio.to_thread(kill_backends, clean_logs, where)

        writers = [Writer(clean_logs, log_count, number, enough) for number in range(WRITERS)]
        await asyncio.gather(kill(), *(writer.run() for writer in writers))
        stored: list[RecordedEvent] = []
        for log in range(log_count):
            while part := await logs.read(log, stored[-1].position if stored and stored[-1].log == log else 0, 1000):
                stored += part
        await eventually(lambda: len(seen) >= len(stored) and len(early) >= len(stored))
    assert len(stored) >= EVENTS
    assert writers[0].stayed == 1
    assert sum(writer.rolled_back for writer in writers) > 0
    assert sum(writer.died for writer in writers) > 0
    for reader in (early, seen):
        for log in range(log_count):
            assert _of(reader, log) == _of(stored, log)


def _of(events: list[RecordedEvent], log: int) -> list[tuple[int, UUID, int]]:
    return [(event.position, event.stream_id, event.stream_version) for event in events if event.log == log]


@pytest.mark.parametrize("ticks", range(5))
async def test_a_reader_ends_when_it_is_cancelled(ticks: int) -> None:
    """Also when it is woken at the same moment: the waking does not swallow the end."""
    event = asyncio.Event()

    async def reader() -> None:
        while True:
            await wait(event, 10)

    task = asyncio.create_task(reader())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    event.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=0.5)
    assert done
    assert task.cancelled()
