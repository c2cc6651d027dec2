"""Erasing a person in a running deployment: what is gone, what stays, and what refuses it."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from tests.erasure.attacker import dump, hides, on_disk, opened
from tests.erasure.story import SETTLE_SECONDS, Marked, brojobs, erase, full_story, rows, settings_of
from tests.http.service import Service
from tests.http.world import Told, World, code

from brojobs_es import bootstrap
from brojobs_es.aggregates.base import ERASED
from brojobs_es.application.erasing import NothingToErase
from brojobs_es.errors import Refusal

READERS: Final = ("buyer", "seller", "mediator", "auditor", "operator")


def stored_events(service: Service) -> list[tuple[Any, ...]]:
    return rows(service, "SELECT * FROM log_0.events ORDER BY position")


def paths_of(world: World, order: Told) -> list[str]:
    """Every path of the service that can be read about an order."""
    document = world.http.get("/openapi.json").json()
    known = {"order_id": str(order.id), "dispute_id": order.dispute_id or "", "log": "0"}
    found = []
    for path, methods in document["paths"].items():
        names = re.findall(r"\{(\w+)\}", path)
        if "get" in methods and set(names) <= known.keys() and not path.startswith("/v1/logs") and "stream" not in path:
            found.append(re.sub(r"\{(\w+)\}", lambda match: known[match[1]], path))
    return sorted(found)


def everything_told(world: World, order: Told) -> tuple[bytes, dict[str, set[int]]]:
    """All that all readers are told about an order, and with which statuses."""
    told: list[bytes] = []
    statuses: dict[str, set[int]] = {}
    for path in paths_of(world, order):
        for who in READERS:
            answer = world.get(who, path)
            told.append(answer.content)
            statuses.setdefault(path, set()).add(answer.status_code)
    return b"\n".join(told), statuses


@pytest.mark.skipif(os.environ.get("BROJOBS_LOGS", "1") != "1", reason="looks into the one log")
def test_nothing_of_an_erased_person_is_left(both: tuple[Service, Service], world: World, twin: World) -> None:
    """Not in a dump, on disk, in any answer of any process, in a replay or a log; the others' words stay, and the events."""
    service, marked = both[0], Marked()
    order = full_story(world, marked)
    buyer, seller = world.people["buyer"], world.people["seller"]
    _, before = everything_told(twin, order)
    for seen_by in (world, twin):  # both processes have the buyer's key at hand
        told, _ = everything_told(seen_by, order)
        assert hides(told, marked.buyer)
        assert hides(told, marked.seller)
    events = stored_events(service)
    ((key,),) = rows(service, "SELECT key FROM vault.keys WHERE person = %s", buyer)
    assert any(marked.buyer in text for text in opened(service.database_url))

    ran = brojobs(service, "erase", buyer, "--reason", "They asked for it", "--lang", "en", BROJOBS_RETENTION_DAYS="0")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "orders concerned: 1, files removed: 3" in ran.stdout

    assert stored_events(service)[: len(events)] == events
    assert order.types()[-1] == "PersonErased"
    whole, disk = dump(service.database_url), on_disk(service.folder)
    assert hides(whole, buyer)  # who it was is no secret; the way of looking works
    for hidden in (marked.buyer, key):
        assert not hides(whole, hidden)
        assert not hides(disk, hidden)
    readable = opened(service.database_url)
    assert not any(marked.buyer in text for text in readable)
    for other in (marked.seller, marked.mediator):
        assert any(other in text for text in readable)

    for seen_by in (world, twin):
        told, after = everything_told(seen_by, order)
        assert after == before
        assert not hides(told, marked.buyer)
        assert hides(told, marked.seller)
        assert hides(told, marked.mediator)
        assert seen_by.see("auditor", order.path)["title"] == ERASED
    replayed = [brojobs(service, "replay", str(order.id), *how).stdout for how in ((), ("--json",))]
    assert all(ERASED in text and marked.seller in text and marked.buyer not in text for text in replayed)
    assert not any(marked.buyer in each.failures or seller in each.failures for each in both)
    again = brojobs(service, "erase", buyer, "--reason", "Again", "--lang", "en", BROJOBS_RETENTION_DAYS="0")
    assert (again.returncode, again.stdout) == (1, "")
    assert "nothing to erase" in again.stderr


def dump_of_views(service: Service) -> dict[str, list[Any]]:
    uvloop.run(_catch_up(service))
    tables = [row[0] for row in rows(service, "SELECT tablename FROM pg_tables WHERE schemaname = 'views'")]
    tables = sorted(set(tables) - {"tracking"})
    return {table: rows(service, f"SELECT t::text FROM views.{table} t ORDER BY 1") for table in tables}


