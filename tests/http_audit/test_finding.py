"""The statements behind the log: right for every filter however far the view has come, and fast at any depth."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from tests.store.helpers import opened

from brojobs_es.application.history import decode
from brojobs_es.store.audit import EventFilter, find_events
from brojobs_es.store.audit_table import AuditTable
from brojobs_es.store.log import Append, Logs, NewEvent, RecordedEvent
from brojobs_es.store.projector import Projector

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = EventFilter("auditor", sees_notes=True)
TYPES = ["OrderPlaced", "Delivered", "MessagePosted", "MediatorNoteAdded", "MediatorAssigned"]
PEOPLE = ["ann", "bob", "cid", None]
DEEP = int(os.environ.get("BROJOBS_TEST_AUDIT_EVENTS", "100000"))


def state(dice: random.Random, number: int, kind: str) -> bytes:
    """As the filters see it: instants nearly follow positions, as the clocks of several processes would have it."""
    at = START + timedelta(seconds=number + dice.uniform(-300, 300))
    fields = {"cause": {"actor": {"id": dice.choice(PEOPLE)}}, "recorded_at": at.isoformat()}
    if kind == "OrderPlaced":
        fields |= {"buyer_id": "ann", "seller_id": "bob"}
    if kind == "MediatorAssigned":
        fields["mediator_id"] = dice.choice(["mia", "moe"])
    return json.dumps(fields).encode()


async def filled(logs: Logs, orders: int, events: int) -> list[UUID]:
    """Orders whose events lie scattered over their logs."""
    dice = random.Random(7)
    versions = {uuid4(): 0 for _ in range(orders)}
    for number in range(events):
        order_id = dice.choice(list(versions))
        versions[order_id] += 1
        kind = "OrderPlaced" if versions[order_id] == 1 else dice.choice(TYPES[1:])
        topic = f"dispute:{kind}" if kind.startswith("Mediator") else f"order:{kind}"
        event = NewEvent(order_id, versions[order_id], topic, state(dice, number, kind))
        await logs.append(Append(order_id, (event,)))
    return list(versions)


def expected(events: Sequence[RecordedEvent], wanted: EventFilter, after: int) -> list[int]:
    """The same selection, made from what is stored, one event at a time."""
    mine = {e.order_id for e in events if json.loads(e.state).get("mediator_id") == wanted.reader}
    parties = {e.order_id: json.loads(e.state) for e in events if e.topic == "order:OrderPlaced"}

    def matches(event: RecordedEvent) -> bool:
        fields, kind = json.loads(event.state), event.topic.partition(":")[2]
        at, placed = datetime.fromisoformat(fields["recorded_at"]), parties[event.order_id]
        party = wanted.reader in {placed["buyer_id"], placed["seller_id"]}
        return (
            event.position > after
            and (wanted.type is None or kind == wanted.type)
            and (wanted.order_id is None or event.order_id == wanted.order_id)
            and (wanted.actor_id is None or fields["cause"]["actor"]["id"] == wanted.actor_id)
            and (wanted.since is None or at >= wanted.since)
            and (wanted.until is None or at < wanted.until)
            and (not wanted.own_orders_only or event.order_id in mine)
            and (kind != "MediatorNoteAdded" or (wanted.sees_notes and not party))
        )

    return [event.position for event in events if matches(event)]


def filters(dice: random.Random, orders: list[UUID], events: int) -> Iterator[EventFilter]:
    """Every combination of conditions, with values of its own."""
    for choice in range(64):
        since, until = sorted(START + timedelta(seconds=dice.uniform(0, events)) for _ in range(2))
        yield EventFilter(
            reader=dice.choice(["mia", "moe", "ann", "eve"]),
            sees_notes=dice.random() < 0.7,
            own_orders_only=bool(choice & 32),
            type=dice.choice(TYPES) if choice & 1 else None,
            order_id=dice.choice(orders) if choice & 2 else None,
            actor_id=dice.choice(PEOPLE[:3]) if choice & 4 else None,
            since=since if choice & 8 else None,
            until=until if choice & 16 else None,
        )


async def test_every_combination_of_filters_however_far_the_view_is(
    clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a selection made here, with a view that has seen nothing, a part, and all: the answers are the same."""
    events = 600
    monkeypatch.setattr("brojobs_es.store.projector.BATCH", events * 5 // 6 // log_count)
    dice = random.Random(3)
    projector = Projector(clean_logs, log_count, (), decode, tables=[AuditTable()])
    await projector.open()
    async with opened(clean_logs, log_count) as logs:
        orders = await filled(logs, 12, events)
        stored = {log: await logs.read(log, 0, events) for log in range(log_count)}
        for round_number in range(3):
            for wanted in filters(dice, orders, events):
                for log, rows in stored.items():
                    after, limit = dice.choice([0, len(rows) // 2]), dice.choice([5, events])
                    found = await find_events(logs, log, wanted, after, limit)
                    assert [e.position for e in found] == expected(rows, wanted, after)[:limit], wanted
                    upto = len(rows) * 2 // 3
                    part = await find_events(logs, log, wanted, after, events, upto)
                    assert [e.position for e in part] == [p for p in expected(rows, wanted, after) if p <= upto]
            if round_number == 0:
                assert all([await projector.step(log) for log in stored if stored[log]])
            elif round_number == 1:
                await projector.catch_up()
                with psycopg.connect(clean_logs) as connection:
                    row = connection.execute("SELECT count(*) FROM views.audit").fetchone()
                assert row == (events,)
    await projector.close()


ODD_STATES = [
    *(json.dumps({"cause": {"actor": {"id": who}}, "recorded_at": "2026-03-01T12:00:00.123456Z"}).encode()
      for who in (None, "", "ann", "é" * 400, 'a"b', "a\x00b", 7, ["ann"], {"id": "ann"})),
    *(json.dumps({"cause": {"actor": {"id": "ann"}}, "recorded_at": at}).encode()
      for at in ("2026-03-01T12:00:00", "2026-03-01T14:00:00+02:00", "2026-03-01", "soon", 5, None)),
    b'{"cause":{"actor":{"id":"ann"},"actor":{"id":"bob"}},"recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":{"actor":{}},"recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":"ann","recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":{"actor":{"id":"\xff"}},"recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":{"actor":{"id":"ann"}},"note":"\xff","recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":{"actor":{"id":"ann"}},"note":"\\ud800","recorded_at":"2026-03-01T12:00:00Z"}',
    b'{"cause":{"actor":{"id":"ann"}},"recorded_at":"2026-03-01T12:00:00Z"', b"[]", b"", b"{}",
]  # fmt: skip


async def test_what_is_read_here_is_what_the_database_reads(clean_logs: str) -> None:
    """The view has of every state, ordinary or odd, what `views.audit_facts` finds in it."""
    topics = ["order:Delivered", "Toy", "a:b:c", f"order:{'x' * 100}"]
    order = uuid4()
    events = [NewEvent(order, n + 1, topics[n % 4], odd) for n, odd in enumerate(ODD_STATES)]
    projector = Projector(clean_logs, 1, (), decode, tables=[AuditTable()])
    await projector.open()
    async with opened(clean_logs) as logs:
        await logs.append(Append(order, tuple(events)))
    await projector.catch_up()
    await projector.close()
    differing = """
        SELECT e.position, convert_from(e.state, 'LATIN1'), a, f FROM log_0.events e
        CROSS JOIN LATERAL views.audit_facts(e.state) f LEFT JOIN views.audit a ON a.position = e.position
        WHERE (a.type, a.actor_id, a.recorded_at) IS DISTINCT FROM
            (left(split_part(e.topic, ':', 2), 64), f.actor_id, f.recorded_at)
    """
    with psycopg.connect(clean_logs) as connection:
        assert connection.execute(differing).fetchall() == []
        assert connection.execute("SELECT count(*) FROM views.audit").fetchone() == (len(ODD_STATES),)


async def test_rebuilding_the_view_gives_the_same_rows(clean_logs: str, log_count: int) -> None:
    """Byte for byte, also where batches were cut elsewhere."""

    def rows() -> list[list[tuple[object, ...]]]:
        with psycopg.connect(clean_logs) as connection:
            tables = ("audit", "audit_times", "audit_mediators")
            return [connection.execute(f"SELECT * FROM views.{t} ORDER BY 1, 2".encode()).fetchall() for t in tables]

    projector = Projector(clean_logs, log_count, (), decode, tables=[AuditTable()])
    await projector.open()
    async with opened(clean_logs, log_count) as logs:
        for _ in range(3):
            await filled(logs, 5, 41)
            await projector.catch_up()
    before = rows()
    assert all(before)
    await projector.rebuild(["audit"])
    assert rows() == before
    await projector.close()


FILL = """
    INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
    SELECT o.id, o.id, 1 + n / 1000,
        CASE WHEN n < 300 THEN 'dispute:MediatorAssigned'
            ELSE (ARRAY['order:OrderPlaced', 'order:Delivered', 'order:MessagePosted'])[1 + n %% 3] END,
        convert_to(jsonb_build_object('cause', jsonb_build_object('actor', jsonb_build_object('id', 'person-' || n %% 97)),
            'mediator_id', 'mia', 'recorded_at', timestamptz '2026-01-01Z' + n * interval '1 second')::text, 'UTF8')
    FROM generate_series(%(first)s::int, %(last)s::int) AS n
    JOIN (SELECT k, md5(k::text)::uuid AS id FROM generate_series(0, 999) AS k) AS o ON o.k = n %% 1000
    ORDER BY n
"""


@pytest.fixture(scope="module")
def deep(new_database) -> str:  # type: ignore[no-untyped-def]
    """One long log: a thousand orders side by side, all of it written through the triggers."""
    url: str = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET TimeZone TO 'UTC'")
        for first in range(0, DEEP, 10_000):
            connection.execute(FILL.encode(), {"first": first, "last": first + 9_999})
    return url


DEPTHS = {
    "nothing": EVERYTHING,
    "without notes": replace(EVERYTHING, sees_notes=False),
    "type": replace(EVERYTHING, type="Delivered"),
    "actor": replace(EVERYTHING, actor_id="person-5"),
    "type and actor": replace(EVERYTHING, type="Delivered", actor_id="person-5"),
    "a type that never happens": replace(EVERYTHING, type="ChatClosed"),
    "an actor who never acts": replace(EVERYTHING, actor_id="nobody"),
    "time": replace(EVERYTHING, since=START, until=START + timedelta(days=300)),
    "time and type": replace(EVERYTHING, type="Delivered", since=START),
    "order": replace(EVERYTHING, order_id=UUID("cfcd2084-95d5-65ef-66e7-dff9f98764da")),
    "order and type": replace(EVERYTHING, order_id=UUID("cfcd2084-95d5-65ef-66e7-dff9f98764da"), type="Delivered"),
    "a mediator's": EventFilter("mia", sees_notes=True, own_orders_only=True),
    "a mediator's type": EventFilter("mia", sees_notes=True, own_orders_only=True, type="Delivered"),
}


async def test_the_last_page_costs_what_the_first_one_does(deep: str) -> None:
    """For every filter, a page of 100: at the beginning, in the middle, at the end, and a late minute asked for from the beginning."""
    projector = Projector(deep, 1, (), decode, tables=[AuditTable()])
    await projector.open()
    await projector.catch_up()
    slow: dict[str, list[float]] = {}
    async with opened(deep) as logs:
        late = START + timedelta(seconds=DEEP * 0.9)
        narrow = replace(EVERYTHING, since=late, until=late + timedelta(minutes=1))
        assert len(await find_events(logs, 0, narrow, 0, 100)) == 60
        for name, wanted in {**DEPTHS, "a late minute": narrow}.items():
            seconds = [await cost(logs, wanted, after) for after in (0, DEEP // 2, DEEP - 5_000)]
            if seconds[2] > 3 * max(seconds[0], 0.002) or max(seconds) > 0.25:
                slow[name] = seconds
    await projector.close()
    assert not slow


async def cost(logs: Logs, wanted: EventFilter, after: int) -> float:
    """Seconds of a page after a position, the least of some: what the machine does beside it only adds."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        await find_events(logs, 0, wanted, after, 100)
        times.append(time.perf_counter() - began)
    return min(times)
