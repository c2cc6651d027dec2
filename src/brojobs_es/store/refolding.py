"""Folding all orders of a log again in several processes: each folds a share of the orders, and whoever asked writes.

A process reads its orders one after the other, keeps one at a time, and hands over their rows as the tables take them.
Nothing is judged here: an order that cannot be folded is named, and whoever writes finds out what is wrong with it.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg

from brojobs_es.application.records import LoggedEvent, StoreUnavailable
from brojobs_es.projections.view import View
from brojobs_es.store import sql
from brojobs_es.store.connections import conninfo
from brojobs_es.store.logged import BATCH, logged_by_order
from brojobs_es.store.view_rows import RowTable
from brojobs_es.store.view_tables import Decode, Folds

_ORDERS_OF_A_PORTION: Final = 500


@dataclass(frozen=True, slots=True)
class Work:
    """What to fold: the orders of a log up to a position, for some views. It goes to other processes as it is."""

    url: str
    log: int
    last: int
    views: Sequence[View[Any]]
    decode: Decode


@dataclass(slots=True)
class Portion:
    """Some orders folded to the end: the rows of each view as JSON, and those orders that could not be folded."""

    events: int = 0
    orders: list[UUID] = field(default_factory=list)
    rows: list[bytes] = field(default_factory=list)
    doubtful: list[UUID] = field(default_factory=list)


def portions(work: Work, share: int, shares: int) -> Iterator[Portion]:
    """One share of the orders, some at a time."""
    folds, tables = Folds(enumerate(work.views)), [RowTable(view) for view in work.views]
    portion, rows = Portion(), [list[tuple[object, ...]]() for _ in tables]
    order_id: UUID | None = None
    states: list[Any] | None = None  # of the order that is being folded; None once it cannot be

    def finish() -> None:
        """Note the rows of the order that was folded last."""
        if order_id is None:
            return
        portion.orders.append(order_id)
        if states is None:
            portion.doubtful.append(order_id)
            return
        try:
            made = [table.row(state) for table, state in zip(tables, states, strict=True)]
        except Exception:  # noqa: BLE001  (an event may break its reader in any way; found out by whoever writes)
            portion.doubtful.append(order_id)
            return
        for into, row in zip(rows, made, strict=True):
            if row is not None:
                into.append((order_id, *row))

    for event in events_of(work, share, shares):
        if event.order_id is not order_id:  # an order's events share it
            finish()
            if len(portion.orders) >= _ORDERS_OF_A_PORTION:
                portion.rows = [msgspec.json.encode(of_table) for of_table in rows]
                yield portion
                portion, rows = Portion(), [[] for _ in tables]
            order_id, states = event.order_id, [None] * len(tables)
        portion.events += 1
        if states is not None:
            states = _after(event, states, work.decode, folds)
    finish()
    portion.rows = [msgspec.json.encode(of_table) for of_table in rows]
    yield portion


def _after(event: LoggedEvent, states: list[Any], decode: Decode, folds: Folds) -> list[Any] | None:
    """The views' states of an order after one more event; None where it cannot be folded."""
    try:
        read = decode(event)
        for index, fold in folds[type(read)]:
            states[index] = fold(states[index], read)
    except Exception:  # noqa: BLE001  (as above)
        return None
    return states


def events_of(work: Work, share: int, shares: int) -> Iterator[LoggedEvent]:
    """The events of one share of the orders, one order after the other."""
    target = conninfo(work.url, "brojobs_projector", statement_timeout="0", enable_seqscan="on")
    with psycopg.connect(target) as reading, reading.cursor(name="orders", binary=True) as cursor:
        cursor.execute(sql.select_logged_share(work.log).encode(), (work.last, shares, share))
        order_id: UUID | None = None
        while rows := cursor.fetchmany(BATCH):
            events = logged_by_order(rows, order_id)
            order_id = events[-1].order_id
            yield from events


def _hand_over(work: Work, share: int, shares: int, to: Connection) -> None:
    """The whole life of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    gc.freeze()
    gc.disable()  # one order is kept at a time, and nothing of it is cyclic
    for portion in portions(work, share, shares):
        to.send(portion)
    to.send(None)


async def refolded(work: Work, processes: int) -> AsyncGenerator[Portion, None]:
    """All portions, in any order, from so many processes, which are gone at the end; StoreUnavailable where one dies."""
    context = get_context("spawn")
    running: list[tuple[BaseProcess, Connection]] = []
    waiting: dict[asyncio.Task[Portion | None], Connection] = {}
    try:
        for share in range(processes):
            mine, its = context.Pipe(duplex=False)
            process: BaseProcess = context.Process(target=_hand_over, args=(work, share, processes, its), daemon=True)
            process.start()
            its.close()
            running.append((process, mine))
        for _, mine in running:
            waiting[asyncio.create_task(asyncio.to_thread(mine.recv))] = mine
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                mine = waiting.pop(task)
                if (portion := task.result()) is not None:
                    waiting[asyncio.create_task(asyncio.to_thread(mine.recv))] = mine
                    yield portion
    except (EOFError, OSError):  # OSError: in the middle of a portion
        raise StoreUnavailable("a process that folds orders has died") from None
    finally:
        for process, _ in running:
            process.terminate()
            await asyncio.to_thread(process.join)
        await asyncio.gather(*waiting, return_exceptions=True)  # whoever still waits is told by the end of the pipe
        for _, mine in running:
            mine.close()
