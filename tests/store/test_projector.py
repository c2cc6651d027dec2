"""The runner of the views, with a toy view that has all the troubles a view can have."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from tests.store.helpers import kill_backends, opened

from brojobs_es.application.records import LoggedEvent
from brojobs_es.store.log import Append, Logs, NewEvent
from brojobs_es.store.logged import BATCH
from brojobs_es.store.projector import ParkedEvent, Projector
from brojobs_es.store.view_tables import AFTER_PARKED

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events, their sum, the last word."""

    count: int = 0
    total: int = 0
    word: str | None = None


class TallyView:
    """Sums numbers; `forget` removes the row, other words than numbers may break it in several ways."""

    columns: Mapping[str, str] = {"count": "int", "total": "bigint", "word": "text", "until": "timestamptz"}

    def __init__(self, name: str = "tally") -> None:
        self.name = name

    def fold(self, state: Tally | None, event: Any) -> Tally | None:
        if event == "forget":
            return None
        if event == "break":
            raise RuntimeError("cannot fold \x00 this")
        old = state or Tally()
        if isinstance(event, str):
            return replace(old, count=old.count + 1, word=event)
        return replace(old, count=old.count + 1, total=old.total + event)

    def row(self, state: Tally) -> dict[str, object]:
        if state.word == "no row":
            raise KeyError("no row")
        until = EPOCH + timedelta(microseconds=state.count)
        return {"count": state.count, "total": state.total, "word": state.word, "until": until}


def decode(event: LoggedEvent) -> Any:
    return json.loads(event.state.decode())


def table(url: str, name: str) -> None:
    with psycopg.connect(url) as connection:
        columns = ", ".join(f"{column} {kind}" for column, kind in TallyView.columns.items())
        fixed = "order_id uuid PRIMARY KEY, log int NOT NULL"
        connection.execute(f"CREATE TABLE views.{name} ({fixed}, {columns})".encode())


@pytest.fixture
async def logs(clean_logs: str, log_count: int) -> AsyncIterator[Logs]:
    table(clean_logs, "tally")
    async with opened(clean_logs, log_count) as made:
        yield made


@contextlib.asynccontextmanager
async def projector(url: str, count: int, *views: TallyView, run: bool = False) -> AsyncIterator[Projector]:
    made = Projector(url, count, views or (TallyView(),), decode, poll_seconds=0.2)
    await made.open()
    running = asyncio.create_task(made.run()) if run else None
    try:
        yield made
    finally:
        if running is not None:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        await made.close()


class Story:
    """Records what an order says, one event after the other."""

    def __init__(self, logs: Logs) -> None:
        self.logs = logs
        self.order = uuid4()
        self.positions: list[int] = []

    async def say(self, *words: object, raw: bytes | None = None) -> Story:
        first = len(self.positions) + 1
        states = [raw] if raw is not None else [json.dumps(word).encode() for word in words]
        events = tuple(NewEvent(self.order, first + n, "Toy", state) for n, state in enumerate(states))
        self.positions += await self.logs.append(Append(self.order, events))
        return self

    @property
    def log(self) -> int:
        return self.logs.log_of(self.order)


def rows(url: str, name: str = "tally") -> dict[UUID, str]:
    """Each row as the text that PostgreSQL makes of all of it: equal texts are equal bytes."""
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT order_id, t::text FROM views.{name} t".encode()).fetchall()
    return dict(found)


def totals(url: str, name: str = "tally") -> dict[UUID, tuple[int, int, str | None]]:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"SELECT order_id, count, total, word FROM views.{name}".encode()).fetchall()
    return {order: (count, total, word) for order, count, total, word in found}


async def test_events_become_rows(logs: Logs, clean_logs: str) -> None:
    """One row an order, with its log and columns; a fold that ends in nothing leaves no row."""
    story = await Story(logs).say(1, 2, "three")
    gone = await Story(logs).say(1, "forget")
    never = await Story(logs).say("forget")
    async with projector(clean_logs, logs.count) as views:
        await views.catch_up()
    assert totals(clean_logs) == {story.order: (3, 3, "three")}
    with psycopg.connect(clean_logs) as connection:
        row = connection.execute("SELECT log, until FROM views.tally").fetchone()
    assert row == (story.log, EPOCH + timedelta(microseconds=3))
    assert gone.order not in rows(clean_logs)
    assert never.order not in rows(clean_logs)


