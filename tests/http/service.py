"""Service processes for tests: the real one, over a real socket, in sandbox mode, on a database of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from brojobs_es.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
MAX_FILE_BYTES: Final = 100_000
COMMISSION_BPS: Final = 1_000
STOP_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Service:
    """A running process: its address, its database and its data folder."""

    url: str
    database_url: str
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def failures(self) -> str:
        """What the process logged: warnings and worse, with their tracebacks."""
        return self.log.read_text(errors="replace")


def _environment(database_url: str, folder: Path, commission_bps: int) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    ours = {
        "BROJOBS_DATABASE_URL": database_url,
        "BROJOBS_LOGS": os.environ.get("BROJOBS_LOGS", "1"),
        "BROJOBS_DATA_DIR": str(folder),
        "BROJOBS_MAX_FILE_BYTES": str(MAX_FILE_BYTES),
        "BROJOBS_COMMISSION_BPS": str(commission_bps),
        "BROJOBS_PUBLIC_URL": "https://orders.example",
        "BROJOBS_LOG_LEVEL": "warning",
        "PYTHONPATH": str(ROOT / "src"),
    }
    return plain | ours


@contextlib.contextmanager
def service(
    database_url: str, folder: Path, *, scheduler: bool = True, commission_bps: int = COMMISSION_BPS
) -> Iterator[Service]:
    """A process of its own; several may share a database and a folder (files, key of the sandbox)."""
    mode = "scheduler" if scheduler else "no-scheduler"
    with _process(_environment(database_url, folder, commission_bps), folder, mode) as made:
        yield made


@contextlib.contextmanager
def worker(database_url: str, folder: Path) -> Iterator[Service]:
    """A process that keeps views up to date and fires timers by the machine's clock, and answers nobody."""
    with _process(_environment(database_url, folder, COMMISSION_BPS), folder, "worker") as made:
        yield made


@contextlib.contextmanager
def _process(environment: dict[str, str], folder: Path, mode: str) -> Iterator[Service]:
    with tempfile.NamedTemporaryFile(prefix="service-", suffix=".log", delete=False, dir=folder) as log:
        command = [sys.executable, __file__, mode]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, bufsize=0)
    try:
        url = environment["BROJOBS_DATABASE_URL"]
        yield Service(_address(process, Path(log.name)), url, folder, Path(log.name), process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(b"http"), f"the service did not start:\n{log.read_text(errors='replace')}"
    return line.decode().strip()


def main() -> None:
    """Serve until SIGTERM; prints the address once requests are taken."""
    import uvloop

    from brojobs_es import bootstrap
    from brojobs_es.settings import Settings

    settings = Settings.from_environment()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock, bootstrap.database(settings) as url:
        if sys.argv[1] == "worker":
            uvloop.run(_work(settings, url))
        else:
            uvloop.run(_serve(settings, url, sock, scheduler=sys.argv[1] == "scheduler"))


async def _work(settings: Settings, url: str) -> None:
    from brojobs_es import bootstrap

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with bootstrap.running(settings, url):
        sys.stdout.write("http://nowhere\n")
        sys.stdout.flush()
        await stop.wait()


async def _serve(settings: Settings, url: str, sock: socket.socket, *, scheduler: bool) -> None:
    import uvicorn

    from brojobs_es import bootstrap
    from brojobs_es.api.app import create_app

    async with bootstrap.running(settings, url, sandbox=True) as runtime:
        runtime.scheduler.running = scheduler
        config = uvicorn.Config(
            create_app(runtime), http="httptools", log_config=None, access_log=False, timeout_keep_alive=75
        )
        sys.stdout.write(f"http://127.0.0.1:{sock.getsockname()[1]}\n")  # who connects now waits in the backlog
        sys.stdout.flush()
        await uvicorn.Server(config).serve([sock])


if __name__ == "__main__":
    main()
