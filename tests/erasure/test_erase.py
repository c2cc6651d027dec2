"""Erasing a person in a running deployment: what is gone, what stays, and what refuses it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import uvloop
from tests.erasure.attacker import dump, hides, on_disk, opened
from tests.http.service import ROOT, Service
from tests.http.world import Told, World, code

from brojobs_es import bootstrap
from brojobs_es.aggregates.base import ERASED
from brojobs_es.application.erasing import Erasing, NothingToErase
from brojobs_es.console import erase as console
from brojobs_es.errors import Refusal
from brojobs_es.settings import Settings
from brojobs_es.store.erasing import PostgresEraser
from brojobs_es.store.vault import CHECK_SECONDS

NO_TIME: Final = 0.0
"""How long these erasures wait for other processes, where a test does not look at them."""
SETTLE_SECONDS: Final = CHECK_SECONDS + 0.2
READERS: Final = ("buyer", "seller", "mediator", "auditor", "operator")


class Marked:
    """Texts that stand nowhere else: one a person and a run."""

    def __init__(self) -> None:
        run = secrets.token_hex(8)
        self.buyer, self.seller, self.mediator = (f"{name}PLAINTEXT{run}" for name in ("buyer", "seller", "mediator"))


def full_story(world: World, marked: Marked) -> Told:
    """An order with words of everybody in every place that takes words, decided by a mediator, and over."""
    b, s, m = marked.buyer, marked.seller, marked.mediator
    order = world.paid(title=f"title {b}", brief=f"brief {b}")
    order.buyer("post-message", text=f"hello {b}", files=[order.file("buyer", f"{b}.txt")])
    order.seller("post-message", text=f"hello {s}", files=[order.file("seller", f"{s}.txt")])
    order.buyer("send-reminder", text=f"reminder {b}")
    order.buyer("propose-deadline", due_at=later(world, 8), comment=f"deadline {b}")
    order.seller("propose-deadline", due_at=later(world, 9), comment=f"deadline {s}")
    order.buyer("request-cancellation", reason="other", comment=f"cancel {b}")
    order.seller("refuse-cancellation", reason=f"no {s}")
    order.seller("deliver", note=f"note {s}", files=[order.file("seller", f"v1-{s}.txt")])
    order.buyer("request-revision", points=[{"text": f"point {b}", "files": [order.file("buyer", f"point-{b}.txt")]}])
    order.seller("refuse-revision", reason=f"refused {s}")
    order.buyer("propose-settlement", refund={"amount": 1, "currency": "EUR"}, comment=f"settle {b}")
    evidence = [{"description": f"piece {b}", "files": [order.file("buyer", f"piece-{b}.txt")]}]
    order.buyer("open-dispute", statement=f"statement {b}", evidence=evidence)
    order.mediator("dispute/assign")
    order.mediator("dispute/add-note", text=f"note {m}")
    order.mediator("dispute/request-information", **{"from": "buyer", "question": f"question {m}"})
    order.buyer("dispute/post-message", text=f"thread {b}")
    order.seller("dispute/submit-evidence", kind="statement", description=f"evidence {s}")
    order.mediator("dispute/decide", assignment=1, outcome="full_refund", reason=f"decided {m}")
    return order


def later(world: World, days: float) -> str:
    return (world.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def brojobs(service: Service, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    ours = {
        "BROJOBS_DATABASE_URL": service.database_url,
        "BROJOBS_DATA_DIR": str(service.folder),
        "BROJOBS_LOGS": os.environ.get("BROJOBS_LOGS", "1"),
        "PYTHONPATH": str(ROOT / "src"),
        **settings,
    }
    command = [sys.executable, "-m", "brojobs_es.cli", *arguments]
    return subprocess.run(
        command, check=False, env=plain | ours, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def settings_of(service: Service, retention_days: int = 0) -> Settings:
    return Settings(
        database_url=service.database_url,
        data_dir=service.folder,
        retention_days=retention_days,
        logs=int(os.environ.get("BROJOBS_LOGS", "1")),
    )


def erase(service: Service, person: str, settle_seconds: float = NO_TIME, retention_days: int = 0) -> int:
    """Erase in this process; how many orders that concerned."""
    made = settings_of(service, retention_days)
    erased, rewritten = uvloop.run(
        console.erase(made, service.database_url, person, "They asked for it", "ops", settle_seconds)
    )
    assert rewritten
    return erased.orders


def rows(service: Service, query: str, *params: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(service.database_url) as connection:
        return connection.execute(query.encode(), params).fetchall()


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


class PowerCut(Exception):
    """What ends an erasure in the middle."""


class CutAt:
    """Does everything that the wrapped part does, until the lights go out at one of its calls."""

    def __init__(self, part: Any, name: str, call: int) -> None:
        self._part, self._name, self._left = part, name, call

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                raise PowerCut
        return getattr(self._part, name)


async def cut_short(service: Service, person: str, part: str, name: str, call: int) -> None:
    """An erasure that ends at a call of one of its parts."""
    made = settings_of(service)
    async with (
        bootstrap.running(made, service.database_url, background=False) as runtime,
        PostgresEraser.opened(service.database_url, runtime.logs) as eraser,
    ):
        parts: dict[str, Any] = {"log": runtime.logs, "eraser": eraser}
        parts[part] = CutAt(parts[part], name, call)

        async def forget_files(person: str, generation: int) -> int:
            return 0

        erasing = Erasing(
            parts["log"],
            runtime.vault,
            parts["eraser"],
            runtime.clock,
            forget_files=forget_files,
            retention=timedelta(0),
            settle_seconds=NO_TIME,
        )
        await erasing.erase(person, "They asked for it", "ops")


CUTS: Final = [
    ("eraser", "orders_naming", 1, False),
    ("eraser", "begin", 1, False),
    ("eraser", "orders_naming", 2, True),
    ("log", "append", 1, True),
    ("log", "append", 2, True),
    ("eraser", "finish", 1, True),
]
"""At which call of which part an erasure ends, and whether it has begun by then."""


def test_an_erasure_that_was_interrupted(both: tuple[Service, Service], world: World) -> None:
    """Before its beginning nothing has happened; after it the words are unreadable, and doing it again finishes it."""
    done = []
    for part, name, call, begun in CUTS:
        with World(both[0].url) as people:
            orders = [people.paid(title="Some title") for _ in range(2)]
            for order in orders:
                order.seller("concede")
        buyer = people.people["buyer"]
        with pytest.raises(PowerCut):
            asyncio.run(cut_short(both[0], buyer, part, name, call))
        assert len(rows(both[0], "SELECT FROM vault.keys WHERE person = %s", buyer)) == 1
        assert len(rows(both[0], "SELECT FROM vault.erasures WHERE person = %s", buyer)) == begun
        if begun:
            uvloop.run(_title_is(both[0], orders[0], ERASED))
        assert erase(both[0], buyer) == 2
        assert rows(both[0], "SELECT FROM vault.keys WHERE person = %s", buyer) == []
        done += orders
    time.sleep(SETTLE_SECONDS)
    for order in done:
        assert world.see("auditor", order.path)["title"] == ERASED
        types = [event["type"] for event in world.see("auditor", f"{order.path}/events")["items"]]
        assert types.count("PersonErased") == 1


async def _title_is(service: Service, order: Told, title: str) -> None:
    """As a process sees it that has nothing in memory."""
    async with bootstrap.running(settings_of(service), service.database_url, background=False) as runtime:
        assert (await runtime.service.history(order.id)).case.order.title.text == title


def test_something_is_written_while_the_keys_are_being_taken_away(both: tuple[Service, Service], world: World) -> None:
    """An order that begins under the old key stops the erasure, which is taken back: everything is readable again."""
    ended = world.paid(title="Some title")
    ended.seller("concede")
    buyer = world.people["buyer"]

    async def race() -> None:
        made = settings_of(both[0])
        async with (
            bootstrap.running(made, both[0].database_url, background=False) as runtime,
            PostgresEraser.opened(both[0].database_url, runtime.logs) as eraser,
        ):
            begin = eraser.begin

            async def begin_late(person: str, generations: Any) -> None:
                await asyncio.to_thread(world.paid, title="Just now")
                await begin(person, generations)

            eraser.begin = begin_late  # type: ignore[method-assign]
            erasing = Erasing(
                runtime.logs,
                runtime.vault,
                eraser,
                runtime.clock,
                forget_files=_no_files,
                retention=timedelta(0),
                settle_seconds=NO_TIME,
            )
            await erasing.erase(buyer, "They asked for it", "ops")

    with pytest.raises(Refusal, match="within_retention"):
        asyncio.run(race())
    time.sleep(SETTLE_SECONDS)
    titles = [item["title"] for item in world.see("buyer", "/v1/orders")["items"]]
    assert sorted(titles) == ["Just now", "Some title"]
    assert "PersonErased" not in ended.types()


async def _no_files(person: str, generation: int) -> int:
    return 0


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
        verified = brojobs(both[0], "case", "verify", str(path))
        assert verified.returncode == 0, verified.stdout + verified.stderr
    unpacked = {
        path: b"".join(zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist())
        for path in (old, new)
    }
    assert [marked.buyer.encode() in unpacked[path] for path in (old, new)] == [True, False]
    assert all(marked.seller.encode() in unpacked[path] for path in (old, new))
