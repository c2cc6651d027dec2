"""Conventions of every call: preconditions, dry runs, languages, problem documents, and what is judged first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from tests.http.world import NOWHERE, SHA, Told, World, code, euros, instant, wire

MESSAGE: Final = {"text": "Bonjour"}
PROBLEM: Final = {"type", "title", "status", "detail", "code"}


# -- problem documents


def test_a_refusal_is_a_problem_document(world: World) -> None:
    """RFC 9457 with our code; `type` ends in the code, and members that apply stand beside it."""
    order = world.paid()
    answer = order.send("buyer", "cancel-overdue")
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == PROBLEM | {"available_from"}
    assert (answer.status_code, body["status"], body["code"]) == (409, 409, "not_overdue")
    assert body["type"].endswith("/not_overdue")
    assert body["available_from"] == order.body["due_at"]


def test_a_locked_command_says_what_unlocks_it(world: World) -> None:
    """`unlocked_by` is a list of commands."""
    order = world.delivered()
    body = order.buyer("post-message", text="x", refused=(409, "chat_locked"))
    assert body["unlocked_by"] == ["accept-delivery", "request-revision", "open-dispute"]


def test_an_invalid_body_says_where_and_what(world: World) -> None:
    """`errors` names each place; what was sent is not repeated."""
    answer = world.post("buyer", "/v1/orders", world.place_body(price={"amount": "secret", "currency": "EUR"}, more=1))
    errors = answer.json()["errors"]
    assert (answer.status_code, code(answer)) == (422, "invalid_request")
    assert all(set(error) == {"loc", "msg"} for error in errors)
    assert sorted(error["loc"] for error in errors) == [["more"], ["price", "amount"]]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [(None, "fr"), ("de", "fr"), ("en", "en"), ("fr-CA, en;q=0.8", "fr"), ("fr;q=0.2, en-GB;q=0.9", "en"), ("*", "fr")],
)
def test_titles_and_details_follow_the_reader(world: World, accepted: str | None, language: str) -> None:
    """French unless English is preferred; the code is the same in both."""
    order, words = world.placed(), {"fr": "pas encore payée", "en": "not"}
    headers = {"Authorization": f"Bearer {world.token('seller')}"}
    headers |= {"Accept-Language": accepted} if accepted else {}
    answer = world.http.post(f"{order.path}/concede", json={}, headers=headers)
    assert code(answer) == "not_paid"
    assert answer.headers["content-language"] == language
    other = world.http.post(f"{order.path}/concede", json={}, headers=headers | {"Accept-Language": "en"})
    assert (answer.json()["detail"] == other.json()["detail"]) == (language == "en")
    assert words["en"] in other.json()["detail"].lower()


def test_the_list_of_actions_follows_the_reader_too(world: World) -> None:
    """The sentence of each verdict is in the viewer's language."""
    order = world.placed()
    french = world.get("buyer", f"{order.path}/actions", {"Accept-Language": "fr"}).json()["items"]
    english = world.get("buyer", f"{order.path}/actions").json()["items"]
    refused = [(f["detail"], e["detail"]) for f, e in zip(french, english, strict=True) if not f["allowed"]]
    assert refused
    assert all(f != e for f, e in refused)


# -- If-Match


def test_if_match_lets_the_current_version_through(world: World) -> None:
    """The ETag of the last answer holds until somebody changes the order."""
    order = world.paid()
    etag = world.get("buyer", order.path).headers["etag"]
    assert order.send("buyer", "post-message", MESSAGE, {"If-Match": etag}).status_code == 200
    late = order.send("buyer", "post-message", MESSAGE, {"If-Match": etag})
    assert (late.status_code, code(late), late.json()["current_version"]) == (412, "version_conflict", 3)


@pytest.mark.parametrize("tag", ['"1"', '"999"', "nonsense", '"2", "4"', 'W/"2"', '""', '"02"'])
def test_if_match_refuses_what_is_not_the_current_version(world: World, tag: str) -> None:
    """Another version, a weak tag or no tag at all never matches; nothing is recorded."""
    order = world.paid()
    order.buyer("post-message", **MESSAGE)
    answer = order.send("buyer", "post-message", MESSAGE, {"If-Match": tag})
    assert (answer.status_code, code(answer)) == (412, "version_conflict")
    assert order.see()["version"] == 3


