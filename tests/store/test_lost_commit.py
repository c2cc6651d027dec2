"""The connection dies around a commit. Whatever happened to the commit, the caller gets the truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest
from tests.store.helpers import all_stored, append, events, eventually, kept, kill_backends, opened, together
from tests.store.proxy import Cut, Proxy

from brojobs_es.store.connections import conninfo
from brojobs_es.store.log import Append, Logs, StoreUnavailable, VersionConflict

EVERY_CUT = pytest.mark.parametrize("cut", list(Cut))


@pytest.fixture
async def proxy(clean_logs: str) -> AsyncIterator[Proxy]:
    async with Proxy(clean_logs).running() as running:
        yield running


@pytest.fixture
async def logs(proxy: Proxy, log_count: int) -> AsyncIterator[Logs]:
    async with opened(proxy.url, log_count) as made:
        yield made


@EVERY_CUT
@pytest.mark.parametrize("count", [1, 3, 700])
async def test_a_lost_acknowledgement_is_no_conflict(logs: Logs, proxy: Proxy, cut: Cut, count: int) -> None:
    """The command succeeded, or is made to; its events are there once, and their positions are answered."""
    order = uuid4()
    proxy.cut_next(cut, b"Marked" if count < 500 else b"COMMIT")
    positions = await logs.append(Append(order, events(order, count=count, topic="Marked"), kept(order, str(order))))
    assert proxy.cuts == 1
    assert [event.position for event in await logs.load(order)] == positions
    assert len(positions) == count
    assert await logs.find_key("bob", str(order)) == kept(order, str(order))


@EVERY_CUT
async def test_an_answer_without_events_survives_too(logs: Logs, proxy: Proxy, cut: Cut) -> None:
    """The record alone tells that the command was ours."""
    order = uuid4()
    proxy.cut_next(cut, str(order).encode())
    assert await logs.append(Append(order, (), kept(order, str(order)))) == []
    assert await logs.find_key("bob", str(order)) == kept(order, str(order))


async def test_somebody_elses_event_is_still_a_conflict(logs: Logs, proxy: Proxy, clean_logs: str) -> None:
    """A try that never arrived, while another takes the version: the loser learns of a conflict, not of a success."""
    order = uuid4()
    proxy.cut_next(Cut.BEFORE_SENDING, b"Mine")
    mine = asyncio.create_task(logs.append(append(order, state=b"mine", topic="Mine")))
    await eventually(lambda: proxy.cuts == 1)
    with psycopg.connect(conninfo(clean_logs, "brojobs_writer")) as other:
        other.execute(
            f"INSERT INTO log_{logs.log_of(order)}.events (order_id, stream_id, stream_version, topic, state) "
            f"VALUES ('{order}', '{order}', 1, 'Toy', 'theirs')".encode()
        )
    with pytest.raises(VersionConflict):
        await mine
    assert [event.state for event in await logs.load(order)] == [b"theirs"]


async def test_what_cannot_be_known_is_not_guessed(clean_logs: str, log_count: int) -> None:
    """The network goes for good around the commit: the answer is neither success nor conflict."""
    order = uuid4()
    async with Proxy(clean_logs).running() as proxy:
        logs = Logs(proxy.url, log_count, patience_seconds=0.5)
        await logs.open()
        proxy.cut_next(Cut.BEFORE_ANSWER, b"Marked", for_good=True)
        try:
            with pytest.raises(StoreUnavailable):
                await logs.append(append(order, topic="Marked"))
            assert proxy.cuts == 1
        finally:
            await logs.close()


@EVERY_CUT
async def test_a_lost_batch_is_told_one_by_one(logs: Logs, proxy: Proxy, cut: Cut) -> None:
    """Whatever became of it: the right ones are stored once and told where, the wrong one learns of its conflict."""
    conflict, *orders = (uuid4() for _ in range(21))
    await logs.append(append(conflict))
    right = [Append(order, events(order, count=3, topic="Marked"), kept(order, str(order))) for order in orders]
    proxy.cut_next(cut, b"Marked")
    told = await together(logs, [*right, append(conflict, state=b"mine")])
    assert proxy.cuts == 1
    assert isinstance(told.pop(), VersionConflict)
    await all_stored(logs, right, told)
    for order in orders:
        assert await logs.find_key("bob", str(order)) == kept(order, str(order))


async def test_random_cuts_and_kills_under_load(logs: Logs, proxy: Proxy, clean_logs: str) -> None:
    """Eight writers, each with its own orders, while connections are cut and backends killed: every answer is true."""
    answered: dict[UUID, list[int]] = {}
    unknown: set[UUID] = set()
    finished = asyncio.Event()

    async def write(number: int) -> None:
        while proxy.cuts < 15:
            order = uuid4()
            try:
                answered[order] = await logs.append(append(order, count=2, state=f"{number}".encode()))
            except StoreUnavailable:
                unknown.add(order)  # every try within the patience was cut: an honest answer, and a rare one

    async def trouble() -> None:
        dice = random.Random(7)
        while not finished.is_set():
            proxy.cut_next(dice.choice(list(Cut)), b"Toy")
            await asyncio.sleep(0.15)  # slower than the pauses between tries, or nobody would get through
            if dice.random() < 0.2:
                await asyncio.to_thread(kill_backends, clean_logs, "application_name = 'brojobs_writer'")

    troubling = asyncio.create_task(trouble())
    try:
        async with asyncio.TaskGroup() as writers:
            for number in range(8):
                writers.create_task(write(number))
    finally:
        finished.set()
        await troubling
    assert len(unknown) < len(answered) / 10
    stored = await logs.load_many([*answered, *unknown])
    assert {order: [event.position for event in stored.get(order, [])] for order in answered} == answered
    assert {len(stored.get(order, [])) for order in unknown} <= {0, 2}, "stored whole or not at all"
