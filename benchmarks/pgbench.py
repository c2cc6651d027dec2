"""The ceiling: pgbench inserts one event a transaction into our table without its triggers, as many clients at once."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.cpu import cpu_seconds
from benchmarks.load import percentile
from benchmarks.stage import Stage, pgbench_program
from brojobs_es.store.migrate import migrate

STATE_BYTES: Final = 700
"""About what a message with its sealed words takes."""

_TRIGGERS: Final = ("events_serialise", "events_check")
# No colon in the topic: pgbench would take it for the mark of a variable.
_INSERT: Final = """
INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state)
VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'order-MessagePosted', '\\x{state}'::bytea);
"""


@dataclass(frozen=True)
class Pgbench:
    """A database with the table, and the program."""

    program: str
    stage: Stage
    script: Path

    @classmethod
    def prepared(cls, stage: Stage) -> Pgbench | None:
        """None where there is no pgbench."""
        program = pgbench_program()
        if program is None:
            return None
        url = stage.database("pgbench")
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            for trigger in _TRIGGERS:
                connection.execute(f"DROP TRIGGER {trigger} ON log_0.events".encode())
        script = stage.folder / "insert.sql"
        script.write_text(_INSERT.format(state="61" * STATE_BYTES))
        return cls(program, stage, script)

    def run(self, clients: int, seconds: int) -> dict[str, Any]:
        """One run in the shape of the load generator's outcome; rows inserted count as commands."""
        prefix = self.stage.folder / "pgbench-log"
        command = [
            *(self.program, "-n", "-M", "prepared", "-f", str(self.script)),
            *("-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds)),
            *("-l", f"--log-prefix={prefix}", "-h", self.stage.socket_folder, "-U", "postgres", "pgbench"),
        ]
        server = self.stage.postgresql_pid
        before, began = cpu_seconds(server), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = time.perf_counter() - began
        time.sleep(0.2)  # until the server has counted its ended backends
        used = cpu_seconds(server) - before
        if done.returncode != 0:
            raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
        rate = float(done.stdout.partition("tps = ")[2].split()[0])
        latencies = []
        for log in self.stage.folder.glob("pgbench-log.*"):
            with log.open() as lines:
                latencies += [int(line.split(maxsplit=3)[2]) / 1e6 for line in lines]
            log.unlink()
        latencies.sort()
        return {
            "clients": clients,
            "seconds": took,
            "commands": len(latencies),
            "per_second": rate,
            "p50_ms": percentile(latencies, 50) * 1000,
            "p99_ms": percentile(latencies, 99) * 1000,
            "max_ms": percentile(latencies, 100) * 1000,
            "errors": {},
            "cores": {"postgresql": used / took},
        }