@pytest.mark.parametrize("tag", ['"2"', '"1", "2"', "*", '"1","2","3"'])
def test_if_match_takes_lists_and_the_star(world: World, tag: str) -> None:
    """One of several tags is enough; the star stands for any version."""
    assert world.paid().send("buyer", "post-message", MESSAGE, {"If-Match": tag}).status_code == 200


def test_if_match_counts_timers_that_are_due(world: World) -> None:
    """A version that a due timer has outrun is no longer the current one."""
    world.clock(run_timers=False)
    order = world.paid()
    world.at(instant(order.body["due_at"]))
    answer = order.send("buyer", "cancel-overdue", {}, {"If-Match": '"2"'})
    assert (answer.status_code, code(answer), answer.json()["current_version"]) == (412, "version_conflict", 3)


def test_if_match_of_a_dispute_is_about_the_dispute(world: World) -> None:
    """Its commands are held against its own version."""
    order = world.disputed()
    assert order.send("mediator", "dispute/assign", {}, {"If-Match": '"6"'}).status_code == 412
    answer = order.send("mediator", "dispute/assign", {}, {"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')


# -- dry_run


def test_a_dry_run_shows_what_would_happen_and_records_nothing(world: World) -> None:
    """The answer is the order afterwards with the events; the order itself stays as it was."""
    order = world.paid()
    before, history = order.see(), order.events()
    answer = order.send("seller", "concede", {"comment": "I cannot."}, dry_run="true")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["escrow"]["refunded"]) == ("cancelled", body["price"]["amount"])
    assert [event["type"] for event in body["events"]] == ["SellerConceded", "OrderCancelled", "EscrowRefunded"]
    assert {event["position"] for event in body["events"]} == {None}
    assert (order.see(), order.events()) == (before, history)
    real = order.seller("concede", comment="I cannot.")
    assert {**real} == {name: value for name, value in body.items() if name != "events"}


def test_a_dry_run_is_judged_like_the_command(world: World) -> None:
    """The same refusals, the same preconditions."""
    order = world.paid()
    assert code(order.send("buyer", "cancel-overdue", dry_run="true")) == "not_overdue"
    assert order.send("buyer", "post-message", MESSAGE, {"If-Match": '"1"'}, dry_run="true").status_code == 412
    wrong = order.send("buyer", "post-message", MESSAGE, dry_run="maybe")
    assert (wrong.status_code, code(wrong)) == (422, "invalid_request")


def test_a_dry_run_does_not_fire_timers_for_good(world: World) -> None:
    """A due timer shows in its answer and is not recorded by it."""
    world.clock(run_timers=False)
    order = world.paid()
    world.at(instant(order.body["due_at"]))
    body = order.send("buyer", "cancel-overdue", dry_run="true").json()
    assert body["status"] == "cancelled"
    assert [event["type"] for event in body["events"]] == ["OrderCancelled", "EscrowRefunded"]
    rows = order.see("auditor", "events")["items"]
    assert "OrderCancelled" not in [row["type"] for row in rows]


def test_a_dry_run_of_placing_and_of_opening_creates_nothing(world: World) -> None:
    """200 without an address; neither the order nor the dispute exists afterwards."""
    placing = world.post("buyer", "/v1/orders", world.place_body(), dry_run="true")
    assert (placing.status_code, "location" in placing.headers) == (200, False)
    assert [event["type"] for event in placing.json()["events"]] == ["OrderPlaced"]
    assert world.get("buyer", f"/v1/orders/{placing.json()['order_id']}").status_code == 404
    order = world.revision_refused()
    body = {"statement": "Not the brief.", "evidence": [{"description": "The brief"}]}
    opening = order.send("buyer", "open-dispute", body, dry_run="true")
    assert (opening.status_code, "location" in opening.headers) == (200, False)
    assert {event["type"] for event in opening.json()["events"]} == {"DisputeOpened", "OrderFrozen"}
    assert world.get("buyer", f"/v1/disputes/{opening.json()['dispute_id']}").status_code == 404
    assert order.see()["dispute_id"] is None


# -- who is who


@pytest.mark.parametrize("view", ["", "/actions", "/chat", "/escrow", "/events", f"/files/{SHA}"])
def test_a_stranger_finds_nothing_anywhere(world: World, view: str) -> None:
    """An order that one has nothing to do with is not there, exactly like one that does not exist."""
    order = world.paid()
    theirs = world.get("stranger", order.path + view)
    nobodys = world.get("stranger", f"/v1/orders/{NOWHERE}{view}")
    assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
    assert (theirs.status_code, code(theirs)) == (404, "not_found")
    assert world.get(None, order.path + view).status_code == 401


def test_who_may_read_what(world: World) -> None:
    """Every view and every reader, as the contract lists them."""
    order = world.disputed()
    party, staff = {"buyer", "seller"}, {"mediator", "auditor", "operator"}
    readers = {
        order.path: party | staff, f"{order.path}/actions": party | {"mediator", "operator"},
        f"{order.path}/chat": party | staff, f"{order.path}/escrow": party | staff, f"{order.path}/events": party | staff,
        f"/v1/disputes/{order.dispute_id}": party | {"mediator", "auditor"},
        f"/v1/disputes/{order.dispute_id}/thread": party | {"mediator", "auditor"},
    }  # fmt: skip
    for path, allowed in readers.items():
        for who in party | staff:
            answer = world.get(who, path)
            # The operator's own list of disputes is documented, so a single one is shown or refused, never broken.
            expected = (
                (200, 403) if "disputes" in path and who == "operator" else ((200,) if who in allowed else (403,))
            )
            assert answer.status_code in expected, f"{who} {path}: {answer.text}"


def test_a_known_order_and_the_wrong_role_is_403(world: World) -> None:
    """The seller cannot accept, the buyer cannot deliver, staff cannot act for a party."""
    order = world.delivered()
    for who in ("seller", "mediator", "operator", "auditor"):
        order.do(who, "accept-delivery", refused=(403, "forbidden"))
    order.buyer("deliver", note="x", files=[SHA], refused=(403, "forbidden"))
    order.buyer("confirm-payment", refused=(403, "forbidden"))


def test_a_token_must_carry_the_role_of_the_party(world: World) -> None:
    """The buyer's person with a seller's token is known and may not; without any role not either."""
    order = world.paid()
    for roles in (("seller",), ("mediator",), ()):
        token = world.mint(world.people["buyer"], *roles)
        for answer in (
            world.http.get(order.path, headers={"Authorization": f"Bearer {token}"}),
            world.http.post(f"{order.path}/post-message", json=MESSAGE, headers={"Authorization": f"Bearer {token}"}),
        ):
            assert (answer.status_code, code(answer)) == (403, "forbidden")


def test_a_mediator_who_is_a_party_is_only_the_party(world: World) -> None:
    """Their mediating on their own order is refused by name; the case cannot be handed to them either."""
    order = world.disputed()
    token = world.mint(world.people["seller"], "seller", "mediator")
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
    answer = world.http.post(order.command_path("dispute/assign"), json={}, headers=headers)
    assert (answer.status_code, code(answer)) == (403, "party_of_the_order")
    assert world.http.get(f"{order.path}/actions", headers=headers).json() == order.see("seller", "actions")
    order.mediator("dispute/assign")
    order.mediator("dispute/hand-over", to=world.people["buyer"], refused=(403, "party_of_the_order"))


@pytest.mark.parametrize(
    ("roles", "mediating"),
    [
        (("mediator",), "party_of_the_order"),
        (("mediator", "operator"), "party_of_the_order"),
        (("seller", "mediator"), "party_of_the_order"),
        (("buyer", "seller"), "forbidden"),
        (("operator",), "forbidden"),
    ],
)
def test_a_mediators_command_on_ones_own_order(world: World, roles: tuple[str, ...], mediating: str) -> None:
    """A mediator is told that the order is theirs, with or without the party's role; all else stays plainly forbidden."""
    order = world.disputed()
    headers = {"Authorization": f"Bearer {world.mint(world.people['buyer'], *roles)}"}
    told = {
        command: code(world.http.post(order.command_path(command), json={}, headers=headers))
        for command in ("dispute/assign", "dispute/hand-over", "dispute/decide", "deliver", "confirm-payment")
    }
    assert told == {
        "dispute/assign": mediating, "dispute/hand-over": mediating, "dispute/decide": mediating,
        "deliver": "forbidden", "confirm-payment": "forbidden",
    }  # fmt: skip
    if "buyer" not in roles:
        for path in (order.path, f"/v1/disputes/{order.dispute_id}"):
            answer = world.http.get(path, headers=headers)
            assert (answer.status_code, code(answer)) == (403, "forbidden")


# -- what is judged first


def _told(order: Told, who: str | None, body: Any, **headers: str) -> tuple[int, str | None]:
    answer = order.send(who, "request-revision", body, headers)  # type: ignore[arg-type]
    return answer.status_code, code(answer)


def test_the_order_of_judgement(world: World) -> None:
    """401, 404, 403, 422 of the body, idempotency, 412, 409, 422 of the order: each hides the ones behind it."""
    order, other = world.paid(), world.paid()
    wrong = {"points": [{"text": "x", "files": [SHA]}]}
    order.world.post("buyer", f"{other.path}/post-message", MESSAGE, {"Idempotency-Key": "used"})
    bad, used, stale = {"points": 7}, {"Idempotency-Key": "used"}, {"If-Match": '"77"'}
    everything = {**used, **stale}
    assert _told(order, None, bad, **everything) == (401, "unauthenticated")
    assert _told(order, "stranger", bad, **everything) == (404, "not_found")
    assert _told(order, "seller", bad, **everything) == (403, "forbidden")
    assert _told(order, "buyer", bad, **everything) == (422, "invalid_request")
    assert _told(order, "buyer", wrong, **everything) == (422, "idempotency_key_reused")
    assert _told(order, "buyer", wrong, **stale) == (412, "version_conflict")
    assert _told(order, "buyer", wrong) == (409, "nothing_delivered")
    order.seller("deliver", note="x", files=[order.file()])
    assert _told(order, "buyer", wrong) == (422, "unknown_file")


def test_bad_headers_are_judged_with_the_body(world: World) -> None:
    """A stranger learns nothing from a bad key or a bad flag: 404 comes before 422."""
    order = world.paid()
    for headers, query in (({"Idempotency-Key": ""}, {}), ({}, {"dry_run": "maybe"})):
        assert order.send(None, "concede", {}, headers, **query).status_code == 401  # type: ignore[arg-type]
        assert order.send("stranger", "concede", {}, headers, **query).status_code == 404
        assert order.send("buyer", "concede", {}, headers, **query).status_code == 403
        answer = order.send("seller", "concede", {}, headers, **query)
        assert (answer.status_code, code(answer)) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("who", "command", "body", "refusal"),
    [
        ("seller", "deliver", {"note": "x", "files": []}, "file_required"),
        ("buyer", "request-cancellation", {"reason": "other"}, "reason_required"),
        ("buyer", "request-cancellation", {"reason": "other", "comment": "  "}, "reason_required"),
        ("buyer", "open-dispute", {"statement": "x\n" * 11, "evidence": [{"description": "x"}]}, "summary_too_long"),
        ("buyer", "open-dispute", {"statement": "x" * 121, "evidence": [{"description": "x"}]}, "summary_too_long"),
        ("buyer", "open-dispute", {"statement": "x", "evidence": []}, "invalid_request"),
        ("buyer", "request-revision", {"points": []}, "invalid_request"),
        ("buyer", "post-message", {"text": " \n"}, "invalid_request"),
        ("operator", "confirm-payment", {"payment_reference": "p", "amount": euros(1, "XXX")}, "invalid_request"),
    ],
)
def test_the_body_alone_is_judged_before_the_state(
    world: World, who: str, command: str, body: Any, refusal: str
) -> None:
    """Even a closed order answers 422 to what the body alone shows."""
    order = world.paid()
    order.seller("concede")
    answer = order.send(who, command, body)
    assert (answer.status_code, code(answer)) == (422, refusal)


