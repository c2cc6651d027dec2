"""What sealing costs the write path, and how fast a backlog is sealed and verified.

    python benchmarks/sealing.py pair --rounds 6 --seconds 4     appends with and without the sealer, in turns
    python benchmarks/sealing.py backlog --events 500000         seal a backlog, then verify all of it

Figures depend on the machine; ratios between rounds that took turns hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.signing import LastSigned
from brojobs_es.evidence.verify.heads import Trust
from brojobs_es.evidence.verify.verdict import verify
from brojobs_es.mapper import canonical
from brojobs_es.store import embedded
from brojobs_es.store.log import Append, Logs, NewEvent
from brojobs_es.store.migrate import migrate
from brojobs_es.store.scanning import snapshot
from brojobs_es.store.sealing import SealStore

KEY = Ed25519PrivateKey.generate()
CLIENTS = 16
STATE = canonical(
    {
        "cause": {"actor": {"id": "buyer-1", "role": "buyer"}, "command": "post-message", "command_id": str(uuid4())},
        "effective_at": "2026-03-01T12:00:00.123456Z",
        "message_id": str(uuid4()),
        "recorded_at": "2026-03-01T12:00:00.123456Z",
        "text": {"of": "buyer-1", "text": "x" * 300},
    }
)


def sealer(store: SealStore, folder: Path) -> Sealer:
    """One as `serve` runs it."""
    return Sealer(store, 1, "bench", lambda: KEY, LastSigned(folder))


async def client(logs: Logs, until: float, pause_seconds: float, took: list[float]) -> None:
    """One client: a message after the other, with a pause between them."""
    order, version = uuid4(), 0
    while time.perf_counter() < until:
        version += 1
        began = time.perf_counter()
        await logs.append(Append(order, (NewEvent(order, version, "order:MessagePosted", STATE),)))
        took.append(time.perf_counter() - began)
        if pause_seconds:
            await asyncio.sleep(pause_seconds)


async def round_of(
    logs: Logs, store: SealStore, folder: Path, seconds: float, pause: float, *, sealed: bool
) -> tuple[float, float, float]:
    """Appends per second, median and 99th percentile in milliseconds."""
    work = asyncio.create_task(sealer(store, folder).run()) if sealed else None
    took: list[float] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(logs, began + seconds, pause, took) for _ in range(CLIENTS)))
    rate = len(took) / (time.perf_counter() - began)
    if work is not None:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    await sealer(store, folder).catch_up(0)  # so that no round inherits another's backlog
    return rate, median(took) * 1000, quantiles(took, n=100)[98] * 1000


async def pair(url: str, folder: Path, rounds: int, seconds: float) -> None:
    """Rounds with and without the sealer take turns: at a steady rate, then as fast as it goes."""
    logs, store = Logs(url, max_connections=CLIENTS), SealStore(url)
    await logs.open()
    await store.open()
    for name, pause in (("steady", 0.05), ("flat out", 0.0)):
        found: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
        for number in range(2 * rounds):
            sealed = number % 4 in {1, 2}  # off on on off: what drifts hits both alike
            found[sealed].append(await round_of(logs, store, folder, seconds, pause, sealed=sealed))
        off, on = ([median(column) for column in zip(*found[each], strict=True)] for each in (False, True))
        print(f"{name}: {rounds} pairs of {seconds:.0f} s, {CLIENTS} clients")
        for words, without, with_it in zip(("appends/s", "median ms", "p99 ms"), off, on, strict=True):
            print(f"  {words:10} without {without:9.2f}   with {with_it:9.2f}   ratio {with_it / without:.3f}")
    await store.close()
    await logs.close()


def fill(url: str, events: int) -> None:
    """A backlog: orders of ten events, interleaved."""
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, events, 20_000):
            orders: list[UUID] = [uuid4() for _ in range(2_000)]
            for version in range(1, 11):
                connection.execute(
                    "INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) "
                    "SELECT o, o, %s, 'order:MessagePosted', %s FROM unnest(%s::uuid[]) o",
                    (version, STATE, orders),
                )
            print(f"\r{start + 20_000} events", end="", flush=True)
    print()


def timed(name: str, events: int, work: Callable[[], object]) -> None:
    """Events per second by the clock and by this process's own use of a core."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    print(f"{name}: {events / clock:,.0f}/s by the clock, {events / cpu:,.0f}/s of one core")


async def seal_all(url: str, folder: Path) -> None:
    """Seal everything there is."""
    store = SealStore(url)
    await store.open()
    await sealer(store, folder).catch_up(0)
    await store.close()


def verify_all(url: str) -> None:
    """Verify everything there is."""
    with snapshot(url) as moment:
        report = verify(moment, 1, Trust([KEY.public_key().public_bytes_raw()]))
    assert not report.findings, report.findings


def main() -> None:
    """Measure on a database of its own, which goes away afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pair", "backlog"])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--events", type=int, default=500_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brojobs-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        with embedded.start(folder) as server:
            migrate(server.uri)
            if given.what == "pair":
                asyncio.run(pair(server.uri, folder, given.rounds, given.seconds))
            else:
                fill(server.uri, given.events)
                timed("sealed", given.events, lambda: asyncio.run(seal_all(server.uri, folder)))
                timed("verified", given.events, lambda: verify_all(server.uri))
        print(f"load {os.getloadavg()[0]:.1f} afterwards")


if __name__ == "__main__":
    main()
