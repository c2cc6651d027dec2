"""`/v1/events`: who sees what of the log, and that cursors lead through all of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from tests.http.service import Service
from tests.http.world import World, code, instant, wire

from brojobs_es.ids import log_of

JsonObject = dict[str, Any]


def walk(
    world: World, who: str = "auditor", limit: int = 7, path: str = "/v1/events", **query: Any
) -> list[JsonObject]:
    """All items, page by page, each page after the last cursor of the one before."""
    items: list[JsonObject] = []
    while True:
        after = {"after": items[-1]["cursor"]} if items else {}
        part = world.see(who, path, limit=limit, **query, **after)
        assert part["next"] in (None, part["items"][-1]["cursor"] if part["items"] else None)
        items += part["items"]
        if part["next"] is None:
            return items


def places(items: list[JsonObject]) -> list[tuple[int, int]]:
    return [(item["log"], item["position"]) for item in items]


def test_the_pages_hold_every_event_in_commit_order(world: World) -> None:
    """Log after log, position after position, with the same shape and digest that the order's own events have."""
    orders = [world.under_review() for _ in range(3)]
    items = walk(world)
    assert places(items) == sorted(set(places(items)))
    for order in orders:
        own = [{k: v for k, v in item.items() if k != "cursor"} for item in items if item["order_id"] == str(order.id)]
        assert own == [{k: v for k, v in item.items() if k != "cursor"} for item in order.events()]
        assert all(len(item["digest"]) == 64 for item in own)
    assert walk(world, limit=1000) == items
    assert walk(world, limit=1) == items


@pytest.mark.parametrize("names", ["", "type", "order_id", "actor_id", "from", "to", "type actor_id", "from to type",
    "order_id type from", "actor_id from to", "order_id actor_id"])  # fmt: skip
def test_filters_select_and_nothing_else(world: World, names: str) -> None:
    """Each filter and their combinations against the same selection made here."""
    order, other = world.delivered(), world.paid()
    world.advance(hours=1)
    begin = world.now()
    order.buyer("request-revision", points=[{"text": "Darker"}])
    other.seller("post-message", text="Soon.")
    end = world.advance(hours=1)
    order.seller("refuse-revision", reason="No.")
    values = {
        "type": "MessagePosted" if "actor_id" not in names else "RevisionRequested",
        "order_id": str(order.id),
        "actor_id": world.people["buyer"],
        "from": wire(begin),
        "to": wire(end),
    }
    tests: dict[str, Callable[[JsonObject], bool]] = {
        "type": lambda e: e["type"] == values["type"],
        "order_id": lambda e: e["order_id"] == values["order_id"],
        "actor_id": lambda e: e["actor"]["id"] == values["actor_id"],
        "from": lambda e: instant(e["recorded_at"]) >= begin,
        "to": lambda e: instant(e["recorded_at"]) < end,
    }
    chosen = names.split()
    every = walk(world, limit=500)
    expected = [event for event in every if all(tests[name](event) for name in chosen)]
    if names != "order_id type from":
        assert expected
    assert places(walk(world, limit=2, **{name: values[name] for name in chosen})) == places(expected)


def test_one_log_of_several(world: World, log_count: int) -> None:
    """`log=` selects one; the logs together are the whole."""
    for _ in range(4):
        world.paid()
    apart = [walk(world, log=log) for log in range(log_count)]
    assert [place for part in apart for place in places(part)] == places(walk(world))
    assert world.get("auditor", "/v1/events", log=log_count).status_code == 422
    if log_count > 1:
        wrong = world.get("auditor", "/v1/events", log=1, after=apart[0][0]["cursor"])
        assert (wrong.status_code, code(wrong)) == (422, "invalid_request")


def test_a_cursor_is_good_for_ever(world: World) -> None:
    """Whoever keeps the last cursor sees exactly what came since, in whichever log."""
    world.paid()
    last = walk(world)[-1]["cursor"]
    assert world.see("auditor", "/v1/events", after=last)["items"] == []
    later = [world.placed() for _ in range(4)]
    seen = world.see("auditor", "/v1/events", after=last)["items"]
    assert sorted(item["order_id"] for item in seen) == sorted(str(order.id) for order in later)