@pytest.mark.parametrize(
    ("command", "who", "body", "refusal"),
    [
        ("confirm-payment", "operator", {"payment_reference": "p", "amount": euros(1)}, "amount_mismatch"),
        ("confirm-payment", "operator", {"payment_reference": "p", "amount": euros(10_001, "USD")}, "amount_mismatch"),
        ("deliver", "seller", {"note": "x", "files": [SHA]}, "unknown_file"),
        ("propose-settlement", "buyer", {"refund": euros(10_001)}, "amount_out_of_range"),
        ("propose-settlement", "buyer", {"refund": euros(0)}, "amount_out_of_range"),
        ("propose-settlement", "buyer", {"refund": euros(-1)}, "amount_out_of_range"),
        ("propose-settlement", "buyer", {"refund": euros(5, "JPY")}, "amount_mismatch"),
        ("propose-deadline", "buyer", {"due_at": "2020-01-01T00:00:00Z"}, "due_at_out_of_range"),
        ("propose-deadline", "buyer", {"due_at": "9999-12-31T23:59:59.999999Z"}, "due_at_out_of_range"),
        ("post-message", "buyer", {"text": "x", "files": ["../../etc/passwd"]}, "unknown_file"),
    ],
)
def test_what_only_the_order_shows_is_judged_last(
    world: World, command: str, who: str, body: Any, refusal: str
) -> None:
    """Amounts, dates, files and references that do not fit this order."""
    order = world.placed() if command == "confirm-payment" else world.paid()
    answer = order.send(who, command, body)
    assert (answer.status_code, code(answer)) == (422, refusal)


