"""How commands' events get into a log: the one place that writes them, and the one that finds out what happened.

Commands that are under way together share a commit: while one batch is on its way to the disk, the next one gathers.
Nobody waits for a timer, so a command alone is as quick as ever. Each command of a batch succeeds or fails for itself,
and none is told that it is stored before the commit of its batch is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.application.records import (
    Append,
    IdempotencyRecord,
    KeyTaken,
    NewEvent,
    StoreUnavailable,
    VersionConflict,
    VersionGap,
)
from brojobs_es.store import sql
from brojobs_es.store.arrays import Bytes, Ints, Packed, Texts, Uuids
from brojobs_es.store.connections import ConnectionLost, Retrying

QUEUE_MAX: Final = 4096
"""How many commands may wait to be stored; one more is told to come back, which is better than to wait for long."""

ANSWER_SECONDS: Final = 15.0
"""How long the database may take to answer: longer than it waits for a lock, so that only one that is stuck takes as long."""

_LOST: Final = "the connection was lost while storing, and what became of it cannot be known yet"


@dataclass(slots=True, eq=False)
class _Waiting:
    """A command that waits to be stored, what it will be told, and since when."""

    append: Append
    told: asyncio.Future[list[int]]
    since: float

    def tell(self, positions: list[int]) -> None:
        if not self.told.done():
            self.told.set_result(positions)

    def fail(self, error: BaseException) -> None:
        if not self.told.done():
            self.told.set_exception(error)


@dataclass(slots=True)
class Stored:
    """What a writer has stored since it was made: events, and the transactions that they were stored in."""

    events: int = 0
    batches: int = 0


class LogWriter:
    """Appends to one log, a batch at a time."""

    def __init__(self, db: Retrying, log: int, *, queue_max: int = QUEUE_MAX) -> None:
        self._db = db
        self._log = log
        self._queue_max = queue_max
        self._queue: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None
        self.stored = Stored()

    @property
    def waiting(self) -> int:
        """How many commands wait for a batch of theirs."""
        return len(self._queue)

    async def write(self, append: Append) -> list[int]:
        """Store all of it or nothing, and answer truly, also when the connection dies around the commit."""
        if not append.events and append.idempotency is None:
            return []
        if len(self._queue) >= self._queue_max:
            raise StoreUnavailable("too many commands wait to be stored")
        waiting = _Waiting(append, asyncio.get_running_loop().create_future(), monotonic())
        self._queue.append(waiting)
        if self._work is None:
            self._work = asyncio.create_task(self._drain(), name=f"writer of log {self._log}")
        return await waiting.told

    async def close(self) -> None:
        """Wait until everything that was taken on is stored, or has failed."""
        while self._work is not None:
            await asyncio.wait([self._work])

    async def _drain(self) -> None:
        try:
            while batch := self._next_batch():
                await self._store(batch)
        finally:
            self._work = None
            for waiting in self._queue:  # only where this task itself was cancelled
                waiting.fail(StoreUnavailable("the service stops"))
            self._queue.clear()

    def _next_batch(self) -> list[_Waiting]:
        """Who waits, as many as fit into one statement. Commands that hit the same rows go one after the other."""
        batch: list[_Waiting] = []
        taken: set[object] = set()
        waiting_since = monotonic() - self._db.patience_seconds
        size, put_off = 0, deque[_Waiting]()
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.told.done():
                continue  # nobody waits for it any more, and nothing of it was begun
            if waiting.since < waiting_since:
                waiting.fail(StoreUnavailable("the database was too slow for all who wait for it"))
                continue
            rows = _clashes_of(waiting.append)
            size += len(waiting.append.events)
            if batch and (size > sql.STATEMENT_MAX or len(batch) == sql.STATEMENT_MAX):
                self._queue.appendleft(waiting)
                break
            if taken.isdisjoint(rows):
                taken.update(rows)
                batch.append(waiting)
            else:
                put_off.append(waiting)
                size -= len(waiting.append.events)
        self._queue.extendleft(reversed(put_off))
        return batch

    # -- a batch

    async def _store(self, batch: list[_Waiting]) -> None:
        """Tell everybody in the batch what became of them; never raises but when it is cancelled."""
        try:
            while batch:
                batch = await self._try(batch)
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.fail(StoreUnavailable(_LOST))
            raise
        except Exception as error:  # noqa: BLE001  (somebody waits for each of them, whatever it was)
            for waiting in batch:
                waiting.fail(error)

    async def _try(self, batch: list[_Waiting]) -> list[_Waiting]:
        """One try for all together; returns those to try once more, when those that were in their way are out."""
        try:
            async with self._db.connection() as connection:
                positions = iter(await self._insert(connection, [waiting.append for waiting in batch]))
        except ConnectionLost:
            await self._one_by_one(batch, uncertain=True)
            return []
        except StoreUnavailable:
            raise
        except psycopg.errors.UniqueViolation:
            clashing = await self._clashing([waiting.append for waiting in batch]) if len(batch) > 1 else {0}
            if clashing:
                await self._one_by_one([batch[number] for number in sorted(clashing)])
                return [waiting for number, waiting in enumerate(batch) if number not in clashing]
            await self._one_by_one(batch)
            return []
        except Exception:  # noqa: BLE001  (one of them cannot be stored at all; the others can)
            await self._one_by_one(batch)
            return []
        for waiting in batch:
            waiting.tell([next(positions) for _ in waiting.append.events])
        return []

    async def _clashing(self, appends: Sequence[Append]) -> set[int]:
        """Which of them (by number) hit rows that others have stored."""
        events = [(number, e.stream_id, e.stream_version) for number, a in enumerate(appends) for e in a.events]
        keys = [(number, a.idempotency) for number, a in enumerate(appends) if a.idempotency is not None]
        params = (
            *([event[column] for event in events] for column in range(3)),
            [number for number, _ in keys],
            [record.caller for _, record in keys],
            [record.key for _, record in keys],
        )

        async def ask(connection: AsyncConnection[TupleRow]) -> set[int]:
            cursor = await connection.execute(sql.select_clashing(self._log), params)
            return {row[0] for row in await cursor.fetchall()}

        return await self._db.run(ask)

    async def _insert(self, connection: AsyncConnection[TupleRow], appends: Sequence[Append]) -> list[int]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                positions = await self._insert_all(connection, appends)
        except TimeoutError:
            await connection.close()
            raise ConnectionLost("the database does not answer") from None
        self.stored.events += len(positions)
        self.stored.batches += 1
        return positions

    async def _insert_all(self, connection: AsyncConnection[TupleRow], appends: Sequence[Append]) -> list[int]:
        """All of them in one transaction; the positions of all events in their order."""
        events = [(append.order_id, event) for append in appends for event in append.events]
        records = [append.idempotency for append in appends if append.idempotency is not None]
        query = sql.insert_events_and_keys(self._log)
        if len(events) <= sql.STATEMENT_MAX:  # a statement is a transaction by itself: the lock is held no longer
            cursor = await connection.execute(query, (*_event_columns(events), *_key_columns(records)))
            return [row[0] for row in await cursor.fetchall()]
        positions: list[int] = []
        async with connection.transaction():
            for start in range(0, len(events), sql.STATEMENT_MAX):
                part = events[start : start + sql.STATEMENT_MAX]
                cursor = await connection.execute(query, (*_event_columns(part), *_key_columns(records)))
                positions += [row[0] for row in await cursor.fetchall()]
                records = []
        return positions

    # -- one command alone: slower, and finds out everything

    async def _one_by_one(self, batch: Iterable[_Waiting], *, uncertain: bool = False) -> None:
        give_up = monotonic() + self._db.patience_seconds
        if uncertain:
            await self._db.settle()
        for waiting in batch:
            try:
                if monotonic() > give_up:
                    raise StoreUnavailable(_LOST)
                waiting.tell(await self._alone(waiting.append, uncertain=uncertain))
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  (each is told its own error)
                waiting.fail(error)

    async def _alone(self, append: Append, *, uncertain: bool) -> list[int]:
        """Store one command. `uncertain`: a try of it was lost, so that it may be stored already.

        Repeating a lost try is safe: whichever of the two the database takes second, hits the first one's rows, and
        rows equal to ours are ours.
        """
        patience = self._db.patience()
        while await patience.another_try():
            try:
                async with self._db.connection() as connection:
                    return await self._insert(connection, [append])
            except ConnectionLost:
                uncertain = True
            except psycopg.errors.UniqueViolation as error:
                if uncertain and (positions := await self._already_stored(append)) is not None:
                    return positions
                raise await self._conflict(append) from error
            except psycopg.Error as error:
                if error.sqlstate == sql.VERSION_GAP:
                    raise VersionGap(str(error)) from error
                raise
        raise StoreUnavailable(_LOST)

    async def _already_stored(self, append: Append) -> list[int] | None:
        """The positions of these very events and of this very record; None if the log holds others or only some."""
        if append.idempotency is not None and await self._find_key(append.idempotency) != append.idempotency:
            return None
        if not append.events:
            return []

        async def ask(connection: AsyncConnection[TupleRow]) -> list[int]:
            events = [(append.order_id, event) for event in append.events]
            cursor = await connection.execute(sql.select_same(self._log), _event_columns(events)[1:])
            return [row[0] for row in await cursor.fetchall()]

        positions = await self._db.run(ask)
        return positions if len(positions) == len(append.events) else None

    async def _conflict(self, append: Append) -> KeyTaken | VersionConflict:
        """What a hit on a unique index means: first of all, whether the command itself was already answered."""
        if append.idempotency is not None:
            kept = await self._find_key(append.idempotency)
            if kept is not None:
                return KeyTaken(kept)
        return VersionConflict(f"order {append.order_id} was changed by somebody else")

    async def _find_key(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        async def ask(connection: AsyncConnection[TupleRow]) -> TupleRow | None:
            where = {"caller": record.caller, "key": record.key}
            cursor = await connection.execute(sql.select_key([self._log]), where)
            return await cursor.fetchone()

        row = await self._db.run(ask)
        return IdempotencyRecord(*row) if row is not None else None


def _clashes_of(append: Append) -> tuple[object, ...]:
    """What two commands of one statement must not both write to: an order, a caller's key."""
    order, kept = append.order_id.int, append.idempotency
    return (order,) if kept is None else (order, (kept.caller, kept.key))


def _event_columns(events: Sequence[tuple[UUID, NewEvent]]) -> tuple[Packed, ...]:
    return (
        Uuids([order_id for order_id, _ in events]),
        Uuids([event.stream_id for _, event in events]),
        Ints([event.stream_version for _, event in events]),
        Texts([event.topic for _, event in events]),
        Bytes([event.state for _, event in events]),
    )


def _key_columns(records: Sequence[IdempotencyRecord]) -> tuple[Packed, ...]:
    return (
        Texts([record.caller for record in records]),
        Texts([record.key for record in records]),
        Bytes([record.request_digest for record in records]),
        Uuids([record.order_id for record in records]),
        Bytes([record.answer for record in records]),
    )
