"""What gets killed: the service as a deployment runs it, and a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from brojobs_es.api.keys import DevelopmentKey
from brojobs_es.store import embedded

_DEADLINE_SECONDS: Final = 30.0


def children_of(parent: int) -> list[int]:
    """The processes that a process has started and that still run, the oldest first."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(ppid) == parent and state not in {"Z", "X"}:
                    found.append(int(folder.name))
    return sorted(found)


def runs(pid: int) -> bool:
    """Whether a process is there, and not only because nobody has asked how it ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False


def soon(condition: Callable[[], object], seconds: float = _DEADLINE_SECONDS) -> None:
    """Wait until it holds; fails when the time is up."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it does not come to that"
        time.sleep(0.02)


def kill(*pids: int) -> None:
    """End them at once, without a warning to any of them, and wait until they are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    soon(lambda: not any(runs(pid) for pid in pids))


class Town:
    """`brojobs serve`, with keys that tokens are checked with; started again after each time it is killed."""

    def __init__(self, database_url: str, folder: Path, logs: int, workers: int | None = None) -> None:
        self.database_url, self.folder, self.logs, self.workers = database_url, folder, logs, workers
        self.key = DevelopmentKey.in_folder(folder)
        (folder / "jwks.json").write_text(
            json.dumps({"keys": [self.key.public.key._jwk_data | {"kid": self.key.public.kid}]})
        )
        self.url = "http://127.0.0.1:1"
        self.log = folder / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Town:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            kill(self._process.pid, *children_of(self._process.pid))
            self._process.wait()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a command of this deployment is run with."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
        return plain | {
            "BROJOBS_DATABASE_URL": self.database_url,
            "BROJOBS_DATA_DIR": str(self.folder),
            "BROJOBS_JWKS": str(self.folder / "jwks.json"),
            "BROJOBS_LOGS": str(self.logs),
            "BROJOBS_LOG_LEVEL": "warning",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self) -> None:
        """Return when requests are taken."""
        command = [sys.executable, "-m", "brojobs_es.cli", "serve", "--port", "0"]
        if self.workers is not None:
            command += ["--workers", str(self.workers)]
        with self.log.open("ab") as log:
            begins = log.tell()
            self._process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        process = self._process

        def address() -> re.Match[bytes] | None:
            said = self.log.read_bytes()[begins:]
            assert process.poll() is None, f"the service did not start:\n{said.decode(errors='replace')}"
            return re.search(rb"brojobs serves (http://\S+)\n", said)

        soon(address)
        found = address()
        assert found is not None
        self.url = found[1].decode()

    def kill(self) -> None:
        """All of its processes at once."""
        assert self._process is not None
        kill(self._process.pid, *children_of(self._process.pid))
        self._process.wait()

    def kill_one(self, number: int) -> None:
        """One of several processes; another one takes its place."""
        assert self._process is not None
        assert self.workers is not None
        parent, all_of_them = self._process.pid, self.workers + 1
        soon(lambda: len(children_of(parent)) == all_of_them)
        before = children_of(parent)
        kill(before[number % len(before)])
        soon(lambda: len(set(children_of(parent)) - set(before)) == 1)


class Postgres:
    """A server in a folder of its own, with its usual settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = embedded.start(folder)
        self.uri = self._server.uri

    @property
    def _postmaster(self) -> int:
        file = self._folder / "postgresql" / str(embedded.MAJOR) / "postmaster.pid"
        return int(file.read_text().partition("\n")[0])

    def kill(self) -> None:
        """The server and all that it has started, at once."""
        postmaster = self._postmaster
        kill(postmaster, *children_of(postmaster))
        self._server.close()

    def kill_one(self, number: int) -> None:
        """One of its processes; the server notices, ends all the others and starts anew by itself."""
        processes = children_of(self._postmaster)
        kill(processes[number % len(processes)])

    def start(self) -> None:
        """Return when it has recovered."""
        self._server = embedded.start(self._folder)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """One that nobody else uses."""
    server = Postgres(folder)
    try:
        yield server
    finally:
        with contextlib.suppress(FileNotFoundError):
            server.kill()
