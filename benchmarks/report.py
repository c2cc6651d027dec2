"""Tables of what was measured: for the terminal, and as Markdown between the markers of the documentation.

python -m benchmarks.report        puts benchmarks/results/*.json into README.md and docs/explanation/performance.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "explanation" / "performance.md")
NAMES: Final = {
    "service": "this service, everything on",
    "library": "plain `eventsourcing` + FastAPI",
    "pgbench": "pgbench, one such row a transaction",
    "constant": "FastAPI answering a constant",
}
HEADERS: Final = ("clients", "what", "commands/s", "p50 ms", "p99 ms", "× library", "of pgbench", "CPU µs")

Result = dict[str, Any]


def chosen(result: Result, target: str, clients: int) -> list[dict[str, Any]]:
    """The runs of one target with so many clients, by round."""
    runs = (run for run in result["runs"] if run["target"] == target and run["clients"] == clients)
    return sorted(runs, key=lambda run: run["round"])


def middle(result: Result, target: str, clients: int, field: str) -> float | None:
    """The median of a field over the rounds; None where nothing was measured."""
    runs = chosen(result, target, clients)
    return median(run[field] for run in runs) if runs else None


def ratio(result: Result, target: str, other: str, clients: int) -> float | None:
    """The median of the rounds' own ratios of commands a second."""
    pairs = list(zip(chosen(result, target, clients), chosen(result, other, clients), strict=False))
    return median(one["per_second"] / two["per_second"] for one, two in pairs) if pairs else None


def rows(result: Result, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """The cells of the table, in the order of HEADERS; `names` says what a target is called."""
    for clients in sorted({run["clients"] for run in result["runs"]}):
        for target, name in names.items():
            runs = chosen(result, target, clients)
            if not runs:
                continue
            rate, p50, p99 = (middle(result, target, clients, field) for field in ("per_second", "p50_ms", "p99_ms"))
            yield (
                str(clients), name, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}",
                _shown(ratio(result, target, "library", clients), "{:.1f}"),
                _shown(ratio(result, target, "pgbench", clients), "{:.0%}"),
                _cost(runs),
            )  # fmt: skip


def _cost(runs: list[dict[str, Any]]) -> str:
    costs = [
        f"{median(run['cores'][part] / run['per_second'] for run in runs) * 1e6:,.0f}"
        if part in runs[0]["cores"]
        else "–"
        for part in ("server", "postgresql")
    ]
    return " + ".join(costs)


def _shown(value: float | None, pattern: str) -> str:
    return pattern.format(value) if value is not None else "–"


def console_table(result: Result) -> Table:
    """The table for a terminal."""
    table = Table(caption=_caption(result))
    for header in HEADERS:
        table.add_column(header, justify="left" if header == "what" else "right")
    clients = ""
    for row in rows(result, {target: target for target in NAMES}):
        if clients and row[0] != clients:
            table.add_section()
        clients = row[0]
        table.add_row(*row)
    return table


def _caption(result: Result) -> str:
    machine, how = result["machine"], result["how"]
    return (
        f"{machine['date'][:10]}, {machine['cores']} cores ({machine['processor']}) for load, service and database "
        f"together; medians of {how['rounds']} rounds of {how['seconds']:g} s that took turns; "
        f"load average {result['load_before']} before, {result['load_after']} after. "
        "CPU µs: what one command costs in the server and in the database"
    )


def verdicts(result: Result) -> Iterator[str]:
    """What was asked for, what was found."""
    for clients, least, goal in ((1, 2.0, None), (32, 10.0, 25.0), (64, 10.0, 25.0)):
        found = ratio(result, "service", "library", clients)
        yield from _verdict(f"{clients} clients, × the library", found, least, goal)
    for clients in (32, 64):
        yield from _verdict(
            f"{clients} clients, part of pgbench's rate", ratio(result, "service", "pgbench", clients), 0.25, 0.6
        )
    yield from _verdict("32 clients, p99 in ms", middle(result, "service", 32, "p99_ms"), 30, 10, less=True)
    runs = result["runs"]
    load = max((run["cores"].get("load", 0.0) for run in runs), default=0.0)
    errors = sum(sum(run["errors"].values()) for run in runs)
    yield f"errors: {errors}; the load generator used at most {load:.2f} of a core"


def _verdict(what: str, found: float | None, wanted: float, goal: float | None, *, less: bool = False) -> Iterator[str]:
    if found is None:
        return
    sign = -1 if less else 1
    word = "holds" if sign * found >= sign * wanted else "MISSES"
    beyond = "" if goal is None else f"; goal {goal:g} {'reached' if sign * found >= sign * goal else 'not reached'}"
    yield f"{what}: {found:.2f} {word} {'≤' if less else '≥'} {wanted:g}{beyond}"


def markdown(result: Result) -> str:
    """The table for a page."""
    lines = [f"| {' | '.join(HEADERS)} |", "|" + "---|" * len(HEADERS)]
    lines += [f"| {' | '.join(row)} |" for row in rows(result, NAMES)]
    return "\n".join([*lines, "", _caption(result) + "."])


SECTIONS: Final = {"commands": markdown}
"""By the name of the result file; a page has `<!-- measured: NAME -->` … `<!-- end -->` around each."""


def refreshed(page: str, name: str, table: str) -> str:
    """The page with the table between its markers; unchanged where it has none of that name."""
    marked = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)


def main() -> None:
    """Put every result that there is into the pages."""
    for name, table in SECTIONS.items():
        file = RESULTS / f"{name}.json"
        if not file.exists():
            print(f"{name}: not measured yet")
            continue
        text = table(json.loads(file.read_text(encoding="utf-8")))
        for page in PAGES:
            page.write_text(refreshed(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")
        print(f"{name}: written")


if __name__ == "__main__":
    main()
