"""Idempotency keys and ids of the client's own: one effect, one answer, for ever."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.http.service import service
from tests.http.world import Told, World, code, euros, wire

MESSAGE = {"text": "Bonjour"}


def key(name: str = "k1") -> dict[str, str]:
    return {"Idempotency-Key": name}


def replayed(answer: httpx.Response) -> bool:
    mark: str | None = answer.headers.get("idempotency-replayed")
    return mark == "true"


def same(first: httpx.Response, again: httpx.Response) -> bool:
    """The same answer: status, body, and the headers that belong to it; only the mark differs."""
    kept = ("etag", "location", "content-type")
    headers: list[list[str | None]] = [[answer.headers.get(name) for name in kept] for answer in (first, again)]
    assert replayed(again)
    assert not replayed(first)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    return headers[0] == headers[1]


def test_a_repeated_command_gets_its_first_answer_and_does_nothing(world: World) -> None:
    """Also when the order has long moved on."""
    order = world.paid()
    first = order.send("buyer", "post-message", MESSAGE, key())
    assert same(first, order.send("buyer", "post-message", MESSAGE, key()))
    order.seller("concede")
    world.advance(days=8)
    assert same(first, order.send("buyer", "post-message", MESSAGE, key()))
    assert order.types().count("MessagePosted") == 1


def test_a_repeated_placing_finds_its_order_again(world: World) -> None:
    """201, the same order, the same address; one order in the end."""
    body = world.place_body()
    first = world.post("buyer", "/v1/orders", body, key("place"))
    order = Told(world, first.json()["order_id"], first.json())
    order.operator("confirm-payment", payment_reference="p", amount=body["price"])
    assert same(first, world.post("buyer", "/v1/orders", body, key("place")))
    assert len(world.see("buyer", "/v1/orders")["items"]) == 1


def test_a_repeated_opening_finds_its_dispute_again(world: World) -> None:
    """201 with the dispute as it was opened, though it is closed by now."""
    order = world.revision_refused()
    body = {"statement": "Not the brief.", "evidence": [{"description": "The brief"}]}
    first = order.send("buyer", "open-dispute", body, key())
    order.dispute_id = first.json()["dispute_id"]
    assert same(first, order.send("buyer", "open-dispute", body, key()))
    order.buyer("dispute/withdraw")
    assert same(first, order.send("buyer", "open-dispute", body, key()))


def test_a_repeated_command_of_a_dispute_gets_its_first_answer(world: World) -> None:
    """A decision that is sent twice decides once."""
    order = world.under_review()
    body = {"assignment": 1, "outcome": "full_refund", "reason": "The brief is clear."}
    first = order.send("mediator", "dispute/decide", body, key())
    assert first.status_code == 200
    assert same(first, order.send("mediator", "dispute/decide", body, key()))
    assert order.types().count("DisputeDecided") == 1


def test_the_meaning_of_a_body_counts_not_its_bytes(world: World) -> None:
    """Spaces and the order of members make no other request; a body that is left out is an empty object."""
    order = world.paid()
    first = order.send("buyer", "request-cancellation", b'{"reason":"other","comment":"x"}', key())
    assert same(first, order.send("buyer", "request-cancellation", b'{ "comment": "x", "reason": "other" }', key()))
    second = order.send("seller", "accept-cancellation", b"", key())
    assert same(second, order.send("seller", "accept-cancellation", b"{}", key()))


def test_another_request_with_the_same_key_is_refused(world: World) -> None:
    """Another body, another command, another order: the key is bound to the one request."""
    order, other = world.paid(), world.paid()
    assert order.send("buyer", "post-message", MESSAGE, key()).status_code == 200
    requests: list[tuple[Told, str, Any]] = [
        (order, "post-message", {"text": "Bonsoir"}),
        (order, "send-reminder", MESSAGE),
        (other, "post-message", MESSAGE),
    ]
    for asked, command, body in requests:
        answer = asked.send("buyer", command, body, key())
        assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused"), command
    placing = world.post("buyer", "/v1/orders", world.place_body(), key())
    assert (placing.status_code, code(placing)) == (422, "idempotency_key_reused")
    assert order.types().count("MessagePosted") == 1
    assert other.types() == ["OrderPlaced", "EscrowFunded"]


def test_a_key_belongs_to_its_caller(world: World) -> None:
    """The same key of somebody else is another key."""
    order = world.paid()
    assert not replayed(order.send("buyer", "post-message", MESSAGE, key()))
    answer = order.send("seller", "post-message", MESSAGE, key())
    assert (answer.status_code, replayed(answer)) == (200, False)
    assert order.types().count("MessagePosted") == 2


def test_a_refused_command_leaves_the_key_free(world: World) -> None:
    """It is judged again, with the same body or another one."""
    order = world.delivered()
    for _ in range(2):
        answer = order.send("buyer", "post-message", MESSAGE, key())
        assert (answer.status_code, code(answer), replayed(answer)) == (409, "chat_locked", False)
    order.buyer("request-revision", points=[{"text": "Darker"}])
    answer = order.send("buyer", "post-message", {"text": "Now it works."}, key())
    assert (answer.status_code, replayed(answer)) == (200, False)


def test_a_dry_run_neither_keeps_nor_replays(world: World) -> None:
    """The key stays free after it, and a kept answer is not shown to it."""
    order = world.paid()
    for _ in range(2):
        dry = order.send("buyer", "post-message", MESSAGE, key(), dry_run="true")
        assert (dry.status_code, replayed(dry), len(dry.json()["events"])) == (200, False, 1)
    real = order.send("buyer", "post-message", MESSAGE, key())
    assert not replayed(real)
    dry = order.send("buyer", "post-message", {"text": "other"}, key(), dry_run="true")
    assert (dry.status_code, replayed(dry), len(dry.json()["events"])) == (200, False, 1)
    assert order.types().count("MessagePosted") == 1


def test_commands_that_change_nothing_keep_their_answer_too(world: World) -> None:
    """Confirming the same payment again is a success without an event, and its key is taken by it."""
    order = world.placed()
    body = {"payment_reference": "p", "amount": order.body["price"]}
    order.operator("confirm-payment", **body)
    first = order.send("operator", "confirm-payment", body, key())
    assert (first.status_code, first.json()["version"]) == (200, 2)
    order.seller("post-message", text="Started.")
    assert same(first, order.send("operator", "confirm-payment", body, key()))
    assert code(order.send("operator", "confirm-payment", {**body, "payment_reference": "q"}, key())) == (
        "idempotency_key_reused"
    )


def test_a_replay_is_not_stopped_by_a_stale_precondition(world: World) -> None:
    """The first answer comes again though the version that it asked for is gone: idempotency is judged first."""
    order = world.paid()
    headers = {**key(), "If-Match": '"2"'}
    first = order.send("buyer", "post-message", MESSAGE, headers)
    assert same(first, order.send("buyer", "post-message", MESSAGE, headers))


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "x" * 255,
        "with space",
        "{}[]\"'\\",
        "Zoë é à ç",
    ],
)
def test_any_short_text_is_a_key(world: World, name: str) -> None:
    """1 to 255 characters of any kind, accents too."""
    order = world.paid()
    raw = {b"Idempotency-Key": name.encode()}
    headers: dict[bytes, bytes] = {k.encode(): v.encode() for k, v in world.headers("buyer").items()} | raw
    first, again = (world.http.post(f"{order.path}/post-message", json=MESSAGE, headers=headers) for _ in "ab")
    assert first.status_code == 200, first.text
    assert same(first, again)


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_invalid(world: World, name: str) -> None:
    """It is never silently dropped."""
    answer = world.paid().send("buyer", "post-message", MESSAGE, key(name))
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


def test_a_restart_forgets_no_key(world: World, tmp_path: Path, clean_logs: str) -> None:
    """The answer is kept with the events: another process, started later, gives it byte for byte."""
    with service(clean_logs, tmp_path) as process, World(process.url) as before:
        now = before.advance(days=1)
        body = before.place_body()
        placed = before.post("buyer", "/v1/orders", body, key("place"))
        order = Told(before, placed.json()["order_id"], placed.json())
        order.operator("confirm-payment", payment_reference="p", amount=body["price"])
        said = order.send("buyer", "post-message", MESSAGE, key("say"))
        assert said.status_code == 200
        people = before.people
    with service(clean_logs, tmp_path) as process, World(process.url, people) as after:
        after.at(max(now, after.now()))
        assert same(said, order.through(after).send("buyer", "post-message", MESSAGE, key("say")))
        assert same(placed, after.post("buyer", "/v1/orders", body, key("place")))
        assert code(order.through(after).send("buyer", "post-message", {"text": "?"}, key("say"))) == (
            "idempotency_key_reused"
        )


# -- ids of the client's own


def test_a_clients_own_order_id_makes_placing_repeatable(world: World) -> None:
    """The same content gives the same answer without a key; the order may have moved on meanwhile."""
    body = world.place_body(order_id=str(uuid4()))
    first = world.post("buyer", "/v1/orders", body)
    assert (first.status_code, first.json()["order_id"]) == (201, body["order_id"])
    order = Told(world, first.json()["order_id"], first.json())
    order.operator("confirm-payment", payment_reference="p", amount=body["price"])
    world.advance(days=30)
    again = world.post("buyer", "/v1/orders", body)
    assert (again.status_code, again.json(), again.headers["etag"]) == (201, first.json(), first.headers["etag"])
    assert again.headers["location"] == first.headers["location"]
    assert order.types().count("OrderPlaced") == 1


def test_a_repeat_under_a_new_key_binds_that_key(world: World) -> None:
    """The order was placed before without it; from then on the key answers this request and refuses every other one."""
    body = world.place_body(order_id=str(uuid4()))
    first = world.post("buyer", "/v1/orders", body)
    for _ in range(3):
        again = world.post("buyer", "/v1/orders", body, key("new"))
        assert same(first, again)
    for other in (
        world.place_body(title="Another"),
        world.place_body(order_id=str(uuid4())),
        body | {"title": "Other"},
    ):
        answer = world.post("buyer", "/v1/orders", other, key("new"))
        assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused"), other
    order = Told(world, first.json()["order_id"], first.json())
    answer = order.send("buyer", "post-message", MESSAGE, key("new"))
    assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused")
    assert [item["order_id"] for item in world.see("buyer", "/v1/orders")["items"]] == [body["order_id"]]
    assert order.types() == ["OrderPlaced"]


def test_the_same_instant_in_another_zone_is_the_same_content(world: World) -> None:
    """What is compared is what was meant: 14:00 at +02:00 is 12:00 Z."""
    due_at = world.now() + timedelta(days=3)
    body = world.place_body(order_id=str(uuid4()), due_at=wire(due_at))
    elsewhere = due_at.astimezone(timezone(timedelta(hours=2))).isoformat()
    assert world.post("buyer", "/v1/orders", body).status_code == 201
    assert world.post("buyer", "/v1/orders", body | {"due_at": elsewhere}).status_code == 201


def test_the_same_order_id_with_other_content_or_of_somebody_else_is_refused(world: World) -> None:
    """422, and nothing is told of the order that has it."""
    body = world.place_body(order_id=str(uuid4()))
    world.post("buyer", "/v1/orders", body)
    for who, changes in (
        ("buyer", {"price": euros(1)}), ("buyer", {"title": "Other"}), ("buyer", {"seller_id": "somebody"}),
        ("buyer", {"brief": "Other"}), ("buyer", {"due_at": wire(world.now())}), ("stranger", {}),
    ):  # fmt: skip
        answer = world.post(who, "/v1/orders", body | changes)
        assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused"), changes
        assert world.people["buyer"] not in answer.text


def test_an_order_cannot_take_the_place_of_a_dispute(world: World) -> None:
    """Ids of disputes can be foreseen; an order placed under one must not keep the dispute from being opened."""
    body = {"statement": "Not the brief.", "evidence": [{"description": "The brief"}]}
    order = world.revision_refused()
    foreseen = order.send("buyer", "open-dispute", body, dry_run="true").json()["dispute_id"]
    squatting = world.post("stranger", "/v1/orders", world.place_body(order_id=foreseen, seller_id="an-accomplice"))
    assert (squatting.status_code, code(squatting)) == (422, "invalid_request")
    opened = order.send("buyer", "open-dispute", body)
    assert opened.status_code == 201, opened.text
    again = world.post("stranger", "/v1/orders", world.place_body(order_id=opened.json()["dispute_id"]))
    assert (again.status_code, code(again)) == (422, "invalid_request")
