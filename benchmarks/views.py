"""How fast what was recorded is read: events decoded, orders folded, views caught up and rebuilt, and how far live ones lag.

    python -m benchmarks.views --events 400000
    python -m benchmarks.views --events 400000 --open 5000     with that many orders under way at once

The log is made of real lives of orders, from the placing to the end, with messages, revisions and disputes among them.
Figures depend on the machine; the share of one core (`cpu`) does so less than the clock. It prints a table, and writes
everything as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from rich.console import Console
from tests import kit

from benchmarks import machine
from benchmarks.report import RESULTS, tell, views_table, views_verdicts
from brojobs_es.application.history import decode, encode
from brojobs_es.application.records import Append, LoggedEvent, NewEvent
from brojobs_es.case import Case
from brojobs_es.console.serving import collect_seldom
from brojobs_es.ids import dispute_id_for
from brojobs_es.projections import VIEWS
from brojobs_es.store import embedded
from brojobs_es.store.audit_table import AuditTable
from brojobs_es.store.log import Logs
from brojobs_es.store.migrate import migrate
from brojobs_es.store.projector import Projector
from brojobs_es.store.refolding import Work, events_of
from brojobs_es.vault import Keys, PersonKey

RING: Final = {person: Keys({1: PersonKey(person, 1, bytes(32))}, 1) for person in kit.PEOPLE.values()}
TEMPLATE: Final = str(kit.ORDER_ID).encode()
ROWS_AT_ONCE: Final = 2000
ORDER_VIEWS: Final = [view.name for view in VIEWS]

RESULT: Final = RESULTS / "views.json"

Found = dict[str, Any]


def lives() -> list[list[NewEvent]]:
    """Some orders' whole lives, words sealed: short ones more often than long ones."""
    chat = kit.paid()
    for side in ("buyer", "seller", "buyer", "seller"):
        chat.act(side, "post-message", text="Could the second page use the darker blue of our signage? " * 3)
    revised = kit.revision_accepted().seller("deliver").buyer("accept-delivery")
    decided = kit.under_review().mediator("dispute/decide")
    stories = [kit.completed(), chat.seller("deliver").buyer("accept-delivery"), revised, kit.cancelled(), decided]
    return [[encode(event, RING) for event in story.case.new] for story in stories]


def events(count: int, under_way: int) -> Iterator[tuple[UUID, UUID, int, str, bytes]]:
    """Rows of a log: order, stream, version, topic, state; so many orders live side by side."""
    templates, chance = lives(), random.Random(1)
    dispute = str(dispute_id_for(kit.ORDER_ID, 1)).encode()
    running = [(uuid4(), iter(chance.choice(templates))) for _ in range(under_way)]
    for _ in range(count):
        at = chance.randrange(under_way)
        order, life = running[at]
        event = next(life, None)
        if event is None:  # that order has ended: a new one in its place
            order, life = running[at] = (uuid4(), iter(chance.choice(templates)))
            event = next(life)
        its_dispute = dispute_id_for(order, 1)
        state = event.state.replace(TEMPLATE, str(order).encode()).replace(dispute, str(its_dispute).encode())
        stream = order if event.stream_id == kit.ORDER_ID else its_dispute
        yield order, stream, event.stream_version, event.topic, state


def fill(url: str, count: int, under_way: int) -> None:
    """Record that many events."""
    query = """
        INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
        SELECT o, s, v, t, e FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::bytea[])
            WITH ORDINALITY AS r (o, s, v, t, e, n) ORDER BY n
    """
    rows = events(count, under_way)
    with psycopg.connect(url, autocommit=True) as connection:
        while batch := [row for _, row in zip(range(ROWS_AT_ONCE), rows, strict=False)]:
            connection.execute(query, [list(column) for column in zip(*batch, strict=True)])
        connection.execute("VACUUM ANALYZE log_0.events")


async def measured(what: str, work: Callable[[], Awaitable[int]]) -> Found:
    """Events per second; microseconds of a core that an event takes here and in processes that this one started."""
    clock, cpu = time.perf_counter(), _cpu()
    taken = await work()
    clock, cpu = time.perf_counter() - clock, _cpu() - cpu
    return {"what": what, "events": taken, "events_per_s": round(taken / clock), "cpu_us": round(cpu / taken * 1e6, 2)}


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@asynccontextmanager
async def projector(url: str, *, audit: bool) -> Any:
    """A runner of the order's views, or of the audit log's alone."""
    made = Projector(url, 1, () if audit else VIEWS, decode, tables=[AuditTable()] if audit else [])
    await made.open()
    yield made
    await made.close()


def fold_share(url: str, share: int, shares: int) -> int:
    """Fold a share of the orders from their first events, one after the other, as a rebuild reads them; how many events."""
    taken, order_id, case = 0, None, None
    for stored in events_of(Work(url, 0, 2**62, (), decode), share, shares):
        event = decode(stored)
        if stored.order_id is not order_id:
            order_id, case = stored.order_id, Case.of([event])
        else:
            assert case is not None
            case.apply(event)
        taken += 1
    return taken


async def fold_together(url: str, pool: ProcessPoolExecutor, shares: int) -> int:
    """The same for all orders, each share in a process of its own."""
    loop = asyncio.get_running_loop()
    return sum(await asyncio.gather(*(loop.run_in_executor(pool, fold_share, url, n, shares) for n in range(shares))))


