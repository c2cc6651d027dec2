"""How long after its commit an event shows in the views, while clients send commands as fast as they can.

    python -m benchmarks.lag --clients 32 --seconds 10

Marker orders are placed beside the load; each is then looked for in the table that lists orders, every few
milliseconds. Its event was committed before the answer to the placing arrived, so what is found is at most a few
milliseconds less than the true lag, and never more than the true one plus one look.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import psycopg
from rich.console import Console

from benchmarks import machine
from benchmarks.lives import PRICE, People, command, due_in, words
from benchmarks.load import percentile
from benchmarks.report import lag_table, lag_verdicts, tell
from benchmarks.stage import ROOT, Service, service, stage
from benchmarks.talking import Talker

RESULT: Final = ROOT / "benchmarks" / "results" / "lag.json"
LOOK_SECONDS: Final = 0.002
PAUSE_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 60.0
_THERE: Final = "SELECT EXISTS (SELECT FROM views.order_summary WHERE order_id = %s)"
_out = Console(highlight=False, width=110)


def lags(of: Service, until: float) -> list[float]:
    """Seconds from the answer to a placing until the list of orders has it, one after the other."""
    people, found = People.of(of.folder), []
    placing = {"seller_id": people.sellers[0].id, "title": "x", "brief": words(), "price": PRICE, "due_at": due_in(14)}
    with Talker(of.port) as talker, psycopg.connect(of.database_url, autocommit=True) as connection:
        while time.perf_counter() < until:
            answer = talker.ask(command("/v1/orders", people.buyers[0], placing), b"201")
            began, order_id = time.perf_counter(), json.loads(answer)["order_id"]
            while not _shows(connection, order_id):
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise TimeoutError(f"not in the views after {PATIENCE_SECONDS:.0f} s")
                time.sleep(LOOK_SECONDS)
            found.append(time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)
    return found


def _shows(connection: psycopg.Connection[Any], order_id: str) -> bool:
    row = connection.execute(_THERE, (order_id,)).fetchone()
    return row is not None and bool(row[0])


def under_load(of: Service, clients: int, seconds: float) -> dict[str, Any]:
    """Lags beside so many clients; 0 clients is a quiet service."""
    warm_up, load = 1.0, None
    if clients:
        command_line = [
            *(sys.executable, "-m", "benchmarks.load", "service", "--port", str(of.port), "--folder", str(of.folder)),
            *("--clients", str(clients), "--warm-up", str(warm_up), "--seconds", str(seconds)),
        ]
        load = subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        time.sleep(warm_up + 0.5)  # and the start of the process
    found = sorted(lags(of, time.perf_counter() + seconds - 0.5))
    answered: dict[str, Any] = {"per_second": 0.0, "errors": {}}
    if load is not None:
        answered = json.loads(load.communicate()[0])
    of.settle(PATIENCE_SECONDS)
    return {
        "clients": clients,
        "per_second": answered["per_second"],
        "errors": answered["errors"],
        "samples": len(found),
        "p50_ms": percentile(found, 50) * 1000,
        "p99_ms": percentile(found, 99) * 1000,
        "max_ms": percentile(found, 100) * 1000,
    }


def main() -> None:
    """Measure, show, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[0, 32, 64])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--service-args", default="--workers 1")
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    result: dict[str, Any] = {"machine": machine.described(), "load_before": machine.load()}
    with stage() as on, service(on, shlex.split(given.service_args)) as of:
        result["rows"] = [under_load(of, clients, given.seconds) for clients in given.clients]
    result["load_after"] = machine.load()
    tell(_out, result, lag_table(result), lag_verdicts(result), given.output)


if __name__ == "__main__":
    main()
