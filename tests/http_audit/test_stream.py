"""`/v1/events/stream` and `/v1/events.jsonl`: nothing skipped, nothing twice, however readers and writers behave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.console.running import address, started
from tests.http.service import Service
from tests.http.world import World, euros
from tests.store.helpers import eventually, kill_backends

from brojobs_es import bootstrap
from brojobs_es.api import audit
from brojobs_es.api.app import create_app
from brojobs_es.api.auth import LEEWAY_SECONDS
from brojobs_es.api.keys import DevelopmentKey
from brojobs_es.ids import log_of
from brojobs_es.settings import Settings

JsonObject = dict[str, Any]
WRITERS = 4
ORDERS = 8
EXPORTED = int(os.environ.get("BROJOBS_TEST_EXPORT_EVENTS", "5000"))
LOGS = int(os.environ.get("BROJOBS_LOGS", "1"))


@contextlib.contextmanager
def streaming(
    world: World, who: str = "auditor", last: str | None = None, **query: Any
) -> Iterator[Iterator[JsonObject]]:
    """The events of a stream; each carries its cursor as id."""
    headers = world.headers(who, {"Last-Event-ID": last} if last else None)
    with httpx.stream("GET", f"{world.url}/v1/events/stream", params=query, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer.iter_lines())


def messages(lines: Iterator[str]) -> Iterator[JsonObject]:
    found: dict[str, str] = {}
    for text in lines:
        name, _, value = text.partition(": ")
        if text:
            found[name] = value
        elif "data" in found:
            event: JsonObject = json.loads(found["data"])
            assert event["cursor"] == found["id"]
            yield event
            found = {}


def take(events: Iterator[JsonObject], count: int) -> list[JsonObject]:
    return [next(events) for _ in range(count)]


def exported(world: World, who: str = "auditor", **query: Any) -> list[JsonObject]:
    answer = world.get(who, "/v1/events.jsonl", **query)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.text == "" or answer.text.endswith("\n")
    return [json.loads(text) for text in answer.text.splitlines()]


def places(items: list[JsonObject]) -> list[tuple[int, int]]:
    return [(item["log"], item["position"]) for item in items]


def test_a_stream_resumes_in_the_middle(world: World) -> None:
    """What was read before and after the break is the whole; an id in the header counts before one in the query."""
    world.under_review()
    every = exported(world)
    with streaming(world) as events:
        before = take(events, 5)
    with streaming(world, last=before[-1]["cursor"], after=every[0]["cursor"]) as events:
        after = take(events, len(every) - 5)
        new = world.placed()
        added = next(events)
        assert added["order_id"] == str(new.id)
    assert sorted(places(before + after)) == sorted(places(every))
    with streaming(world, after=before[-1]["cursor"]) as events:
        assert sorted(places(take(events, len(after) + 1))) == sorted(places([*after, added]))


def test_a_stream_of_a_selection(world: World) -> None:
    """Filters, roles and notes hold for streams and exports as for pages."""
    order = world.under_review()
    order.mediator("dispute/add-note", text="A word to myself.")
    mine = [event for event in exported(world) if event["order_id"] == str(order.id)]
    assert sorted(places(exported(world, "mediator"))) == places(mine)
    assert {event["type"] for event in exported(world, "operator")} & {"MediatorNoteAdded"} == set()
    with streaming(world, "mediator", type="EvidenceSubmitted") as events:
        assert next(events) == next(event for event in exported(world, "mediator", type="EvidenceSubmitted"))
        world.paid()
        order.buyer("dispute/submit-evidence", kind="statement", description="Page 2.")
        assert "Page 2." in json.dumps(next(events)["data"])


def test_an_export_of_so_many(world: World) -> None:
    """`limit` holds across batches and logs, and the last cursor leads on to the rest; without it nothing is left out."""
    for _ in range(25):
        world.under_review()
    every = exported(world)
    assert len(every) > 101
    chosen = exported(world, type="OrderPlaced")
    for most in (1, 2, 100, 101, 1000):
        first = exported(world, limit=most)
        assert first == every[:most]
        rest = exported(world, after=first[-1]["cursor"])
        assert places(first + rest) == places(every)
        assert exported(world, type="OrderPlaced", limit=most) == chosen[:most]


def test_lines_are_lines_for_everybody(world: World) -> None:
    """Characters that some readers take for the end of a line are escaped."""
    order = world.paid()
    text = "a\u2028b\u2029c\x85d\x0be\x1cf é\r\n😀"
    order.buyer("post-message", text=text)
    (event,) = exported(world, order_id=str(order.id), type="MessagePosted")
    assert event["data"]["text"]["text"] == text


def test_everybody_sees_everything_once_while_others_write(world: World, running: Service, log_count: int) -> None:
    """Streams, one that breaks again and again, one of a selection, and a reader of pages, while connections die."""
    start = cursor_of_now(world)
    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + 4) as pool:
        readers = [
            pool.submit(follow, world, start, 10**9),
            pool.submit(follow, world, start, 7),
            pool.submit(follow, world, start, 10**9, type="MessagePosted"),
            pool.submit(turn_pages, world, start, done),
        ]
        writers = [pool.submit(write, running.url) for _ in range(WRITERS)]
        time.sleep(0.5)
        kill_backends(running.database_url, "application_name = 'brojobs_writer'")
        for writer in writers:
            writer.result()
        done.set()
        last = World(running.url)
        for log in range(log_count):
            the_end(last, log)
        whole, broken, selected, paged = (reader.result() for reader in readers)
        last.http.close()
    every = exported(world, after=start)
    assert len(every) >= WRITERS * ORDERS * 5
    assert sorted(places(whole)) == sorted(places(broken)) == sorted(places(paged)) == places(every)
    assert sorted(places(selected)) == places([event for event in every if event["type"] == "MessagePosted"])
    for seen in (whole, broken, selected, paged):
        for log in range(log_count):
            positions = [position for its_log, position in places(seen) if its_log == log]
            assert positions == sorted(positions)


def cursor_of_now(world: World) -> str:
    world.placed()
    return str(exported(world)[-1]["cursor"])


END = "The end of log"


def the_end(world: World, log: int) -> None:
    """An order of that log whose message tells its readers to stop."""
    while True:
        order = world.placed()
        if log_of(order.id, LOGS) == log:
            order.buyer("post-message", text=f"{END} {log}")
            return


def is_end(event: JsonObject) -> bool:
    return event["type"] == "MessagePosted" and str(event["data"]["text"]["text"]).startswith(END)


def follow(world: World, start: str, breaks_after: int, **query: Any) -> list[JsonObject]:
    """What a stream shows until the end of every log, resumed after so many events."""
    seen: list[JsonObject] = []
    ends = 0
    while ends < LOGS:
        with streaming(world, last=seen[-1]["cursor"] if seen else start, **query) as events:
            for number, event in enumerate(events):
                seen.append(event)
                ends += is_end(event)
                if ends == LOGS or number >= breaks_after:
                    break
    return seen


def turn_pages(world: World, start: str, done: threading.Event) -> list[JsonObject]:
    seen: list[JsonObject] = []
    ends = 0
    while ends < LOGS:
        items = world.see("auditor", "/v1/events", after=seen[-1]["cursor"] if seen else start, limit=11)["items"]
        seen += items
        ends += sum(map(is_end, items))
        if not items:
            time.sleep(0.02)
    assert done.is_set()
    return seen


def write(url: str) -> None:
    with World(url) as world:
        for _ in range(ORDERS):
            order = world.paid()
            for number in range(3):
                order.buyer("post-message", text=f"Message {number}")
            order.buyer("propose-settlement", refund=euros(100))


# -- what only shows inside the process


@contextlib.asynccontextmanager
async def inside(
    url: str, folder: Path, logs: int, *, background: bool = True
) -> AsyncIterator[tuple[bootstrap.Runtime, str]]:
    """A service in this very process, to look into it."""
    settings = Settings(database_url=url, data_dir=folder, logs=logs)
    async with bootstrap.running(settings, url, sandbox=True, background=background) as runtime:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            config = uvicorn.Config(create_app(runtime), http="httptools", log_config=None, access_log=False)
            server = uvicorn.Server(config)
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
            serving = asyncio.create_task(server.serve([sock]))
            yield runtime, f"http://127.0.0.1:{sock.getsockname()[1]}"
            server.should_exit = True
            await serving


def token(folder: Path, **claims: Any) -> dict[str, str]:
    private: Any = load_pem_private_key((folder / "sandbox-key.pem").read_bytes(), password=None)
    kid = DevelopmentKey.in_folder(folder).public.kid
    made = jwt.encode({"sub": "a", "roles": ["auditor"], **claims}, private, algorithm="EdDSA", headers={"kid": kid})
    return {"Authorization": f"Bearer {made}"}


async def test_a_reader_who_goes_leaves_nothing_behind(
    clean_logs: str, tmp_path: Path, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its subscription ends with its connection; others go on and are told now and then that the stream is alive."""
    monkeypatch.setattr(audit, "HEARTBEAT_SECONDS", 0.2)
    async with inside(clean_logs, tmp_path, log_count) as (runtime, url), httpx.AsyncClient(base_url=url) as http:
        readers = runtime.logs.listener._readers
        idle = len(readers)
        streams = [http.stream("GET", "/v1/events/stream", headers=token(tmp_path)) for _ in range(3)]
        answers = [await stream.__aenter__() for stream in streams]
        await eventually(lambda: len(readers) == idle + 3)
        await streams[0].__aexit__(None, None, None)
        await eventually(lambda: len(readers) == idle + 2)
        lines = answers[1].aiter_lines()
        assert [await anext(lines) for _ in range(4)] == ["retry: 1000", "", ": still here", ""]
        for stream in streams[1:]:
            await stream.__aexit__(None, None, None)
        await eventually(lambda: len(readers) == idle)


