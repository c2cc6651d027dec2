"""Appending and loading, as the service does it while somebody waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import monotonic
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace
from tests.store.helpers import append, events, kept, kill_backends, opened

from brojobs_es.ids import dispute_id_for
from brojobs_es.store.connections import cancellation_kept, conninfo
from brojobs_es.store.log import (
    Append,
    FileRow,
    KeyTaken,
    Logs,
    RefusedCommand,
    StoreUnavailable,
    VersionConflict,
    VersionGap,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def logs(clean_logs: str, log_count: int) -> AsyncIterator[Logs]:
    async with opened(clean_logs, log_count) as made:
        yield made


async def test_what_is_appended_is_loaded(logs: Logs) -> None:
    """Positions come back in order, and the history says the same."""
    order = uuid4()
    positions = await logs.append(append(order, count=3, state='{"é": 1}'.encode()))
    history = await logs.load(order)
    assert [event.position for event in history] == positions == sorted(positions)
    assert [event.stream_version for event in history] == [1, 2, 3]
    assert {(event.order_id, event.topic, event.state) for event in history} == {(order, "Toy", '{"é": 1}'.encode())}
    assert await logs.load(order, after=positions[1]) == history[2:]


async def test_a_history_is_the_order_and_its_disputes(logs: Logs) -> None:
    """One query, by position, whichever stream an event is of; a dispute's id leads to its order."""
    order = uuid4()
    dispute = dispute_id_for(order, 1)
    await logs.append(append(order))
    await logs.append(Append(order, (*events(dispute), *events(order, first=2))))
    await logs.append(Append(order, events(dispute, first=2)))
    assert [event.stream_id for event in await logs.load(order)] == [order, dispute, order, dispute]
    assert await logs.order_of_stream(dispute) == order
    assert await logs.order_of_stream(order) == order
    assert await logs.order_of_stream(uuid4()) is None


async def test_many_histories_at_once(logs: Logs) -> None:
    """Orders of all logs; those without events are left out."""
    orders = [uuid4() for _ in range(20)]
    for number, order in enumerate(orders):
        await logs.append(append(order, count=1 + number % 3))
    found = await logs.load_many([*orders, uuid4()])
    assert {order: len(history) for order, history in found.items()} == {
        order: 1 + number % 3 for number, order in enumerate(orders)
    }


async def test_orders_live_in_the_log_of_their_id(logs: Logs) -> None:
    """Each log's feed holds exactly the orders that hash to it."""
    orders = [uuid4() for _ in range(12)]
    before = [await logs.last_position(log) for log in range(logs.count)]
    for order in orders:
        await logs.append(append(order))
    for log in range(logs.count):
        mine = [event.order_id for event in await logs.read(log, before[log], 100)]
        assert mine == [order for order in orders if logs.log_of(order) == log]


async def test_a_taken_version_is_a_conflict_and_nothing_is_stored(logs: Logs) -> None:
    """All or nothing over both streams."""
    order = uuid4()
    await logs.append(append(order, count=2))
    with pytest.raises(VersionConflict):
        await logs.append(Append(order, (*events(dispute_id_for(order, 1)), *events(order, first=2)), kept(order)))
    assert len(await logs.load(order)) == 2
    assert await logs.find_key("bob", "key") is None


async def test_a_gap_is_the_callers_mistake(logs: Logs) -> None:
    """It has an error of its own, because trying again would not help."""
    with pytest.raises(VersionGap):
        await logs.append(append(first=3))


async def test_the_answer_is_kept_with_the_events(logs: Logs) -> None:
    """The record of the key is stored in the same commit and found whatever log it is in."""
    order = uuid4()
    record = kept(order, key=str(order))
    await logs.append(Append(order, events(order), record))
    assert await logs.find_key("bob", str(order)) == record
    assert await logs.find_key("alice", str(order)) is None
    assert await logs.find_key("bob", "") is None


async def test_a_repeated_key_says_so_before_any_conflict(logs: Logs) -> None:
    """Whether or not its version is taken by now, the command learns that it was answered."""
    order = uuid4()
    record = kept(order, key=str(order))
    await logs.append(Append(order, events(order), record))
    for again in (events(order), events(order, first=2), ()):
        with pytest.raises(KeyTaken) as caught:
            await logs.append(Append(order, again, kept(order, key=str(order), answer=b"another")))
        assert caught.value.record == record
    assert len(await logs.load(order)) == 1


async def test_an_answer_without_events_is_kept(logs: Logs) -> None:
    """A command that changes nothing may still have an answer to keep; one without both does nothing."""
    order = uuid4()
    assert await logs.append(Append(order, (), kept(order, key=str(order)))) == []
    assert await logs.append(Append(order, ())) == []
    assert await logs.find_key("bob", str(order)) == kept(order, key=str(order))


