"""The embedded server: shared by processes, stopped by the last, and none the worse for being killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brojobs_es.store import embedded

HOLD = """
import sys
from pathlib import Path
from brojobs_es.store import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.uri, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="brojobs-embedded-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    with embedded.start(folder):  # the last user stops what a test has left running
        pass
    shutil.rmtree(folder)


def one(uri: str, query: str) -> object:
    with psycopg.connect(uri, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def reachable(uri: str) -> bool:
    try:
        return one(uri, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def holder(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_it_is_a_plain_server_that_keeps_its_promises(data_dir: Path) -> None:
    """PostgreSQL 18, UTF-8, everything flushed to disk, no network, not reachable by other users of the machine."""
    with embedded.start(data_dir) as server:
        wanted = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "listen_addresses": ""}
        wanted |= {"server_encoding": "UTF8", "data_checksums": "on"}
        assert {name: one(server.uri, f"SHOW {name}") for name in wanted} == wanted
        assert int(str(one(server.uri, "SHOW server_version_num"))) // 10_000 == embedded.MAJOR
        socket_dir = Path(str(one(server.uri, "SHOW unix_socket_directories")))
        assert socket_dir.stat().st_mode & 0o077 == 0
    assert not reachable(server.uri)


def test_data_outlives_the_server(data_dir: Path) -> None:
    """Stopped and started again, with nothing lost."""
    with embedded.start(data_dir) as server, psycopg.connect(server.uri) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    with embedded.start(data_dir) as server:
        assert one(server.uri, "SELECT n FROM kept") == 42


def test_several_processes_share_it_and_the_last_stops_it(data_dir: Path) -> None:
    """Whoever comes second joins; whoever leaves first stops nothing."""
    first, uri = holder(data_dir)
    second = embedded.start(data_dir)
    assert second.uri == uri
    first.communicate("", timeout=60)
    assert first.returncode == 0
    assert reachable(uri)
    second.close()
    second.close()
    assert not reachable(uri)


def test_processes_that_start_it_at_once(data_dir: Path) -> None:
    """Four processes on a new folder: one prepares it, all use it."""
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    uris = {process.stdout.readline() for process in holders if process.stdout is not None}
    assert len(uris) == 1
    for process in holders:
        process.communicate(b"", timeout=60)
    assert [process.returncode for process in holders] == [0] * 4


def test_a_killed_user_harms_nobody(data_dir: Path) -> None:
    """A kill -9 of a user leaves the server to the others; it is not counted any more, so the last one still stops it."""
    killed, uri = holder(data_dir)
    killed.kill()
    killed.communicate(timeout=60)
    assert reachable(uri)
    with embedded.start(data_dir) as server:
        assert server.uri == uri
    assert not reachable(uri)


def test_a_killed_server_recovers(data_dir: Path) -> None:
    """A kill -9 of the server itself: the next start replays its journal, and what was committed is there."""
    with embedded.start(data_dir) as server:
        with psycopg.connect(server.uri) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n")
        pid = int((data_dir / "postgresql" / "18" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while reachable(server.uri):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with embedded.start(data_dir) as again:
            assert one(again.uri, "SELECT count(*) FROM kept") == 10_000


def test_what_a_killed_server_has_left_is_in_nobodys_way(data_dir: Path) -> None:
    """Its process may still be listed, or its number be another one's by now: PostgreSQL itself would not start."""
    with embedded.start(data_dir) as server:
        pgdata = Path(str(one(server.uri, "SHOW data_directory")))
    user = pgdata.stat().st_uid if os.geteuid() == 0 else None
    other = subprocess.Popen(["sleep", "60"], user=user)
    try:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (pgdata / name).write_text(f"{other.pid}\n{pgdata}\n")
        with embedded.start(data_dir) as again:
            assert reachable(again.uri)
    finally:
        other.kill()
        other.wait()


ELSEWHERE = ["unshare", "-p", "-f", "-i", "-m", "--mount-proc"]
"""As in another container on the same folder: its own processes, its own shared memory."""

SECOND = f"""
from brojobs_es.store import embedded
embedded._CHILDREN_SECONDS = 0.3
{HOLD}"""


def test_a_second_server_from_another_container_is_refused(data_dir: Path) -> None:
    """It cannot see the first one, which would lose what it writes: it gives up and says why, and the first one works on."""
    if shutil.which("unshare") is None or subprocess.run([*ELSEWHERE, "true"], check=False).returncode != 0:
        pytest.skip("only where processes may be put into namespaces of their own")
    with embedded.start(data_dir) as server, psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        pid_file = (data_dir / "postgresql" / "18" / "postmaster.pid").read_text()

        second = subprocess.run(
            [*ELSEWHERE, sys.executable, "-c", SECOND, str(data_dir)],
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

        assert second.returncode == 1
        assert "perhaps in another container" in second.stderr
        assert (data_dir / "postgresql" / "18" / "postmaster.pid").read_text() == pid_file
        connection.execute("INSERT INTO kept VALUES (2)")
        connection.execute("CHECKPOINT")
        assert one(server.uri, "SELECT count(*) FROM kept") == 2
    with embedded.start(data_dir) as again:
        assert one(again.uri, "SELECT count(*) FROM kept") == 2


def test_a_long_path_gets_its_socket_elsewhere(data_dir: Path) -> None:
    """The system limits the length of a socket's path; the folder for it is closed to others as well."""
    deep = data_dir / ("a-rather-long-name-" * 5) / ("and-another-" * 5)
    deep.mkdir(parents=True)
    with embedded.start(deep) as server:
        socket_dir = Path(str(one(server.uri, "SHOW unix_socket_directories")))
        assert not socket_dir.is_relative_to(deep)
        assert socket_dir.stat().st_mode & 0o077 == 0
    socket_dir.rmdir()


def test_a_folder_with_a_space(data_dir: Path) -> None:
    """Names are passed on as they are."""
    with embedded.start(data_dir / "my data") as server:
        assert reachable(server.uri)


def test_a_start_that_fails_says_why(data_dir: Path) -> None:
    """The error carries the end of the server's log."""
    with embedded.start(data_dir):
        pass
    settings = data_dir / "postgresql" / "18" / "postgresql.conf"
    original = settings.read_text()
    settings.write_text(original + "\nno_such_setting = on\n")
    with pytest.raises(embedded.EmbeddedPostgresError, match="no_such_setting"):
        embedded.start(data_dir)
    settings.write_text(original)
