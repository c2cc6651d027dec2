"""`/v1/refusals` and `/v1/orders/{id}/custody`: what was refused, and who looked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from tests.http.service import Service
from tests.http.world import NOWHERE, World, code, wire
from tests.http_audit.test_events import walk

from brojobs_es.store.connections import conninfo

JsonObject = dict[str, Any]


def looks(world: World, path: str, who: str = "auditor") -> list[tuple[str, str, str]]:
    """Who looked at what, in which role, without the tests' own way of reading the list."""
    return [
        (look["reader"]["id"], look["reader"]["role"], look["what"])
        for look in walk(world, who, path=f"{path}/custody")
    ]


def test_refused_commands_are_listed_with_who_what_when_and_code(world: World) -> None:
    """In commit order, by every filter."""
    order, other = world.delivered(), world.paid()
    order.do("buyer", "cancel-overdue", refused=(409, "already_delivered"))
    begin = world.advance(hours=1)
    order.do("seller", "deliver", refused=(409, "already_delivered"), note="Again", files=[order.file()])
    other.do("buyer", "cancel-overdue", refused=(409, "not_overdue"))
    end = world.advance(hours=1)
    other.do("buyer", "cancel-overdue", refused=(409, "not_overdue"))
    every = walk(world, path="/v1/refusals", limit=2)
    mine = [item for item in every if item["order_id"] in {str(order.id), str(other.id)}]
    first = next(item for item in mine if item["order_id"] == str(order.id))
    assert {name: first[name] for name in ("command", "code", "actor", "at")} == {
        "command": "cancel-overdue", "code": "already_delivered",
        "actor": {"role": "buyer", "id": world.people["buyer"]}, "at": wire(begin - timedelta(hours=1)),
    }  # fmt: skip
    assert len(mine) == 4
    for query in (
        {"order_id": str(other.id)}, {"actor_id": world.people["seller"]}, {"code": "not_overdue"},
        {"from": wire(begin)}, {"to": wire(end)}, {"from": wire(begin), "to": wire(end), "code": "not_overdue"},
        {"code": "no_such_code"},
    ):  # fmt: skip
        found = walk(world, path="/v1/refusals", limit=1, **query)
        assert [item["command_id"] for item in found] == [item["command_id"] for item in every if matches(item, query)]


def matches(item: JsonObject, query: JsonObject) -> bool:
    return (
        query.get("order_id") in (None, item["order_id"])
        and query.get("actor_id") in (None, item["actor"]["id"])
        and query.get("code") in (None, item["code"])
        and query.get("from", "") <= item["at"]
        and item["at"] < query.get("to", "9")
    )


def test_mediators_see_refusals_of_their_cases(world: World) -> None:
    """And of no others."""
    order, other = world.under_review(), world.disputed()
    for it in (order, other):
        it.do("buyer", "cancel-overdue", refused=(409, "order_frozen"))
    seen = walk(world, "mediator", path="/v1/refusals")
    assert {item["order_id"] for item in seen} == {str(order.id)}


def test_refusals_come_in_commit_order(world: World, running: Service, log_count: int) -> None:
    """A reader who follows their numbers while eight people are refused at once misses none."""
    order = world.delivered()
    start = walk(world, path="/v1/refusals", limit=1000)
    cursor = {"after": start[-1]["cursor"]} if start else {}
    seen: list[JsonObject] = []

    def refused(_: int) -> None:
        for _ in range(10):
            order.do("buyer", "cancel-overdue", refused=(409, "already_delivered"))

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(refused, number) for number in range(8)]
        while not all(writer.done() for writer in writers) or len(seen) < 80:
            items = world.see("auditor", "/v1/refusals", **cursor)["items"]
            seen += items
            if items:
                cursor = {"after": items[-1]["cursor"]}
        for writer in writers:
            writer.result()
    assert len(seen) == len({item["number"] for item in seen}) == 80


def test_a_later_refusal_waits_for_an_earlier_one(database_url: str) -> None:
    """So a number that shows is never followed by a smaller one."""
    insert = """
        INSERT INTO log_0.refusals (order_id, actor_id, actor_role, command, code, command_id, at)
        VALUES (NULL, 'ann', 'buyer', 'place', 'forbidden', NULL, now())
    """
    writer = conninfo(database_url, "brojobs_writer", lock_timeout="100ms")
    with psycopg.connect(writer) as first, psycopg.connect(writer) as second:
        first.execute(insert.encode())
        with pytest.raises(LockNotAvailable):
            second.execute(insert.encode())
        second.rollback()
        first.commit()
        second.execute(insert.encode())


