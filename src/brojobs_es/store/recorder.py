"""The event sourcing library's own interfaces over our log, so that its applications, tools and contract tests run on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final
from uuid import UUID

import psycopg
from eventsourcing import persistence
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
)
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Identifier
from psycopg_pool import ConnectionPool, PoolTimeout

from brojobs_es.store import sql
from brojobs_es.store.connections import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, conninfo

_ERRORS: Final = (
    (psycopg.InterfaceError, persistence.InterfaceError),
    (psycopg.OperationalError, persistence.OperationalError),
    (psycopg.DataError, persistence.DataError),
    (psycopg.IntegrityError, persistence.IntegrityError),
    (psycopg.InternalError, persistence.InternalError),
    (psycopg.ProgrammingError, persistence.ProgrammingError),
    (psycopg.NotSupportedError, persistence.NotSupportedError),
    (psycopg.DatabaseError, persistence.DatabaseError),
)
_UNLIMITED: Final = 2**63 - 1
_NOTICE_STOP_SECONDS: Final = 0.1


class Datastore:
    """A log's connections for synchronous code, in the role of the writer; errors come out as the library's own."""

    def __init__(self, url: str, log: int = 0, *, max_connections: int = 15, timeout_seconds: float = 30.0) -> None:
        self.log = log
        self._conninfo = conninfo(url, "brojobs_writer")
        self._pool = ConnectionPool(
            self._conninfo,
            min_size=1,
            max_size=max_connections,
            timeout=timeout_seconds,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def connection(self) -> Iterator[Connection[TupleRow]]:
        """A pooled connection (autocommit)."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except PoolTimeout as error:
            raise persistence.OperationalError(str(error)) from error
        except psycopg.Error as error:
            raise _translated(error) from error

    def listen(self) -> Connection[TupleRow]:
        """A connection of its own that listens to the log's announcements."""
        connection = psycopg.connect(self._conninfo, autocommit=True)
        connection.execute(SQL("LISTEN {}").format(Identifier(sql.channel(self.log))))
        return connection

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class PostgresAggregateRecorder(AggregateRecorder):
    """Streams of one log; an insert answers nothing."""

    def __init__(self, datastore: Datastore) -> None:
        self.datastore = datastore

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, order_id: UUID | None = None, **kwargs: Any
    ) -> Sequence[int] | None:
        """Store events in one transaction; `order_id` names the order they belong to, by default each its own stream.

        Raises the library's IntegrityError for a version that is taken or that leaves a gap. A try whose connection is
        lost is looked up by its own rows before it is made again.
        """
        self._insert(stored_events, order_id, kwargs)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """A stream's events with `gt < version <= lte`."""
        query = f"""
            SELECT stream_id, stream_version, topic, state FROM {sql.schema(self.datastore.log)}.events
            WHERE stream_id = %s AND stream_version > %s AND stream_version <= %s
            ORDER BY stream_version {"DESC" if desc else "ASC"} LIMIT %s
        """
        lowest, highest = (-1 if gt is None else gt), (2**31 - 1 if lte is None else lte)
        with self.datastore.connection() as connection:
            rows = connection.execute(query.encode(), (originator_id, lowest, highest, limit)).fetchall()
        return [StoredEvent(*row) for row in rows]

    def _insert(
        self, stored_events: Sequence[StoredEvent], order_id: UUID | None, others: Mapping[str, Any]
    ) -> list[int]:
        if beside := [name for name, value in others.items() if value is not None]:
            raise persistence.NotSupportedError(f"nothing is stored beside events: {', '.join(beside)}")
        if not stored_events:
            return []
        try:
            return self._store(stored_events, order_id)
        except (persistence.OperationalError, persistence.InterfaceError):
            pass  # perhaps stored, perhaps not: the second try finds out
        try:
            return self._store(stored_events, order_id)
        except persistence.IntegrityError:
            found = self._same(stored_events)
            if len(found) == len(stored_events):
                return found
            raise

    def _store(self, stored_events: Sequence[StoredEvent], order_id: UUID | None) -> list[int]:
        positions: list[int] = []
        query = sql.insert_events(self.datastore.log).encode()
        with self.datastore.connection() as connection, connection.transaction():
            for start in range(0, len(stored_events), sql.STATEMENT_MAX):
                part = stored_events[start : start + sql.STATEMENT_MAX]
                orders = [order_id or event.originator_id for event in part]
                positions += [row[0] for row in connection.execute(query, (orders, *_columns(part))).fetchall()]
        return positions

    def _same(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        query = sql.select_same(self.datastore.log).encode()
        with self.datastore.connection() as connection:
            return [row[0] for row in connection.execute(query, _columns(stored_events)).fetchall()]


class PostgresRecorder(PostgresAggregateRecorder, ApplicationRecorder):
    """One log as the library's application sequence: notification ids are positions, in commit order."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, order_id: UUID | None = None, **kwargs: Any
    ) -> Sequence[int] | None:
        """Store events in one transaction; returns their positions."""
        return self._insert(stored_events, order_id, kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events by position from `start` (itself or after it) up to and with `stop`, of all topics or of some."""
        after = 0 if start is None else start - 1 if inclusive_of_start else start
        query = f"""
            SELECT stream_id, stream_version, topic, state, position FROM {sql.schema(self.datastore.log)}.events
            WHERE position > %(after)s AND position <= %(stop)s AND (%(all)s OR topic = ANY(%(topics)s))
            ORDER BY position LIMIT %(limit)s
        """
        values = {
            "after": after,
            "stop": _UNLIMITED if stop is None else stop,
            "all": not topics,
            "topics": list(topics),
            "limit": limit,
        }
        with self.datastore.connection() as connection:
            return [Notification(*row) for row in connection.execute(query.encode(), values).fetchall()]

    def max_notification_id(self) -> int | None:
        """The last position; None for an empty log."""
        with self.datastore.connection() as connection:
            row = connection.execute(sql.select_last_position(self.datastore.log).encode()).fetchone()
        return row[0] or None if row is not None else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Notifications after a position, and then those to come."""
        return LogSubscription(self, gt=gt, topics=topics)


class LogSubscription(ListenNotifySubscription[PostgresRecorder]):
    """Wakes at the log's announcements; when its connection dies it connects again and looks what it missed."""

    def __init__(self, recorder: PostgresRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        self._stopping = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._listen_thread = Thread(target=self._listen, name="brojobs subscription")
        self._listen_thread.start()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._listen_thread.join()

    def stop(self) -> None:
        """End the subscription; a reader that waits for the next notification is let go."""
        super().stop()
        self._stopping.set()

    def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._has_been_stopped:
            with contextlib.suppress(psycopg.Error), self._recorder.datastore.listen() as connection:
                pause = FIRST_PAUSE_SECONDS
                self._has_been_notified.set()
                while not self._has_been_stopped:
                    for _ in connection.notifies(timeout=_NOTICE_STOP_SECONDS, stop_after=1):
                        self._has_been_notified.set()
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _columns(events: Sequence[StoredEvent]) -> tuple[list[Any], ...]:
    return (
        [event.originator_id for event in events],
        [event.originator_version for event in events],
        [event.topic for event in events],
        [event.state for event in events],
    )


def _translated(error: psycopg.Error) -> persistence.PersistenceError:
    if error.sqlstate == sql.VERSION_GAP:
        return persistence.IntegrityError(str(error))
    for ours, theirs in _ERRORS:
        if isinstance(error, ours):
            return theirs(str(error))
    return persistence.PersistenceError(str(error))
