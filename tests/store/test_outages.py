"""The database answers that it cannot, answers nothing, or is not there: nobody waits longer than once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import TupleRow
from tests.http.crowd import SOAK
from tests.store.helpers import all_stored, append, eventually, full_disk, opened, together

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.store import append as appending
from brojobs_es.store.connections import is_temporary
from brojobs_es.store.log import Logs
from brojobs_es.store.vault import Vault

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
PATIENCE_SECONDS = 0.5


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "53300", "55P03", "57014", "40P01", "40001", "57P03"])
def test_what_is_temporary(sqlstate: str) -> None:
    """Disk full, out of memory, too many connections; a lock, a time limit, a deadlock, a start: later it may work."""
    assert is_temporary(psycopg.errors.lookup(sqlstate)())


@pytest.mark.parametrize("sqlstate", ["23505", "22P02", "42P01", "XX000"])
def test_what_is_for_good(sqlstate: str) -> None:
    """A row that is there already, a value that is none, a table that is missing, an error of the database's own."""
    assert not is_temporary(psycopg.errors.lookup(sqlstate)())


async def test_a_full_disk_is_said_and_nothing_is_stored(clean_logs: str, log_count: int) -> None:
    """All of a batch hear StoreUnavailable; when there is room again they may come back, and are stored once."""
    appends = [append() for _ in range(5)]
    async with opened(clean_logs, log_count) as logs:
        with full_disk(clean_logs, log_count):
            told = await together(logs, appends)
        assert [type(each) for each in told] == [StoreUnavailable] * 5
        await all_stored(logs, appends, await together(logs, appends))


# -- it is not there


@pytest.fixture
async def nowhere() -> AsyncIterator[Logs]:
    """Logs whose database is away."""
    logs = Logs(NOWHERE, patience_seconds=PATIENCE_SECONDS)
    await logs._pool.open()
    await logs._writing.open()
    yield logs
    await logs.close()


async def unavailable_after(asking: Callable[[], Awaitable[object]]) -> float:
    """How many seconds somebody waits until they are told that the database is away."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await asking()
    return time.monotonic() - began


async def test_all_who_wait_for_a_look_at_the_vault_hear_it_together(nowhere: Logs) -> None:
    """Ten who ask at once wait for one patience, not for ten; whoever comes later looks anew."""
    vault = Vault(nowhere)
    waited = await asyncio.gather(*(unavailable_after(vault.at_hand) for _ in range(10)))
    assert max(waited) < 3 * PATIENCE_SECONDS
    assert await unavailable_after(vault.at_hand) > PATIENCE_SECONDS / 2


async def test_all_whose_order_is_asked_for_hear_it_together(nowhere: Logs) -> None:
    """The same for orders, which are asked for many at a time."""
    waited = await asyncio.gather(*(unavailable_after(lambda: nowhere.load(uuid4())) for _ in range(10)))
    assert max(waited) < 3 * PATIENCE_SECONDS


async def test_who_goes_away_takes_the_look_from_nobody(clean_logs: str, log_count: int) -> None:
    """One of two who wait for the same look is cancelled: the other gets its answer."""
    async with opened(clean_logs, log_count) as logs:
        vault = Vault(logs)
        one, other = (asyncio.create_task(vault.at_hand()) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        assert await other == {}
        with pytest.raises(asyncio.CancelledError):
            await one


# -- it does not answer


def writers_of(url: str) -> list[int]:
    """The processes of the database that have stored events."""
    query = """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%stored AS%' AND pid <> pg_backend_pid()
    """
    with psycopg.connect(url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(query)]


@contextlib.contextmanager
def frozen(processes: list[int]) -> Iterator[None]:
    """These processes do nothing until the block ends."""
    try:
        for process in processes:
            try:
                os.kill(process, signal.SIGSTOP)
            except (PermissionError, ProcessLookupError):
                pytest.skip("this test may not signal the database's processes")
        yield
    finally:
        for process in processes:
            with contextlib.suppress(PermissionError, ProcessLookupError):
                os.kill(process, signal.SIGCONT)


async def test_who_is_not_answered_is_stored_through_another_connection(
    clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the seconds for an answer the first connection is given up, and nothing is stored twice."""
    monkeypatch.setattr(appending, "ANSWER_SECONDS", 0.3)
    async with opened(clean_logs, log_count) as logs:
        appends = [append() for _ in range(3)]
        with psycopg.connect(clean_logs, autocommit=True) as holding:
            for log in range(log_count):
                holding.execute(f"SELECT pg_advisory_lock(hashtextextended('brojobs append log_{log}', 0))".encode())
            storing = asyncio.create_task(together(logs, appends))
            await eventually(lambda: len(stuck(holding)) > 0)
            first = stuck(holding)
            await eventually(lambda: first.isdisjoint(stuck(holding)))
        await all_stored(logs, appends, await storing)
        assert stored_twice(clean_logs, log_count) == 0


def stuck(connection: psycopg.Connection[TupleRow]) -> set[int]:
    """The processes of the database that wait for their turn to append."""
    query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return {row[0] for row in connection.execute(query)}


def stored_twice(url: str, logs: int) -> int:
    """How many events too many there are, where each order should have one."""
    query = "SELECT count(*) - count(DISTINCT order_id) FROM log_{}.events"
    with psycopg.connect(url) as connection:
        return sum(row[0] for log in range(logs) for row in connection.execute(query.format(log).encode()))


@pytest.mark.skipif(not SOAK, reason="psycopg itself waits five seconds for the frozen process")
async def test_a_frozen_database_process_holds_nobody_up(
    clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose batch it has are stored through another connection, each once, and so are those who wait behind them."""
    monkeypatch.setattr(appending, "ANSWER_SECONDS", 0.5)
    async with opened(clean_logs, log_count, patience_seconds=20) as logs:
        await together(logs, [append() for _ in range(log_count * 8)])
        appends = [append() for _ in range(12)]
        with frozen(writers_of(clean_logs)):
            waiting = [asyncio.create_task(logs.append(each)) for each in appends[:6]]
            await asyncio.sleep(0.1)
            waiting += [asyncio.create_task(logs.append(each)) for each in appends[6:]]
            done, _ = await asyncio.wait(waiting, timeout=15)
        assert len(done) == 12, "answered while the process was still frozen"
        await all_stored(logs, appends, [await each for each in waiting])
        assert stored_twice(clean_logs, log_count) == 0