def test_every_look_of_staff_is_kept(world: World) -> None:
    """Reading what people did and said, alone or in an export; parties reading their own is no look."""
    order = world.under_review()
    path, dispute = order.path, f"/v1/disputes/{order.dispute_id}"
    assert looks(world, path) == []
    for who, looked_at in (
        ("mediator", f"{dispute}/overview"), ("mediator", f"{dispute}/thread"), ("auditor", dispute),
        ("operator", f"{path}/chat"), ("auditor", f"{path}/events"), ("buyer", f"{path}/events"), ("seller", f"{path}/chat"),
    ):  # fmt: skip
        world.see(who, looked_at)
    file_id = order.body["deliveries"][0]["files"][0]["file_id"]
    for who in ("mediator", "buyer"):
        assert world.get(who, f"{path}/files/{file_id}").status_code == 200
    people = world.people
    kept = [
        (people["mediator"], "mediator", "overview"), (people["mediator"], "mediator", "thread"),
        (people["auditor"], "auditor", "dispute"), (people["operator"], "operator", "chat"),
        (people["auditor"], "auditor", "events"), (people["mediator"], "mediator", "file"),
    ]  # fmt: skip
    assert walk(world, path=f"{path}/custody")[-1]["filters"] == {"file_id": file_id}
    assert looks(world, path) == looks(world, path, "mediator") == kept
    for refused in ("buyer", "seller", "operator"):
        assert code(world.get(refused, f"{path}/custody")) == "forbidden"
    assert code(world.get("stranger", f"{path}/custody")) == "not_found"
    assert code(world.get("auditor", f"/v1/orders/{NOWHERE}/custody")) == "not_found"
    assert code(world.get("auditor", f"{path}/custody", after="x")) == "invalid_request"


def test_reading_the_log_is_a_look_at_every_order_in_it(world: World) -> None:
    """An export as often as it is made, turning pages once; a mediator's only at the own cases, nobody's before the placing."""
    early = world.under_review()
    for _ in range(2):
        walk(world, limit=9)
        world.get("operator", "/v1/events.jsonl", type="Delivered")
    world.get("mediator", "/v1/events.jsonl")
    world.get("auditor", "/v1/events.jsonl", order_id=str(early.id))
    world.advance(minutes=1)
    late = world.disputed()
    people = world.people
    exports = [(people["operator"], "operator", "export")]
    assert looks(world, early.path) == [
        (people["auditor"], "auditor", "events"), *exports, *exports, (people["mediator"], "mediator", "export"),
        (people["auditor"], "auditor", "export"),
    ]  # fmt: skip
    assert looks(world, late.path) == []
    items = walk(world, path=f"{early.path}/custody")
    assert [item["filters"] for item in items] == [{}, *[{"type": "Delivered"}] * 2, {}, {"order_id": str(early.id)}]


def test_what_cannot_be_kept_is_not_shown(world: World, running: Service, log_count: int) -> None:
    """A look that custody cannot take is refused as unavailable; what nobody has to keep is still answered."""
    order = world.under_review()
    with psycopg.connect(running.database_url, autocommit=True) as connection:
        tables = [f"log_{log}.custody" for log in range(log_count)]
        for table in tables:
            connection.execute(f"REVOKE INSERT (what) ON {table} FROM brojobs_writer".encode())
        try:
            for path in (
                f"{order.path}/events",
                f"/v1/disputes/{order.dispute_id}/overview",
                "/v1/events",
                "/v1/events.jsonl",
            ):
                question = "?type=ChatClosed" if path.startswith("/v1/events") else ""
                answer = world.get("auditor", path + question)
                assert (answer.status_code, code(answer)) == (503, "try_again"), path
            assert world.get("buyer", f"{order.path}/events").status_code == 200
        finally:
            for table in tables:
                connection.execute(f"GRANT INSERT (what) ON {table} TO brojobs_writer".encode())
    assert world.get("auditor", f"{order.path}/events").status_code == 200


@pytest.mark.parametrize("statement", ["UPDATE {} SET what = 'nothing'", "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_takes_a_look_back(database_url: str, statement: str) -> None:
    """Neither a role of the service nor, by mistake, the owner of the table."""
    for role in ("brojobs_writer", "brojobs_projector", "brojobs_auditor"):
        with psycopg.connect(conninfo(database_url, role)) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement.format("log_0.custody").encode())
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.Error, match="only ever added"):
        connection.execute(statement.format("log_0.custody").encode())