async def test_more_events_than_fit_a_statement(logs: Logs) -> None:
    """1 201 events are one transaction over three statements; so is a conflict in the last of them."""
    order = uuid4()
    positions = await logs.append(append(order, count=1201))
    assert positions == list(range(positions[0], positions[0] + 1201))
    taken = dispute_id_for(order, 1)
    await logs.append(Append(order, events(taken)))
    with pytest.raises(VersionConflict):
        await logs.append(Append(order, (*events(order, first=1202, count=600), *events(taken)), kept(order, "big")))
    assert len(await logs.load(order)) == 1202
    assert await logs.find_key("bob", "big") is None


async def test_large_events(logs: Logs) -> None:
    """Ten events of 2 MB each go in and come out."""
    order = uuid4()
    state = b'"' + b"x" * 2_000_000 + b'"'
    await logs.append(append(order, count=10, state=state))
    assert {event.state for event in await logs.load(order)} == {state}


async def test_one_of_many_wins(logs: Logs) -> None:
    """Sixteen appends of one version: one is stored, fifteen learn of the conflict."""
    order = uuid4()
    tries = [logs.append(append(order, state=f"{n}".encode())) for n in range(16)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["VersionConflict"] * 15 + ["list"]
    assert len(await logs.load(order)) == 1


async def test_one_of_many_answers_for_a_key(logs: Logs) -> None:
    """Sixteen different appends with one key: one is stored, the others get its record."""
    order = uuid4()
    tries = [logs.append(Append(order, events(order), kept(order, str(order), f"{n}".encode()))) for n in range(16)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    taken = {outcome.record for outcome in outcomes if isinstance(outcome, KeyTaken)}
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert taken == {await logs.find_key("bob", str(order))}


async def test_files_of_an_order(logs: Logs) -> None:
    """What a person uploads twice is noted once, under its first name; all or some can be asked for."""
    order = uuid4()
    first, second = (FileRow(order, name, f"{name}.pdf", 5, "application/pdf", "bob", NOW) for name in ("aa", "bb"))
    assert await logs.add_file(first) == first
    assert await logs.add_file(second) == second
    assert await logs.add_file(FileRow(order, "aa", "other.pdf", 5, "application/pdf", "bob", NOW)) == first
    assert await logs.files(order) == [first, second]
    assert await logs.files(order, ["bb", "cc"]) == [second]
    assert await logs.files(order, []) == []
    assert await logs.files(uuid4()) == []


async def test_files_with_their_bytes(logs: Logs) -> None:
    """The first row stands, wherever its bytes lie; a list says where, and only whoever asks for them is given bytes."""
    order = uuid4()
    here, elsewhere = (
        FileRow(order, name, "x", 5, "application/pdf", "bob", NOW, 1, in_row=name == "aa") for name in ("aa", "bb")
    )
    assert await logs.add_file(here, b"sealed") == here
    assert await logs.add_file(elsewhere) == elsewhere
    assert await logs.add_file(replace(here, name="again"), b"sealed anew") == here
    assert await logs.add_file(replace(here, name="again")) == here
    assert await logs.add_file(replace(elsewhere, name="again"), b"sealed anew") == elsewhere
    assert await logs.files(order) == [here, elsewhere]
    assert [await logs.file_content(row) for row in (here, elsewhere)] == [b"sealed", None]
    for other in (replace(here, order_id=uuid4()), replace(here, uploaded_by="ana"), replace(here, key=2)):
        assert await logs.file_content(other) is None


async def test_many_files_at_once_are_each_their_own(logs: Logs) -> None:
    """Small and large ones, of one order and of several, twins among them: each caller is told the row that stands."""
    orders = [uuid4() for _ in range(3)]
    sent = [
        (
            FileRow(orders[n % 3], f"{n % 60:064x}", f"{n}", n, "x/y", "bob", NOW, 1, in_row=n % 2 == 0),
            os.urandom(65_000),
        )
        for n in range(150)
    ]
    told = await asyncio.gather(*(logs.add_file(row, content if row.in_row else None) for row, content in sent))
    contents = {row.name: content for row, content in sent}
    for (row, _), stands in zip(sent, told, strict=True):
        assert (stands.order_id, stands.file_id) == (row.order_id, row.file_id)
        assert await logs.file_content(stands) == (contents[stands.name] if stands.in_row else None)
    assert len(set(told)) == 60
    assert sum([len(await logs.files(order)) for order in orders]) == 60


async def test_twins_of_two_processes(clean_logs: str, log_count: int) -> None:
    """The same file noted by two processes at once, again and again: one row stands, and both are told that one."""
    async with opened(clean_logs, log_count) as one, opened(clean_logs, log_count) as other:
        for _ in range(20):
            row = FileRow(uuid4(), "aa", "x", 5, "x/y", "bob", NOW, 1, in_row=True)
            rows = [replace(row, name=f"{n}") for n in range(6)]
            told = await asyncio.gather(
                *((one, other)[n % 2].add_file(row, row.name.encode()) for n, row in enumerate(rows))
            )
            assert len(set(told)) == 1
            assert await one.file_content(row) == told[0].name.encode()


async def test_refused_commands_are_kept(logs: Logs) -> None:
    """With their numbers; one without an order is in log 0."""
    order = UUID(int=0)  # log 0, however many there are
    known = RefusedCommand(order, "bob", "buyer", "deliver", "not_paid", uuid4(), NOW)
    unknown = RefusedCommand(None, "bob", "buyer", "place", "due_at_out_of_range", None, NOW)
    await logs.add_refusal(known)
    await logs.add_refusal(unknown)
    numbered = await logs.refusals(0, 0, 100)
    assert [refused for _, refused in numbered] == [known, unknown]
    assert [refused for _, refused in await logs.refusals(0, numbered[0][0], 100)] == [unknown]


async def test_everything_goes_on_after_killed_connections(clean_logs: str, log_count: int) -> None:
    """Idle pooled connections may all be dead: reads and appends do not show it."""
    async with opened(clean_logs, log_count) as logs:
        order = uuid4()
        for version in range(1, 6):
            await logs.append(append(order, first=version))
            assert len(await logs.load(order)) == version
            assert kill_backends(clean_logs, "application_name = 'brojobs_writer'") >= 1


async def test_after_a_long_outage_it_is_back_at_once(clean_logs: str, postgres_server: str, log_count: int) -> None:
    """However long nobody got in and however often it was tried: not that long again."""
    name = urlsplit(clean_logs).path.removeprefix("/")
    gate = f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS '
    with psycopg.connect(postgres_server, autocommit=True) as keeper:
        async with opened(clean_logs, log_count, patience_seconds=0.3) as logs:
            await logs.append(append())
            keeper.execute(f"{gate} false".encode())
            keeper.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            closed = monotonic()
            while monotonic() < closed + 3.5:
                with pytest.raises(StoreUnavailable):
                    await logs.append(append())
            keeper.execute(f"{gate} true".encode())
            opened_again = monotonic()
            while True:
                with contextlib.suppress(StoreUnavailable):
                    await logs.append(append())
                    break
            assert monotonic() < opened_again + 1.5


async def test_nobody_waits_for_ever_for_a_stuck_writer(clean_logs: str, log_count: int) -> None:
    """Where somebody holds the append lock too long, the answer is `try again`, and nothing is stored."""
    order = UUID(int=0)
    url = conninfo(clean_logs, "brojobs_writer", lock_timeout="200ms")
    async with opened(url, log_count) as logs:
        with psycopg.connect(clean_logs) as stuck:
            stuck.execute(
                "INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) "
                "VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'T', '')"
            )
            with pytest.raises(StoreUnavailable):
                await logs.append(append(order))
            assert await logs.load(order) == []
            stuck.rollback()
        assert len(await logs.append(append(order))) == 1


async def test_an_unreachable_database_is_said_so() -> None:
    """Opening fails with the one error that callers know, not with a driver's."""
    logs = Logs("postgresql://nobody@127.0.0.1:1/none", patience_seconds=0.3)
    with pytest.raises(StoreUnavailable):
        await logs.open()


async def test_an_exhausted_pool_is_said_so(clean_logs: str, log_count: int) -> None:
    """Who gets no connection within the patience is told to try again."""
    logs = Logs(clean_logs, log_count, max_connections=1, patience_seconds=0.2)
    await logs.open()
    try:
        async with logs.connection():
            with pytest.raises(StoreUnavailable):
                await logs.ping()
        await logs.ping()
    finally:
        await logs.close()


@pytest.mark.parametrize("error", [None, TimeoutError()])
async def test_a_swallowed_cancellation_is_raised_after_all(error: Exception | None) -> None:
    """What the pool calls may end normally, or with its own error, when the task is cancelled: the task still ends."""
    started = asyncio.Event()

    async def swallow() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            started.set()
            await asyncio.Event().wait()
        if error is not None:
            raise error

    async def work() -> str:
        with cancellation_kept():
            await swallow()
        return "went on"

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
