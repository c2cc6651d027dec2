"""The shapes of the contract: every documented field is there, with its type, for every view of an order."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import pytest
from tests.http.world import DUE_IN, PRICE, World, euros, instant, wire

INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

ORDER: Final = {
    "order_id",
    "version",
    "status",
    "buyer_id",
    "seller_id",
    "title",
    "brief",
    "price",
    "placed_at",
    "due_at",
    "overdue",
    "deliveries",
    "revisions",
    "cancellation",
    "deadline_proposal",
    "settlement_proposal",
    "refusals",
    "dispute_unlocked_by",
    "dispute_id",
    "chat",
    "escrow",
    "terms",
    "turn",
}
ORDER_TOO: Final = {"paid_at", "ended_at", "ending"}
DISPUTE: Final = {
    "dispute_id",
    "order_id",
    "number",
    "version",
    "status",
    "ground",
    "opened_by",
    "opened_at",
    "statement",
    "order_status_before",
    "assignment",
    "mediator_id",
    "evidence",
    "one_sided",
    "windows",
    "decision",
    "outcome",
}
DISPUTE_TOO: Final = {"closed_at", "revision", "points"}
EVENT: Final = {
    "log",
    "position",
    "cursor",
    "order_id",
    "stream_id",
    "stream_version",
    "type",
    "type_version",
    "data",
    "actor",
    "on_behalf_of",
    "command_id",
    "correlation_id",
    "effective_at",
    "recorded_at",
    "digest",
}
LOCK: Final = {"buyer_can_write", "seller_can_write", "code", "unlocked_by", "until"}
TOTALS: Final = {"currency", "funded", "held", "refunded", "released", "commission"}
ACTION: Final = {"command", "allowed", "code", "detail", "available_from", "available_until", "unlocked_by"}
EVIDENCE: Final = {"evidence_id", "by", "kind", "description", "events", "files", "origin", "late", "submitted_at"}
FILE: Final = {"file_id", "name", "size", "media_type", "sha256"}
PARTY_COMMANDS: Final = {
    "post-message",
    "propose-deadline",
    "accept-deadline",
    "refuse-deadline",
    "withdraw-deadline",
    "propose-settlement",
    "accept-settlement",
    "refuse-settlement",
    "withdraw-settlement",
    "open-dispute",
}
BUYER_COMMANDS: Final = PARTY_COMMANDS | {
    "send-reminder",
    "request-refund",
    "cancel-overdue",
    "request-cancellation",
    "withdraw-cancellation",
    "accept-delivery",
    "request-revision",
}
SELLER_COMMANDS: Final = PARTY_COMMANDS | {
    "accept-cancellation",
    "refuse-cancellation",
    "deliver",
    "accept-revision",
    "refuse-revision",
    "concede",
}


def test_placing_answers_201_with_the_order_its_address_and_its_etag(world: World) -> None:
    """A new order is shown whole, in the state that placing makes."""
    due_at = wire(world.now() + DUE_IN)
    answer = world.post("buyer", "/v1/orders", world.place_body(title="Logo é", due_at=due_at))
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == f"/v1/orders/{body['order_id']}"
    assert answer.headers["etag"] == '"1"'
    assert "idempotency-replayed" not in answer.headers
    assert set(body) - ORDER_TOO == ORDER
    assert UUID.fullmatch(body["order_id"])
    assert INSTANT.fullmatch(body["placed_at"])
    expected = {
        "version": 1, "status": "awaiting_payment", "buyer_id": world.people["buyer"], "title": "Logo é",
        "seller_id": world.people["seller"], "brief": "Two colours.", "price": euros(PRICE), "due_at": due_at,
        "overdue": False, "deliveries": [], "revisions": [], "cancellation": None, "deadline_proposal": None,
        "settlement_proposal": None, "refusals": {"count": 0, "needed": 2, "events": []}, "dispute_unlocked_by": [],
        "dispute_id": None, "turn": "buyer",
    }  # fmt: skip
    assert {name: body[name] for name in expected} == expected
    assert set(body["chat"]) == LOCK
    assert set(body["escrow"]) == TOTALS
    assert body["terms"]["commission_bps"] == 1000
    assert world.get("buyer", answer.headers["location"]).json() == body


def test_a_command_answers_with_the_order_as_it_is_now(world: World) -> None:
    """200, the new version in the body and as ETag, and the same that a reading shows."""
    order = world.placed()
    answer = order.send("operator", "confirm-payment", {"payment_reference": "p", "amount": euros(PRICE)})
    body = answer.json()
    assert (answer.status_code, answer.headers["etag"], body["version"]) == (200, '"2"', 2)
    assert "location" not in answer.headers
    reading = world.get("buyer", order.path)
    assert (reading.json(), reading.headers["etag"]) == (body, '"2"')
    assert (body["status"], body["turn"], body["paid_at"]) == ("in_progress", "seller", wire(world.now()))
    assert body["escrow"] == {
        "currency": "EUR", "funded": PRICE, "held": PRICE, "refunded": 0, "released": 0, "commission": 0,
    }  # fmt: skip


def test_what_is_pending_is_shown_in_its_documented_shape(world: World) -> None:
    """Cancellation, deadline proposal and settlement proposal, each with who, until when, and its words."""
    now, order = world.now(), world.paid()
    order.buyer("request-cancellation", reason="other", comment="Changed my mind.")
    order.seller("propose-deadline", due_at=wire(now + timedelta(days=9)), comment="More time")
    shown = order.buyer("propose-settlement", refund=euros(4000))
    deadline, settlement = shown["deadline_proposal"], shown["settlement_proposal"]
    assert shown["cancellation"] == {
        "kind": "cancellation", "reason": "other", "comment": "Changed my mind.", "requested_at": wire(now),
        "answer_by": wire(now + timedelta(hours=48)),
    }  # fmt: skip
    assert UUID.fullmatch(deadline.pop("proposal_id"))
    assert deadline == {
        "by": "seller", "due_at": wire(now + timedelta(days=9)), "comment": "More time",
        "expires_at": wire(now + timedelta(hours=48)),
    }  # fmt: skip
    assert UUID.fullmatch(settlement.pop("proposal_id"))
    assert settlement == {
        "by": "buyer", "refund": euros(4000), "comment": None, "expires_at": wire(now + timedelta(hours=48)),
    }  # fmt: skip


def test_it_is_the_turn_of_whoever_must_answer_first(world: World) -> None:
    """Of two pending things the one that expires first counts; without any, the state says whose turn it is."""
    order = world.paid()
    assert order.buyer("propose-settlement", refund=euros(1))["turn"] == "seller"
    world.advance(hours=1)
    proposed = order.seller("propose-deadline", due_at=wire(world.now() + timedelta(days=6)))
    assert proposed["turn"] == "seller", "the settlement expires an hour earlier"
    order.seller("refuse-settlement", proposal_id=proposed["settlement_proposal"]["proposal_id"])
    assert order.see()["turn"] == "buyer"
    agreed = order.buyer("accept-deadline", proposal_id=proposed["deadline_proposal"]["proposal_id"])
    assert agreed["turn"] == "seller"


def test_deliveries_and_revisions_are_shown_with_files_and_points(world: World) -> None:
    """Numbered from 1; what became of each point stands with the delivery that answered it."""
    now, order = world.now(), world.delivered()
    name = order.file("buyer", "idée.png")
    order.buyer("request-revision", points=[{"text": "Darker", "files": [name]}, {"text": "Bigger"}])
    order.seller("accept-revision")
    points = [{"number": 2, "status": "contested", "note": "No room."}]
    shown = order.seller("deliver", note="Second", files=[order.file()], points=points)
    first, second = shown["deliveries"]
    assert set(first) == {"number", "note", "files", "points", "late", "delivered_at"}
    assert (first["number"], first["note"], first["late"], first["points"]) == (1, "First version", False, [])
    assert set(first["files"][0]) == FILE
    assert second["points"] == [{"number": 2, "status": "contested", "note": "No room."}]
    (revision,) = shown["revisions"]
    assert set(revision) == {"number", "points", "status", "requested_at", "due_at"}
    assert (revision["number"], revision["status"]) == (1, "answered")
    assert revision["due_at"] == wire(now + timedelta(days=3)), "the usual working time of a revision"
    assert [(p["number"], p["text"], p["status"]) for p in revision["points"]] == [
        (1, "Darker", "open"), (2, "Bigger", "contested"),
    ]  # fmt: skip
    assert revision["points"][0]["files"][0]["name"] == "idée.png"


def test_refusals_are_counted_with_their_proof(world: World) -> None:
    """The refusals' events are positions of the order's log, where CancelRefused stands."""
    order = world.paid()
    order.buyer("request-cancellation", reason="delay")
    shown = order.seller("refuse-cancellation", reason="Nearly done.")
    refused = [event["position"] for event in order.events() if event["type"] == "CancelRefused"]
    assert shown["refusals"] == {"count": 1, "needed": 2, "events": refused}


def test_the_chat_shows_its_lock_and_its_messages(world: World) -> None:
    """A locked chat says why and what unlocks it; a message says who wrote what and when."""
    order = world.paid()
    order.buyer("post-message", text="Bonjour")
    order.seller("deliver", note="x", files=[order.file()])
    for who in ("buyer", "seller", "mediator", "auditor", "operator"):
        assert set(order.see(who, "chat")) >= {"lock", "messages"}
        assert set(order.see(who, "chat")["lock"]) == LOCK
    chat = order.see("buyer", "chat")
    assert chat["lock"] == {
        "buyer_can_write": False, "seller_can_write": True, "code": "delivered",
        "unlocked_by": ["accept-delivery", "request-revision", "open-dispute"], "until": None,
    }  # fmt: skip
    (message,) = chat["messages"]
    assert set(message) == {"message_id", "by", "text", "files", "posted_at"}
    assert (message["by"], message["text"], message["files"]) == ("buyer", "Bonjour", [])


def test_the_escrow_is_a_ledger_that_explains_its_totals(world: World) -> None:
    """10 001 with ten per cent and a third back: 3 333 to the buyer, 6 002 to the seller, 666 to the platform."""
    order = world.paid()
    proposal = order.buyer("propose-settlement", refund=euros(3333))["settlement_proposal"]["proposal_id"]
    order.seller("accept-settlement", proposal_id=proposal)
    ledger = order.balanced()
    assert set(ledger) == TOTALS | {"accounts", "entries"}
    assert ledger["accounts"] == {"buyer": 3333 - PRICE, "escrow": 0, "seller": 6002, "platform": 666}
    assert {name: ledger[name] for name in TOTALS} == {
        "currency": "EUR", "funded": PRICE, "held": 0, "refunded": 3333, "released": 6002, "commission": 666,
    }  # fmt: skip
    moved = dict.fromkeys(ledger["accounts"], 0)
    for entry in ledger["entries"]:
        moved[entry["debit"]] -= entry["amount"]
        moved[entry["credit"]] += entry["amount"]
    assert moved == ledger["accounts"]


def test_the_events_are_all_there_in_recorded_order(world: World) -> None:
    """Every documented field; positions grow; streams number their own events from 1 without a gap."""
    order = world.under_review()
    items = order.events()
    assert all(set(item) >= EVENT for item in items)
    assert [item["position"] for item in items] == sorted({item["position"] for item in items})
    for stream in {item["stream_id"] for item in items}:
        versions = [item["stream_version"] for item in items if item["stream_id"] == stream]
        assert versions == list(range(1, len(versions) + 1))
    assert {item["stream_id"] for item in items} == {str(order.id), order.dispute_id}
    assert {item["order_id"] for item in items} == {str(order.id)}
    assert len({item["cursor"] for item in items}) == len({item["digest"] for item in items}) == len(items)
    delivered = next(item for item in items if item["type"] == "Delivered")
    assert delivered["actor"] == {"role": "seller", "id": world.people["seller"]}
    assert delivered["effective_at"] == delivered["recorded_at"]


def test_a_timer_says_when_it_took_effect_and_when_it_was_recorded(world: World) -> None:
    """An overdue order that is looked at two days late was overdue at its date, and that is recorded late."""
    world.clock(run_timers=False)
    order = world.paid()
    due_at = instant(order.body["due_at"])
    world.at(due_at + timedelta(days=2))
    overdue = next(event for event in order.events() if event["type"] == "DeliveryOverdue")
    assert (overdue["effective_at"], overdue["recorded_at"]) == (wire(due_at), wire(due_at + timedelta(days=2)))
    assert overdue["actor"] == {"role": "time", "id": None}


@pytest.mark.parametrize(
    ("who", "commands"),
    [("buyer", BUYER_COMMANDS), ("seller", SELLER_COMMANDS), ("operator", {"confirm-payment", "open-dispute"}),
     ("mediator", set())],
)  # fmt: skip
def test_the_actions_name_every_command_of_the_viewer(world: World, who: str, commands: set[str]) -> None:
    """Each command of the role once, with its verdict; and whose turn it is."""
    shown = world.paid().see(who, "actions")
    assert set(shown) == {"items", "turn"}
    assert shown["turn"] == "seller"
    assert sorted(item["command"] for item in shown["items"]) == sorted(commands)
    for item in shown["items"]:
        assert set(item) == ACTION
        assert item["allowed"] == (item["code"] is None) == (item["detail"] is None)
        assert isinstance(item["unlocked_by"], list)


def test_an_instant_is_told_only_if_the_command_is_possible_then(world: World) -> None:
    """The same in the list of actions and in the refusal: the alarm while money will be held, nothing after a delivery."""
    paid = world.paid()
    alarm = wire(instant(paid.body["paid_at"]) + timedelta(days=75))
    for order, told in ((paid, alarm), (world.delivered(), None)):
        assert order.action("operator", "open-dispute")["available_from"] == told
        body = {"statement": "Too long.", "evidence": [{"description": "The log"}]}
        refusal = order.send("operator", "open-dispute", body).json()
        assert (refusal["code"], refusal.get("available_from")) == ("dispute_locked", told)


def test_a_dispute_answers_201_and_shows_its_case(world: World) -> None:
    """Opened with its first evidence, its windows counted from the opening."""
    now, order = world.now(), world.revision_refused()
    evidence = [{"description": "The brief", "kind": "document", "events": [order.events()[0]["position"]]}]
    answer = order.send("buyer", "open-dispute", {"statement": "Not the brief.", "evidence": evidence})
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/disputes/{body['dispute_id']}"
    assert answer.headers["etag"] == '"1"'
    assert set(body) - DISPUTE_TOO == DISPUTE
    expected = {
        "order_id": str(order.id), "number": 1, "version": 1, "status": "open", "ground": "revision_refused",
        "opened_by": "buyer", "opened_at": wire(now), "statement": "Not the brief.", "assignment": None,
        "order_status_before": "delivered", "mediator_id": None, "one_sided": None, "decision": None, "outcome": None,
        "windows": {"assignment": wire(now + timedelta(hours=48)), "response": wire(now + timedelta(hours=72)),
                    "evidence": wire(now + timedelta(days=5)), "decision": wire(now + timedelta(days=14))},
    }  # fmt: skip
    assert {name: body[name] for name in expected} == expected
    (piece,) = body["evidence"]
    assert set(piece) >= EVIDENCE
    assert (piece["by"], piece["kind"], piece["origin"], piece["late"]) == ("buyer", "document", "platform", False)
    assert world.get("seller", answer.headers["location"]).json() == body
    assert order.see()["dispute_id"] == body["dispute_id"]


def test_the_thread_shows_questions_and_messages_and_hides_notes_from_parties(world: World) -> None:
    """Private notes are for mediators and auditors; everything else is for all who see the dispute."""
    order = world.under_review()
    order.buyer("dispute/post-message", text="Look at point 1.")
    order.mediator("dispute/request-information", **{"from": "seller", "question": "Which part?"})
    order.mediator("dispute/add-note", text="Compare with the brief.")
    for who in ("buyer", "seller"):
        thread = order.see(who, "dispute/thread")
        assert set(thread) == {"items", "next"}
        assert [item["text"] for item in thread["items"]] == ["Look at point 1.", "Which part?"]
        assert "Compare" not in world.get(who, f"{order.path}/events").text
    for who in ("mediator", "auditor"):
        assert len(order.see(who, "dispute/thread")["items"]) == 3
        assert "Compare" in world.get(who, f"{order.path}/events").text
    message = order.see("buyer", "dispute/thread")["items"][0]
    assert set(message) >= {"message_id", "by", "text", "files", "posted_at"}


def test_a_decision_shows_what_was_decided(world: World) -> None:
    """The outcome, its reason and what it cites; the order and its money follow at once."""
    order = world.under_review()
    cited = [piece["evidence_id"] for piece in order.see("buyer", "dispute")["evidence"]]
    body = order.mediator(
        "dispute/decide", assignment=1, outcome="partial_refund", refund=euros(3333), reason="One point is missing.",
        cited=cited,
    )  # fmt: skip
    assert (body["status"], body["outcome"], body["one_sided"]) == ("closed", "partial_refund", False)
    assert body["decision"]["refund"] == euros(3333)
    assert body["decision"]["cited"] == cited
    assert body["decision"]["reason"] == "One point is missing."
    shown = order.see()
    assert (shown["status"], shown["turn"], shown["escrow"]["refunded"]) == ("completed", None, 3333)
    order.balanced()


def test_the_pages_of_operation_answer_without_a_token(world: World) -> None:
    """Alive, ready, and documented."""
    assert world.get(None, "/healthz").status_code == 200
    assert world.get(None, "/readyz").status_code == 200
    assert world.get(None, "/docs").status_code == 200
    document = world.get(None, "/openapi.json").json()
    for name in BUYER_COMMANDS | SELLER_COMMANDS | {"confirm-payment"}:
        operation = document["paths"][f"/v1/orders/{{order_id}}/{name}"]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        assert content["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
        assert "example" in content
        assert operation["description"]