async def folding(url: str) -> list[Found]:
    """Orders folded in this process, and in two that have been started before."""

    async def alone() -> int:
        return fold_share(url, 0, 1)

    found = [await measured("orders folded", alone)]
    with ProcessPoolExecutor(2, get_context("spawn"), collect_seldom) as pool:
        await fold_together(url, pool, 2)
        found.append(await measured("orders folded, two processes", partial(fold_together, url, pool, 2)))
    found[-1]["cpu_us"] = None  # the kernel says what a process took when it has ended
    return found


def codec() -> list[Found]:
    """Microseconds to encode an event with its words sealed, and to decode it without keys and with them."""
    found = []
    for story in (kit.completed(), kit.revision_requested()):
        for event in story.case.new:
            stored = encode(event, RING)
            row = LoggedEvent(1, kit.ORDER_ID, stored.stream_id, stored.stream_version, stored.topic, stored.state)
            took = [
                cpu_of(partial(encode, event, RING)),
                cpu_of(partial(decode, row)),
                cpu_of(partial(decode, row, RING)),
            ]
            words = stored.state.count(b'"sealed":"')
            names = ("encode_us", "decode_us", "decode_with_keys_us")
            found.append({"what": event.type, "words": words, **dict(zip(names, took, strict=True))})
    return list({one["what"]: one for one in found}.values())


def cpu_of(work: Callable[[], object], times: int = 2000, tries: int = 5) -> float:
    """Microseconds of a core: the best of some tries."""
    took = []
    for _ in range(tries):
        began = time.process_time()
        for _ in range(times):
            work()
        took.append((time.process_time() - began) / times * 1e6)
    return round(min(took), 2)


async def big_work(url: str, count: int) -> list[Found]:
    """Folding, catching up, rebuilding."""
    found = await folding(url)
    for name, audit in (("order views caught up", False), ("audit log caught up", True)):
        async with projector(url, audit=audit) as views:

            async def catch_up(views: Projector = views) -> int:
                await views.catch_up()
                return count

            found.append(await measured(name, catch_up))
            for names in [["audit"]] if audit else [ORDER_VIEWS, *([name] for name in ORDER_VIEWS)]:
                title = "rebuilt: " + (names[0] if len(names) == 1 else "all order views")
                found.append(await measured(title, partial(views.rebuild, names)))
            if not audit:
                title = "rebuilt: all order views, two processes"
                found.append(await measured(title, partial(views.rebuild, ORDER_VIEWS, processes=2)))
    return found


async def lag(url: str, rate: int, seconds: float) -> Found:
    """Milliseconds from an acknowledged commit until the order's views have it, at so many commits a second."""
    logs, took = Logs(url), list[float]()
    await logs.open()
    async with projector(url, audit=False) as views:
        await views.catch_up()

        async def wait_for(position: int) -> None:
            began = time.perf_counter()
            if await views.caught_up(0, position, 10):
                took.append((time.perf_counter() - began) * 1000)

        running, waiting = asyncio.create_task(views.run()), []
        began, commits = time.perf_counter(), int(rate * seconds)
        for number, (order, stream, version, topic, state) in enumerate(events(commits, 64)):
            positions = await logs.append(Append(order, (NewEvent(stream, version, topic, state),)))
            if number % 20 == 0:
                waiting.append(asyncio.create_task(wait_for(positions[-1])))
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        achieved = commits / (time.perf_counter() - began)
        await asyncio.gather(*waiting)
        running.cancel()
    await logs.close()
    p99 = quantiles(took, n=100)[98]
    return {
        "what": "lag of live views",
        "commits_per_s": round(achieved),
        "p50_ms": round(median(took), 1),
        "p99_ms": round(p99, 1),
    }


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def shown(title: str, rows: list[Found]) -> None:
    """A table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([_cell(row[name]) if name != "what" else row[name] for name in names] for row in rows)]
    wide = [max(len(line[n]) for line in lines) for n in range(len(names))]
    print(f"\n{title}")
    for line in lines:
        print(
            "  " + "  ".join([line[0].ljust(wide[0]), *(v.rjust(w) for v, w in zip(line[1:], wide[1:], strict=True))])
        )


def main() -> None:
    """Measure on a database of its own, which goes away afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--open", type=int, default=64, help="orders under way at once")
    parser.add_argument("--rate", type=int, default=500, help="commits a second while the lag is measured")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the lag is measured; 0: not at all")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    collect_seldom()  # as the service and the rebuild do
    result: Found = {
        "machine": machine.described(),
        "load_before": machine.load(),
        "events": given.events,
        "open": given.open,
    }
    with tempfile.TemporaryDirectory(prefix="brojobs-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            migrate(server.uri)
            fill(server.uri, given.events, given.open)
            result["codec"] = codec()
            shown("microseconds of a core for one event", result["codec"])
            result["work"] = asyncio.run(big_work(server.uri, given.events))
            shown(f"{given.events:,} events, {given.open:,} orders under way at once", result["work"])
            if given.seconds:
                result["live"] = [asyncio.run(lag(server.uri, given.rate, given.seconds))]
                shown("while events are recorded", result["live"])
    result["load_after"] = machine.load()
    tell(Console(width=110), result, views_table(result), views_verdicts(result), given.output)


if __name__ == "__main__":
    main()
