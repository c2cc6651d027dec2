"""Lists: whose orders, which of them, a page at a time, with every timer fired that is due."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from tests.http.world import NOWHERE, Told, World, code, instant, wire


def ids(world: World, who: str, **query: Any) -> list[str]:
    return [item["order_id"] for item in world.see(who, "/v1/orders", **query)["items"]]


def named(*orders: Told) -> list[str]:
    return [str(order.id) for order in orders]


def test_the_list_holds_ones_own_orders_the_newest_first(world: World) -> None:
    """Each as the order itself is shown; nothing of anybody else."""
    first, second = world.paid(), world.placed()
    world.advance(seconds=1)
    third = world.delivered()
    assert ids(world, "buyer")[0] == str(third.id)
    assert sorted(ids(world, "buyer")) == sorted(ids(world, "seller")) == sorted(named(first, second, third))
    assert ids(world, "stranger") == []
    listed = {item["order_id"]: item for item in world.see("buyer", "/v1/orders")["items"]}
    for order in (first, second, third):
        assert listed[str(order.id)] == order.see()


def test_staff_see_the_orders_of_all(world: World) -> None:
    """Operator, mediator and auditor find an order that they have nothing to do with."""
    order = world.placed()
    for who in ("operator", "mediator", "auditor"):
        assert str(order.id) in ids(world, who, limit=1000)


def test_somebody_without_a_role_is_refused(world: World) -> None:
    """A token without any role opens no list; no token is 401."""
    headers = {"Authorization": f"Bearer {world.mint(world.people['buyer'])}"}
    assert world.http.get("/v1/orders", headers=headers).status_code == 403
    assert world.http.get("/v1/orders").status_code == 401


def test_the_role_says_on_which_side_one_stands(world: World) -> None:
    """Somebody who buys and sells finds both, or one of them by `role`."""
    world.people["both"] = "both-" + world.people["buyer"]
    token = world.mint(world.people["both"], "buyer", "seller")
    world._tokens["both"] = token
    sold = world.placed(seller_id=world.people["both"])
    bought = world.post("both", "/v1/orders", world.place_body()).json()["order_id"]
    assert sorted(ids(world, "both")) == sorted([str(sold.id), bought])
    assert ids(world, "both", role="buyer") == [bought]
    assert ids(world, "both", role="seller") == [str(sold.id)]
    only_buyer = {"Authorization": f"Bearer {world.mint(world.people['both'], 'buyer')}"}
    shown = world.http.get("/v1/orders", headers=only_buyer).json()["items"]
    assert [item["order_id"] for item in shown] == [bought]


def test_the_status_and_overdue_are_filters(world: World) -> None:
    """Both are what the order itself shows now, timers included."""
    late, delivered, placed = world.paid(), world.delivered(), world.placed()
    far = world.paid(due_at=wire(world.now() + timedelta(days=60)))
    assert ids(world, "buyer", status="delivered") == named(delivered)
    assert ids(world, "buyer", overdue="true") == []
    world.at(instant(late.body["due_at"]))
    assert ids(world, "buyer", overdue="true") == named(late)
    assert sorted(ids(world, "buyer", overdue="false")) == sorted(named(delivered, placed, far))
    assert ids(world, "buyer", status="cancelled") == named(placed), "nobody paid it in time"
    assert sorted(ids(world, "buyer", status="in_progress")) == sorted(named(late, far))
    assert ids(world, "buyer", status="in_progress", overdue="false") == named(far)


@pytest.mark.parametrize("timers", [True, False])
def test_the_list_shows_what_the_timers_did(world: World, timers: bool) -> None:
    """With and without a scheduler: after seven days the delivered order is found under completed."""
    world.clock(run_timers=timers)
    order = world.delivered()
    world.advance(days=7)
    assert ids(world, "buyer", status="completed") == named(order)
    assert ids(world, "buyer", status="delivered") == []


def test_pages_show_every_order_once(world: World) -> None:
    """Whatever the limit; the last page has no cursor."""
    orders = []
    for number in range(7):
        orders.append(world.placed(title=f"Logo {number}"))
        world.advance(milliseconds=number % 3)  # some are placed at the same instant
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    while True:
        page = world.see("buyer", "/v1/orders", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [item["order_id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        cursor = page["next"]
        if cursor is None:
            break
    assert sizes == [3, 3, 1]
    assert sorted(seen) == sorted(named(*orders))
    assert seen == ids(world, "buyer")


def test_an_order_placed_meanwhile_disturbs_no_page(world: World) -> None:
    """A cursor goes on behind what was shown; nothing is shown twice."""
    orders = []
    for _ in range(4):
        world.advance(seconds=1)
        orders.append(world.placed())
    first = world.see("buyer", "/v1/orders", limit=2)
    world.advance(seconds=1)
    world.placed()
    rest = world.see("buyer", "/v1/orders", limit=2, cursor=first["next"])
    assert [item["order_id"] for item in first["items"] + rest["items"]] == named(*reversed(orders))
    assert rest["next"] is None


def test_the_events_and_the_thread_have_pages_too(world: World) -> None:
    """The same cursors for the parts of one history."""
    order = world.under_review()
    everything = order.events()
    seen, cursor = [], None
    while True:
        page = order.see("auditor", "events", limit=4, **({"cursor": cursor} if cursor else {}))
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == everything
    order.buyer("dispute/post-message", text="1")
    order.buyer("dispute/post-message", text="2")
    page = order.see("buyer", "dispute/thread", limit=1)
    assert [item["text"] for item in page["items"]] == ["1"]
    rest = order.see("buyer", "dispute/thread", cursor=page["next"])
    assert ([item["text"] for item in rest["items"]], rest["next"]) == (["2"], None)


def cursor_of(text: bytes) -> str:
    return urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "1001"}, {"limit": "-1"}, {"limit": "x"}, {"limit": "1.0"}, {"limit": "9" * 30},
        {"status": "lost"}, {"status": "\x00"}, {"role": "mediator"}, {"overdue": "perhaps"}, {"cursor": "x"},
        {"cursor": ""}, {"cursor": "é"}, {"cursor": "%%%"}, {"cursor": cursor_of(b"\xff\xfe")}, {"cursor": "0"},
        {"cursor": cursor_of(b"2026-01-01T00:00:00+00:00 not-an-id")}, {"cursor": cursor_of(b"9" * 5000)},
        {"cursor": cursor_of(b"\x00" * 8)},
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_used_is_invalid(world: World, query: dict[str, str]) -> None:
    """Filters, limits and cursors that are not ours are refused, never guessed at."""
    answer = world.get("buyer", "/v1/orders", **query)
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


@pytest.mark.parametrize("query", ["staus=paid", "status=delivered&status=completed", "limit=1&limit=2", "%00=1"])
def test_a_question_that_a_list_does_not_know_is_invalid(world: World, query: str) -> None:
    """A misspelt filter would show everything, calmly; who may not ask at all is told that first."""
    order = world.disputed()
    lists = ["/v1/orders", "/v1/disputes", f"{order.path}/events", f"{order.path}/chat"]
    for path in [*lists, f"/v1/disputes/{order.dispute_id}/thread"]:
        answer = world.get("mediator", f"{path}?{query}")
        assert (answer.status_code, code(answer)) == (422, "invalid_request"), path
        assert world.get(None, f"{path}?{query}").status_code == 401
        told = {"/v1/orders": 422, "/v1/disputes": 403}.get(path, 404)
        assert world.get("stranger", f"{path}?{query}").status_code == told, path


@pytest.mark.parametrize("cursor", ["x", "", "é", cursor_of(b"-1"), cursor_of(b"9" * 5000), cursor_of("٣".encode())])
def test_a_cursor_of_a_history_that_is_not_ours_is_invalid(world: World, cursor: str) -> None:
    """Also numbers that no computer counts to."""
    answer = world.get("buyer", f"{world.placed().path}/events", cursor=cursor)
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


@pytest.mark.parametrize(
    "rank", ["1e999999", "1e-999999", "-1e999999", "1e9999999999999999999", "NaN", "Infinity", "x", ""]
)
def test_a_cursor_of_the_docket_that_is_not_ours_is_invalid(world: World, rank: str) -> None:
    """Also numbers that are short to write and long to count with."""
    answer = world.get("mediator", "/v1/disputes", cursor=cursor_of(f"{rank} {NOWHERE}".encode()))
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


def test_a_cursor_of_the_docket_may_name_any_rank(world: World) -> None:
    """Whatever could stand in a cursor of ours is taken, though no dispute has that rank."""
    for rank in ("1", "-1.5", "1e12"):
        answer = world.get("mediator", "/v1/disputes", cursor=cursor_of(f"{rank} {NOWHERE}".encode()))
        assert answer.status_code == 200, answer.text
