"""Questions that go together: each gets its own answer, or its own error, and never an old one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.store.batches import Batches


class Oracle:
    """Answers with the square, and with the number of the batch; refuses to hear of 13. Waits where told to; may be away."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.away = False

    async def __call__(self, questions: Sequence[int]) -> list[tuple[int, int]]:
        self.asked.append(list(questions))
        number = len(self.asked)
        await self.go.wait()
        if self.away:
            raise StoreUnavailable("away")
        if 13 in questions:
            raise ValueError("13")
        return [(question**2, number) for question in questions]


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def batches(oracle: Oracle) -> Batches[int, tuple[int, int]]:
    return Batches(oracle)


async def squares(batches: Batches[int, tuple[int, int]], questions: Sequence[int]) -> list[int | BaseException]:
    found = await asyncio.gather(*(batches.ask(question) for question in questions), return_exceptions=True)
    return [answer if isinstance(answer, BaseException) else answer[0] for answer in found]


async def test_those_under_way_together_go_together(batches: Batches[int, tuple[int, int]], oracle: Oracle) -> None:
    """Each gets its own answer; a batch has a hundred at most, and nothing is asked twice."""
    questions = list(range(100, 350))
    assert await squares(batches, questions) == [question**2 for question in questions]
    assert [len(asked) for asked in oracle.asked] == [100, 100, 50]
    assert [question for asked in oracle.asked for question in asked] == questions


async def test_one_alone_does_not_wait(batches: Batches[int, tuple[int, int]], oracle: Oracle) -> None:
    """Neither for company nor for one batch that takes long; a third batch waits, and gathers."""
    oracle.go.clear()
    asked = [asyncio.create_task(batches.ask(question)) for question in (1,)]
    await asyncio.sleep(0.01)
    assert oracle.asked == [[1]]
    asked.append(asyncio.create_task(batches.ask(2)))
    await asyncio.sleep(0.01)
    assert oracle.asked == [[1], [2]]
    asked += [asyncio.create_task(batches.ask(question)) for question in (3, 4)]
    await asyncio.sleep(0.01)
    assert oracle.asked == [[1], [2]]
    oracle.go.set()
    assert await asyncio.gather(*asked) == [(1, 1), (4, 2), (9, 3), (16, 3)]


async def test_an_answer_is_never_older_than_its_question(
    batches: Batches[int, tuple[int, int]], oracle: Oracle
) -> None:
    """The same question once more, while it is under way: it is put once more."""
    oracle.go.clear()
    first = asyncio.create_task(batches.ask(7))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(batches.ask(7))
    await asyncio.sleep(0.01)
    oracle.go.set()
    assert [await first, await second] == [(49, 1), (49, 2)]


async def test_one_that_cannot_be_answered_fails_alone(batches: Batches[int, tuple[int, int]], oracle: Oracle) -> None:
    """The others of its batch are asked again, each for itself."""
    found = await squares(batches, [11, 12, 13, 14])
    assert isinstance(found[2], ValueError)
    assert [found[0], found[1], found[3]] == [121, 144, 196]
    assert oracle.asked == [[11, 12, 13, 14], [11], [12], [13], [14]]
    assert await squares(batches, [2]) == [4]


async def test_what_is_away_is_away_for_all(batches: Batches[int, tuple[int, int]], oracle: Oracle) -> None:
    """Each of a batch is told so by the one try, and nobody waits for a try of their own; afterwards it answers again."""
    oracle.away = True
    found = await squares(batches, [11, 12, 14])
    assert [type(each) for each in found] == [StoreUnavailable] * 3
    assert oracle.asked == [[11, 12, 14]]
    oracle.away = False
    assert await squares(batches, [11, 12]) == [121, 144]


async def test_who_does_not_wait_any_more_is_not_asked_for(
    batches: Batches[int, tuple[int, int]], oracle: Oracle
) -> None:
    """Cancelled before or during its batch; the others get their answers."""
    oracle.go.clear()
    asked = []
    for together in ([1], [2], [3, 4, 5, 6]):
        asked += [asyncio.create_task(batches.ask(question)) for question in together]
        await asyncio.sleep(0.01)
    for gone in (asked[0], asked[4]):
        gone.cancel()
    await asyncio.sleep(0.01)
    oracle.go.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found.pop(4), asyncio.CancelledError)
    assert isinstance(found.pop(0), asyncio.CancelledError)
    assert [answer[0] for answer in found if isinstance(answer, tuple)] == [4, 9, 16, 36]
    assert oracle.asked == [[1], [2], [3, 4, 6]]


async def test_who_asks_at_the_very_end_of_a_batch_is_heard(
    batches: Batches[int, tuple[int, int]], oracle: Oracle
) -> None:
    """All batches end at once, and somebody has another question before anything else happens."""

    async def twice() -> tuple[int, int]:
        await batches.ask(1)
        return await batches.ask(3)

    oracle.go.clear()
    asking = asyncio.create_task(twice())
    await asyncio.sleep(0.01)
    other = asyncio.create_task(batches.ask(2))
    await asyncio.sleep(0.01)
    oracle.go.set()
    assert await asyncio.wait_for(asking, 5) == (9, 3)
    assert await other == (4, 2)
