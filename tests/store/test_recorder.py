"""The library's own contract tests over our log, and what they leave out."""

from __future__ import annotations

import time
from threading import Timer
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError, NotSupportedError, StoredEvent
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)
from tests.store.helpers import kill_backends

from brojobs_es.store.recorder import Datastore, PostgresAggregateRecorder, PostgresRecorder


class _OverOurLog:
    """Gives each contract test a log of its own."""

    datastore: Datastore

    @pytest.fixture(autouse=True)
    def _fresh_log(self, clean_logs: str) -> Any:
        self.datastore = Datastore(clean_logs)
        yield
        self.datastore.close()


class TestAggregateRecorder(_OverOurLog, AggregateRecorderTestCase):
    """The library's contract of a recorder of streams."""

    def create_recorder(self) -> PostgresAggregateRecorder:
        return PostgresAggregateRecorder(self.datastore)


class TestApplicationRecorder(_OverOurLog, ApplicationRecorderTestCase[PostgresRecorder]):
    """The library's contract of a recorder of an application's sequence."""

    def create_recorder(self) -> PostgresRecorder:
        return PostgresRecorder(self.datastore)

    def test_insert_subscribe(self) -> None:
        """A subscription yields what is stored and what will be."""
        self.optional_test_insert_subscribe()


class TestNonInterleaving(_OverOurLog, NonInterleavingNotificationIDsBaseCase):
    """The library's contract that two saves do not mix their positions."""

    def create_recorder(self) -> PostgresRecorder:
        return PostgresRecorder(self.datastore)


@pytest.fixture
def recorder(clean_logs: str) -> Any:
    datastore = Datastore(clean_logs)
    yield PostgresRecorder(datastore)
    datastore.close()


def stored(stream: UUID, version: int) -> StoredEvent:
    return StoredEvent(stream, version, "Toy", b"{}")


def test_version_gap_is_an_integrity_error(recorder: PostgresRecorder) -> None:
    """A stream does not begin at version 77."""
    with pytest.raises(IntegrityError):
        recorder.insert_events([stored(uuid4(), 77)])
    assert recorder.max_notification_id() is None


def test_streams_of_one_order_share_its_history(recorder: PostgresRecorder, clean_logs: str) -> None:
    """Events of another stream can be stored under an order's id."""
    order, dispute = uuid4(), uuid4()
    recorder.insert_events([stored(order, 1), stored(dispute, 1)], order_id=order)
    with psycopg.connect(clean_logs) as connection:
        rows = connection.execute("SELECT order_id FROM log_0.events").fetchall()
    assert rows == [(order,), (order,)]


def test_what_it_cannot_store_is_refused(recorder: PostgresRecorder) -> None:
    """A tracking given beside the events is not silently dropped."""
    with pytest.raises(NotSupportedError):
        recorder.insert_events([stored(uuid4(), 1)], tracking=object())


def test_insert_survives_killed_connections(recorder: PostgresRecorder, clean_logs: str) -> None:
    """After its connections were killed the recorder goes on with new ones."""
    recorder.insert_events([stored(uuid4(), 1)])
    assert kill_backends(clean_logs) >= 1
    recorder.insert_events([stored(uuid4(), 1)])
    assert recorder.max_notification_id() == 2


def test_subscription_survives_a_killed_listener(recorder: PostgresRecorder, clean_logs: str) -> None:
    """A subscription whose connection was killed still yields what comes later."""
    first, second = uuid4(), uuid4()
    recorder.insert_events([stored(first, 1)])
    with recorder.subscribe(gt=0) as subscription:
        assert next(subscription).originator_id == first
        deadline = time.monotonic() + 10
        while kill_backends(clean_logs, "query LIKE 'LISTEN%'") == 0:
            assert time.monotonic() < deadline
        later = Timer(0.3, recorder.insert_events, [[stored(second, 1)]])
        later.start()
        assert next(subscription).originator_id == second
        later.join()


class Dog(Aggregate):
    """A toy."""

    @event("Named")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


def test_an_application_of_the_library_runs_on_our_log(clean_logs: str) -> None:
    """Saving, loading, the notification log and a conflict work as the library's users know them."""
    env = {"PERSISTENCE_MODULE": "brojobs_es.store.library", "BROJOBS_DATABASE_URL": clean_logs}
    with Application[UUID](env=env) as app:
        dog = Dog("Fido")
        dog.add_trick("roll over")
        app.save(dog)
        again: Dog = app.repository.get(dog.id)
        assert (again.name, again.tricks) == ("Fido", ["roll over"])
        assert [n.id for n in app.notification_log.select(start=1, limit=10)] == [1, 2]
        dog.add_trick("sit")
        again.add_trick("beg")
        app.save(dog)
        with pytest.raises(IntegrityError):
            app.save(again)
    app.close()
