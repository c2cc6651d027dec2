"""Two processes on one database: what one of them has not seen yet never makes it tell something that is not so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.application.desk import NOW, PEOPLE, Desk, desk, standing_clock
from tests.http.crowd import SOAK
from tests.http.world import euros

from brojobs_es.application import service as application
from brojobs_es.application.standing import Standing
from brojobs_es.clock import SandboxClock
from brojobs_es.console.erase import erase
from brojobs_es.errors import Refusal
from brojobs_es.settings import Settings

ROUNDS = 250 if SOAK else 50
"""Of four commands each."""


@pytest.fixture
def clock() -> SandboxClock:
    return standing_clock()


@pytest.fixture
async def here(clean_logs: str, log_count: int, clock: SandboxClock) -> AsyncIterator[Desk]:
    async with desk(clean_logs, log_count, clock) as made:
        yield made


@pytest.fixture
async def there(clean_logs: str, log_count: int, clock: SandboxClock, here: Desk) -> AsyncIterator[Desk]:
    async with desk(clean_logs, log_count, clock) as made:
        yield made


async def test_valid_commands_that_alternate_are_all_taken(here: Desk, there: Desk) -> None:
    """Each is only possible after what the other process has just done; none is refused, none is recorded twice."""
    order_id = await here.paid()
    await there.version(order_id)
    for number in range(ROUNDS):
        one, other = (here, there) if number % 2 else (there, here)
        told = await one.do("seller", order_id, "propose-settlement", refund=euros(number + 1))
        proposal = told.standing.case.order.settlement_proposal
        assert proposal is not None
        await other.do("buyer", order_id, "refuse-settlement", proposal_id=str(proposal.proposal_id))
        await one.do("buyer", order_id, "post-message", text=str(number))
        await other.do("seller", order_id, "post-message", text=str(number))
    history = await here.service.history(order_id)
    assert history.case.order.version == await there.version(order_id) == 2 + 4 * ROUNDS
    assert [e.stream_version for e in await there.logs.load(order_id)] == list(range(1, 3 + 4 * ROUNDS))


async def test_commands_at_once_from_both_are_all_taken(here: Desk, there: Desk) -> None:
    """Sixty messages that race for versions: each is recorded once."""
    order_id = await here.paid()
    await there.version(order_id)
    told = await asyncio.gather(
        *((here, there)[n % 2].do("buyer", order_id, "post-message", text=str(n)) for n in range(60))
    )
    assert sorted(answer.standing.case.order.version for answer in told) == list(range(3, 63))
    texts = [entry.event.text.text for entry in (await here.service.history(order_id)).entries[2:]]  # type: ignore[attr-defined]
    assert sorted(texts, key=int) == [str(number) for number in range(60)]


async def test_a_refusal_is_never_from_memory(here: Desk, there: Desk) -> None:
    """Here the order is unpaid, then without a proposal; there it has moved on: nothing is refused for the past."""
    order_id = await here.place()
    with pytest.raises(Refusal, match="not_paid"):
        await here.do("seller", order_id, "concede")
    await there.pay(order_id)
    told = await here.do("seller", order_id, "propose-settlement", refund=euros(1))
    proposal = told.standing.case.order.settlement_proposal
    assert proposal is not None
    answer = await there.do("buyer", order_id, "accept-settlement", proposal_id=str(proposal.proposal_id))
    assert answer.standing.case.order.ending == "settled"


async def test_what_memory_allows_is_refused_if_it_is_too_late(here: Desk, there: Desk) -> None:
    """Here the order is still in progress: the log knows better, and the refusal is the true one."""
    order_id = await here.paid()
    await there.do("seller", order_id, "concede")
    with pytest.raises(Refusal, match="order_closed"):
        await here.do("seller", order_id, "propose-settlement", refund=euros(1))
    refusals = [refused.code for _, refused in await here.logs.refusals(here.logs.log_of(order_id), 0, 10)]
    assert refusals == ["order_closed"]


async def test_a_repetition_that_changes_nothing_is_told_the_current_truth(here: Desk, there: Desk) -> None:
    """The same payment again, here where it is the first that is heard of it: nothing is recorded, and all is seen."""
    order_id = await here.place()
    await there.pay(order_id)
    await there.do("buyer", order_id, "post-message", text="Bonjour")
    answer = await here.pay(order_id)
    assert answer.standing.case.order.version == 3
    await there.do("seller", order_id, "concede")
    answer = await here.pay(order_id)
    assert (answer.standing.case.order.version, str(answer.standing.case.order.status)) == (6, "cancelled")
    assert len(await here.logs.load(order_id)) == 6


async def test_a_dry_run_is_told_the_current_truth(here: Desk, there: Desk) -> None:
    """It records nothing that the log could refuse, and still promises nothing that would be refused."""
    order_id = await here.place()
    await there.pay(order_id)
    await there.do("buyer", order_id, "post-message", text="Bonjour")
    answer = await here.ask("seller", order_id, "post-message", {"text": "Bonjour"}, dry_run=True)
    assert [event.originator_version for event in answer.would_record or ()] == [4]
    await there.do("seller", order_id, "concede")
    with pytest.raises(Refusal, match="order_closed"):
        await here.ask("seller", order_id, "propose-settlement", {"refund": euros(1)}, dry_run=True)
    assert len(await here.logs.load(order_id)) == 6


async def test_a_precondition_is_held_against_the_current_version(here: Desk, there: Desk) -> None:
    """The version that only the other process knows is accepted; the one that only this one still knows is not."""
    order_id = await here.paid()
    await there.do("buyer", order_id, "post-message", text="Bonjour")
    with pytest.raises(Refusal, match="version_conflict") as caught:
        await here.ask("seller", order_id, "post-message", {"text": "Bonjour"}, if_match=frozenset({2}))
    assert caught.value.facts["current_version"] == 3
    await there.do("buyer", order_id, "post-message", text="Encore")
    await here.ask("seller", order_id, "post-message", {"text": "Bonjour"}, if_match=frozenset({4}))
    assert await there.version(order_id) == 5


async def test_a_key_gives_its_first_answer_in_either_process(here: Desk, there: Desk) -> None:
    """Whether the process knows that the command is impossible by now, or does not even know that it was done."""
    order_id = await here.paid()
    await there.version(order_id)
    first = await here.ask("seller", order_id, "concede", {}, key="one")
    for desk_ in (there, there, here):
        again = await desk_.ask("seller", order_id, "concede", {}, key="one")
        assert again.replayed
        assert again.standing.case.order.version == first.standing.case.order.version == 5
    with pytest.raises(Refusal, match="idempotency_key_reused"):
        await there.ask("seller", order_id, "concede", {"comment": "Sorry"}, key="one")
    assert len(await here.logs.load(order_id)) == 5
    refused = await here.logs.refusals(here.logs.log_of(order_id), 0, 10)
    assert refused == []


async def test_one_key_at_once_in_both_has_one_effect(here: Desk, there: Desk) -> None:
    """Thirty-two times the same message: one is recorded, and everybody is told of that one."""
    order_id = await here.paid()
    await there.version(order_id)
    told = await asyncio.gather(
        *((here, there)[n % 2].ask("buyer", order_id, "post-message", {"text": "?"}, key="one") for n in range(32))
    )
    assert sum(not answer.replayed for answer in told) == 1
    assert {answer.standing.case.order.version for answer in told} == {3}
    assert len(await here.logs.load(order_id)) == 3


async def test_time_that_the_other_process_has_recorded(here: Desk, there: Desk, clock: SandboxClock) -> None:
    """Both know the order before its date; one records that the date has passed, the other one acts on it."""
    order_id = await here.paid()
    await there.version(order_id)
    clock.move_to(NOW + timedelta(days=30))
    await there.service.history(order_id)
    answer = await here.do("buyer", order_id, "cancel-overdue")
    assert answer.standing.case.order.ending == "overdue"
    types = [entry.event.type for entry in (await there.service.history(order_id)).entries]
    assert types == ["OrderPlaced", "EscrowFunded", "DeliveryOverdue", "OrderCancelled", "EscrowRefunded"]


async def test_a_dispute_that_changes_hands_between_processes(here: Desk, there: Desk, clock: SandboxClock) -> None:
    """What happens to the dispute alone makes no version of the order, and is known all the same."""
    order_id = await here.paid()
    for day in range(2):
        clock.move_to(NOW + timedelta(days=day, hours=1))
        await here.do("buyer", order_id, "request-cancellation", reason="delay")
        await there.do("seller", order_id, "refuse-cancellation", reason="Nearly done.")
    opening = {"statement": "No.", "evidence": [{"description": "The brief"}]}
    dispute = (await there.do("buyer", order_id, "open-dispute", **opening)).dispute_id
    assert dispute is not None
    with pytest.raises(Refusal, match="chat_locked"):
        await here.do("buyer", order_id, "post-message", text="?")
    await here.ask("mediator", order_id, "assign", {}, dispute=dispute)
    await there.ask("seller", order_id, "submit-evidence", {"kind": "statement", "description": "§2"}, dispute=dispute)
    with pytest.raises(Refusal, match="stale_assignment"):
        await there.ask("mediator", order_id, "decide", _decision(2), dispute=dispute)
    await there.ask("mediator", order_id, "decide", _decision(1), dispute=dispute)
    with pytest.raises(Refusal, match="dispute_closed"):
        await here.ask("buyer", order_id, "post-message", {"text": "Thank you"}, dispute=dispute)
    standing, _ = await here.service.stand(order_id, PEOPLE["seller"])
    assert (standing.case.order.status, standing.case.order.ending) == ("cancelled", "decided")


def _decision(assignment: int) -> dict[str, object]:
    return {"assignment": assignment, "outcome": "full_refund", "reason": "The brief is clear."}


# -- files


async def test_what_is_sure_is_not_looked_at_again(here: Desk, there: Desk) -> None:
    """Whoever asks how an order stands says for which past it is enough; what that was seen as counts since its last event."""
    order_id = await here.paid()
    await there.do("buyer", order_id, "post-message", text="Bonjour")
    asked: list[tuple[int, timedelta]] = []

    def sure(order: Standing, seen_at: datetime) -> bool:
        asked.append((order.case.order.version, order.now - seen_at))
        return len(asked) == 1

    clock = here.service._clock
    assert isinstance(clock, SandboxClock)
    clock._set = NOW + timedelta(minutes=5)
    for version in (2, 3):
        standing, _ = await here.service.stand(order_id, PEOPLE["seller"], sure)
        assert standing.case.order.version == version
    assert asked == [(2, timedelta(minutes=5))] * 2
    assert (await there.service.stand(await here.place(), PEOPLE["seller"], sure))[0].case.order.version == 1
    assert len(asked) == 2


# -- what is kept in memory


async def test_who_is_erased_goes_out_of_memory(clean_logs: str, log_count: int, tmp_path: Path) -> None:
    """The next look at the order finds a placeholder, and nothing of what was kept before is used."""
    async with desk(clean_logs, log_count, check_seconds=0) as here:
        orders = [await here.paid() for _ in range(3)]
        assert here.remembered == 3
        standing, _ = await here.service.stand(orders[0], PEOPLE["seller"])
        assert standing.case.order.title.text == "Logo"
        for order_id in orders:
            await here.do("seller", order_id, "concede")
        settings = Settings(database_url=clean_logs, data_dir=tmp_path, retention_days=0, logs=log_count)
        await erase(settings, clean_logs, "ana", "They asked for it", "ops", 0.0)
        standing, _ = await here.service.stand(orders[0], PEOPLE["seller"])
        assert standing.case.order.title.text != "Logo"
        assert here.remembered == 1


async def test_memory_is_bounded(clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for three orders, ten that are spoken about in turn never take more, and all go on as they should."""
    monkeypatch.setattr(application, "KEPT_BYTES_MAX", 3 * 8000)
    async with desk(clean_logs, log_count) as here:
        orders = [await here.paid() for _ in range(10)]
        for number in range(3):
            for order_id in orders:
                await here.do("buyer", order_id, "post-message", text=str(number))
                assert 1 <= here.remembered <= 3
        assert [await here.version(order_id) for order_id in orders] == [5] * 10
