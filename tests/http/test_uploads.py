"""Files of an order: content-addressed, limited, for the parties to bring and for who decides to read."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import psycopg
import pytest
from tests.http.service import MAX_FILE_BYTES, Service
from tests.http.world import NOWHERE, SHA, Told, World, code, wire

from brojobs_es import bootstrap
from brojobs_es.api.files import SMALL_BYTES
from brojobs_es.settings import Settings


def download(order: Told, who: str | None, file_id: str) -> httpx.Response:
    return order.world.get(who, f"{order.path}/files/{file_id}")


@pytest.mark.parametrize("size", [1, 25_600, SMALL_BYTES, SMALL_BYTES + 1, MAX_FILE_BYTES])
def test_an_uploaded_file_comes_back_byte_for_byte(world: World, size: int) -> None:
    """200 with its SHA-256 as id; all who may read it get the same bytes, safely named, wherever they lie."""
    order, content = world.paid(), (bytes(range(256)) * 400)[:size]
    answer = order.upload("seller", "logo final.png", content, "image/png")
    sha = hashlib.sha256(content).hexdigest()
    assert answer.status_code == 200
    assert answer.json() == {
        "file_id": sha, "name": "logo final.png", "size": size, "media_type": "image/png", "sha256": sha,
    }  # fmt: skip
    for who in ("buyer", "seller", "mediator", "auditor"):
        got = download(order, who, sha)
        assert (got.status_code, got.content) == (200, content)
        assert got.headers["content-type"] == "image/png"
        assert got.headers["content-disposition"].startswith("attachment")
        assert got.headers["x-content-type-options"] == "nosniff"


def test_who_may_bring_and_who_may_take(world: World) -> None:
    """Parties bring; parties, mediators and auditors take; others are refused or find nothing."""
    order = world.paid()
    file_id = order.file("buyer")
    for who in ("mediator", "auditor", "operator"):
        assert code(order.upload(who)) == "forbidden"
    assert code(order.upload("stranger")) == "not_found"
    assert code(download(order, "operator", file_id)) == "forbidden"
    assert code(download(order, "stranger", file_id)) == "not_found"
    assert code(download(order, None, file_id)) == "unauthenticated"


def test_a_file_belongs_to_its_order(world: World) -> None:
    """Knowing the digest of another order's file is not enough to read or to deliver it."""
    order, other = world.paid(), world.paid()
    file_id = other.file()
    assert code(download(order, "seller", file_id)) == "not_found"
    order.seller("deliver", note="x", files=[file_id], refused=(422, "unknown_file"))
    order.seller("deliver", note="x", files=[file_id.upper()], refused=(422, "unknown_file"))


@pytest.mark.parametrize("name", ["idée d'été.png", "Œuvre – v1.pdf", "名前.txt", "a" * 300 + ".txt"])
def test_names_are_kept_as_people_wrote_them(world: World, name: str) -> None:
    """Accents and all; only what is too long is shortened, before its ending."""
    order = world.paid()
    answer = order.upload("seller", name)
    assert answer.status_code == 200
    kept = answer.json()["name"]
    assert kept == name or (len(name) > 255 and kept == "a" * 251 + ".txt")
    assert download(order, "buyer", answer.json()["file_id"]).status_code == 200


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\temp\\passwd", "/etc/passwd"])
def test_a_name_is_never_a_path(world: World, name: str) -> None:
    """Only its last part is kept."""
    assert world.paid().upload("seller", name).json()["name"] == "passwd"


@pytest.mark.parametrize("content", [b"content", b"content" * 10_000], ids=["small", "large"])
def test_the_same_content_again_is_the_same_file(world: World, twin: World, content: bytes) -> None:
    """A repeated upload answers as the first did, with its name, in any process; the other party's has the same id."""
    order = world.paid()
    first = order.upload("seller", "a.txt", content)
    for asked in (order, order.through(twin)):
        again = asked.upload("seller", "b.txt", content)
        assert (again.status_code, again.json()) == (200, first.json())
    assert first.json()["name"] == "a.txt"
    others = order.upload("buyer", "c.txt", content)
    assert (others.status_code, others.json()["file_id"]) == (200, first.json()["file_id"])
    for seen_by in (order, order.through(twin)):
        assert download(seen_by, "mediator", first.json()["file_id"]).content == content


