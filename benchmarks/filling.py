"""Histories and logs of any length, made of events that the service itself could have recorded."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import psycopg

from benchmarks.lives import PRICE, People, command, due_in, life_of_order, words
from benchmarks.talking import Talker
from brojobs_es.aggregates.base import Actor, Cause, Role, Words
from brojobs_es.aggregates.order_events import MessagePosted
from brojobs_es.application.history import encode
from brojobs_es.application.records import NewEvent
from brojobs_es.ids import part_id_for
from brojobs_es.store.log import Logs
from brojobs_es.store.vault import Vault
from brojobs_es.vault import Ring

_BATCH: Final = 2_000
_INSERT: Final = """
    INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
    SELECT %s, e.stream_id, e.version, e.topic, e.state
    FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::bytea[]) AS e (stream_id, version, topic, state)
"""
_COPIES: Final = """
    INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
    SELECT made.id, made.id, life.stream_version, life.topic, life.state
    FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %s)) AS made,
         (SELECT stream_version, topic, state FROM log_0.events WHERE order_id = %s) AS life
    ORDER BY life.stream_version
"""


def play_life(talker: Talker, people: People) -> UUID:
    """One whole life over HTTP; the order's id."""
    life = life_of_order(people)()
    step, order_id = next(life), None
    while True:
        answer = talker.ask(step.request, step.status)
        order_id = order_id or UUID(json.loads(answer)["order_id"])
        try:
            step = life.send(answer)
        except StopIteration:
            return order_id


def orders_in_progress(talker: Talker, people: People, count: int) -> list[UUID]:
    """Orders of the first buyer with the first seller, placed and paid over HTTP: two events each."""
    buyer, seller = people.buyers[0], people.sellers[0]
    placing = {"seller_id": seller.id, "title": "Un logo", "brief": words(), "price": PRICE, "due_at": due_in(14)}
    made = []
    for _ in range(count):
        order_id = json.loads(talker.ask(command("/v1/orders", buyer, placing), b"201"))["order_id"]
        paying = {"payment_reference": order_id, "amount": PRICE}
        talker.ask(command(f"/v1/orders/{order_id}/confirm-payment", people.operator, paying))
        made.append(UUID(order_id))
    return made


def lengthen(url: str, orders: dict[UUID, int], people: People) -> None:
    """Add messages of both parties to each of these orders, sealed with their keys, until it has so many events."""
    buyer, seller = people.buyers[0].id, people.sellers[0].id
    ring = asyncio.run(_keys(url, {buyer, seller}))
    with psycopg.connect(url, autocommit=True) as connection:
        for order_id, length in orders.items():
            query = "SELECT max(stream_version), max(recorded_at) FROM log_0.events WHERE stream_id = %s"
            row = connection.execute(query, (order_id,)).fetchone()
            assert row is not None
            for start in range(row[0] + 1, length + 1, _BATCH):
                versions = range(start, min(start + _BATCH, length + 1))
                new = [_message(order_id, version, buyer, seller, row[1], ring) for version in versions]
                columns = ([e.stream_id for e in new], list(versions), [e.topic for e in new], [e.state for e in new])
                connection.execute(_INSERT, (order_id, *columns))


def _message(order_id: UUID, version: int, buyer: str, seller: str, after: datetime, ring: Ring) -> NewEvent:
    at = after + timedelta(microseconds=version)  # later than what stands before it, earlier than now
    who, role = random.choice(((buyer, Role.BUYER), (seller, Role.SELLER)))
    message = MessagePosted(message_id=part_id_for(order_id, "message", version), text=Words(who, words()))
    stamped = message.stamped(
        originator_id=order_id,
        originator_version=version,
        timestamp=at,
        effective_at=at,
        cause=Cause(Actor(role, who), "post-message", uuid4(), uuid4()),
    )
    return encode(stamped, ring)


async def _keys(url: str, of: set[str]) -> Ring:
    logs = Logs(url)
    await logs.open()
    try:
        return await Vault(logs).to_write(of)
    finally:
        await logs.close()


def fill(url: str, life: UUID, events: int, told: Callable[[int], None]) -> int:
    """Bring the log to that many events with copies of a whole life under new ids; how many it then has.

    Triggers are left out, which check what is true here by construction. Words in the copies stay sealed for ever, as
    they are bound to the first one: views and evidence never open words, and nobody asks for these orders.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        counts = "SELECT count(*) FILTER (WHERE order_id = %s), count(*) FROM log_0.events"
        row = connection.execute(counts, (life,)).fetchone()
        assert row is not None
        each, done = row
        while done < events:
            copies = min(_BATCH, -((done - events) // each))
            connection.execute(_COPIES, (copies, life))
            done += copies * each
            told(done)
        connection.execute("ANALYZE log_0.events")
        return int(done)
