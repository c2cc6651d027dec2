"""Orders as they stand: what they weigh in memory, and how many of them are read for a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from tests.application.desk import NOW, PEOPLE, Desk, desk, standing_clock
from tests.http.world import euros

from brojobs_es.application import service as application
from brojobs_es.application.records import RecordedEvent
from brojobs_es.application.standing import Standing

POSITION_BYTES = 16


@pytest.fixture
async def here(clean_logs: str, log_count: int) -> AsyncIterator[Desk]:
    async with desk(clean_logs, log_count) as made:
        yield made


@pytest.fixture
async def there(clean_logs: str, log_count: int, here: Desk) -> AsyncIterator[Desk]:
    async with desk(clean_logs, log_count) as made:
        yield made


async def standing(desk: Desk, order_id: UUID) -> Standing:
    return (await desk.service.stand(order_id, PEOPLE["buyer"]))[0]


async def test_messages_weigh_nothing_but_their_places(
    here: Desk, there: Desk, clean_logs: str, log_count: int
) -> None:
    """However it came into memory: by its own commands, read at once, or followed while another process wrote."""
    order_id = await here.paid()
    before = (await standing(here, order_id)).weight
    assert (await standing(there, order_id)).weight == before
    for number in range(5):
        await here.do("buyer", order_id, "post-message", text=f"{number} " * 1000)
    await here.do("buyer", order_id, "send-reminder", text="Are you there? " * 100)
    expected = before + 6 * POSITION_BYTES
    assert (await standing(here, order_id)).weight == expected
    assert (await standing(there, order_id)).weight == expected
    async with desk(clean_logs, log_count) as fresh:
        assert (await standing(fresh, order_id)).weight == expected


async def test_what_is_decided_on_weighs_what_it_takes(here: Desk) -> None:
    """The comment of a proposal stays in the order, and counts."""
    order_id = await here.paid()
    before = (await standing(here, order_id)).weight
    await here.do("seller", order_id, "propose-settlement", refund=euros(1), comment="x" * 1000)
    assert (await standing(here, order_id)).weight > before + 1000


async def test_many_orders_are_read_a_few_at_a_time(here: Desk, there: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which they are asked for, each as it is shown alone; what is no order is left out."""
    monkeypatch.setattr(application, "READ_AT_ONCE", 3)
    orders = [await here.place() for _ in range(4)] + [await here.paid() for _ in range(4)]
    wanted = [*reversed(orders[:5]), uuid4(), *orders[5:], uuid4()]
    asked: list[int] = []
    load_many = there.logs.load_many

    async def counted(order_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[RecordedEvent]]:
        asked.append(len(order_ids))
        return await load_many(order_ids)

    monkeypatch.setattr(there.logs, "load_many", counted)
    found = await there.service.standings(wanted)
    assert [each.order_id for each in found] == [*reversed(orders[:5]), *orders[5:]]
    assert asked == [3, 3, 3, 1]
    for each in found:
        alone = await standing(there, each.order_id)
        assert (each.case.order.version, each.positions, each.own) == (
            alone.case.order.version,
            alone.positions,
            alone.own,
        )
        assert each.case.order.title.text == "Logo"
    assert await there.service.standings([]) == []


async def test_due_timers_show_in_a_list_and_are_not_recorded(clean_logs: str, log_count: int) -> None:
    """An order that nobody paid in time is listed as cancelled before anybody has written that down."""
    clock = standing_clock()
    async with desk(clean_logs, log_count, clock) as here:
        order_id = await here.place()
        clock.move_to(NOW + timedelta(days=2))
        (found,) = await here.service.standings([order_id])
        assert (str(found.case.order.status), found.case.order.ending) == ("cancelled", "payment_expired")
        assert len(await here.logs.load(order_id)) == 1
