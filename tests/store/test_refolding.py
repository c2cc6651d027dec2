"""A rebuild by several processes, with the service's own views and whole lives of orders."""

from __future__ import annotations

import os
import struct
from multiprocessing.connection import Connection
from uuid import uuid4

import psycopg
import pytest
from benchmarks.views import ORDER_VIEWS, fill, lives

from brojobs_es.application.history import decode
from brojobs_es.application.records import NewEvent, StoreUnavailable
from brojobs_es.projections import VIEWS
from brojobs_es.store import rebuilding, refolding
from brojobs_es.store.projector import Projector
from brojobs_es.store.refolding import Work, portions, refolded

EVENTS = 3000


@pytest.fixture
def filled(clean_logs: str) -> str:
    """Lives of orders, one that cannot be read, and one whose row cannot be written."""
    fill(clean_logs, EVENTS, 40)
    placed = lives()[0][0]
    unwritable = placed.state.replace(b'"buyer_id":"', b'"buyer_id":"\\u0000')
    with psycopg.connect(clean_logs) as connection:
        for event in (NewEvent(uuid4(), 1, placed.topic, b"{"), NewEvent(uuid4(), 1, placed.topic, unwritable)):
            connection.execute(
                "INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) VALUES (%s, %s, 1, %s, %s)",
                (event.stream_id, event.stream_id, event.topic, event.state),
            )
    return clean_logs


def tables(url: str) -> dict[str, list[str]]:
    """All rows as the text that PostgreSQL makes of them, and what is parked."""
    with psycopg.connect(url) as connection:
        found = {}
        for name in ORDER_VIEWS:
            found[name] = [r[0] for r in connection.execute(f"SELECT t::text FROM views.{name} t ORDER BY 1".encode())]
        parked = "SELECT concat_ws(' ', view, log, position, order_id, reason) FROM views.parked ORDER BY 1"
        return {**found, "parked": [row[0] for row in connection.execute(parked)]}


async def test_two_processes_make_the_rows_that_one_makes(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, and park what one parks, though each folds only a share and a third writes."""
    monkeypatch.setattr(rebuilding, "_WORTH_PROCESSES", 0)
    views = Projector(filled, 1, VIEWS, decode)
    await views.open()
    await views.catch_up()
    live = tables(filled)
    assert len(live["parked"]) == len(ORDER_VIEWS) + 1
    with psycopg.connect(filled) as connection:
        connection.execute("UPDATE views.escrow SET held = 77")
        connection.execute("DELETE FROM views.docket")
    seen: list[int] = []

    taken = await views.rebuild(ORDER_VIEWS, lambda _, done, __: seen.append(done), processes=2)

    await views.close()
    assert taken == EVENTS + 2
    assert seen[-1] == taken
    assert tables(filled) == live


def test_each_order_is_in_one_share(filled: str) -> None:
    """Shares miss no event and take none twice."""
    work = Work(filled, 0, EVENTS, VIEWS, decode)
    shares = [list(portions(work, share, 3)) for share in range(3)]
    orders = [order_id for share in shares for portion in share for order_id in portion.orders]
    assert len(set(orders)) == len(orders)
    assert sum(portion.events for share in shares for portion in share) == EVENTS


async def test_a_process_that_dies_ends_the_rebuild() -> None:
    """It is said, and not taken for the end of a share."""
    work = Work("postgresql://nobody@127.0.0.1:1/none", 0, 1, VIEWS, decode)
    with pytest.raises(StoreUnavailable):
        async for _ in refolded(work, 1):
            pass


def _dies_half_way(work: Work, share: int, shares: int, to: Connection) -> None:
    """A process that is killed after the first bytes of a portion."""
    os.write(to.fileno(), struct.pack("!i", 100_000) + b"x" * 10)
    os._exit(1)


async def test_a_process_that_dies_while_it_hands_over_ends_the_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a portion is no portion, and no other error either."""
    monkeypatch.setattr(refolding, "_hand_over", _dies_half_way)
    work = Work("postgresql://nobody@127.0.0.1:1/none", 0, 1, VIEWS, decode)
    with pytest.raises(StoreUnavailable, match="has died"):
        async for _ in refolded(work, 1):
            pass