async def test_it_goes_on_from_the_stored_state(logs: Logs, clean_logs: str) -> None:
    """A later runner needs no earlier event."""
    story = await Story(logs).say(1)
    for number in range(2, 5):
        async with projector(clean_logs, logs.count) as views:
            await views.catch_up()
        await story.say(number)
    async with projector(clean_logs, logs.count) as views:
        await views.catch_up()
    assert totals(clean_logs) == {story.order: (4, 10, None)}


@pytest.mark.parametrize(
    ("poison", "raw", "reason"),
    [
        ("break", None, "RuntimeError: cannot fold � this"),
        ("no row", None, "KeyError: 'no row'"),
        (None, b"{", "JSONDecodeError"),
        (None, b"\xff\xfe", "UnicodeDecodeError"),
        (2**62 * 4, None, "NumericValueOutOfRange"),
        ("a\x00b", None, "UntranslatableCharacter"),
    ],
)
async def test_a_poison_event_is_parked_and_others_go_on(
    logs: Logs, clean_logs: str, poison: object, raw: bytes | None, reason: str
) -> None:
    """It and all later events of its order are parked, the row stays as it was; other orders don't notice."""
    bad, good = await Story(logs).say(1, 2), await Story(logs).say(10)
    await bad.say(poison, raw=raw)
    await bad.say(3)
    await good.say(20)
    async with projector(clean_logs, logs.count) as views:
        await views.catch_up()
        await bad.say(4)
        await good.say(30)
        await views.catch_up()
        parked = await views.parked()
    assert totals(clean_logs) == {bad.order: (2, 3, None), good.order: (3, 60, None)}
    assert [one.position for one in parked] == bad.positions[2:]
    assert reason in parked[0].reason
    assert parked[1:] == [ParkedEvent("tally", bad.log, at, bad.order, AFTER_PARKED) for at in bad.positions[3:]]


async def test_a_runner_sees_what_is_stored_while_it_runs(logs: Logs, clean_logs: str) -> None:
    """Waiting for a position ends as soon as its event is in the table, and says so when it takes too long."""
    async with projector(clean_logs, logs.count, run=True) as views:
        story = Story(logs)
        for number in range(5):
            await story.say(number)
            assert await views.caught_up(story.log, story.positions[-1], timeout_seconds=5)
            assert totals(clean_logs)[story.order][0] == number + 1
        assert not await views.caught_up(story.log, story.positions[-1] + 1, timeout_seconds=0.05)
        assert all((lag.behind, lag.seconds) == (0, 0.0) for lag in await views.lag() if lag.log == story.log)


async def test_how_late_the_views_are_is_known_without_asking(logs: Logs, clean_logs: str) -> None:
    """The age of the oldest event of the last batch; 0 when there was none; more and more when nobody looks any more."""
    story = await Story(logs).say(1)
    async with projector(clean_logs, logs.count) as views:
        assert views.lag_seconds() is None
        await asyncio.sleep(0.3)
        await story.say(2)
        await views.step(story.log)
        assert 0.3 <= (views.lag_seconds() or 0.0) < 5.0
        await views.step(story.log)
        assert views.lag_seconds() == 0.0
        await asyncio.sleep(0.4)
        assert (views.lag_seconds() or 0.0) > 0.0


async def test_waiting_in_another_process(logs: Logs, clean_logs: str) -> None:
    """Who does not run the views can wait for those who do."""
    story = await Story(logs).say(1)
    async with projector(clean_logs, logs.count) as waiting, projector(clean_logs, logs.count) as running:
        assert not await waiting.caught_up(story.log, story.positions[-1], timeout_seconds=0)
        (lag,) = [lag for lag in await waiting.lag() if lag.log == story.log]
        assert lag.behind == 1
        assert 0.0 < lag.seconds < 60.0
        await running.catch_up()
        assert await waiting.caught_up(story.log, story.positions[-1], timeout_seconds=0)