@pytest.mark.parametrize("content", [b"content", b"content" * 10_000], ids=["small", "large"])
def test_twins_at_once(world: World, twin: World, content: bytes) -> None:
    """The same content from eight requests over two processes: one row, one name that all are told."""
    order = world.paid()
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda n: order.through((world, twin)[n % 2]).upload("seller", f"{n}.txt", content), range(8))
        )
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1
    assert download(order, "buyer", answers[0].json()["file_id"]).content == content


@pytest.mark.parametrize("content", [b"content", b"content" * 10_000], ids=["small", "large"])
def test_a_repeated_upload_with_its_key(world: World, twin: World, content: bytes) -> None:
    """The same answer, marked, in any process; another content under the key is refused."""
    order, key = world.paid(), {"Idempotency-Key": "one"}
    first = order.upload("seller", "a.txt", content, **key)
    assert "idempotency-replayed" not in first.headers
    for asked in (order, order.through(twin)):
        again = asked.upload("seller", "a.txt", content, **key)
        assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
        assert code(asked.upload("seller", "b.txt", content + b"!", **key)) == "idempotency_key_reused"


def test_a_key_stands_for_the_name_and_the_type_too(world: World, twin: World) -> None:
    """The same bytes as something else are another request; without the key they are the file that is there."""
    order, key = world.paid(), {"Idempotency-Key": "one"}
    order.upload("seller", "z.txt", b"content")
    first = order.upload("seller", "a.txt", b"content", **key)
    assert (first.json()["name"], "idempotency-replayed" in first.headers) == ("z.txt", False)
    for asked in (order, order.through(twin)):
        assert asked.upload("seller", "a.txt", b"content", **key).headers["idempotency-replayed"] == "true"
        for name, kind in (("b.txt", "text/plain"), ("a.txt", "text/csv"), ("z.txt", "text/plain")):
            answer = asked.upload("seller", name, b"content", kind, **key)
            assert (answer.status_code, code(answer)) == (422, "idempotency_key_reused"), name
        assert asked.upload("seller", "b.txt", b"content").json() == first.json()


def test_a_key_of_an_older_version_still_holds(world: World, running: Service, log_count: int) -> None:
    """It was bound to the bytes alone, so that the same upload is a replay; other bytes are refused."""
    order, key = world.paid(), {"Idempotency-Key": "old"}
    first = order.upload("seller", "a.txt", b"content")

    async def bind() -> bool:
        settings = Settings(database_url=running.database_url, logs=log_count, data_dir=running.folder)
        async with bootstrap.running(settings, running.database_url, sandbox=True, background=False) as runtime:
            digest = hashlib.sha256(b"content").hexdigest()
            return await runtime.service.shelf.used_before(world.people["seller"], "old", order.id, f"file {digest}")

    assert not asyncio.run(bind())
    again = order.upload("seller", "a.txt", b"content", **key)
    assert (again.json(), again.headers.get("idempotency-replayed")) == (first.json(), "true")
    assert code(order.upload("seller", "a.txt", b"other", **key)) == "idempotency_key_reused"


def test_a_spoilt_row_is_never_served(running: Service) -> None:
    """Bytes that were changed in the database end in an error, on their own and in a case file; others are served."""
    with World(running.url) as world:
        order = world.paid()
        spoilt, whole = order.file("seller", "a.txt"), order.file("seller", "b.txt")
        with psycopg.connect(running.database_url) as owner:
            owner.execute("SET session_replication_role = replica")  # no trigger holds off the owner who means it
            for log in range(int(os.environ.get("BROJOBS_LOGS", "1"))):
                change = f"UPDATE log_{log}.files SET content = set_byte(content, 50, get_byte(content, 50) # 1)"
                owner.execute(f"{change} WHERE order_id = %s AND file_id = %s".encode(), (order.id, spoilt))
        answer = download(order, "buyer", spoilt)
        assert (answer.status_code, code(answer)) == (500, "try_again")
        assert download(order, "buyer", whole).content == f"b.txt of {order.id}".encode()
        assert world.get("mediator", f"{order.path}/case-file").status_code == 503


def test_a_file_that_is_too_large_is_413(world: World) -> None:
    """At the limit it is taken, one byte more is not, and far more is not read to the end."""
    order = world.paid()
    assert order.upload("seller", content=b"x" * MAX_FILE_BYTES).status_code == 200
    for size in (MAX_FILE_BYTES + 1, 3 * MAX_FILE_BYTES):
        answer = order.upload("seller", content=b"x" * size)
        assert (answer.status_code, code(answer)) == (413, "file_too_large")


