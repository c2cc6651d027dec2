"""Wakes readers when a log has grown. A lost announcement costs only time: readers also look by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, sql

from brojobs_es.store.connections import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS


class Listener:
    """One connection that listens on some channels, for any number of readers of this process.

    It connects when the first reader comes, and again, with growing pauses, whenever its connection dies.
    """

    def __init__(self, conninfo: str, channels: Sequence[str]) -> None:
        self._conninfo = conninfo
        self._channels = tuple(channels)
        self._readers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self.ended = False

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set after each commit; the reader clears it before it looks."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="brojobs listener")
        event = asyncio.Event()
        self._readers.add(event)
        try:
            yield event
        finally:
            self._readers.discard(event)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def end(self) -> None:
        """Tell all readers that the process is about to stop: whoever follows without end ends now."""
        self.ended = True
        self.wake()

    def wake(self) -> None:
        """Let all readers look."""
        for event in self._readers:
            event.set()

    async def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            with contextlib.suppress(psycopg.Error):
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    for channel in self._channels:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    pause = FIRST_PAUSE_SECONDS
                    self.wake()  # something may have been stored before we listened
                    async for _ in connection.notifies():
                        self.wake()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def wait(event: asyncio.Event, timeout_seconds: float, *, clear: bool = True) -> None:
    """Wait until the event is set or the time is up; the reader's own event is then cleared for the next time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):  # wait_for swallows a cancellation that comes with the event
            await event.wait()
    if clear:
        event.clear()
