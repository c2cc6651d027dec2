"""One at a time: whoever comes second to the same order, or with the same key, waits for the first one's end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

PATIENCE_SECONDS: Final = 10.0


class Turns:
    """A lock for each name that is in use in this process; other processes are held off by the log's unique rows."""

    def __init__(self, too_long: Callable[[], Exception], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """`too_long` makes the error for those whose turn does not come within the patience."""
        self._too_long = too_long
        self._patience_seconds = patience_seconds
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def of(self, name: Hashable) -> Turn:
        """`async with` it: inside, nobody else has this name's turn. None is a name that everybody may have at once."""
        return Turn(self, name)

    async def _enter(self, name: Hashable) -> None:
        lock, users = self._locks.get(name) or (asyncio.Lock(), 0)
        self._locks[name] = (lock, users + 1)
        try:
            if users:  # also where the lock is free at this moment: it is being handed over to one of them
                async with asyncio.timeout(self._patience_seconds):
                    await lock.acquire()
            else:
                await lock.acquire()
        except TimeoutError:
            self._leave(name)
            raise self._too_long() from None
        except BaseException:
            self._leave(name)
            raise

    def _exit(self, name: Hashable) -> None:
        self._locks[name][0].release()
        self._leave(name)

    def _leave(self, name: Hashable) -> None:
        lock, users = self._locks[name]
        if users == 1:
            del self._locks[name]
        else:
            self._locks[name] = (lock, users - 1)


class Turn:
    """What `Turns.of` gives."""

    __slots__ = ("_name", "_turns")

    def __init__(self, turns: Turns, name: Hashable) -> None:
        self._turns = turns
        self._name = name

    async def __aenter__(self) -> None:
        if self._name is not None:
            await self._turns._enter(self._name)  # noqa: SLF001  (the other half of one thing)

    async def __aexit__(self, *_: object) -> None:
        if self._name is not None:
            self._turns._exit(self._name)  # noqa: SLF001
