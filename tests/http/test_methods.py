"""Methods: HEAD answers as GET does, and a method that a path does not take is told which ones it takes."""

from __future__ import annotations

from typing import Final

import pytest
from tests.http.world import Told, World, code

from brojobs_es.api.custody import PATHS_OF_LOOKS

NOT_THERE: Final = ("PUT", "PATCH", "DELETE")


def readable(world: World) -> list[str]:
    """Every documented path that GET reads."""
    paths = world.get(None, "/openapi.json").json()["paths"]
    return [path for path, operations in paths.items() if "get" in operations]


def filled(path: str, order: Told, file_id: str) -> str:
    """The path with ids of an order that has everything, and with the query that it needs."""
    for name, value in (
        ("order_id", order.id), ("dispute_id", order.dispute_id), ("file_id", file_id), ("log", 0),
    ):  # fmt: skip
        path = path.replace(f"{{{name}}}", str(value))
    if path.endswith("/inclusion"):
        return f"{path}?position=1"
    return f"{path}?from=1&to=1" if path.endswith("/consistency") else path


def test_head_answers_as_get_does_without_a_body(world: World) -> None:
    """On every path that GET reads, unless a look is kept of it: the same status and headers, for whoever asks."""
    order = world.under_review()
    file_id = order.file()
    paths = [path for path in readable(world) if path not in PATHS_OF_LOOKS]
    assert {"/healthz", "/readyz", "/v1/orders", "/v1/orders/{order_id}", "/v1/disputes"} <= set(paths)
    for path in (filled(path, order, file_id) for path in paths):
        for who in ("buyer", "auditor", None):
            got = world.get(who, path)
            head = world.http.head(path, headers=world.headers(who))
            assert (head.status_code, head.content) == (got.status_code, b""), path
            for name in ("content-type", "etag", "content-language"):
                assert head.headers.get(name) == got.headers.get(name), f"{path} {name}"
            if path not in {"/metrics", "/readyz"}:  # what they show changes all the time
                assert head.headers["content-length"] == got.headers["content-length"], path


def test_head_is_no_look(world: World) -> None:
    """Where looks of the staff are kept HEAD is not answered, so that none is kept; those are the only such paths."""
    order = world.under_review()
    file_id = order.file()
    assert set(readable(world)) >= PATHS_OF_LOOKS - {"/v1/events/stream"}
    for path in readable(world):
        for who in ("auditor", "mediator", "operator"):
            head = world.http.head(filled(path, order, file_id), headers=world.headers(who))
            assert (head.status_code == 405) == (path in PATHS_OF_LOOKS), path
            if path in PATHS_OF_LOOKS:
                assert head.headers["allow"] == "GET"
    assert world.see("auditor", f"{order.path}/custody")["items"] == []


@pytest.mark.parametrize("method", NOT_THERE)
def test_allow_names_every_method_of_the_path(world: World, method: str) -> None:
    """However many routes share it, and whichever of them is found first."""
    order = world.disputed()
    for path, allowed in (
        ("/v1/orders", "GET, HEAD, POST"),
        ("/v1/sandbox/clock", "GET, HEAD, POST"),
        ("/v1/sandbox/tokens", "POST"),
        ("/healthz", "GET, HEAD"),
        (order.path, "GET, HEAD"),
        (f"{order.path}/events", "GET"),
        (f"{order.path}/files", "POST"),
        (f"{order.path}/concede", "POST"),
        (f"/v1/disputes/{order.dispute_id}/assign", "POST"),
        ("/docs", "GET, HEAD"),
    ):
        answer = world.http.request(method, path, headers=world.headers("buyer"))
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path


def test_a_method_that_is_not_taken_is_an_invalid_request(world: World) -> None:
    """The path is there, so it is not `not_found`; a path that is not there is."""
    order = world.placed()
    for method, path, told in (
        ("DELETE", order.path, (405, "invalid_request")), ("GET", f"{order.path}/concede", (405, "invalid_request")),
        ("POST", f"{order.path}/escrow", (405, "invalid_request")), ("DELETE", "/v1/nothing", (404, "not_found")),
    ):  # fmt: skip
        answer = world.http.request(method, path, headers=world.headers("buyer"))
        assert (answer.status_code, code(answer)) == told
        assert answer.json()["status"] == answer.status_code
        assert ("allow" in answer.headers) == (answer.status_code == 405)
