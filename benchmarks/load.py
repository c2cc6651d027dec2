"""A load generator that costs little: raw sockets, requests built by hand, answers parsed only as far as needed.

    python -m benchmarks.load service --port 8000 --clients 64 --seconds 5 --folder DATA --watch service=PID

Each client plays one life after the other on a connection of its own and sends the next request when the answer is
there. Every answer's status is checked. Prints one JSON object: commands a second and their latency inside the window
after the warm-up, errors of the whole run, and the CPU that this process and the watched ones used in the window.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.cpu import cpu_seconds
from benchmarks.lives import (
    Life,
    People,
    Step,
    constant_answers,
    life_of_library_order,
    life_of_order,
    life_without_file,
)

TARGETS: Final = ("service", "fileless", "library", "constant")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DRAIN_SECONDS: Final = 10.0


@dataclass(slots=True)
class Tally:
    """What the clients count together; latencies in seconds."""

    commands: dict[str, list[float]] = field(default_factory=dict)
    others: dict[str, list[float]] = field(default_factory=dict)
    lives: int = 0
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    counting: bool = False
    stopping: bool = False

    def failed(self, what: str, answer: bytes = b"") -> None:
        """Count an error and keep the first few answers."""
        self.errors[what] += 1
        if len(self.samples) < 5:
            self.samples.append(f"{what}: {answer[:500].decode(errors='replace')}")


class Client(asyncio.Protocol):
    """One connection, one request under way."""

    def __init__(self, make_life: Callable[[], Life], tally: Tally, ended: Callable[[Client], None]) -> None:
        self._make_life = make_life
        self._tally = tally
        self._ended = ended
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self._life: Life = make_life()
        self._step: Step = next(self._life)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's
        self._send()

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        head = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head + 2) if head >= 0 else None
        if head < 0 or (length is not None and len(data) < head + 4 + int(length[1])):
            self._received = data
            return
        self._received = b""
        if length is None:
            self._fail("an answer without Content-Length", data)
        else:
            self._answered(data[9:12], data[head + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._tally.stopping:
            self._tally.failed(f"connection lost ({exc})")
        self._ended(self)

    def _send(self) -> None:
        assert self._transport is not None
        if self._tally.stopping:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(self._step.request)

    def _answered(self, status: bytes, body: bytes) -> None:
        tally, step = self._tally, self._step
        if tally.counting:
            took = time.perf_counter() - self._sent_at
            (tally.commands if step.is_command else tally.others).setdefault(step.name, []).append(took)
        tally.requests += 1
        if status != step.status or step.proof not in body:
            self._fail(f"{step.name} {status.decode(errors='replace')}", body)
            return
        try:
            self._step = self._life.send(body)
        except StopIteration:
            tally.lives += 1
            self._begin()
        self._send()

    def _fail(self, what: str, answer: bytes) -> None:
        self._tally.failed(what, answer)
        self._begin()
        self._send()

    def _begin(self) -> None:
        self._life = self._make_life()
        self._step = next(self._life)


@dataclass(frozen=True)
class Outcome:
    """One run. Rates and latencies are of commands answered in the window; `cores` is CPU seconds a second in it;
    `steps_p50_ms` has the median latency of each kind of request, uploads too.
    """

    clients: int
    seconds: float
    commands: int
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    lives: int
    requests: int
    errors: dict[str, int]
    samples: list[str]
    steps_p50_ms: dict[str, float]
    cores: dict[str, float]


async def run(
    make_life: Callable[[], Life], port: int, clients: int, warm_up: float, seconds: float, watch: dict[str, int]
) -> Outcome:
    """Play lives for `warm_up` + `seconds` and count in the latter."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    ended: set[Client] = set()
    all_ended = asyncio.Event()

    def left(client: Client) -> None:
        ended.add(client)
        if len(ended) == clients:
            all_ended.set()

    for _ in range(clients):
        await loop.create_connection(lambda: Client(make_life, tally, left), "127.0.0.1", port)
    watched = {"load": os.getpid(), **watch}
    await asyncio.sleep(warm_up)
    before, began = {name: cpu_seconds(pid) for name, pid in watched.items()}, time.perf_counter()
    tally.counting = True
    await asyncio.sleep(seconds)
    tally.counting = False
    took, after = time.perf_counter() - began, {name: cpu_seconds(pid) for name, pid in watched.items()}
    tally.stopping = True
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await all_ended.wait()
    except TimeoutError:
        tally.failed(f"{clients - len(ended)} clients without an answer after {_DRAIN_SECONDS:.0f} s")
    latencies = sorted(chain.from_iterable(tally.commands.values()))
    steps = {**tally.commands, **tally.others}
    return Outcome(
        clients=clients,
        seconds=took,
        commands=len(latencies),
        per_second=len(latencies) / took,
        p50_ms=percentile(latencies, 50) * 1000,
        p99_ms=percentile(latencies, 99) * 1000,
        max_ms=percentile(latencies, 100) * 1000,
        lives=tally.lives,
        requests=tally.requests,
        errors=dict(tally.errors),
        samples=tally.samples,
        steps_p50_ms={name: percentile(sorted(each), 50) * 1000 for name, each in steps.items()},
        cores={name: (after[name] - before[name]) / took for name in watched},
    )


def percentile(ordered: list[float], percent: float) -> float:
    """The value that so many per cent do not exceed (nearest rank); 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-percent * len(ordered) // 100) - 1)]


def lives(target: str, folder: Path | None) -> Callable[[], Life]:
    """What is played against a target (`fileless` is the service too); the service's
    people have tokens signed by the key in its data folder.
    """
    if target == "library":
        return life_of_library_order()
    if target == "constant":
        return constant_answers()
    assert folder is not None, "the service needs --folder, where the key of its tokens lies"
    life = life_of_order if target == "service" else life_without_file
    return life(People.of(folder))


def main() -> None:
    """Run once and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="the service's data folder")
    parser.add_argument("--watch", action="append", default=[], metavar="NAME=PID")
    given = parser.parse_args()
    watch = {name: int(pid) for name, _, pid in (each.partition("=") for each in given.watch)}
    made = lives(given.target, given.folder)
    gc.freeze()
    gc.disable()  # nothing here is cyclic, and a pause here would be reported as the service's
    outcome = uvloop.run(run(made, given.port, given.clients, given.warm_up, given.seconds, watch))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
