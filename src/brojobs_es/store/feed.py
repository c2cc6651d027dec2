"""Follow the logs as they grow: every event once, in commit order, for as long as somebody reads."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from time import monotonic
from typing import Final

from brojobs_es.application.records import RecordedEvent, StoreUnavailable
from brojobs_es.store.listener import wait
from brojobs_es.store.log import Logs

BATCH: Final = 500
"""The most events handed over at once."""

Read = Callable[[int, int, int], Awaitable[list[RecordedEvent]]]
"""Given a log, a position and a number: the events after that position, in commit order, at most so many."""


async def tail(
    logs: Logs,
    after: Mapping[int, int],
    *,
    poll_seconds: float = 1.0,
    read: Read | None = None,
    beat_seconds: float = math.inf,
) -> AsyncGenerator[list[RecordedEvent], None]:
    """Yield what lies after the given positions (log → position), then what is added, until the process stops.

    Batches hold 1 to 500 events of one log. Whoever starts again after the last position it has handled has seen
    everything once. The database may go away and come back meanwhile: the feed waits. `read` may leave events
    out. An empty batch comes whenever there was none for about `beat_seconds`.
    """
    take = read if read is not None else logs.read
    reached = dict(after)
    yielded = monotonic()
    async with logs.listener.subscribe() as grown:
        while not logs.listener.ended:
            idle = True
            for log, position in reached.items():
                try:
                    events = await take(log, position, BATCH)
                except StoreUnavailable:
                    continue
                if events:
                    idle = False
                    reached[log] = events[-1].position
                    yield events
                    yielded = monotonic()
            if idle:
                await wait(grown, min(poll_seconds, beat_seconds))
                if monotonic() - yielded >= beat_seconds:
                    yield []
                    yielded = monotonic()
