"""Small makers of what the tests of the store write again and again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from uuid import UUID, uuid4

import psycopg

from brojobs_es.store.log import Append, IdempotencyRecord, Logs, NewEvent


def events(
    stream_id: UUID, first: int = 1, count: int = 1, state: bytes = b"{}", topic: str = "Toy"
) -> tuple[NewEvent, ...]:
    """`count` events of a stream from version `first` on."""
    return tuple(NewEvent(stream_id, first + n, topic, state) for n in range(count))


def append(
    order_id: UUID | None = None, first: int = 1, count: int = 1, state: bytes = b"{}", topic: str = "Toy"
) -> Append:
    """An append to an order's own stream."""
    order = order_id or uuid4()
    return Append(order, events(order, first, count, state, topic))


def kept(order_id: UUID, key: str = "key", answer: bytes = b"answer") -> IdempotencyRecord:
    """A record for the caller `bob`."""
    return IdempotencyRecord("bob", key, b"digest", order_id, answer)


Told = list[int] | BaseException


async def together(logs: Logs, appends: Sequence[Append]) -> list[Told]:
    """What becomes of each; all at once, so that they gather before the first one is on its way."""
    return await asyncio.gather(*(logs.append(each) for each in appends), return_exceptions=True)


async def all_stored(logs: Logs, appends: Sequence[Append], told: Sequence[Told]) -> None:
    """Each caller was told where its own events lie, and they lie there whole, and nothing else of that order."""
    for each, positions in zip(appends, told, strict=True):
        history = await logs.load(each.order_id)
        stored = tuple(NewEvent(e.stream_id, e.stream_version, e.topic, e.state) for e in history)
        assert (stored, [event.position for event in history]) == (each.events, positions)


@contextlib.asynccontextmanager
async def opened(url: str, logs: int = 1, patience_seconds: float = 5.0) -> AsyncIterator[Logs]:
    """Logs that are closed afterwards."""
    made = Logs(url, logs, patience_seconds=patience_seconds)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def kill_backends(url: str, where: str = "true") -> int:
    """Terminate the database's other connections (those for which the condition over pg_stat_activity holds)."""
    query = f"""
        SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({where})
    """
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else 0


@contextlib.contextmanager
def full_disk(url: str, logs: int) -> Iterator[None]:
    """The database has no room for another event."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END$$"
        )
        for log in range(logs):
            connection.execute(
                f"CREATE TRIGGER full_disk BEFORE INSERT ON log_{log}.events EXECUTE FUNCTION full_disk()".encode()
            )
        yield
        connection.execute("DROP FUNCTION full_disk CASCADE")


async def eventually(condition: Callable[[], bool], timeout_seconds: float = 10.0) -> None:
    """Wait until the condition holds; fails when the time is up."""
    async with asyncio.timeout(timeout_seconds):
        while not condition():  # noqa: ASYNC110  (conditions of tests announce nothing)
            await asyncio.sleep(0.01)
