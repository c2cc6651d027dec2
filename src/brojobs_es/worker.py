"""The scheduler: makes due timers happen when nobody looks. Any number may run at once; stopping them changes no answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.application.service import Service
from brojobs_es.clock import Clock
from brojobs_es.store.lists import find_due
from brojobs_es.store.log import Logs

_logger = logging.getLogger(__name__)

BATCH: Final = 200
PAUSE_SECONDS: Final = 0.5


class Scheduler:
    """Looks at the deadlines view and settles each order that is due, through the same door as everybody."""

    def __init__(self, logs: Logs, service: Service, clock: Clock) -> None:
        self._logs = logs
        self._service = service
        self._clock = clock
        self._look = asyncio.Event()
        self._tried: dict[UUID, datetime] = {}
        self.running = True

    def look(self) -> None:
        """Look at once: the clock has moved."""
        self._look.set()

    async def run(self) -> None:
        """Fire what is due until cancelled."""
        while True:
            fired = 0
            if self.running:
                try:
                    fired = await self.fire_due()
                except (StoreUnavailable, psycopg.Error) as error:
                    _logger.warning("the scheduler waits: %s", error)
            if fired == 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_SECONDS):
                        await self._look.wait()
                self._look.clear()

    async def fire_due(self) -> int:
        """Settle the orders that are due now; how many. The view may lag: an order already settled is left alone."""
        due = [
            (order_id, at)
            for order_id, at in await find_due(self._logs, self._clock.now(), BATCH + len(self._tried))
            if self._tried.get(order_id) != at
        ]
        for order_id, at in due:
            try:
                await self._service.history(order_id)
            except (StoreUnavailable, psycopg.OperationalError):
                raise
            except Exception:  # one order that cannot be read or settled must not stop the others
                _logger.exception("the timers of order %s cannot be fired", order_id)
            self._tried[order_id] = at
        if len(self._tried) > 10 * BATCH:
            self._tried.clear()
        return len(due)