def test_placing_knows_its_own_limits(world: World) -> None:
    """A price above zero, two different people, a date from now to the horizon, a currency that exists."""
    now = world.now()

    def told(**changes: Any) -> str | None:
        return code(world.post("buyer", "/v1/orders", world.place_body(**changes)))

    assert told(price=euros(0)) == told(price=euros(-5)) == "amount_out_of_range"
    assert told(price=euros(2**53)) == told(price=euros(1, "eur")) == told(price=euros(1, "XAU")) == "invalid_request"
    assert told(seller_id=world.people["buyer"]) == told(title=" ") == told(brief="") == "invalid_request"
    assert (
        told(due_at=wire(now)) == told(due_at=wire(now + timedelta(days=80, microseconds=1))) == "due_at_out_of_range"
    )
    assert told(due_at=wire(now + timedelta(days=80))) is None
    assert told(due_at=wire(now + timedelta(microseconds=1)), price=euros(2**53 - 1, "JPY")) is None
    assert code(world.post("seller", "/v1/orders", world.place_body())) == "forbidden"


def test_what_may_be_left_out_may_be_null(world: World) -> None:
    """Lists and members with a default too, also inside of lists; what is needed may not."""
    order = world.delivered()
    order.buyer("request-revision", points=[{"text": "Darker", "files": None}])
    order.seller("accept-revision", due_at=None)
    shown = order.seller("deliver", note="Second", files=[order.file()], points=None)
    assert shown["deliveries"][1]["points"] == []
    order.seller("deliver", note="Third", files=None, refused=(422, "file_required"))
    order = world.revision_refused()
    evidence = [{"description": "The brief", "kind": None, "origin": None, "events": None, "files": None}]
    body = {"statement": "Not the brief.", "evidence": evidence, "points": None, "ground": None}
    opened = order.buyer("open-dispute", **body)
    assert [(piece["kind"], piece["origin"]) for piece in opened["evidence"]] == [("statement", "platform")]
    order.buyer("dispute/post-message", text=None, refused=(422, "invalid_request"))
