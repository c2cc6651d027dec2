from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.console.running import address, first_line, started
from typer.testing import CliRunner

from brojobs_es.cli import app


def status(url: str) -> int:
    return httpx.get(url, timeout=10).status_code


def get(url: str) -> dict[str, object]:
    found: dict[str, object] = httpx.get(url, timeout=10).json()
    return found


@pytest.fixture
def sandbox(clean_logs: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(clean_logs, tmp_path, "serve", "--sandbox", "--port", "0") as process:
        yield process


def test_it_says_where_its_pages_are_and_stops_when_asked(sandbox: subprocess.Popen[str]) -> None:
    """The pages answer; SIGTERM ends it within five seconds, in order, with exit code 0."""
    url = address(sandbox)
    assert [status(f"{url}{path}") for path in ("/docs", "/healthz", "/v1/sandbox/clock")] == [200, 200, 200]

    began = time.monotonic()
    sandbox.send_signal(signal.SIGTERM)
    assert sandbox.stdout is not None
    rest = sandbox.stdout.read()

    assert sandbox.wait(5) == 0
    assert time.monotonic() - began < 5
    assert f"{url}/docs" in rest
    assert f"{url}/healthz" in rest
    assert rest.endswith("stopped\n")
    assert "Traceback" not in rest


def test_a_connection_that_stays_open_does_not_hold_it_up(sandbox: subprocess.Popen[str]) -> None:
    """A client that has sent half a request is not waited for longer than the grace."""
    host, port = address(sandbox).removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(0.2)
        sandbox.send_signal(signal.SIGTERM)

        assert sandbox.wait(5) == 0


def test_the_sandbox_is_never_on_by_default(clean_logs: str, tmp_path: Path) -> None:
    """No variable opens it: without the flag there are neither tokens nor a clock."""
    wishes = {"BROJOBS_SANDBOX": "1", "SANDBOX": "true", "BROJOBS_SERVE_SANDBOX": "1"}
    with started(clean_logs, tmp_path, "serve", "--port", "0", BROJOBS_LOG_LEVEL="error", **wishes) as process:
        url = address(process)

        assert status(f"{url}/v1/sandbox/clock") == 404
        assert status(f"{url}/healthz") == 200
        assert process.stdout is not None
        assert "BROJOBS_JWKS is not set" in "".join(process.stdout.readline() for _ in range(4))


def test_without_its_scheduler_it_leaves_timers_alone(clean_logs: str, tmp_path: Path) -> None:
    """The sandbox's own clock page says that timers do not run."""
    with started(clean_logs, tmp_path, "serve", "--sandbox", "--no-scheduler", "--port", "0") as process:
        assert get(f"{address(process)}/v1/sandbox/clock")["run_timers"] is False


def test_a_taken_port_is_one_calm_line() -> None:
    """Exit code 2 before any database is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        result = CliRunner().invoke(app, ["serve", "--port", port])

    assert result.exit_code == 2
    assert result.stderr == f"brojobs: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


def test_the_worker_works_and_stops_when_asked(clean_logs: str, tmp_path: Path) -> None:
    """It says that it is there, and SIGTERM ends it in order."""
    with started(clean_logs, tmp_path, "worker") as process:
        assert "at work" in first_line(process)

        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert first_line(process) == "stopped\n"
