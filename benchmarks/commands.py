"""Commands a second and their latency: our service with everything on, the plain library, pgbench, a constant route.

    python -m benchmarks.commands                                   all of it, in turns; about seven minutes
    python -m benchmarks.commands --seconds 2 --rounds 1            a first look, under 90 seconds
    python -m benchmarks.commands --only service --clients 64       one of them

Rounds take turns (A B C …, … C B A), so that what drifts hits all alike; ratios are of the same round, and medians are
over the rounds. A run of all is written to benchmarks/results/commands.json; `python -m benchmarks.report` puts it
into the documentation.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks import machine
from benchmarks.pgbench import Pgbench
from benchmarks.report import console_table, tell, verdicts
from benchmarks.stage import ROOT, Server, Service, Stage, constant_route, library_peer, service, stage

TARGETS: Final = ("service", "fileless", "library", "pgbench", "constant")
RESULT: Final = ROOT / "benchmarks" / "results" / "commands.json"
SETTLE_SECONDS: Final = 60.0

Measure = Callable[[int], dict[str, Any]]
_out = Console(highlight=False, width=110)


def load(target: str, server: Server, on: Stage, clients: int, warm_up: float, seconds: float) -> dict[str, Any]:
    """One run of the load generator, in a process of its own."""
    command = [
        *(sys.executable, "-m", "benchmarks.load", target, "--port", str(server.port), "--clients", str(clients)),
        *("--warm-up", str(warm_up), "--seconds", str(seconds)),
        *("--watch", f"server={server.pid}", "--watch", f"postgresql={on.postgresql_pid}"),
    ]
    if isinstance(server, Service):
        command += ["--folder", str(server.folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    outcome: dict[str, Any] = json.loads(done.stdout)
    if isinstance(server, Service):
        outcome["behind_at_end"] = server.behind()
        outcome["settled_after_seconds"] = server.settle(SETTLE_SECONDS)
    return outcome


def measures(given: argparse.Namespace, on: Stage, stack: contextlib.ExitStack) -> dict[str, Measure]:
    """What to measure with so many clients, by name; everything that is needed is started."""
    found: dict[str, Measure] = {}

    def add(target: str, server: Server) -> None:
        found[target] = lambda clients: load(target, server, on, clients, given.warm_up, given.seconds)

    of_service = [target for target in ("service", "fileless") if target in given.only]
    if of_service:
        server = stack.enter_context(service(on, shlex.split(given.service_args)))
        for target in of_service:
            add(target, server)
    if "library" in given.only:
        add("library", stack.enter_context(library_peer(on)))
    if "pgbench" in given.only:
        pgbench = Pgbench.prepared(on)
        if pgbench is None:
            _out.print("pgbench is not there: SKIPPED, and no ceiling is claimed")
        else:
            found["pgbench"] = lambda clients: pgbench.run(clients, max(1, round(given.seconds)))
    if "constant" in given.only:
        add("constant", stack.enter_context(constant_route(on)))
    return found


def play(given: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs, in the order in which they took place."""
    runs = []
    with stage() as on, contextlib.ExitStack() as stack:
        found = measures(given, on, stack)
        for clients in given.clients:
            for number in range(given.rounds):
                for target in list(found) if number % 2 == 0 else reversed(found):
                    run = {"target": target, "round": number, **found[target](clients)}
                    runs.append(run)
                    _out.print(_line(run), soft_wrap=True)
                    for sample in run.get("samples", []):
                        _out.print(f"    {sample}", style="red", markup=False, soft_wrap=True)
    return runs


def _line(run: dict[str, Any]) -> str:
    cores = ", ".join(f"{name} {used:.2f}" for name, used in run["cores"].items())
    return (
        f"{run['target']:9} {run['clients']:3} clients, round {run['round'] + 1}: {run['per_second']:8,.0f}/s  "
        f"p50 {run['p50_ms']:6.2f} ms  p99 {run['p99_ms']:6.2f} ms  errors {sum(run['errors'].values())}  cores: {cores}"
    )


def main() -> None:
    """Measure, show, and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32, 64])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each run")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before that in each run")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--service-args", default="--workers 1", help='more of `brojobs serve`, like "--workers 2"')
    parser.add_argument("--output", type=Path, help=f"by default {RESULT.relative_to(ROOT)}, if all are measured")
    given = parser.parse_args()
    output = given.output or (RESULT if set(given.only) == set(TARGETS) else None)
    result: dict[str, Any] = {"machine": machine.described(), "load_before": machine.load()}
    result["how"] = {
        "rounds": given.rounds, "seconds": given.seconds, "warm_up": given.warm_up, "service_args": given.service_args,
    }  # fmt: skip
    result["runs"] = play(given)
    result["load_after"] = machine.load()
    tell(_out, result, console_table(result), verdicts(result), output)
    if any(run["errors"] for run in result["runs"]):
        sys.exit("there were errors: the figures do not count")


if __name__ == "__main__":
    main()