def test_roles(world: World) -> None:
    """Auditors and operators see all, mediators their cases, parties and strangers nothing; private notes are private."""
    order, other = world.under_review(), world.disputed()
    order.mediator("dispute/add-note", text="A word to myself.")
    for who in ("buyer", "seller", "stranger"):
        for path in ("/v1/events", "/v1/events.jsonl", "/v1/events/stream", "/v1/refusals"):
            assert code(world.get(who, path)) == "forbidden"
    assert code(world.get(None, "/v1/events")) == "unauthenticated"
    every = walk(world)
    notes = [event for event in every if event["type"] == "MediatorNoteAdded"]
    assert notes
    assert places(walk(world, "operator")) == places([event for event in every if event not in notes])
    mine = [event for event in every if event["order_id"] == str(order.id)]
    assert places(walk(world, "mediator")) == places(mine)
    assert {event["type"] for event in mine} >= {"OrderPlaced", "MediatorNoteAdded"}
    assert walk(world, "mediator2") == []
    assert walk(world, "mediator", order_id=str(other.id)) == []
    typed = walk(world, "mediator", type="Delivered", actor_id=world.people["seller"])
    assert places(typed) == places([event for event in mine if event["type"] == "Delivered"])


def test_a_mediator_keeps_seeing_a_case_that_was_handed_over(world: World) -> None:
    """Both who had it and who has it now."""
    order = world.under_review()
    order.mediator("dispute/hand-over", to=world.people["mediator2"])
    expected = places([event for event in walk(world) if event["order_id"] == str(order.id)])
    assert places(walk(world, "mediator")) == places(walk(world, "mediator2")) == expected


def test_an_auditor_who_is_a_party_sees_no_private_notes_of_the_own_order(world: World) -> None:
    """Everything else of the log, notes about other orders included."""
    order, other = world.under_review(), world.under_review()
    world.people["double"] = world.people["buyer"]
    world._tokens["double"] = world.mint(world.people["buyer"], "buyer", "auditor")
    order.mediator("dispute/add-note", text="About this buyer.")
    other_buyers = World(world.url)
    third = other_buyers.under_review()
    third.mediator("dispute/add-note", text="About somebody else.")
    seen = walk(world, "double", type="MediatorNoteAdded")
    assert [event["order_id"] for event in seen if event["order_id"] in {str(order.id), str(third.id)}] == [
        str(third.id)
    ]
    assert str(other.id) in {event["order_id"] for event in walk(world, "double")}
    other_buyers.http.close()


SENSELESS = [
    "after=x", "after=", "after=0", "after=0-", "after=-1-5", "after=0--5", "after=0-1.0-2", "after=99-1",
    "after=0-99999999999999999999", "after=%00", "after=0-1%00", "limit=0", "limit=1001", "limit=x", "limit=1e2",
    "limit=%00", "order_id=", "order_id=x", "order_id=%00", "actor_id=", "actor_id=a%00b", "actor_id=" + "a" * 256,
    "from=yesterday", "from=2026-01-01", "to=%00", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    "log=-1", "log=x", "log=64", "log=%00", "actor=bob", "cursor=0-1", "order_id=1&order_id=2", "limit=1&limit=2", "%00=1",
    "from=0000-01-01T00:00:00Z", "from=0001-01-01T00:00:00%2B23:59", "to=9999-12-31T23:59:59-23:59",
]  # fmt: skip
SENSELESS_EVENTS = ["after=0-999999999", "type=", "type=Nothing", "type=delivered", "type=%00", "code=not_paid"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events.jsonl", "/v1/events/stream", "/v1/refusals"])
def test_questions_that_make_no_sense_are_422(world: World, path: str) -> None:
    """Never an error of the service, never an answer to another question."""
    for query in SENSELESS + (["type=Delivered", "code=%00"] if path == "/v1/refusals" else SENSELESS_EVENTS):
        answer = world.get("auditor", f"{path}?{query}")
        assert (answer.status_code, code(answer)) == (422, "invalid_request"), query


def test_an_event_that_cannot_be_read_hides_nothing(world: World, running: Service, log_count: int) -> None:
    """It is listed with its digest and what is stored; what follows it is listed too, with and without filters."""
    order = world.placed()
    log = log_of(order.id, log_count)
    statement = f"""
        INSERT INTO log_{log}.events (order_id, stream_id, stream_version, topic, state)
        VALUES (%(stream)s, %(stream)s, 1, 'order:Unheard', %(state)s)
    """
    with psycopg.connect(running.database_url, autocommit=True) as connection:
        for state in (b"{}", b"\xff\xfe not JSON", b'{"recorded_at":"never","cause":7}', b'"\\u0000"'):
            connection.execute(statement.encode(), {"stream": uuid4(), "state": state})
    order.operator("confirm-payment", payment_reference="p", amount=order.body["price"])
    broken = [event for event in walk(world) if event["type"] == "Unheard"]
    assert len(broken) == 4
    assert all(len(event["digest"]) == 64 and event["actor"]["id"] is None for event in broken)
    assert all((event["effective_at"], event["recorded_at"]) == (None, None) for event in broken)
    funded = walk(world, type="EscrowFunded", to=wire(world.now() + timedelta(seconds=1)))
    assert str(order.id) in {event["order_id"] for event in funded}
