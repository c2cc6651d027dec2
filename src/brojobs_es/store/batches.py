"""Questions that are under way together go to the database together: one round trip costs more than most answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from brojobs_es.application.records import StoreUnavailable

Q = TypeVar("Q")
A = TypeVar("A")

_AT_ONCE: Final = 2
"""Batches under way: while one waits for something large, the next one need not."""

_BATCH_MAX: Final = 100


class Batches(Generic[Q, A]):
    """Asks one by one, answers many at a time. A question is never put before it was asked, so an answer is never old."""

    def __init__(self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        """`answer` gives an answer to each question, in their order. Where it fails, each is asked alone.

        But for StoreUnavailable, which is true for all of them: each would wait for as long again.
        """
        self._answer = answer
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer; raises what `answer` raises for this question alone."""
        told: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, told))
        if len(self._workers) < _AT_ONCE:
            self._workers.add(asyncio.create_task(self._work()))
        return await told

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._next()
        finally:  # at once, not when the loop comes to it: until then nobody would hear who asks
            self._workers -= {asyncio.current_task()}

    async def _next(self) -> None:
        count = min(len(self._waiting), _BATCH_MAX)
        batch = [each for each in (self._waiting.popleft() for _ in range(count)) if not each[1].done()]
        try:
            await self._put(batch)
        except asyncio.CancelledError:
            for _, told in batch:
                told.cancel()
            raise

    async def _put(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001  (told to whom it concerns)
            if len(batch) > 1 and not isinstance(error, StoreUnavailable):
                for each in batch:
                    await self._put([each])
                return
            for _, told in batch:
                if not told.done():
                    told.set_exception(error)
            return
        for (_, told), answer in zip(batch, answers, strict=True):
            if not told.done():
                told.set_result(answer)