async def test_killed_connections_do_not_stop_it(logs: Logs, clean_logs: str) -> None:
    """All of the runner's connections are killed again and again: every event is folded once."""
    async with projector(clean_logs, logs.count, run=True) as views:
        story = Story(logs)
        for number in range(10):
            await story.say(number)
            await asyncio.to_thread(kill_backends, clean_logs, "application_name = 'brojobs_projector'")
        async with asyncio.timeout(15):
            while totals(clean_logs).get(story.order) != (10, 45, None):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await views.parked() == []


async def test_a_broken_table_is_waited_for(logs: Logs, clean_logs: str) -> None:
    """What is wrong with the database is not blamed on events: nothing is parked, and it goes on when mended."""
    with psycopg.connect(clean_logs) as connection:
        connection.execute("ALTER TABLE views.tally RENAME TO elsewhere")
    story = await Story(logs).say(1)
    async with projector(clean_logs, logs.count, run=True) as views:
        await asyncio.sleep(0.3)
        assert await views.parked() == []
        with psycopg.connect(clean_logs) as connection:
            connection.execute("ALTER TABLE views.elsewhere RENAME TO tally")
        assert await views.caught_up(story.log, story.positions[-1], timeout_seconds=10)
    assert totals(clean_logs) == {story.order: (1, 1, None)}


async def test_two_runners_at_once_do_no_harm(logs: Logs, clean_logs: str) -> None:
    """Two runners over the same views while twenty orders grow: no event is folded twice."""
    async with projector(clean_logs, logs.count, run=True), projector(clean_logs, logs.count, run=True) as views:
        stories = [Story(logs) for _ in range(20)]
        for number in range(1, 11):
            for story in stories:
                await story.say(number)
        for story in stories:
            assert await views.caught_up(story.log, story.positions[-1], timeout_seconds=10)
    assert totals(clean_logs) == {story.order: (10, 55, None) for story in stories}


async def mixed(logs: Logs) -> list[Story]:
    """Orders of all kinds: plain, long, gone, come back, poisoned in each way."""
    stories = [await Story(logs).say(*range(n % 7 + 1)) for n in range(40)]
    stories += [await Story(logs).say(*range(BATCH + 20)), await Story(logs).say(1, "forget")]
    stories += [await Story(logs).say(5, "forget", 7, "é")]
    for poison in ("break", "no row", 2**70, "\x00"):
        stories += [await (await Story(logs).say(1, 2)).say(poison, 3)]
    stories += [await (await Story(logs).say(1)).say(raw=b"{")]
    for story in stories[::3]:
        await story.say(100)
    return stories


def parked_rows(url: str) -> list[tuple[Any, ...]]:
    query = "SELECT view, log, position, order_id, reason FROM views.parked ORDER BY 1, 2, 3"
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


async def test_a_rebuild_gives_the_same_rows_byte_for_byte(logs: Logs, clean_logs: str) -> None:
    """Folded live in small pieces by two runners, or at once from the first event: the same rows, the same parked."""
    async with projector(clean_logs, logs.count, run=True), projector(clean_logs, logs.count, run=True) as views:
        stories = await mixed(logs)
        for story in stories:
            assert await views.caught_up(story.log, story.positions[-1], timeout_seconds=20)
    live, parked = rows(clean_logs), parked_rows(clean_logs)
    assert len(live) == len(stories) - 1  # one was forgotten for good
    assert len(parked) >= 9
    steps: list[tuple[int, int, int]] = []
    async with projector(clean_logs, logs.count) as views:
        with psycopg.connect(clean_logs) as connection:
            connection.execute("UPDATE views.tally SET total = 77, word = 'wrong'")
        taken = await views.rebuild(["tally"], lambda *step: steps.append(step))
        assert all(lag.behind == 0 for lag in await views.lag())
    assert rows(clean_logs) == live
    assert parked_rows(clean_logs) == parked
    assert taken == sum(len(story.positions) for story in stories)
    assert all(0 < reached <= last for _, reached, last in steps)