def test_a_stream_ends_quietly_when_the_service_stops(clean_logs: str, tmp_path: Path) -> None:
    """Its reader sees a whole answer, and nobody an error."""
    with (
        started(clean_logs, tmp_path, "serve", "--sandbox", "--port", "0") as process,
        World(address(process)) as world,
    ):
        world.placed()
        with streaming(world) as events:
            take(events, 1)
            process.send_signal(signal.SIGTERM)
            assert list(events) == []
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert "error" not in process.stdout.read()


async def test_a_stream_ends_with_its_token(
    clean_logs: str, tmp_path: Path, log_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody goes on reading on a credential that no longer holds."""
    monkeypatch.setattr(audit, "HEARTBEAT_SECONDS", 0.2)
    async with inside(clean_logs, tmp_path, log_count) as (_, url), httpx.AsyncClient(base_url=url, timeout=20) as http:
        short = token(tmp_path, exp=int(time.time()) - LEEWAY_SECONDS + 2)
        async with http.stream("GET", "/v1/events/stream", headers=short) as answer:
            assert answer.status_code == 200
            async with asyncio.timeout(15):
                assert [text async for text in answer.aiter_lines()][:1] == ["retry: 1000"]
        assert (await http.get("/v1/events", headers=short)).status_code == 401


async def test_an_export_needs_no_more_memory_for_more_events(clean_logs: str, tmp_path: Path, log_count: int) -> None:
    """Resident memory while everything is exported, also when the reader stands still for a while."""
    copy = """
        INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
        SELECT u, u, 1, 'order:Large', convert_to(repeat(' ', 20000) || '{}', 'UTF8')
        FROM (SELECT gen_random_uuid() AS u FROM generate_series(1, %s::int)) AS new
    """
    with psycopg.connect(clean_logs, autocommit=True) as connection:
        connection.execute(copy.encode(), (EXPORTED,))
    lines, peak, tail = 0, 0.0, b""
    async with (
        inside(clean_logs, tmp_path, log_count, background=False) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        http.stream("GET", "/v1/events.jsonl", headers=token(tmp_path)) as answer,
    ):
        before = resident_megabytes()
        async for chunk in answer.aiter_bytes():
            if lines < EXPORTED // 2 <= lines + chunk.count(b"\n"):
                await asyncio.sleep(0.5)
            lines, tail = lines + chunk.count(b"\n"), chunk
            peak = max(peak, resident_megabytes())
    assert tail.endswith(b"\n")
    assert lines == EXPORTED
    assert peak - before < EXPORTED * 20_000 / 1e6 / 3


def resident_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(text for text in status.splitlines() if text.startswith("VmRSS")).split()[1]) / 1024
