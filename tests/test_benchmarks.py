"""The benchmarks still run, and count what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.load import percentile
from benchmarks.memory import growth
from benchmarks.report import ratio, refreshed

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0), (1, 1.0), (0.5, 1.0)])
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of a hundred values the ninety-ninth is exceeded by one."""
    assert percentile([float(number) for number in range(1, 101)], percent) == expected


def test_a_ratio_compares_runs_of_the_same_round() -> None:
    """A round in which everything was slow moves no ratio."""
    rates = {"service": [100.0, 10.0, 120.0], "library": [50.0, 5.0, 40.0]}
    runs = [
        {"target": target, "clients": 1, "round": number, "per_second": rate}
        for target, found in rates.items()
        for number, rate in enumerate(found)
    ]

    assert ratio({"runs": runs}, "service", "library", 1) == 2.0


def test_memory_that_grows_all_the_time_is_not_flat() -> None:
    """The last fifth is compared with the second, so that what is taken at the start counts for nothing."""
    grown = [{"orders": n * 100, "resident_mb": 100.0 + n} for n in range(11)]
    settled = [{"orders": n * 100, "resident_mb": 100.0 if n else 10.0} for n in range(11)]

    assert growth(grown)["ratio"] == pytest.approx(109 / 103)
    assert growth(settled)["ratio"] == 1.0


def test_a_table_goes_between_its_markers_only() -> None:
    """The rest of the page stays, and so do other tables."""
    page = "a\n<!-- measured: x -->\nold\n<!-- end -->\nb\n<!-- measured: y -->\nkept\n<!-- end -->\n"

    assert refreshed(page, "x", "new") == page.replace("old", "new")


def test_everything_that_is_compared_can_be_measured(tmp_path: Path) -> None:
    """All of it starts, takes commands without an error, and stops."""
    output = tmp_path / "commands.json"
    options = ["--clients", "2", "--seconds", "0.5", "--warm-up", "0.2", "--rounds", "1", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.commands", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    runs = {run["target"]: run for run in json.loads(output.read_text())["runs"]}
    assert runs.keys() == {"service", "fileless", "library", "pgbench", "constant"}
    assert all(run["commands"] > 0 and not run["errors"] for run in runs.values())


def test_the_path_of_a_command_can_be_measured() -> None:
    """Each kind of command of a life is named with its microseconds, and all of them together."""
    options = ["--lives", "50", "--rest", "0.0001"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.path", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    kinds = [line.rsplit(maxsplit=2)[0] for line in done.stdout.splitlines()]
    assert kinds == [
        *("place", "confirm-payment", "post-message", "request-cancellation", "accept-cancellation"),
        "a command",
    ]
