"""Whether the memory of the service is bounded: how large its processes are as more and more orders are touched.

    python -m benchmarks.memory                        a million orders, as fast as the service takes them
    python -m benchmarks.memory --orders 50000         a first look

Every client places orders, each buyer 20 of them and then somebody new with a token and keys of their own, and after
each placing reads some order placed long before. So whatever the service remembers of orders, people and tokens has
to let go of something to take in the next.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from rich.console import Console

from benchmarks import machine
from benchmarks.cpu import resident_bytes
from benchmarks.lives import PRICE, Life, Person, Step, as_person, command, due_in, field, get, words
from benchmarks.load import run
from benchmarks.report import memory_table, memory_verdicts, tell
from benchmarks.stage import ROOT, Service, service, stage
from brojobs_es.api.keys import DevelopmentKey

RESULT: Final = ROOT / "benchmarks" / "results" / "memory.json"
ORDERS_OF_A_BUYER: Final = 20
REMEMBERED: Final = 200_000
"""Of how many placed orders the clients know the ids; the reading takes any of them."""

_out = Console(highlight=False, width=110)


class Touching:
    """Lives of buyers who place orders and look at older ones; counts the orders."""

    def __init__(self, folder: Path) -> None:
        self._key = DevelopmentKey.in_folder(folder)
        self._seller = f"seller-{secrets.token_hex(4)}"
        self._operator = self._person("operator")
        self._ids: list[str] = []
        self.orders = 0

    def _person(self, role: str) -> Person:
        return Person.signed(f"{role}-{secrets.token_hex(8)}", role, self._key)

    def life(self) -> Life:
        """One buyer's orders."""
        buyer, due_at = self._person("buyer"), due_in(14)
        placing = {"seller_id": self._seller, "title": "Un logo", "price": PRICE, "due_at": due_at}
        for _ in range(ORDERS_OF_A_BUYER):
            answer = yield Step("place", command("/v1/orders", buyer, placing | {"brief": words()}), b"201")
            self._remember(field(answer, "order_id", 36))
            reading = get(f"/v1/orders/{random.choice(self._ids)}", as_person(self._operator))
            yield Step("read", reading, is_command=False)

    def _remember(self, order_id: str) -> None:
        self.orders += 1
        if len(self._ids) < REMEMBERED:
            self._ids.append(order_id)
        else:
            self._ids[random.randrange(REMEMBERED)] = order_id


def sampled(
    of: Service, orders: int, clients: int, chunk_seconds: float, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Resident memory after each stretch of load, until so many orders were touched."""
    touching = Touching(of.folder)
    rows = [{"orders": 0, "resident_mb": resident_bytes(of.pid) / 1e6, "per_second": 0.0}]
    while touching.orders < orders:
        outcome = uvloop.run(run(touching.life, of.port, clients, 0.0, chunk_seconds, {}))
        if outcome.errors:
            raise RuntimeError(f"{outcome.errors} {outcome.samples}")
        row = {
            "orders": touching.orders,
            "resident_mb": resident_bytes(of.pid) / 1e6,
            "per_second": outcome.per_second,
        }
        rows.append(row)
        tell(f"{row['orders']:>9,.0f} orders  {row['resident_mb']:6.0f} MB  {row['per_second']:,.0f} placed a second")
    return rows


def growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Medians of resident memory early after the warm-up (the first fifth) and at the end, in MB, and what it grew."""
    last = rows[-1]["orders"]

    def middle(start: float, end: float) -> float:
        stretch: list[float] = [row["resident_mb"] for row in rows if start * last <= row["orders"] <= end * last]
        return median(stretch) if stretch else float(rows[-1]["resident_mb"])

    early, late = middle(0.2, 0.4), middle(0.8, 1.0)
    return {"early_mb": early, "late_mb": late, "ratio": late / early}


def main() -> None:
    """Measure, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--chunk-seconds", type=float, default=5.0, help="between two looks at the memory")
    parser.add_argument("--service-args", default="")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine.described(), "load_before": machine.load()}
    with stage() as on, service(on, shlex.split(given.service_args)) as of:
        result["rows"] = sampled(of, given.orders, given.clients, given.chunk_seconds, _out.print)
    result |= {"growth": growth(result["rows"]), "load_after": machine.load()}
    tell(_out, result, memory_table(result), memory_verdicts(result), given.output)


if __name__ == "__main__":
    main()
