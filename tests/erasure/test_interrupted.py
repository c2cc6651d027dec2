"""Erasures that end in the middle, or meet somebody who is writing: nothing is half done for long."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any, Final

import pytest
import uvloop
from tests.erasure.story import NO_TIME, SETTLE_SECONDS, erase, rows, settings_of
from tests.http.service import Service
from tests.http.world import Told, World

from brojobs_es import bootstrap
from brojobs_es.aggregates.base import ERASED
from brojobs_es.application.erasing import Erasing
from brojobs_es.errors import Refusal
from brojobs_es.store.erasing import PostgresEraser


class PowerCut(Exception):
    """What ends an erasure in the middle."""


class CutAt:
    """Does everything that the wrapped part does, until the lights go out at one of its calls."""

    def __init__(self, part: Any, name: str, call: int) -> None:
        self._part, self._name, self._left = part, name, call

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            self._left -= 1
            if self._left == 0:
                raise PowerCut
        return getattr(self._part, name)


async def cut_short(service: Service, person: str, part: str, name: str, call: int) -> None:
    """An erasure that ends at a call of one of its parts."""
    made = settings_of(service)
    async with (
        bootstrap.running(made, service.database_url, background=False) as runtime,
        PostgresEraser.opened(service.database_url, runtime.logs) as eraser,
    ):
        parts: dict[str, Any] = {"log": runtime.logs, "eraser": eraser}
        parts[part] = CutAt(parts[part], name, call)

        async def forget_files(person: str, generation: int) -> int:
            return 0

        erasing = Erasing(
            parts["log"],
            runtime.vault,
            parts["eraser"],
            runtime.clock,
            forget_files=forget_files,
            retention=timedelta(0),
            settle_seconds=NO_TIME,
        )
        await erasing.erase(person, "They asked for it", "ops")


CUTS: Final = [
    ("eraser", "orders_naming", 1, False),
    ("eraser", "begin", 1, False),
    ("eraser", "orders_naming", 2, True),
    ("log", "append", 1, True),
    ("log", "append", 2, True),
    ("eraser", "empty_files", 1, True),
    ("eraser", "finish", 1, True),
]
"""At which call of which part an erasure ends, and whether it has begun by then."""


def test_an_erasure_that_was_interrupted(both: tuple[Service, Service], world: World) -> None:
    """Before its beginning nothing has happened; after it the words are unreadable, and doing it again finishes it."""
    done = []
    for part, name, call, begun in CUTS:
        with World(both[0].url) as people:
            orders = [people.paid(title="Some title") for _ in range(2)]
            for order in orders:
                order.seller("concede")
        buyer = people.people["buyer"]
        with pytest.raises(PowerCut):
            asyncio.run(cut_short(both[0], buyer, part, name, call))
        assert len(rows(both[0], "SELECT FROM vault.keys WHERE person = %s", buyer)) == 1
        assert len(rows(both[0], "SELECT FROM vault.erasures WHERE person = %s", buyer)) == begun
        if begun:
            uvloop.run(_title_is(both[0], orders[0], ERASED))
        assert erase(both[0], buyer) == 2
        assert rows(both[0], "SELECT FROM vault.keys WHERE person = %s", buyer) == []
        done += orders
    time.sleep(SETTLE_SECONDS)
    for order in done:
        assert world.see("auditor", order.path)["title"] == ERASED
        types = [event["type"] for event in world.see("auditor", f"{order.path}/events")["items"]]
        assert types.count("PersonErased") == 1


async def _title_is(service: Service, order: Told, title: str) -> None:
    """As a process sees it that has nothing in memory."""
    async with bootstrap.running(settings_of(service), service.database_url, background=False) as runtime:
        assert (await runtime.service.history(order.id)).case.order.title.text == title


def test_something_is_written_while_the_keys_are_being_taken_away(both: tuple[Service, Service], world: World) -> None:
    """An order that begins under the old key stops the erasure, which is taken back: everything is readable again."""
    ended = world.paid(title="Some title")
    ended.seller("concede")
    buyer = world.people["buyer"]

    async def race() -> None:
        made = settings_of(both[0])
        async with (
            bootstrap.running(made, both[0].database_url, background=False) as runtime,
            PostgresEraser.opened(both[0].database_url, runtime.logs) as eraser,
        ):
            begin = eraser.begin

            async def begin_late(person: str, generations: Any) -> None:
                await asyncio.to_thread(world.paid, title="Just now")
                await begin(person, generations)

            eraser.begin = begin_late  # type: ignore[method-assign]
            erasing = Erasing(
                runtime.logs,
                runtime.vault,
                eraser,
                runtime.clock,
                forget_files=_no_files,
                retention=timedelta(0),
                settle_seconds=NO_TIME,
            )
            await erasing.erase(buyer, "They asked for it", "ops")

    with pytest.raises(Refusal, match="within_retention"):
        asyncio.run(race())
    time.sleep(SETTLE_SECONDS)
    titles = [item["title"] for item in world.see("buyer", "/v1/orders")["items"]]
    assert sorted(titles) == ["Just now", "Some title"]
    assert "PersonErased" not in ended.types()


async def _no_files(person: str, generation: int) -> int:
    return 0
