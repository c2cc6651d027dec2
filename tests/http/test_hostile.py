"""Hostile bodies, headers, tokens and paths: each gets its documented code, none a 500, and nothing is recorded."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from tests.http.forgery import forged_tokens
from tests.http.hostility import Route, routes, wrong_documents, wrong_members
from tests.http.service import Service, service
from tests.http.world import NOWHERE, SHA, Told, World, euros

from brojobs_es.language import CODES

TEN_MEGABYTES: Final = 10_000_000
BODY_CODES: Final = {"invalid_request", "file_required", "reason_required", "summary_too_long"}
STATUSES: Final = {401, 403, 404, 405, 409, 412, 413, 415, 422}


@dataclass
class Fort:
    """A service of its own whose clock stands and whose scheduler sleeps, so that every event can be counted.

    `closed` has ended together with its dispute and its chat: right bodies are refused there with 409, wrong ones
    with 422, and no command can change it.
    """

    process: Service
    world: World
    closed: Told
    open: Told
    routes: list[Route]

    def path(self, route: Route) -> str:
        return route.path.format(order_id=self.closed.id, dispute_id=self.closed.dispute_id)

    def recorded(self, logs: int) -> list[tuple[int, ...]]:
        """How many events, keys and files each log holds."""
        counts = "SELECT {} FROM (SELECT 1) one"
        with psycopg.connect(self.process.database_url) as connection:
            return [
                tuple(
                    connection.execute(
                        counts.format(f"(SELECT count(*) FROM log_{log:d}.{table})").encode()
                    ).fetchall()[0][0]
                    for table in ("events", "idempotency", "files")
                )
                for log in range(logs)
            ]


@pytest.fixture(scope="module")
def fort(new_database: Callable[[], str], data_folder: Path) -> Iterator[Fort]:
    """One for all tests of this module."""
    with service(new_database(), data_folder, scheduler=False) as process, World(process.url) as world:
        world.advance(days=1)
        closed = world.under_review()
        closed.mediator("dispute/decide", assignment=1, outcome="full_refund", reason="The brief is clear.")
        world.advance(days=8)
        closed.see()  # the chat has closed, and that is recorded
        fort = Fort(process, world, closed, world.under_review(), [])
        fort.routes = list(routes(world.get(None, "/openapi.json").json()))
        yield fort


@pytest.fixture(autouse=True)
def nothing_recorded(fort: Fort, log_count: int) -> Iterator[None]:
    """Whatever a test of this module sends, nothing is recorded and nothing fails inside the service."""
    before, logged = fort.recorded(log_count), len(fort.process.failures)
    yield
    assert fort.recorded(log_count) == before
    assert "Traceback" not in fort.process.failures[logged:], fort.process.failures[logged:]


def problem(answer: httpx.Response) -> str:
    """The code of a refusal, after checking that it is a documented one with its own status."""
    assert answer.status_code in STATUSES, f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:500]
    assert answer.json()["code"] in CODES
    assert answer.json()["status"] == answer.status_code
    return str(answer.json()["code"])


def test_every_post_route_is_attacked(fort: Fort) -> None:
    """The routes come from the document: all commands of orders and disputes, and placing."""
    assert len(fort.routes) >= 33
    posts = [
        path
        for path, operations in fort.world.get(None, "/openapi.json").json()["paths"].items()
        if "post" in operations
    ]
    others = set(posts) - {route.path for route in fort.routes}
    assert others <= {
        "/v1/orders/{order_id}/files",
        "/v1/sandbox/tokens",
        "/v1/sandbox/clock",
        "/v1/logs/{log}/cosignatures",
    }


def test_right_bodies_are_refused_by_the_rules(fort: Fort) -> None:
    """So that a 422 of the other tests is about the body: the example of each command is 409 on what has ended."""
    for route in fort.routes:
        if route.path == "/v1/orders":
            assert fort.world.post("buyer", route.path, fort.world.place_body(), dry_run="true").status_code == 200
            continue
        answer = fort.world.post(route.who, fort.path(route), route.example)
        assert (answer.status_code, problem(answer)) == (409, problem(answer)), route.path
        assert problem(answer) in {"order_closed", "dispute_closed", "chat_closed"}, route.path


@pytest.mark.parametrize("kind", [wrong_members, wrong_documents])
def test_wrong_bodies_are_422_on_every_route(fort: Fort, kind: Callable[[Route], Iterator[tuple[str, bytes]]]) -> None:
    """Each wrong thing alone; of the codes only those of a body."""
    tried = 0
    for route in fort.routes:
        for name, body in kind(route):
            answer = fort.world.post(route.who, fort.path(route), body)
            told = problem(answer)
            assert answer.status_code == 422, f"{route.path} {name}: {answer.status_code} {told}"
            assert told in BODY_CODES, f"{route.path} {name}: {told}"
            tried += 1
    assert tried > 800


def test_an_empty_body_lacks_what_the_command_needs(fort: Fort) -> None:
    """It stands for an object without members: right for commands that need none, 422 for the others."""
    for route in fort.routes:
        answer = fort.world.post(route.who, fort.path(route), b"")
        assert answer.status_code == (422 if route.schema.get("required") else 409), route.path


def test_ten_megabytes_are_413_on_every_route(fort: Fort) -> None:
    """Read away, not into memory; 404 and 403 come before it."""
    body = b'{"text":"' + b"x" * TEN_MEGABYTES + b'"}'
    for route in fort.routes:
        answer = fort.world.post(route.who, fort.path(route), body)
        assert (answer.status_code, problem(answer)) == (413, "file_too_large"), route.path
    assert problem(fort.world.post("stranger", f"{fort.closed.path}/deliver", body)) == "not_found"
    assert problem(fort.world.post("buyer", f"{fort.closed.path}/deliver", body)) == "forbidden"
    assert problem(fort.world.post(None, f"{fort.closed.path}/deliver", body)) == "unauthenticated"


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "multipart/form-data"}, {"Content-Type": ""},
     {"Content-Type": "application/json; charset=utf-16"}, {"Content-Encoding": "gzip"},
     {"Content-Encoding": "identity, br"}, {"X-HTTP-Method-Override": "DELETE"}, {"X-Forwarded-For": "';--"}],
)  # fmt: skip
def test_headers_that_say_something_else_change_nothing(fort: Fort, headers: dict[str, str]) -> None:
    """The body is judged as what it is; the rules of the closed order answer, or the body is refused."""
    for route in fort.routes[1:]:
        answer = fort.world.post(route.who, fort.path(route), route.example, headers)
        assert problem(answer) in {"order_closed", "dispute_closed", "chat_closed", "invalid_request"}, route.path


def test_the_sandbox_refuses_what_is_wrong(fort: Fort) -> None:
    """Its two commands are as strict as the others; the clock never goes back."""
    now = fort.world.now()
    clocks: tuple[Any, ...] = (
        {}, {"now": "yesterday"}, {"now": 5}, {"now": "2000-01-01T00:00:00Z"}, {"now": "9999-12-31T23:59:59Z"},
        {"advance_seconds": -1}, {"advance_seconds": "5"}, {"advance_seconds": True}, {"advance_seconds": 1e300},
        {"now": "2030-01-01T00:00:00Z", "advance_seconds": 1}, {"run_timers": "no"}, {"run_timers": 1}, {"then": 1}, [],
        {"advance_seconds": None}, {"now": None},
    )  # fmt: skip
    for body in clocks:
        assert problem(fort.world.post(None, "/v1/sandbox/clock", body)) == "invalid_request", body
    tokens: tuple[Any, ...] = (
        {}, {"sub": "x"}, {"roles": []}, {"sub": "", "roles": []}, {"sub": " ", "roles": []}, {"sub": 5, "roles": []},
        {"sub": "x" * 256, "roles": []}, {"sub": "x", "roles": ["king"]}, {"sub": "x", "roles": "buyer"},
        {"sub": "x", "roles": [None]}, {"sub": "x", "roles": [], "exp": 1}, {"sub": "x\x00", "roles": []},
    )  # fmt: skip
    for body in tokens:
        assert problem(fort.world.post(None, "/v1/sandbox/tokens", body)) == "invalid_request", body
    for raw in (b"", b"[]", b"{", b"\xff", b'{"advance_seconds":NaN}', b'{"now":null,"now":null}', b"[" * 100_000):
        assert problem(fort.world.post(None, "/v1/sandbox/clock", raw)) == "invalid_request", raw[:20]
        assert problem(fort.world.post(None, "/v1/sandbox/tokens", raw)) == "invalid_request", raw[:20]
    assert fort.world.now() == now


def test_a_witness_is_not_believed_without_a_signature(fort: Fort) -> None:
    """What is no signed note is refused for whoever sends it, to any log."""
    notes = (
        b"",
        b"\n\n",
        b"\xff\xfe",
        b"x" * 1_000_000,
        b"{}",
        bytes(range(256)),
        "brojobs\n5\nAA==\n\n\u2014 x AAAA\n".encode(),
    )
    for log in ("0", "99", "-1", "x", "%00"):
        for note in notes:
            for who in (None, "buyer", "auditor", "operator"):
                answer = fort.world.post(who, f"/v1/logs/{log}/cosignatures", note, {"Content-Type": "text/plain"})
                assert problem(answer), f"{who} {log} {note[:20]!r}"


# -- references and ids


def test_ids_of_nothing_are_unknown(fort: Fort) -> None:
    """Files, evidence, positions, points and proposals that are not of this order, in any form."""
    order, buyer = fort.open, "buyer"
    for text in ("", " ", SHA, "../../etc/passwd", "%00", "é" * 255, "'; DROP TABLE events;--", "\u202e", NOWHERE):
        files = {"kind": "statement", "description": "x", "files": [text]}
        assert problem(order.send(buyer, "dispute/submit-evidence", files)) in {"unknown_file", "invalid_request"}
        counters = {"kind": "statement", "description": "x", "counters": [text]}
        assert problem(order.send(buyer, "dispute/submit-evidence", counters)) in {
            "unknown_reference",
            "invalid_request",
        }
        told = problem(order.send(buyer, "accept-settlement", {"proposal_id": text}))
        assert told == ("proposal_void" if text.strip() else "invalid_request")
        cited = {"assignment": 1, "outcome": "full_refund", "reason": "x", "cited": [text]}
        assert problem(order.send("mediator", "dispute/decide", cited)) in {"unknown_reference", "invalid_request"}
    for position in (0, -1, 2**53 - 1, -(2**53) + 1, 10**9):
        events = {"kind": "statement", "description": "x", "events": [position]}
        assert problem(order.send(buyer, "dispute/submit-evidence", events)) == "unknown_reference"
        stale = {"assignment": position, "outcome": "full_refund", "reason": "x"}
        assert problem(order.send("mediator", "dispute/decide", stale)) == "stale_assignment"
    own = {event["position"] for event in order.events()}  # each log counts for itself
    theirs = next(event["position"] for event in fort.closed.events() if event["position"] not in own)
    events = {"kind": "statement", "description": "x", "events": [theirs]}
    assert problem(order.send(buyer, "dispute/submit-evidence", events)) == "unknown_reference"


def test_amounts_at_the_edge_are_out_of_range(fort: Fort) -> None:
    """Every whole number that JSON carries is judged, none overflows."""
    for amount in (0, -1, 10_001, 10_002, 2**31, 2**32, 2**53 - 1, -(2**53) + 1):
        told = problem(fort.open.send("buyer", "propose-settlement", {"refund": euros(amount)}))
        assert told == "amount_out_of_range", amount
        placing = fort.world.post("buyer", "/v1/orders", fort.world.place_body(price=euros(amount)), dry_run="true")
        assert placing.status_code == (422 if amount <= 0 else 200)


@pytest.mark.parametrize(
    "order_id",
    [NOWHERE, "x", "0", "-", "%00", "%2e%2e", "..%2f..", "%ff%fe", "%ED%A0%80", "é", "a" * 5000, "'--", "{order_id}",
     NOWHERE[:-1], NOWHERE + "0", NOWHERE.replace("-", ""), "{" + NOWHERE + "}", f"urn:uuid:{NOWHERE}", "%0d%0aX: y"],
)  # fmt: skip
def test_an_order_that_is_not_there_is_404_everywhere(fort: Fort, order_id: str) -> None:
    """For every route and every id that is none."""
    for route in fort.routes[1:]:
        path = route.path.format(order_id=order_id, dispute_id=order_id)
        answer = fort.world.post(route.who, path, route.example)
        assert (answer.status_code, problem(answer)) == (404, "not_found"), path
    for view in ("", "/actions", "/chat", "/escrow", "/events", f"/files/{SHA}"):
        assert fort.world.get("auditor", f"/v1/orders/{order_id}{view}").status_code in {403, 404}
    for view in ("", "/actions", "/thread"):
        assert fort.world.get("mediator", f"/v1/disputes/{order_id}{view}").status_code == 404


def test_an_order_is_no_dispute_and_a_dispute_no_order(fort: Fort) -> None:
    """Their ids are not interchangeable."""
    order, dispute = fort.open.id, fort.open.dispute_id
    assert problem(fort.world.get("mediator", f"/v1/orders/{dispute}")) == "not_found"
    assert problem(fort.world.get("mediator", f"/v1/disputes/{order}")) == "not_found"
    assert problem(fort.world.post("mediator", f"/v1/disputes/{order}/assign")) == "not_found"
    assert problem(fort.world.post("seller", f"/v1/orders/{dispute}/concede")) == "not_found"


def test_other_peoples_orders_are_404_for_every_command(fort: Fort) -> None:
    """A stranger with both roles of a party learns nothing; wrong bodies and keys change nothing about that."""
    for route in fort.routes[1:]:
        for body in (route.example, b"{", {"more": 1}):
            answer = fort.world.post("stranger", fort.path(route), body, {"If-Match": '"1"', "Idempotency-Key": "k"})
            assert (answer.status_code, problem(answer)) == (404, "not_found"), route.path


def test_methods_and_paths_that_do_not_exist(fort: Fort) -> None:
    """405 or 404 as problem documents, also for paths that try to climb."""
    order = fort.open.path
    for method, path in (
        ("DELETE", order), ("PUT", order), ("PATCH", order), ("GET", f"{order}/concede"), ("POST", f"{order}/escrow"),
        ("POST", f"{order}/Concede"), ("POST", f"{order}/concede/"), ("POST", f"{order}//concede"), ("GET", "/v1/"),
        ("POST", f"{order}/place"), ("GET", "/v2/orders"), ("GET", "/.git/config"), ("GET", "/v1/orders/../../etc"),
        ("TRACE", order), ("QUERY", "/v1/orders"),
    ):  # fmt: skip
        answer = fort.world.http.request(method, path, headers=fort.world.headers("buyer"))
        assert answer.status_code in {404, 405}, f"{method} {path}"
        assert problem(answer)


# -- tokens


def test_forged_tokens_are_401(fort: Fort) -> None:
    """On reading and on commanding, whatever else is wrong with the request."""
    for name, token in forged_tokens(fort.process.folder, fort.world.people["buyer"]):
        headers = [(b"authorization", f"Bearer {token}".encode())]
        for answer in (
            fort.world.http.get(fort.open.path, headers=headers),
            fort.world.http.post("/v1/orders", json=fort.world.place_body(), headers=headers),
            fort.world.http.post(f"{fort.open.path}/concede", content=b"{", headers=headers),
        ):
            assert (answer.status_code, problem(answer)) == (401, "unauthenticated"), name
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["", "Basic", "bearer:", "Bearer\t", "Token", "Negotiate"])
def test_other_schemes_are_401(fort: Fort, scheme: str) -> None:
    """Only a bearer token counts."""
    for credential in ("", "x", fort.world.token("buyer")):
        header = f"{scheme} {credential}".strip() or "x"
        if header.startswith("Bearer\t"):
            header = header.replace(" ", "")
        answer = fort.world.http.get(fort.open.path, headers={"Authorization": header})
        assert (answer.status_code, problem(answer)) == (401, "unauthenticated"), header


# -- raw bytes


def raw(url: str, request: bytes) -> bytes:
    """What comes back for bytes that no client library would send."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
     b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{",
     b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nX: \x00\xff\r\n\r\n",
     b"GET /v1/orders HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
     b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=["zeros", "half", "version", "negative length", "smuggling", "cut body", "bad chunk", "bad header", "huge header",
         "huge path"],
)  # fmt: skip
def test_broken_http_breaks_nothing(fort: Fort, request_bytes: bytes) -> None:
    """Refused or hung up on, never a 5xx; the next caller is served."""
    answer = raw(fort.process.url, request_bytes)
    assert not answer or answer.split(b" ")[1][:1] in b"4", answer[:200]
    assert fort.world.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("name", ["Idempotency-Key", "If-Match", "Accept-Language", "Content-Type", "Accept", "Cookie"])
@pytest.mark.parametrize("value", [b"", b"x" * 20_000, b"\xff\xfe\x80", b"%00%0d%0a", b",,;;q=1e9", b'"' * 999])
def test_hostile_headers_are_refused_or_ignored(fort: Fort, name: str, value: bytes) -> None:
    """Never a 500, never something recorded."""
    headers = {k.encode(): v.encode() for k, v in fort.world.headers("seller").items() if k != name}
    answer = fort.world.http.post(
        f"{fort.closed.path}/concede", content=b"{}", headers={**headers, name.encode(): value}
    )
    assert problem(answer) in {"order_closed", "invalid_request", "version_conflict"}
