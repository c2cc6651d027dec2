"""How the service reaches the database: connections that take a role, and errors that say what is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Final, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from brojobs_es.application.records import StoreUnavailable

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0

_SETTINGS: Final = {
    "TimeZone": "UTC",
    "lock_timeout": "10s",
    "statement_timeout": "60s",
    # A client that hangs inside a transaction would hold up every append.
    "idle_in_transaction_session_timeout": "30s",
    # Every query looks rows up by an index. Plans are kept, and a plan for a log that was small when it was made would
    # read all of it for each batch, until the database's statistics come round.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_NO_POOL: Final = (PoolTimeout, TooManyRequests, PoolClosed)


def conninfo(url: str, role: str, **limits: str) -> str:
    """The URL with a role, UTC and time limits that each connection has from its first moment.

    They belong to the connection, not to a transaction: nothing is set later that the next user of a pooled connection
    could inherit, and no round trip is spent on them. Options in the URL win over the limits, never over the role.
    """
    given = conninfo_to_dict(url)
    options = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, **limits}.items())
    given["options"] = f"{options} {given.get('options') or ''} -c role={role}"  # the last one counts
    given.setdefault("connect_timeout", 5)
    given.setdefault("application_name", role)
    given.setdefault("keepalives_idle", 10)
    given.setdefault("keepalives_interval", 5)
    given.setdefault("keepalives_count", 3)
    return make_conninfo("", **given)


def pool(
    target: str, most: int, patience_seconds: float, *, least: int = 1
) -> AsyncConnectionPool[AsyncConnection[TupleRow]]:
    """From `least` to `most` connections, not opened yet.

    A connection that cannot be made is tried again ever more seldom, and after the patience no more until somebody
    needs it: otherwise the pool would sleep on, after a long outage, for as long as that has taken.
    """
    return AsyncConnectionPool(
        target,
        min_size=least,
        max_size=most,
        timeout=patience_seconds,
        reconnect_timeout=patience_seconds,
        kwargs={"autocommit": True},
        open=False,
    )


def is_lost(error: psycopg.Error, connection: AsyncConnection[TupleRow]) -> bool:
    """Whether the connection is gone, so that the error doesn't say what became of the last statement."""
    return connection.closed or isinstance(error, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown)


def is_temporary(error: psycopg.Error) -> bool:
    """Whether the database answered that it can't now: certainly nothing was stored, and later it may work."""
    if error.sqlstate is not None and error.sqlstate.startswith("53"):  # disk full, out of memory, …: no common class
        return True
    return isinstance(
        error,
        psycopg.errors.LockNotAvailable
        | psycopg.errors.QueryCanceled
        | psycopg.errors.DeadlockDetected
        | psycopg.errors.SerializationFailure
        | psycopg.errors.CannotConnectNow,
    )


class ConnectionLost(StoreUnavailable):
    """The connection died during the work, whose outcome is not known."""


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """End with CancelledError where the task was cancelled inside the block and what it called has swallowed that.

    `asyncio.wait_for`, which the pool uses, does so up to Python 3.11 when its time is up or its event comes at that very
    moment. A loop around it would then go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except Exception:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from None
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


@asynccontextmanager
async def pipelined(connection: AsyncConnection[TupleRow]) -> AsyncIterator[None]:
    """A transaction whose statements don't wait for one another's answers; BEGIN and COMMIT travel with them.

    An answer that is needed within is asked of its cursor. An error of any statement is raised then, or at the end.
    """
    try:
        async with connection.pipeline():
            await connection.execute("BEGIN")
            yield
            await connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            await connection.rollback()
        raise


class Patience:
    """Counts the tries of one piece of work, with growing pauses between them, until the time for it is over."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]], seconds: float) -> None:
        self._pool = pool
        self._give_up = monotonic() + seconds
        self._pause = 0.0

    async def another_try(self) -> bool:
        """Whether to try (again): at once the first time, later after a pause and without the dead connections."""
        if self._pause:
            if monotonic() > self._give_up:
                return False
            await asyncio.sleep(self._pause)
            with cancellation_kept():
                await self._pool.check()
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        return True


class Retrying:
    """Work on a pooled connection, done again on another one where the connection was lost, as long as patience lasts."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]], patience_seconds: float) -> None:
        self._pool = pool
        self.patience_seconds = patience_seconds

    async def settle(self) -> None:
        """Give the database a moment after a connection was lost, and drop the dead ones of the pool."""
        patience = self.patience()
        await patience.another_try()
        await patience.another_try()

    def patience(self) -> Patience:
        """For one piece of work: how long it may be tried again."""
        return Patience(self._pool, self.patience_seconds)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """One connection, one try: raises StoreUnavailable, or ConnectionLost once work on it had begun."""
        connection: AsyncConnection[TupleRow] | None = None
        try:
            with cancellation_kept():
                connection = await self._pool.getconn()
        except asyncio.CancelledError:
            if connection is not None:
                await self._pool.putconn(connection)
            raise
        except (*_NO_POOL, psycopg.OperationalError) as error:
            raise StoreUnavailable(f"no connection to the database: {error}") from error
        try:
            yield connection
        except psycopg.errors.ReadOnlySqlTransaction as error:
            await connection.close()  # a former leader: the next connection finds the new one
            raise ConnectionLost(str(error)) from error
        except psycopg.Error as error:
            if is_lost(error, connection):
                raise ConnectionLost(str(error)) from error
            if is_temporary(error):
                raise StoreUnavailable(str(error)) from error
            raise
        finally:
            await self._pool.putconn(connection)

    async def run(self, work: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]) -> T:
        """Do work that may safely be done twice."""
        patience = self.patience()
        while await patience.another_try():
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except ConnectionLost:
                continue
        raise StoreUnavailable("the connection to the database was lost again and again")
