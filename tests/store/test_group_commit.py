"""Commands that are under way together share a commit, and nothing else: each is stored, or fails, for itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from tests.store.helpers import all_stored, append, events, eventually, kept, opened, together

from brojobs_es.store import sql
from brojobs_es.store.append import LogWriter
from brojobs_es.store.connections import Retrying
from brojobs_es.store.log import Append, KeyTaken, Logs, StoreUnavailable, VersionConflict, VersionGap


@pytest.fixture
async def logs(clean_logs: str, log_count: int) -> AsyncIterator[Logs]:
    async with opened(clean_logs, log_count) as made:
        yield made


def in_one_log(logs: Logs, count: int) -> list[UUID]:
    """Ids of orders that live in log 0."""
    ids: list[UUID] = []
    while len(ids) < count:
        ids += [order for order in (uuid4() for _ in range(count)) if logs.log_of(order) == 0]
    return ids[:count]


def transactions(url: str) -> int:
    """How many transactions have written the events of log 0."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM log_0.events").fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def held_up(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Nobody else can append to log 0 until the block ends."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended('brojobs append log_0', 0))")
        yield connection


async def under_way(holding: psycopg.Connection[tuple[object, ...]]) -> None:
    """Wait until an append has reached the database, and waits there."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await eventually(lambda: holding.execute(query).fetchone() == (1,))


# -- together


async def test_those_under_way_together_share_commits(logs: Logs, clean_logs: str) -> None:
    """Sixty-four need a few transactions; one alone has one of its own, as it waits for nobody."""
    appends = [append(order, count=2, state=str(order).encode()) for order in in_one_log(logs, 64)]
    told = await together(logs, appends)
    assert transactions(clean_logs) <= 3
    await all_stored(logs, appends, told)
    before = transactions(clean_logs)
    for order in in_one_log(logs, 5):
        await logs.append(append(order))
    assert transactions(clean_logs) == before + 5


async def test_positions_are_in_the_order_of_asking(logs: Logs) -> None:
    """Over several batches, nobody overtakes; the log has no gap and no position twice."""
    orders = in_one_log(logs, 300)
    running = []
    for number, order in enumerate(orders):
        running.append(asyncio.create_task(logs.append(append(order, count=1 + number % 3))))
        if number % 50 == 0:
            await asyncio.sleep(0.005)  # so that some batches are on their way while the next ones gather
    positions = [position for told in await asyncio.gather(*running) for position in told]
    assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert [event.position for event in await logs.read(0, 0, 1000)] == positions


async def test_what_follows_an_event_of_the_same_batch_is_no_gap(logs: Logs) -> None:
    """Version 2 behind version 1: both are stored, in this order."""
    order = in_one_log(logs, 1)[0]
    first, second = await together(logs, [append(order, state=b"1"), append(order, first=2, state=b"2")])
    assert [(e.stream_version, [e.position]) for e in await logs.load(order)] == [(1, first), (2, second)]


@pytest.mark.parametrize(
    "sizes", [[1200], [40] * 30, [1] * 1100, [3, 499, 501, 1, 2]], ids=["one", "some", "many", "odd"]
)
async def test_more_than_fits_into_a_statement(logs: Logs, clean_logs: str, sizes: list[int]) -> None:
    """A command is one transaction whatever its size, and several never make a statement that is too long."""
    orders = in_one_log(logs, len(sizes))
    appends = [append(order, count=size) for order, size in zip(orders, sizes, strict=True)]
    with_keys = [Append(each.order_id, each.events, kept(each.order_id, str(each.order_id))) for each in appends]
    told = await together(logs, with_keys)
    positions = [position for each in told if isinstance(each, list) for position in each]
    assert sorted(positions) == list(range(min(positions), min(positions) + sum(sizes)))
    events_in_log = await logs.read(0, 0, 2000)
    assert len(events_in_log) == sum(sizes)
    assert transactions(clean_logs) <= 2 * sum(sizes) / sql.STATEMENT_MAX + 2
    with psycopg.connect(clean_logs) as connection:
        split = "SELECT order_id FROM log_0.events GROUP BY order_id HAVING count(DISTINCT xmin::text) > 1"
        assert connection.execute(split).fetchall() == []
        assert connection.execute("SELECT count(*) FROM log_0.idempotency").fetchone() == (len(sizes),)


# -- one fails, the others do not


async def test_each_fails_for_itself(logs: Logs) -> None:
    """A conflict, a taken key, a gap and values that no text can hold, among twenty that are right."""
    conflict, taken, gap, *poisoned = in_one_log(logs, 7)
    await logs.append(append(conflict, state=b"earlier"))
    await logs.append(Append(taken, (), kept(taken, "taken", b"earlier")))
    wrong = [
        append(conflict),
        Append(taken, events(taken), kept(taken, "taken", b"later")),
        append(gap, first=3),
        append(poisoned[0], topic="\x00"),
        append(poisoned[1], topic="\ud800"),
        Append(poisoned[2], events(poisoned[2]), kept(poisoned[2], "\x00")),
        Append(poisoned[3], events(poisoned[3]), kept(poisoned[3], "\ud800")),
    ]
    right = [append(order, count=2) for order in in_one_log(logs, 20)]
    mixed = [*right[:10], *wrong, *right[10:]]
    told = await together(logs, mixed)
    assert [type(each) for each in told[10:13]] == [VersionConflict, KeyTaken, VersionGap]
    assert isinstance(told[11], KeyTaken)
    assert told[11].record == kept(taken, "taken", b"earlier")
    assert all(isinstance(each, psycopg.DataError | UnicodeEncodeError) for each in told[13:17]), told[13:17]
    await all_stored(logs, right, [*told[:10], *told[17:]])
    assert [event.state for event in await logs.load(conflict)] == [b"earlier"]
    for order in (taken, gap, *poisoned):
        assert await logs.load(order) == []


async def test_one_wrong_among_two_hundred_costs_a_few_transactions(logs: Logs, clean_logs: str) -> None:
    """Who is in the way is found out by one question: the others are not stored one by one."""
    order = in_one_log(logs, 1)[0]
    await logs.append(append(order))
    right = [append(each) for each in in_one_log(logs, 200)]
    told = await together(logs, [*right[:100], append(order), *right[100:]])
    assert isinstance(told.pop(100), VersionConflict)
    await all_stored(logs, right, told)
    assert transactions(clean_logs) <= 4


async def test_of_two_for_one_version_the_first_wins(logs: Logs) -> None:
    """In one batch or not: one is stored, the others learn of the conflict, and what is stored is the winner's."""
    order = in_one_log(logs, 1)[0]
    others = [append(each) for each in in_one_log(logs, 3)]
    rivals = [append(order, state=f"{number}".encode()) for number in range(5)]
    told = await together(logs, [others[0], rivals[0], others[1], *rivals[1:], others[2]])
    await all_stored(logs, [*others[:2], rivals[0], others[2]], [told[0], told[2], told[1], told[-1]])
    assert [type(each) for each in told[3:-1]] == [VersionConflict] * 4


