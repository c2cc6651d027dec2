"""One at a time by name: nobody overtakes, nobody waits for ever, and nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest

from brojobs_es.application.turns import Turns


class TooLong(Exception):
    pass


@pytest.fixture
def turns() -> Turns:
    return Turns(TooLong, patience_seconds=0.2)


async def test_one_at_a_time_and_in_order(turns: Turns) -> None:
    """Twenty with one name go one after the other, as they came."""
    inside, done = 0, []

    async def go(number: int) -> None:
        nonlocal inside
        async with turns.of("name"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1
            done.append(number)

    await asyncio.gather(*(go(number) for number in range(20)))
    assert done == list(range(20))
    assert turns._queues == {}


@pytest.mark.parametrize("names", [("one", "other"), (None, None)])
async def test_different_names_do_not_wait(turns: Turns, names: tuple[str | None, str | None]) -> None:
    """Nor does anybody wait for None."""
    async with turns.of(names[0]), turns.of(names[1]):
        pass
    assert turns._queues == {}


async def test_patience_ends(turns: Turns) -> None:
    """Whoever waits for too long is told so, and whoever comes later has a turn again."""
    async with turns.of("name"):
        with pytest.raises(TooLong):
            await asyncio.wait_for(turns.of("name").__aenter__(), 5)
    async with turns.of("name"):
        pass
    assert turns._queues == {}


async def test_patience_ends_for_who_comes_at_the_handing_over(turns: Turns) -> None:
    """The turn is free for a moment, and already somebody's: to come just then is to wait like everybody."""
    first, second = turns.of("name"), turns.of("name")
    await first.__aenter__()
    waiting = asyncio.create_task(second.__aenter__())
    await asyncio.sleep(0)
    await first.__aexit__(None, None, None)
    with pytest.raises(TooLong):
        async with asyncio.timeout(5):
            await turns.of("name").__aenter__()
    await waiting
    await second.__aexit__(None, None, None)
    assert turns._queues == {}


async def test_who_gives_up_waiting_is_not_waited_for(turns: Turns) -> None:
    """Of three that wait the one in the middle is cancelled; so is the one whose turn it is."""
    order: list[int] = []

    async def go(number: int, seconds: float) -> None:
        async with turns.of("name"):
            order.append(number)
            await asyncio.sleep(seconds)

    tasks = [asyncio.create_task(go(number, 60 if number == 0 else 0)) for number in range(4)]
    await asyncio.sleep(0.01)
    tasks[2].cancel()
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)] * 2
    assert order == [0, 1, 3]
    assert turns._queues == {}


async def test_a_failure_inside_ends_the_turn(turns: Turns) -> None:
    """The next one has it."""
    with pytest.raises(ZeroDivisionError):
        async with turns.of("name"):
            raise ZeroDivisionError
    async with turns.of("name"):
        pass
    assert turns._queues == {}
