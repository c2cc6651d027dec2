"""Idempotency keys that are under way in this process: the second caller waits for the first one's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from brojobs_es.errors import Refusal

PATIENCE_SECONDS: Final = 10.0


class KeysUnderWay:
    """One request per caller and key at a time; other processes are held off by the table's primary key."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def one_at_a_time(self, caller: str, key: str | None) -> AsyncIterator[None]:
        """Wait while the same key is under way; raises `request_in_progress` when that takes too long."""
        if key is None:
            yield
            return
        name = (caller, key)
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await lock.acquire()
            except TimeoutError:
                raise Refusal("request_in_progress") from None
            try:
                yield
            finally:
                lock.release()
        finally:
            lock, waiting = self._locks[name]
            if waiting == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, waiting - 1)