async def test_of_two_with_one_key_the_first_wins(logs: Logs) -> None:
    """On different orders: the second learns of the first one's answer, and nothing of it is stored."""
    orders = in_one_log(logs, 4)
    told = await together(
        logs, [Append(order, events(order), kept(order, "one", f"{n}".encode())) for n, order in enumerate(orders)]
    )
    assert isinstance(told[0], list)
    assert all(isinstance(each, KeyTaken) and each.record == kept(orders[0], "one", b"0") for each in told[1:]), told
    assert [len(await logs.load(order)) for order in orders] == [1, 0, 0, 0]


# -- when it takes long


async def test_a_full_queue_says_so(logs: Logs) -> None:
    """Whoever comes too many is told to come back, is not stored, and may come back."""
    logs.writers[0] = LogWriter(Retrying(logs._writing, 5.0), 0, queue_max=3)
    appends = [append(order) for order in in_one_log(logs, 10)]
    told = await together(logs, appends)
    assert [type(each) for each in told] == [list] * 3 + [StoreUnavailable] * 7
    assert len(await logs.read(0, 0, 100)) == 3
    await all_stored(logs, appends[3:6], await together(logs, appends[3:6]))


async def test_who_has_gone_is_not_stored_unless_under_way(logs: Logs, clean_logs: str) -> None:
    """A caller that is cancelled while it waits leaves nothing; one that is cancelled later is stored whole."""
    begun, gone, staying = (append(order, count=2) for order in in_one_log(logs, 3))
    with held_up(clean_logs) as holding:
        first = asyncio.create_task(logs.append(begun))
        await under_way(holding)
        waiting = [asyncio.create_task(logs.append(each)) for each in (gone, staying)]
        await asyncio.sleep(0)
        for task in (first, waiting[0]):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await logs.read(0, 0, 100) == []
    await all_stored(logs, [staying], [await waiting[1]])
    assert len(await logs.load(begun.order_id)) == 2
    assert await logs.load(gone.order_id) == []


async def test_who_waits_for_too_long_is_told_so(clean_logs: str, log_count: int) -> None:
    """The one under way is stored; what was never begun within the patience is not, and says it."""
    async with opened(clean_logs, log_count, patience_seconds=0.2) as logs:
        begun, late = (append(order) for order in in_one_log(logs, 2))
        with held_up(clean_logs) as holding:
            first = asyncio.create_task(logs.append(begun))
            await under_way(holding)
            second = asyncio.create_task(logs.append(late))
            await asyncio.sleep(0.3)
        await all_stored(logs, [begun], [await first])
        with pytest.raises(StoreUnavailable):
            await second
        assert await logs.load(late.order_id) == []


async def test_closing_waits_for_what_was_taken_on(clean_logs: str, log_count: int) -> None:
    """Both the one under way and the one behind it are stored and told so before the connections close."""
    async with opened(clean_logs, log_count) as logs, opened(clean_logs, log_count) as reader:
        appends = [append(order) for order in in_one_log(logs, 2)]
        with held_up(clean_logs) as holding:
            first = asyncio.create_task(logs.append(appends[0]))
            await under_way(holding)
            second = asyncio.create_task(logs.append(appends[1]))
            closing = asyncio.create_task(logs.close())
            await asyncio.sleep(0.05)
            assert not closing.done()
        told = [await first, await second]
        await closing
        await all_stored(reader, appends, told)
        with pytest.raises(StoreUnavailable):
            await logs.append(append(in_one_log(logs, 1)[0]))
