"""What a command costs as histories and logs grow: one client posts messages, over HTTP.

    python -m benchmarks.history                          10 thousand and 5 million events in the log; long
    python -m benchmarks.history --log-events 200000      a smaller large log

Two services run side by side on two databases, a small log and a large one, with orders of 10 to 100 and of 10 to
10 000 events. Samples take turns between all of them. *Cold* is the first command on an order since the service
started, *warm* any later one. Catching up with the large log is measured on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shlex
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

from rich.console import Console

from benchmarks import machine
from benchmarks.cpu import running_seconds
from benchmarks.filling import fill, lengthen, orders_in_progress, play_life
from benchmarks.lives import People, command, words
from benchmarks.report import history_table, history_verdicts, tell
from benchmarks.stage import ROOT, Service, Stage, service, stage
from benchmarks.talking import Talker

RESULT: Final = ROOT / "benchmarks" / "results" / "history.json"
SMALL_LOG_EVENTS: Final = 10_000
ORDERS: Final = {"small": {10: 100, 100: 30}, "large": {10: 100, 100: 30, 1_000: 10, 10_000: 5}}
"""How many orders of each length a log has: short ones take few more messages before they are longer."""

WARM: Final = {10: 2, 100: 8, 1_000: 20, 10_000: 20}
"""How many further messages each of them gets."""

CATCH_UP_SECONDS: Final = 3_600.0
_out = Console(highlight=False, width=110)


def prepare(on: Stage, name: str, log_events: int, service_args: list[str]) -> dict[UUID, int]:
    """A database of that name with its log filled; its orders with their lengths."""
    lengths = [length for length, count in ORDERS[name].items() for _ in range(count)]
    with service(on, service_args, name=name) as at, Talker(at.port) as talker:
        people = People.of(at.folder)
        life = play_life(talker, people)
        orders = orders_in_progress(talker, people, len(lengths))
    of_length = dict(zip(orders, lengths, strict=True))
    lengthen(at.database_url, of_length, people)
    made = fill(at.database_url, life, log_events, lambda done: print(f"\r{name}: {done:,} events", end="", flush=True))
    print(f"\r{name}: {made:,} events")
    return of_length


class Sample(NamedTuple):
    """Seconds by the clock, and of a core in the service's process."""

    clock: float
    cpu: float


def say(at: Service, talker: Talker, people: People, order_id: UUID) -> Sample:
    """Post a message; what that took."""
    writer = random.choice((people.buyers[0], people.sellers[0]))
    request = command(f"/v1/orders/{order_id}/post-message", writer, {"text": words()})
    before = running_seconds(at.pid)
    talker.ask(request)
    return Sample(talker.seconds, running_seconds(at.pid) - before)


def sample(
    services: dict[str, Service], orders: dict[str, dict[UUID, int]]
) -> dict[tuple[str, int, str], list[Sample]]:
    """Samples by (log, length, cold or warm), in turns over everything."""
    with contextlib.ExitStack() as stack:
        talkers = {name: stack.enter_context(Talker(at.port)) for name, at in services.items()}
        people = {name: People.of(at.folder) for name, at in services.items()}
        cold = [(name, order_id, length) for name, each in orders.items() for order_id, length in each.items()]
        warm = [(name, order_id, length) for name, order_id, length in cold for _ in range(WARM[length])]
        found: dict[tuple[str, int, str], list[Sample]] = {}
        for name, at in services.items():  # connections, code and tokens are warm before anything counts
            first = orders_in_progress(talkers[name], people[name], 1)[0]
            for _ in range(20):
                say(at, talkers[name], people[name], first)
        for state, visits in (("cold", cold), ("warm", warm)):
            random.shuffle(visits)
            for name, order_id, length in visits:
                found.setdefault((name, length, state), []).append(
                    say(services[name], talkers[name], people[name], order_id)
                )
    return found


def caught_up(at: Service) -> dict[str, float]:
    """How many events a second the views and the evidence took while catching up with the whole log."""
    behind, took = at.behind(), at.settle(CATCH_UP_SECONDS)
    return {part: behind[part] / max(took[part], 0.05) for part in took if behind[part]}


def main() -> None:
    """Fill, catch up, sample, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log-events", type=int, default=5_000_000, help="of the large log")
    parser.add_argument("--service-args", default="")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    arguments = shlex.split(given.service_args)
    sizes = {"small": SMALL_LOG_EVENTS, "large": given.log_events}
    result: dict[str, Any] = {"machine": machine.described(), "load_before": machine.load(), "log_events": sizes}
    with stage() as on:
        orders = {name: prepare(on, name, events, arguments) for name, events in sizes.items()}
        with service(on, arguments, name="large") as large:
            result["catching_up"] = caught_up(large)
        with service(on, arguments, name="small") as small, service(on, arguments, name="large") as large:
            small.settle(CATCH_UP_SECONDS)
            found = sample({"small": small, "large": large}, orders)
    result["rows"] = [
        {
            "log": name, "order_events": length, "state": state, "samples": len(taken),
            "p50_ms": median(each.clock for each in taken) * 1000, "max_ms": max(taken).clock * 1000,
            "cpu_p50_ms": median(each.cpu for each in taken) * 1000,
        }
        for (name, length, state), taken in sorted(found.items())
    ]  # fmt: skip
    result["load_after"] = machine.load()
    tell(_out, result, history_table(result), history_verdicts(result), given.output)


if __name__ == "__main__":
    main()
