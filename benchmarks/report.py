"""Tables of what was measured: for the terminal, and as Markdown between the markers of the documentation.

python -m benchmarks.report        puts benchmarks/results/*.json into README.md and docs/explanation/performance.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "explanation" / "performance.md")
NAMES: Final = {
    "service": "this service, everything on",
    "fileless": "this service, lives without a file",
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
    return plain_table(HEADERS, rows(result, {target: target for target in NAMES}), _caption(result))


def _ran_on(result: Result) -> str:
    machine = result["machine"]
    return (
        f"{machine['date'][:10]}, {machine['cores']} cores ({machine['processor']}) for load, service and database "
        f"together; load average {result['load_before']} before, {result['load_after']} after"
    )


def _caption(result: Result) -> str:
    how = result["how"]
    return (
        f"Medians of {how['rounds']} rounds of {how['seconds']:g} s that took turns; "
        f"CPU µs: what one command costs in the server and in the database. {_ran_on(result)}"
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
    return f"{markdown_table(HEADERS, rows(result, NAMES))}\n\n{_caption(result)}."


def markdown_table(headers: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    """A table for a page."""
    lines = [headers, ["---"] * len(headers), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain_table(headers: Sequence[str], cells: Iterable[Sequence[str]], caption: str) -> Table:
    """A table for a terminal; figures stand on the right."""
    table = Table(caption=caption)
    for header in headers:
        table.add_column(header, justify="left" if header == "what" else "right")
    for row in cells:
        table.add_row(*row)
    return table


HISTORY_HEADERS: Final = ("events of the order", "log", "cold ms", "warm ms", "cold CPU ms", "warm CPU ms", "samples")


def history_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """The cells of the table on length, in the order of HISTORY_HEADERS."""
    found = {(row["order_events"], row["log"], row["state"]): row for row in result["rows"]}
    for length in sorted({row["order_events"] for row in result["rows"]}):
        for log, events in result["log_events"].items():
            if (length, log, "cold") not in found:
                continue
            cold, warm = found[length, log, "cold"], found[length, log, "warm"]
            figures = (f"{each[kind]:.2f}" for kind in ("p50_ms", "cpu_p50_ms") for each in (cold, warm))
            yield f"{length:,}", f"{events:,}", *figures, f"{cold['samples']} + {warm['samples']}"


def history_table(result: Result) -> Table:
    """The table on length for a terminal."""
    return plain_table(HISTORY_HEADERS, history_rows(result), _ran_on(result))


def history_verdicts(result: Result) -> Iterator[str]:
    """What was asked for of long histories, large logs and catching up, and what was found."""
    for field, name in (("p50_ms", "by the clock"), ("cpu_p50_ms", "CPU of the service")):
        warm = {(row["log"], row["order_events"]): row[field] for row in result["rows"] if row["state"] == "warm"}
        longer, larger = warm["large", 10_000] / warm["large", 10], warm["large", 10] / warm["small", 10]
        yield from _verdict(f"an order of 10 000 events : 10, {name}", longer, 1.5, None, less=True)
        yield from _verdict(f"the large log : the small, {name}", larger, 1.2, None, less=True)
    yield from _verdict("catching up, events/s of all views", result["catching_up"].get("views"), 50_000, None)


def history_markdown(result: Result) -> str:
    """The table on length for a page."""
    caught = ", ".join(f"{part} {rate:,.0f} events/s" for part, rate in result["catching_up"].items())
    table = markdown_table(HISTORY_HEADERS, history_rows(result))
    return f"{table}\n\nCatching up with the large log, both at once: {caught}. {_ran_on(result)}."


LAG_HEADERS: Final = ("clients", "commands/s", "lag p50 ms", "lag p99 ms", "lag max ms", "samples")


def lag_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """The cells of the table on lag, in the order of LAG_HEADERS."""
    for row in result["rows"]:
        lags = (f"{row[field]:.1f}" for field in ("p50_ms", "p99_ms", "max_ms"))
        yield str(row["clients"]), f"{row['per_second']:,.0f}", *lags, str(row["samples"])


def lag_table(result: Result) -> Table:
    """The table on lag for a terminal."""
    return plain_table(LAG_HEADERS, lag_rows(result), _ran_on(result))


def lag_verdicts(result: Result) -> Iterator[str]:
    """What was asked for of the lag, and what was found."""
    for row in result["rows"]:
        yield from _verdict(f"{row['clients']} clients, lag p99 in ms", row["p99_ms"], 200, None, less=True)


def lag_markdown(result: Result) -> str:
    """The table on lag for a page."""
    return f"{markdown_table(LAG_HEADERS, lag_rows(result))}\n\n{_ran_on(result)}."


VIEWS_HEADERS: Final = ("what", "events/s", "CPU µs an event")


def views_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """The cells of the table on catching up and rebuilding, in the order of VIEWS_HEADERS."""
    for row in result["work"]:
        yield row["what"], f"{row['events_per_s']:,}", _shown(row["cpu_us"], "{:.1f}")


def views_table(result: Result) -> Table:
    """The table on catching up and rebuilding for a terminal."""
    return plain_table(VIEWS_HEADERS, views_rows(result), _ran_on(result))


def views_verdicts(result: Result) -> Iterator[str]:
    """What was asked for of catching up and folding, and what was found."""
    rates = {row["what"]: row["events_per_s"] for row in result["work"]}
    yield from _verdict("order views caught up, events/s", rates["order views caught up"], 50_000, None)
    for what in ("orders folded", "orders folded, two processes"):
        yield from _verdict(f"{what}, events/s", rates[what], 150_000, None)


def views_markdown(result: Result) -> str:
    """The table on catching up and rebuilding for a page."""
    table = markdown_table(VIEWS_HEADERS, views_rows(result))
    about = f"{result['events']:,} events, {result['open']:,} orders under way at once. {_ran_on(result)}."
    return f"{table}\n\n{about}"


MEMORY_HEADERS: Final = ("orders touched", "resident MB", "placed a second")
_MEMORY_ROWS: Final = 12


def memory_rows(result: Result) -> Iterator[tuple[str, ...]]:
    """About a dozen cells of the table on memory, in the order of MEMORY_HEADERS."""
    found = result["rows"]
    step = max(1, len(found) // _MEMORY_ROWS)
    for row in (*found[:-1:step], found[-1]):
        yield f"{row['orders']:,}", f"{row['resident_mb']:.0f}", f"{row['per_second']:,.0f}"


def memory_table(result: Result) -> Table:
    """The table on memory for a terminal."""
    return plain_table(MEMORY_HEADERS, memory_rows(result), _ran_on(result))


def memory_verdicts(result: Result) -> Iterator[str]:
    """Whether memory is flat: the end beside the time after the warm-up."""
    yield from _verdict("resident, the last fifth : the second", result["growth"]["ratio"], 1.05, None, less=True)


def memory_markdown(result: Result) -> str:
    """The table on memory for a page."""
    grown = "; ".join(memory_verdicts(result))
    return f"{markdown_table(MEMORY_HEADERS, memory_rows(result))}\n\n{grown.capitalize()}. {_ran_on(result)}."


SECTIONS: Final = {
    "commands": markdown,
    "history": history_markdown,
    "views": views_markdown,
    "lag": lag_markdown,
    "memory": memory_markdown,
}
"""By the name of the result file; a page has `<!-- measured: NAME -->` … `<!-- end -->` around each."""


def tell(out: Console, result: Result, table: Table, sentences: Iterable[str], file: Path | None) -> None:
    """Show what was measured, and keep it in a file where there is one."""
    out.print(table)
    for sentence in sentences:
        out.print(sentence, soft_wrap=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        out.print(f"written to {file}")


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
