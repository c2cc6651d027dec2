"""The Python of a command alone: from the request's bytes to the answer's, without HTTP and without waiting for a commit.

    python -m benchmarks.path                    microseconds of a core, by kind of command
    python -m benchmarks.path --rest 0.002       with a rest before each: what a client alone meets

Lives without a file, one after the other. The first ones are stored, so that people have their keys; from then on the log
answers an append at once. Figures are the tenth percentile over chunks of lives: what a quiet moment of the machine shows.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from itertools import chain
from statistics import mean
from typing import Any, Final
from unittest.mock import patch

import uvloop
from starlette.types import ASGIApp

from benchmarks.lives import Life, People, Step, life_without_file
from benchmarks.load import percentile
from benchmarks.stage import Stage, key_set, stage
from brojobs_es import bootstrap
from brojobs_es.api.app import create_app
from brojobs_es.console.serving import collect_seldom
from brojobs_es.settings import Settings
from brojobs_es.store.log import Append, Logs
from brojobs_es.store.migrate import migrate

STORED_LIVES: Final = 300
CHUNK_LIVES: Final = 50


Chunk = defaultdict[str, list[float]]
"""What each command of a kind took, in seconds of a core."""


def scope_of(request: bytes) -> tuple[dict[str, Any], bytes]:
    """The request as a server hands it to the application, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    method, path, _ = line.decode().split(" ")
    pairs = [(name.lower(), value) for name, _, value in (each.partition(b": ") for each in headers)]
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": pairs}, body


async def answered(app: ASGIApp, step: Step, chunk: Chunk, rest: float) -> bytes:
    """The answer to one request; what it took is noted."""
    scope, body = scope_of(step.request)
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    if rest:
        time.sleep(rest)  # noqa: ASYNC251  (the process is to sleep, not only this task)
    began = time.thread_time()
    await app(scope, receive, send)
    chunk[step.name].append(time.thread_time() - began)
    assert said[0]["status"] == int(step.status), said
    answer: bytes = said[1]["body"]
    return answer


async def play(app: ASGIApp, life: Life, chunk: Chunk, rest: float) -> None:
    """One life."""
    step = next(life)
    while True:
        answer = await answered(app, step, chunk, rest)
        try:
            step = life.send(answer)
        except StopIteration:
            return


async def measure(on: Stage, lives: int, rest: float) -> list[Chunk]:
    """All chunks."""
    url, folder, position = on.database("path"), on.folder / "path", 0
    migrate(url)
    folder.mkdir(mode=0o755)
    settings = Settings(database_url=url, data_dir=folder, jwks=str(key_set(folder)))

    async def at_once(_: Logs, append: Append) -> list[int]:
        nonlocal position
        position += len(append.events)
        return list(range(position - len(append.events) + 1, position + 1))

    async with bootstrap.running(settings, url, background=False) as runtime:
        collect_seldom()
        app, make_life = create_app(runtime), life_without_file(People.of(folder))
        for _ in range(STORED_LIVES):
            await play(app, make_life(), Chunk(list), 0)
        chunks = []
        with patch.object(Logs, "append", at_once):
            for _ in range(0, lives, CHUNK_LIVES):
                chunks.append(Chunk(list))
                for _ in range(CHUNK_LIVES):
                    await play(app, make_life(), chunks[-1], rest)
    return chunks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lives", type=int, default=1_500)
    parser.add_argument("--rest", type=float, default=0.0, help="seconds of sleep before each command")
    given = parser.parse_args()
    with stage() as on:
        chunks = uvloop.run(measure(on, given.lives, given.rest))
    for kind in chunks[0]:
        print(f"{kind:22} {percentile(sorted(mean(chunk[kind]) for chunk in chunks), 10) * 1e6:6.0f} µs")
    every = sorted(mean(chain.from_iterable(chunk.values())) for chunk in chunks)
    print(f"{'a command':22} {percentile(every, 10) * 1e6:6.0f} µs")


if __name__ == "__main__":
    main()
