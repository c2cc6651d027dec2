"""One at a time: whoever comes second to the same order, or with the same key, waits for the first one's end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

PATIENCE_SECONDS: Final = 10.0

_Queue = deque[asyncio.Future[None]]


class Turns:
    """A queue for each name that is in use in this process; other processes are held off by the log's unique rows.

    Nearly always the queue stays empty, so that a turn costs an entry in a dictionary and nothing else.
    """

    def __init__(self, too_long: Callable[[], Exception], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """`too_long` makes the error for those whose turn does not come within the patience."""
        self._too_long = too_long
        self._patience_seconds = patience_seconds
        self._queues: dict[Hashable, _Queue] = {}

    def of(self, name: Hashable) -> Turn:
        """`async with` it: inside, nobody else has this name's turn. None is a name that everybody may have at once."""
        return Turn(self, name)

    async def _enter(self, name: Hashable) -> None:
        queue = self._queues.get(name)
        if queue is None:
            self._queues[name] = deque()
        else:
            await self._wait(name, queue)

    async def _wait(self, name: Hashable, queue: _Queue) -> None:
        handed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(handed)
        try:
            async with asyncio.timeout(self._patience_seconds):
                await handed
        except BaseException as error:
            if handed.done() and not handed.cancelled():  # the turn came at the moment of giving up
                self._exit(name)
            elif handed in queue:
                queue.remove(handed)
            if isinstance(error, TimeoutError):
                raise self._too_long() from None
            raise

    def _exit(self, name: Hashable) -> None:
        """Hand the turn to who waits longest: it is never free in between, so nobody overtakes."""
        queue = self._queues[name]
        while queue:
            handed = queue.popleft()
            if not handed.done():
                handed.set_result(None)
                return
        del self._queues[name]


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