async def _catch_up(service: Service) -> None:
    async with bootstrap.running(settings_of(service), service.database_url, background=False) as runtime:
        for log in range(runtime.logs.count):  # by this process or by another that is at it
            await runtime.projector.catch_up()
            assert await runtime.projector.caught_up(log, await runtime.logs.last_position(log), 30.0)


def test_views_are_the_same_rebuilt_after_an_erasure(both: tuple[Service, Service], world: World) -> None:
    """Folded without any key, before or after: the rows are the same to the byte."""
    full_story(world, Marked())
    erase(both[0], world.people["seller"])
    followed = dump_of_views(both[0])
    assert brojobs(both[0], "rebuild", "all").returncode == 0
    rebuilt = dump_of_views(both[0])
    for table, lines in followed.items():
        assert set(rebuilt[table]) ^ set(lines) == set(), table
    assert rebuilt == followed


def test_files_of_the_other_party_stay(both: tuple[Service, Service], world: World, twin: World) -> None:
    """Also where both uploaded the same content: each has their own, under their own name."""
    order = world.paid()
    same, length = b"the very same bytes" * 5000, str(len(b"the very same bytes" * 5000))
    mine = order.upload("buyer", "mine.txt", same).json()
    yours = order.upload("seller", "yours.txt", same).json()
    assert (mine["file_id"], mine["name"], yours["name"]) == (yours["file_id"], "mine.txt", "yours.txt")
    alone = order.upload("buyer", "alone.txt", b"only mine").json()
    order.buyer("post-message", text="Look", files=[mine["file_id"], alone["file_id"]])
    order.seller("post-message", text="Look", files=[yours["file_id"]])
    order.seller("concede")
    erase(both[0], world.people["buyer"])
    told = order.through(twin).see("seller", "chat")["messages"]
    assert [file["name"] for message in told for file in message["files"]] == [ERASED, ERASED, "yours.txt"]
    for who in ("buyer", "seller"):
        answer = twin.get(who, f"{order.path}/files/{yours['file_id']}")
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, length, same)
        assert "yours.txt" in answer.headers["content-disposition"]
        assert code(twin.get(who, f"{order.path}/files/{alone['file_id']}")) == "not_found"


def test_both_homes_of_files_are_emptied(both: tuple[Service, Service], world: World, twin: World) -> None:
    """Small files in the rows of several orders and large ones in the folder: each counts, and no byte is left."""
    small, large = b"small " * 200, b"large " * 15_000
    orders = [world.paid() for _ in range(2)]
    for order in orders:
        for content in (small, large):
            for who in ("buyer", "seller"):
                assert order.through(twin).upload(who, "a.txt", content).status_code == 200
        order.seller("concede")
    ran = brojobs(both[0], "erase", world.people["buyer"], "--reason", "x", "--lang", "en", BROJOBS_RETENTION_DAYS="0")
    assert "orders concerned: 2, files removed: 3" in ran.stdout, ran.stderr  # two rows, and one file in the folder
    left = " UNION ALL ".join(
        f"SELECT uploaded_by, size, content IS NOT NULL FROM log_{log}.files WHERE order_id = ANY(%s)"
        for log in range(int(os.environ.get("BROJOBS_LOGS", "1")))
    )
    ids = [order.id for order in orders]
    found = rows(both[0], left, *[ids] * int(os.environ.get("BROJOBS_LOGS", "1")))
    assert sorted((who.partition("-")[0], size, is_here) for who, size, is_here in found) == [
        ("buyer", 1_200, False), ("buyer", 1_200, False), ("buyer", 90_000, False), ("buyer", 90_000, False),
        ("seller", 1_200, True), ("seller", 1_200, True), ("seller", 90_000, False), ("seller", 90_000, False),
    ]  # fmt: skip
    for content in (small, large):
        got = twin.get("seller", f"{orders[0].path}/files/{hashlib.sha256(content).hexdigest()}")
        assert (got.status_code, got.content) == (200, content)