async def test_a_rebuild_takes_what_can_be_taken_by_now(logs: Logs, clean_logs: str) -> None:
    """After the program was mended, parked events are folded like all others."""

    class Mended(TallyView):
        def fold(self, state: Tally | None, event: Any) -> Tally | None:
            return super().fold(state, "mended" if event == "break" else event)

    story = await Story(logs).say(1, "break", 2)
    async with projector(clean_logs, logs.count) as views:
        await views.catch_up()
        assert len(await views.parked()) == 2
    async with projector(clean_logs, logs.count, Mended()) as views:
        await views.rebuild(["tally"])
        assert await views.parked() == []
        await story.say(3)
        await views.catch_up()
    assert totals(clean_logs) == {story.order: (4, 6, "mended")}


async def test_readers_never_see_half_a_rebuild_and_others_go_on(logs: Logs, clean_logs: str) -> None:
    """While a view is rebuilt its old rows are there, and a live runner keeps the other view up to date."""
    table(clean_logs, "other")
    other = TallyView("other")
    story = await Story(logs).say(1, 2)
    async with projector(clean_logs, logs.count, TallyView(), other) as views:
        await views.catch_up()
        before = rows(clean_logs)
        seen: list[dict[UUID, str]] = []
        async with projector(clean_logs, logs.count, TallyView(), other, run=True) as live:
            late = await Story(logs).say(5)
            assert await live.caught_up(late.log, late.positions[-1], timeout_seconds=5)
            before = rows(clean_logs)
            rebuilding = asyncio.Event()

            def look(*_: int) -> None:
                seen.append(rows(clean_logs))
                rebuilding.set()

            await views.rebuild(["tally"], look)
            assert rebuilding.is_set()
            await story.say(3)
            for view in ("tally", "other"):
                assert await live.caught_up(story.log, story.positions[-1], timeout_seconds=5, views=[view])
    assert seen
    assert all(rows_then == before for rows_then in seen)
    assert totals(clean_logs) == totals(clean_logs, "other")


async def test_a_locked_view_does_not_hold_up_others(logs: Logs, clean_logs: str) -> None:
    """Somebody works on one view for long: the other goes on meanwhile."""
    table(clean_logs, "other")
    story = await Story(logs).say(1)
    async with projector(clean_logs, logs.count, TallyView(), TallyView("other")) as views:
        with psycopg.connect(clean_logs) as busy:
            busy.execute("SELECT FROM views.tracking WHERE view = 'tally' FOR UPDATE")
            await views.catch_up()
            assert story.order in totals(clean_logs, "other")
            assert totals(clean_logs) == {}
            busy.rollback()
        await views.catch_up()
    assert totals(clean_logs) == totals(clean_logs, "other")


async def test_a_new_view_catches_up_beside_the_old_ones(logs: Logs, clean_logs: str) -> None:
    """A view added later starts at the first event, and does not stop those that are further."""
    story = await Story(logs).say(*range(BATCH + 10))
    async with projector(clean_logs, logs.count) as views:
        await views.catch_up()
    table(clean_logs, "other")
    await story.say(1)
    async with projector(clean_logs, logs.count, TallyView(), TallyView("other")) as views:
        await views.step(story.log)
        assert totals(clean_logs)[story.order][0] == BATCH + 11
        assert totals(clean_logs, "other")[story.order][0] == BATCH
        await views.catch_up()
    assert totals(clean_logs) == totals(clean_logs, "other")


async def test_a_row_with_other_columns_is_no_row(logs: Logs, clean_logs: str) -> None:
    """A view whose row forgets a column is found out at its first event."""

    class Forgetful(TallyView):
        def row(self, state: Tally) -> dict[str, object]:
            return {"count": state.count}

    await Story(logs).say(1)
    async with projector(clean_logs, logs.count, Forgetful()) as views:
        await views.catch_up()
        (parked,) = await views.parked()
    assert "a row of tally has ['count']" in parked.reason