def test_what_is_no_upload_is_invalid(world: World) -> None:
    """No file, an empty one, two of them, another part, JSON, a broken body: 422 each."""
    order = world.paid()
    headers, path = world.headers("seller"), f"{order.path}/files"
    form = headers | {"Content-Type": "multipart/form-data; boundary=b"}
    part = ("a.txt", b"x", "text/plain")
    answers = [
        world.http.post(path, headers=headers),
        world.http.post(path, headers=headers, json={"file": "x"}),
        world.http.post(path, headers=headers, files={"file": ("a.txt", b"", "text/plain")}),
        world.http.post(path, headers=headers, files={"data": part}),
        world.http.post(path, headers=headers, files=[("file", part), ("file", part)]),
        world.http.post(
            path,
            headers=form,
            content=b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx\r\n--b--',
        ),
        world.http.post(path, headers=form, content=b"--b\r\nbroken"),
        world.http.post(path, headers=headers | {"Content-Type": "multipart/form-data"}, content=b"--b--"),
    ]
    assert [(answer.status_code, code(answer)) for answer in answers] == [(422, "invalid_request")] * len(answers)


def test_a_delivery_takes_only_known_files(world: World) -> None:
    """An unknown one refuses the whole delivery; one named twice counts once."""
    order = world.paid()
    known = order.file()
    order.seller("deliver", note="x", files=[known, SHA], refused=(422, "unknown_file"))
    shown = order.seller("deliver", note="x", files=[known, known])
    assert [file["file_id"] for file in shown["deliveries"][0]["files"]] == [known]


@pytest.mark.parametrize(
    "file_id", [SHA, "x", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "%00", "%ff%fe", "a" * 5000, "%ED%A0%80", "é"]
)
def test_a_file_that_is_not_there_is_404(world: World, file_id: str) -> None:
    """Whatever stands in its place."""
    answer = download(world.paid(), "buyer", file_id)
    assert (answer.status_code, code(answer)) == (404, "not_found")


def test_files_are_taken_until_well_after_the_chat_is_closed(world: World) -> None:
    """What names a file is judged by its own rules, so an upload is only refused when nothing could name it any more."""
    order = world.delivered()
    order.buyer("accept-delivery")
    ended_at = world.now()
    world.at(ended_at + timedelta(days=7) - timedelta(microseconds=1))
    file_id = order.file("buyer")
    order.buyer("post-message", text="Thank you!", files=[file_id])
    world.at(ended_at + timedelta(days=7))
    order.buyer("post-message", text="More", files=[file_id], refused=(409, "chat_closed"))
    world.at(ended_at + timedelta(days=14))
    assert code(order.upload("buyer", "late.txt")) == "chat_closed"
    assert download(order, "seller", file_id).status_code == 200


def test_an_old_memory_lets_no_file_in(world: World, twin: World) -> None:
    """What this process knows of the order has it in progress; another one ended it long enough ago."""
    order = world.paid()
    order.through(twin).seller("concede")
    ended_at = world.now()
    world.at(ended_at + timedelta(days=14) - timedelta(microseconds=1))
    assert order.upload("buyer", "just.txt").status_code == 200
    world.at(ended_at + timedelta(days=14))
    for asked in (order, order.through(twin)):
        assert code(asked.upload("buyer", "late.txt")) == "chat_closed"


def test_a_quiet_order_still_takes_files(world: World, twin: World) -> None:
    """Nobody has heard of it for a month, here or there: that is no end."""
    order = world.paid(due_at=wire(world.now() + timedelta(days=60)))
    world.advance(days=40)
    for asked in (order, order.through(twin)):
        assert asked.upload("seller", f"{asked.world.url}.txt").status_code == 200


def test_an_order_of_another_process_takes_files(world: World, twin: World) -> None:
    """An order that this process has never heard of is read, and so is whose it is."""
    order = world.paid().through(twin)
    assert code(order.upload("stranger")) == "not_found"
    assert code(order.upload("mediator")) == "forbidden"
    assert download(order, "buyer", order.file("seller")).status_code == 200


def test_an_upload_to_an_order_that_is_not_there_is_404(world: World) -> None:
    """With any id."""
    order = world.paid()
    for order_id in (NOWHERE, "x", "%00"):
        part = {"file": ("a.txt", b"x", "text/plain")}
        answer = world.http.post(f"/v1/orders/{order_id}/files", files=part, headers=world.headers("seller"))
        assert (answer.status_code, code(answer)) == (404, "not_found"), order.path
