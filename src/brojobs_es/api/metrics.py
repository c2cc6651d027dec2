"""What this process counts and shows at `/metrics`: commands and their answers, the store, the views, its memory.

Each process counts for itself and says which one it is: every sample has the label `process`. Nothing here names a
person or an order.
"""

from __future__ import annotations

import asyncio
import logging
import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import psycopg
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from brojobs_es.api.http import Edge
from brojobs_es.application.records import StoreUnavailable
from brojobs_es.errors import Refusal
from brojobs_es.store.projector import Lag

_logger = logging.getLogger(__name__)

ACCEPTED: Final = "accepted"
"""The outcome of every answer without an error, be it a dry run's or that of a key used before."""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
DATABASE_SECONDS: Final = 1.0
"""How long a scrape waits for what only the database knows."""


def outcome_of(error: Exception, status: int) -> str:
    """A refusal's code; of any other error the class of its status, as `4xx`."""
    return error.code if isinstance(error, Refusal) else f"{status // 100}xx"


class _Seconds:
    """How long answers took: how many fell into each bucket of `SECONDS` or beyond them all, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.total = 0.0


class Metrics:
    """The counters of one application: plain numbers, as every command pays for them, and families when somebody looks."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._process = str(os.getpid())
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._seconds: defaultdict[str, _Seconds] = defaultdict(_Seconds)

    def answered(self, command: str, outcome: str, seconds: float) -> None:
        """Count a command. Nothing else runs in between: requests share one thread."""
        self._outcomes[command, outcome] += 1
        took = self._seconds[command]
        took.counts[bisect_left(SECONDS, seconds)] += 1
        took.total += seconds

    async def page(self) -> bytes:
        """Everything as text. Without the database all is shown but what only the database knows."""
        lags: Sequence[Lag] | None = None
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                lags = await self._edge.runtime.projector.lag()
        except (TimeoutError, StoreUnavailable, psycopg.Error) as error:
            _logger.warning("metrics without the views' positions: %s", error)
        return generate_latest(_Page([*self._counted(), *self._now(lags)]))

    def _counted(self) -> Iterator[Metric]:
        """What was counted along the way."""
        outcomes = CounterMetricFamily(
            "brojobs_commands", "Commands answered.", labels=("process", "command", "outcome")
        )
        for (command, outcome), count in self._outcomes.items():
            outcomes.add_metric((self._process, command, outcome), count)
        seconds = HistogramMetricFamily(
            "brojobs_command_seconds", "From a command's head to its answer.", labels=("process", "command")
        )
        limits = (*map(str, SECONDS), "+Inf")
        for command, took in self._seconds.items():
            buckets = list(zip(limits, map(float, accumulate(took.counts)), strict=True))
            seconds.add_metric((self._process, command), buckets, took.total)
        yield from (outcomes, seconds)

    def _now(self, lags: Sequence[Lag] | None) -> Iterator[Metric]:
        """What is not counted along the way but looked at now."""
        runtime, process = self._edge.runtime, self._process
        events = CounterMetricFamily("brojobs_events_stored", "Events stored.", labels=("process", "log"))
        batches = CounterMetricFamily("brojobs_batches", "Transactions that stored them.", labels=("process", "log"))
        waiting = GaugeMetricFamily(
            "brojobs_commands_waiting", "Commands not yet in a batch.", labels=("process", "log")
        )
        for log, writer in enumerate(runtime.logs.writers):
            labels = (process, str(log))
            events.add_metric(labels, writer.stored.events)
            batches.add_metric(labels, writer.stored.batches)
            waiting.add_metric(labels, writer.waiting)
        yield from (events, batches, waiting)
        yield self._gauge("brojobs_orders_kept", "Orders kept in memory.", runtime.service.orders_kept)
        tokens = self._edge.authenticator.tokens_remembered
        yield self._gauge("brojobs_tokens_remembered", "Verified tokens kept in memory.", tokens)
        late = runtime.projector.lag_seconds()
        if late is not None:
            yield self._gauge(
                "brojobs_views_batch_age_seconds", "Age of the oldest event of the views' last batch.", late
            )
        yield self._gauge("brojobs_database_reachable", "Whether the database has just answered.", lags is not None)
        yield from self._behind(lags or ())

    def _gauge(self, name: str, meaning: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, meaning, labels=("process",))
        family.add_metric((self._process,), value)
        return family

    def _behind(self, lags: Iterable[Lag]) -> Iterator[Metric]:
        labels = ("process", "view", "log")
        behind = GaugeMetricFamily("brojobs_view_behind_events", "Positions behind the log.", labels=labels)
        oldest = GaugeMetricFamily("brojobs_view_behind_seconds", "Age of the oldest event it lacks.", labels=labels)
        for lag in lags:
            values = (self._process, lag.view, str(lag.log))
            behind.add_metric(values, lag.behind)
            oldest.add_metric(values, lag.seconds)
        yield from (behind, oldest)


class _Page:
    """Families that were collected already, as the library wants to be given them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