def test_a_person_who_comes_back(both: tuple[Service, Service], world: World, twin: World) -> None:
    """New words of the same id are readable in every process, and a second erasure leaves the first ones erased."""
    first = world.paid(title="First title")
    first.seller("concede")
    erase(both[0], world.people["buyer"], SETTLE_SECONDS)
    second = world.paid(title="Second title")
    assert second.through(twin).see("seller")["title"] == "Second title"
    assert first.through(twin).see("seller")["title"] == ERASED
    second.through(twin).buyer("post-message", text="Here again")
    assert second.see("seller", "chat")["messages"][0]["text"] == "Here again"
    second.seller("concede")
    assert erase(both[0], world.people["buyer"], SETTLE_SECONDS) == 2
    for seen_by in (world, twin):
        assert second.through(seen_by).see("seller")["title"] == ERASED
    old, new = (event["data"]["generations"] for event in first.events() if event["type"] == "PersonErased")
    assert len(old) == len(new) == 1
    assert old < new


def test_a_repeated_request_after_an_erasure(both: tuple[Service, Service], world: World) -> None:
    """The kept answer of the other party is answered again; that of the erased person cannot be known any more."""
    order = world.paid()
    said = {"text": "hello"}
    for who in ("buyer", "seller"):
        assert order.send(who, "post-message", said, {"Idempotency-Key": f"{order.id}"}).status_code == 200
    order.seller("concede")
    erase(both[0], world.people["buyer"], SETTLE_SECONDS)
    again = order.send("seller", "post-message", said, {"Idempotency-Key": f"{order.id}"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    again = order.send("buyer", "post-message", said, {"Idempotency-Key": f"{order.id}"})
    assert code(again) == "idempotency_key_reused"


def test_what_refuses_an_erasure(both: tuple[Service, Service], world: World) -> None:
    """A dispute first, then an order that goes on, then the one that must be kept longest; nothing is touched."""
    ended = world.paid()
    ended.seller("concede")
    open_order = world.paid()
    disputed = world.disputed()
    events = stored_events(both[0])
    refused = brojobs(both[0], "erase", world.people["seller"], "--reason", "x", BROJOBS_RETENTION_DAYS="0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("order_in_dispute: Une commande")
    disputed.seller("concede")
    for who in ("buyer", "seller"):
        with pytest.raises(Refusal, match="within_retention") as caught:
            erase(both[0], world.people[who])
        assert caught.value.available_from is None
    open_order.seller("concede")
    latest = open_order.body["ended_at"]
    with pytest.raises(Refusal, match="within_retention") as caught:
        erase(both[0], world.people["seller"], retention_days=10)
    assert caught.value.available_from is not None
    assert caught.value.available_from.isoformat()[:19] > latest[:19]
    assert rows(both[0], "SELECT FROM vault.erasures WHERE person = %s", world.people["seller"]) == []
    assert stored_events(both[0])[: len(events)] == events
    assert erase(both[0], world.people["seller"]) == 3


def test_a_stranger_has_nothing_to_erase(both: tuple[Service, Service]) -> None:
    """An unknown id is told so, and nothing is recorded."""
    events = stored_events(both[0])
    with pytest.raises(NothingToErase):
        erase(both[0], "nobody-at-all")
    assert stored_events(both[0]) == events


def test_a_mediator_can_be_erased(both: tuple[Service, Service], world: World, twin: World) -> None:
    """Staff are people too: a mediator's words go, the decision and its effects stay."""
    marked = Marked()
    order = full_story(world, marked)
    assert erase(both[0], world.people["mediator"], SETTLE_SECONDS) == 1
    dispute = order.through(twin).see("auditor", "dispute")
    assert (dispute["decision"]["outcome"], dispute["decision"]["reason"]) == ("full_refund", ERASED)
    assert dispute["statement"] == f"statement {marked.buyer}"
    last = order.events()[-1]
    assert (last["type"], last["data"]["role"], last["actor"]) == (
        "PersonErased",
        "mediator",
        {"role": "operator", "id": "ops"},
    )
    assert last["data"]["reason"] == {"of": "ops", "text": "They asked for it"}


def test_a_case_file_from_before_still_verifies(both: tuple[Service, Service], world: World, tmp_path: Path) -> None:
    """What somebody took home before the erasure proves what it proved; a new one does not hold the words."""
    marked = Marked()
    order = full_story(world, marked)
    old, new = tmp_path / "old.zip", tmp_path / "new.zip"
    old.write_bytes(world.get("mediator2", f"{order.path}/case-file").content)
    erase(both[0], world.people["buyer"], SETTLE_SECONDS)
    new.write_bytes(world.get("mediator2", f"{order.path}/case-file").content)
    for path in (old, new):
        verified = brojobs(both[0], "case", "verify", str(path), "--unanchored")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    unpacked = {
        path: b"".join(zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist())
        for path in (old, new)
    }
    assert [marked.buyer.encode() in unpacked[path] for path in (old, new)] == [True, False]
    assert all(marked.seller.encode() in unpacked[path] for path in (old, new))
