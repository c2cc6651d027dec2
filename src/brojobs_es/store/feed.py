"""Follow the logs as they grow: every event once, in commit order, for as long as somebody reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from brojobs_es.store.listener import wait
from brojobs_es.store.log import Logs
from brojobs_es.store.records import RecordedEvent, StoreUnavailable

BATCH: Final = 500
"""The most events handed over at once."""


async def tail(
    logs: Logs, after: Mapping[int, int], *, poll_seconds: float = 1.0
) -> AsyncIterator[list[RecordedEvent]]:
    """Yield what lies after the given positions (log → position), then what is added, without end.

    Batches hold 1 to 500 events of one log. Whoever starts again after the last position it has handled has seen
    everything once. The database may go away and come back meanwhile: the feed waits.
    """
    reached = dict(after)
    async with logs.listener.subscribe() as grown:
        while True:
            idle = True
            for log, position in reached.items():
                try:
                    events = await logs.read(log, position, BATCH)
                except StoreUnavailable:
                    continue
                if events:
                    idle = False
                    reached[log] = events[-1].position
                    yield events
            if idle:
                await wait(grown, poll_seconds)
