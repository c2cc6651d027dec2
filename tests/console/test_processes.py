"""Several processes from one: whoever dies is replaced, and when one ends them all, none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.console.running import address, first_line, started, talking
from tests.http.besieged import children_of, kill, runs, soon
from typer.testing import CliRunner

from brojobs_es.cli import app

JOBS = """
import os, signal, sys, time
from brojobs_es.console import processes

processes.RESTART_PAUSE_SECONDS = 0.05

def say(name):
    os.write(1, f"{name} {os.getpid()}\\n".encode())  # in one piece, whoever else speaks

def waiting(name):
    def job():
        say(name)
        time.sleep(600)
    return job

def failing():
    say("failing")
    raise SystemExit(3)

def stopping():
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(600)

processes.run_all(eval(sys.argv[1]))
print("stopped", flush=True)
"""


@pytest.fixture
def two() -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A process that runs the jobs `a` and `b`, and their process ids."""
    with talking([sys.executable, "-c", JOBS, "[waiting('a'), waiting('b')]"]) as process:
        yield process, dict(said(process) for _ in range(2))


def said(process: subprocess.Popen[str]) -> tuple[str, int]:
    name, pid = first_line(process).split()
    return name, int(pid)


def test_one_that_is_killed_is_started_again(two: tuple[subprocess.Popen[str], dict[str, int]]) -> None:
    """The same job in another process, again and again; the other one goes on as it was."""
    process, pids = two
    killed = pids["a"]
    for _ in range(3):
        os.kill(killed, signal.SIGKILL)
        assert "ended with -9" in first_line(process)
        name, again = said(process)
        assert (name, again != killed) == ("a", True)
        killed = again
    assert children_of(process.pid) == sorted([killed, pids["b"]])


def test_one_that_fails_is_started_again() -> None:
    """What it failed with is logged."""
    with talking([sys.executable, "-c", JOBS, "[failing]"]) as process:
        first, lines = said(process), []
        while not (line := first_line(process)).startswith("failing "):
            lines.append(line)
        assert "SystemExit: 3\n" in lines
        assert "ended with 1" in lines[-1]
        assert line != f"failing {first[1]}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_them_all(two: tuple[subprocess.Popen[str], dict[str, int]], number: signal.Signals) -> None:
    """In order: the parent is the last one, and goes on behind the jobs."""
    process, pids = two
    process.send_signal(number)
    assert first_line(process) == "stopped\n"
    assert process.wait(5) == 0
    assert not any(runs(pid) for pid in pids.values())


def test_a_signal_while_they_are_being_started_ends_them_all() -> None:
    """The first one asks for the end before the last one runs: nobody is forgotten."""
    for _ in range(5):
        with talking([sys.executable, "-c", JOBS, "[stopping] + [waiting('late')] * 40"]) as process:
            assert process.wait(10) == 0


def test_the_death_of_the_parent_ends_the_children(two: tuple[subprocess.Popen[str], dict[str, int]]) -> None:
    """Nobody is left to answer for it, or to keep its port."""
    process, pids = two
    process.kill()
    soon(lambda: not any(runs(pid) for pid in pids.values()), 5)


# -- the service


@pytest.fixture
def service(clean_logs: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(clean_logs, tmp_path, "serve", "--workers", "2", "--port", "0") as process:
        yield process


def test_the_service_survives_each_of_its_processes(service: subprocess.Popen[str]) -> None:
    """Two that answer and one for the rest: whichever is killed, requests are answered and soon there are three again."""
    url = address(service)
    soon(lambda: len(children_of(service.pid)) == 3)
    for victim in children_of(service.pid):
        kill(victim)
        assert httpx.get(f"{url}/healthz", timeout=10).status_code == 200
        soon(lambda gone=victim: len(set(children_of(service.pid)) - {gone}) == 3)  # type: ignore[misc]
    soon(lambda: httpx.get(f"{url}/readyz", timeout=10).status_code == 200)


def test_asked_to_stop_all_of_the_service_stops(service: subprocess.Popen[str]) -> None:
    """Within the grace, with one last word, and nobody listens any more."""
    url = address(service)
    children = children_of(service.pid)
    service.send_signal(signal.SIGTERM)
    assert service.stdout is not None
    rest = service.stdout.read()
    assert service.wait(10) == 0
    assert rest.endswith("stopped\n")
    assert rest.count("stopped") == 1
    assert "Traceback" not in rest
    assert not any(runs(pid) for pid in children)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_killed_the_service_leaves_nobody_behind(service: subprocess.Popen[str]) -> None:
    """Whoever starts it again finds the port free."""
    url = address(service)
    children = children_of(service.pid)
    assert len(children) == 3
    service.kill()
    soon(lambda: not any(runs(pid) for pid in children), 10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


@pytest.mark.parametrize("how", [["--workers", "1"], []], ids=["option", "variable"])
def test_a_sandbox_is_one_process(how: list[str], tmp_path: Path) -> None:
    """It has one clock; the refusal is one calm line."""
    environment = {"BROJOBS_DATA_DIR": str(tmp_path), **({} if how else {"BROJOBS_WORKERS": "2"})}
    result = CliRunner().invoke(app, ["serve", "--sandbox", "--port", "0", *how], env=environment)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("brojobs: a sandbox has one clock, and so one process")
