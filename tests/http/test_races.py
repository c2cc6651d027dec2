"""Everybody acts at once: one outcome, everybody told the truth, the ledger balanced; also over two processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx
import pytest
from tests.http.crowd import ENDS, MOVES, SOAK, Crowd, Racer
from tests.http.world import Told, World, code, euros, wire

ORDERS: Final = 200
DISPUTES: Final = 200 if SOAK else 20
KEYS: Final = 50 if SOAK else 10
AT_ONCE: Final = 12

FULL_REFUND: Final = {"OrderCancelled", "EscrowRefunded"}
TRUE_REASONS: Final = {
    "order_closed", "order_frozen", "already_delivered", "not_delivered", "nothing_delivered", "cancellation_pending",
    "no_cancellation_pending", "revision_pending", "proposal_void", "chat_locked", "dispute_closed", "not_in_progress",
    "cancellation_cooldown",
}  # fmt: skip


def check_the_truth(order: Told, racers: Sequence[Racer], answers: Sequence[httpx.Response]) -> None:
    """One end, one movement of money, an event for each who was told yes, none for each who was told no."""
    events = order.events()
    types = Counter(event["type"] for event in events)
    assert sum(types[name] for name in ENDS) == sum(types[name] for name in MOVES) == 1, types
    yes: Counter[tuple[str, str]] = Counter()
    for racer, answer in zip(racers, answers, strict=True):
        assert answer.status_code in (200, 201, 409), f"{racer}: {answer.status_code} {answer.text}"
        if answer.status_code == 409:
            assert code(answer) in TRUE_REASONS, f"{racer}: {answer.text}"
        else:
            yes[racer.who, racer.command] += 1
    asked = {(racer.who, racer.command) for racer in racers}
    done = {(e["actor"]["role"], e["command"], e["command_id"]) for e in events}
    real = Counter((who, command) for who, command, _ in done if (who, command) in asked)
    assert real == yes, f"told {yes}, recorded {real}"
    order.balanced()
    seen = {who: order.see(who) for who in ("buyer", "seller")}
    assert seen["buyer"] == seen["seller"]
    assert seen["buyer"]["status"] in ("completed", "cancelled")
    ended = [a.json() for a in answers if a.status_code == 200 and a.json().get("status") in ("completed", "cancelled")]
    for told in ended:
        assert (told["status"], told["ending"], told["escrow"]) == (
            seen["buyer"]["status"], seen["buyer"]["ending"], seen["buyer"]["escrow"],
        )  # fmt: skip


# -- orders


async def _overdue(crowd: Crowd, order: Told) -> list[Racer]:
    """Late by the instant of the race, a request to cancel and a settlement of the seller pending."""
    await crowd.each(order, Racer("buyer", "request-cancellation", {"reason": "delay"}))
    told = await crowd.each(order, Racer("seller", "propose-settlement", {"refund": euros(4000)}))
    pending = {"proposal_id": told["settlement_proposal"]["proposal_id"]}
    file_id = await asyncio.to_thread(order.file)
    return [
        Racer("buyer", "cancel-overdue", {}), Racer("seller", "deliver", {"note": "x", "files": [file_id]}),
        Racer("seller", "accept-cancellation", {}), Racer("seller", "concede", {}),
        Racer("buyer", "accept-settlement", pending), Racer("seller", "refuse-cancellation", {"reason": "No."}),
        Racer("buyer", "withdraw-cancellation", {}), Racer("seller", "post-message", {"text": "Hello"}),
    ]  # fmt: skip


async def _delivered(crowd: Crowd, order: Told) -> list[Racer]:
    """Delivered yesterday, a settlement of the seller pending: accept, ask for changes, cancel, concede, settle."""
    file_id = await asyncio.to_thread(order.file)
    told = await crowd.each(
        order, Racer("seller", "deliver", {"note": "x", "files": [file_id]}),
        Racer("seller", "propose-settlement", {"refund": euros(4000)}),
    )  # fmt: skip
    pending = {"proposal_id": told["settlement_proposal"]["proposal_id"]}
    return [
        Racer("buyer", "accept-delivery", {}), Racer("seller", "concede", {}),
        Racer("buyer", "accept-settlement", pending), Racer("buyer", "request-cancellation", {"reason": "delay"}),
        Racer("buyer", "request-revision", {"points": [{"text": "Darker"}]}), Racer("buyer", "post-message", {"text": "?"}),
        Racer("seller", "post-message", {"text": "Well?"}), Racer("buyer", "accept-delivery", {}),
    ]  # fmt: skip


async def _validated(crowd: Crowd, order: Told) -> list[Racer]:
    """Delivered seven days before the instant of the race: the timer has won, whoever records it."""
    return [
        Racer("buyer", "accept-delivery", {}), Racer("seller", "concede", {}),
        Racer("buyer", "request-revision", {"points": [{"text": "Darker"}]}), Racer("buyer", "cancel-overdue", {}),
        Racer("buyer", "request-cancellation", {"reason": "delay"}), Racer("seller", "accept-cancellation", {}),
        Racer("buyer", "accept-delivery", {}), Racer("seller", "concede", {}),
    ]  # fmt: skip


async def _in_batches(work: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    done: list[Any] = []
    for start in range(0, len(work), AT_ONCE):
        done += await asyncio.gather(*(one() for one in work[start : start + AT_ONCE]))
    return done


async def test_every_order_has_one_end_and_everybody_is_told_the_truth(world: World, twin: World) -> None:
    """Orders × 8 racers over two processes, while both schedulers fire what is due at that very instant."""
    start = world.now()
    kinds = [_overdue, _delivered, _validated]
    due_at = wire(start + timedelta(days=7))
    async with Crowd(world, twin) as crowd:
        orders = [world.paid(due_at=due_at) for _ in range(ORDERS)]
        for order in orders[2::3]:
            order.seller("deliver", note="First version", files=[order.file()])
        world.at(start + timedelta(days=6))
        made = await _in_batches([partial(kinds[n % 3], crowd, order) for n, order in enumerate(orders)])
        world.at(start + timedelta(days=7))
        answers = await _in_batches([partial(crowd.race, *each) for each in zip(orders, made, strict=True)])
    for order, racers, told in zip(orders, made, answers, strict=True):
        check_the_truth(order, racers, told)
    validated = [order.types() for order in orders[2::3]]
    assert all(types.count("DeliveryAutoAccepted") == 1 for types in validated)
    assert all({code(answer) for answer in told} <= {"order_closed"} for told in answers[2::3])


# -- one key


@pytest.mark.parametrize("processes", [1, 2])
async def test_one_key_from_sixteen_callers_has_one_effect(world: World, twin: World, processes: int) -> None:
    """Sixteen equal answers, one of them the first; others write to the same order meanwhile."""
    worlds = (world, twin)[:processes]
    async with Crowd(*worlds) as crowd:
        for number in range(KEYS):
            order = world.paid()
            order.buyer("request-cancellation", reason="delay")
            same = [Racer("seller", "refuse-cancellation", {"reason": "No."}, key=f"key-{number}")] * 16
            noise = [Racer("buyer", "post-message", {"text": str(n)}) for n in range(6)]
            answers = await crowd.race(order, [*noise[:3], *same, *noise[3:]])
            told = answers[3:-3]
            assert {answer.status_code for answer in told} == {200}, [(a.status_code, code(a)) for a in told]
            assert len({answer.content for answer in told}) == 1
            assert sum("idempotency-replayed" not in answer.headers for answer in told) == 1
            assert [answer.status_code for answer in (*answers[:3], *answers[-3:])] == [200] * 6
            assert Counter(order.types())["CancelRefused"] == 1


@pytest.mark.parametrize("how", ["key", "order_id"])
async def test_one_placing_from_sixteen_callers_places_one_order(world: World, twin: World, how: str) -> None:
    """By key and by an id of the client's own, over two processes."""
    async with Crowd(world, twin) as crowd:
        for number in range(KEYS):
            order_id = f"{number:08x}-0000-4000-8000-{abs(hash(world.people['buyer'])) % 16**12:012x}"
            body = world.place_body(**({"order_id": order_id} if how == "order_id" else {}))
            headers = world.headers("buyer", {"Idempotency-Key": f"k{number}"} if how == "key" else {})
            answers = await asyncio.gather(
                *(crowd._clients[n % 2].post("/v1/orders", json=body, headers=headers) for n in range(16))
            )
            assert {answer.status_code for answer in answers} == {201}
            assert len({answer.content for answer in answers}) == 1
    assert len(world.see("buyer", "/v1/orders", limit=1000)["items"]) == KEYS


async def test_one_key_for_different_requests_lets_one_through(world: World, twin: World) -> None:
    """Two bodies under one key over two processes: one is done, the other is told that the key is taken."""
    async with Crowd(world, twin) as crowd:
        for number in range(KEYS):
            order = world.paid()
            racers = [Racer("buyer", "post-message", {"text": str(n % 2)}, key=f"key-{number}") for n in range(8)]
            answers = await crowd.race(order, [*racers[:4], *reversed(racers[4:])])
            assert sorted({(a.status_code, code(a)) for a in answers}, key=str) == [
                (200, None), (422, "idempotency_key_reused"),
            ]  # fmt: skip
            assert order.types().count("MessagePosted") == 1


# -- disputes


async def test_a_settlement_and_a_decision_at_once(world: World, twin: World) -> None:
    """One of them ends the order; the other is told that it is closed; both streams agree."""
    async with Crowd(world, twin) as crowd:
        for number in range(DISPUTES):
            order = world.under_review()
            proposal = order.buyer("propose-settlement", refund=euros(4000))["settlement_proposal"]["proposal_id"]
            decision = {"assignment": 1, "outcome": "partial_refund", "refund": euros(3333), "reason": "A third."}
            racers = [
                Racer("mediator", "dispute/decide", decision),
                Racer("seller", "accept-settlement", {"proposal_id": proposal}),
                Racer("seller", "concede", {}), Racer("seller", "dispute/post-message", {"text": "Wait"}),
            ]  # fmt: skip
            answers = await crowd.race(order, racers[number % 2 :] + racers[: number % 2])
            racers = racers[number % 2 :] + racers[: number % 2]
            types = Counter(order.types())
            assert (types["DisputeClosed"], sum(types[name] for name in ENDS)) == (1, 1)
            won = [r.command for r, a in zip(racers, answers, strict=True) if a.status_code == 200]
            ends = [name for name in won if name != "dispute/post-message"]
            assert len(ends) == 1, won
            outcome = {"dispute/decide": "partial_refund", "accept-settlement": "settled", "concede": "conceded"}[
                ends[0]
            ]
            assert order.see("mediator", "dispute")["outcome"] == outcome
            refunded = {"partial_refund": 3333, "settled": 4000, "conceded": 10_001}[outcome]
            assert order.balanced()["refunded"] == refunded
            lost = {code(a) for r, a in zip(racers, answers, strict=True) if a.status_code != 200}
            assert lost <= {"order_closed", "dispute_closed"}


async def test_two_mediators_assign_themselves_at_once(world: World, twin: World) -> None:
    """One gets the case, the other learns that it is taken; the number grows by one."""
    async with Crowd(world, twin) as crowd:
        for _ in range(DISPUTES):
            order = world.disputed()
            racers = [Racer(who, "dispute/assign", {}) for who in ("mediator", "mediator2") * 2]
            answers = await crowd.race(order, racers)
            case = order.see("auditor", "dispute")
            won = {r.who for r, a in zip(racers, answers, strict=True) if a.status_code == 200}
            lost = {(r.who, code(a)) for r, a in zip(racers, answers, strict=True) if a.status_code != 200}
            (winner,) = won
            assert {reason for _, reason in lost} == {"already_assigned"}
            assert (case["mediator_id"], case["assignment"]) == (world.people[winner], 1)
            assert order.types().count("MediatorAssigned") == 1


async def test_a_withdrawal_and_a_decision_at_once(world: World, twin: World) -> None:
    """Either the order goes on as before, or it has ended by the decision; never half of each."""
    async with Crowd(world, twin) as crowd:
        outcomes = Counter[str]()
        for number in range(DISPUTES):
            order = world.under_review()
            decision = {"assignment": 1, "outcome": "full_refund", "reason": "The brief is clear."}
            racers = [Racer("mediator", "dispute/decide", decision), Racer("buyer", "dispute/withdraw", {})]
            racers = racers if number % 2 else racers[::-1]
            answers = await crowd.race(order, racers)
            assert sorted(a.status_code for a in answers) == [200, 409]
            assert {code(a) for a in answers} == {None, "dispute_closed"}
            outcome = order.see("seller", "dispute")["outcome"]
            outcomes[outcome] += 1
            expected = {"full_refund": ("cancelled", 0), "withdrawn": ("delivered", 10_001)}[outcome]
            shown = order.see()
            assert (shown["status"], shown["escrow"]["held"]) == expected
            assert order.types().count("OrderUnfrozen") == (outcome == "withdrawn")
            order.balanced()
        assert sum(outcomes.values()) == DISPUTES


async def test_opening_and_ending_at_once(world: World, twin: World) -> None:
    """A dispute and the end of its order never cross: no dispute stays open on an order that has ended."""
    opening = {"statement": "Not the brief.", "evidence": [{"description": "The brief"}]}
    async with Crowd(world, twin) as crowd:
        for _ in range(DISPUTES):
            order = world.revision_refused()
            racers = [
                Racer("buyer", "open-dispute", opening), Racer("buyer", "accept-delivery", {}),
                Racer("buyer", "open-dispute", opening), Racer("buyer", "request-cancellation", {"reason": "delay"}),
            ]  # fmt: skip
            answers = await crowd.race(order, racers)
            assert {a.status_code for a in answers} <= {200, 201, 409}
            types = Counter(order.types())
            assert types["DisputeOpened"] == types["OrderFrozen"] == sum(a.status_code == 201 for a in answers) <= 1
            assert types["OrderCompleted"] + types["DisputeOpened"] == 1
            assert order.see()["status"] == ("disputed" if types["DisputeOpened"] else "completed")


# -- two processes


def test_commands_that_alternate_between_processes_are_all_taken(world: World, twin: World) -> None:
    """What one process has just recorded the other one knows: nothing valid is refused."""
    order = world.paid()
    sides = [order, order.through(twin)]
    rounds = 250 if SOAK else 50
    for number in range(rounds):
        here, there = sides[number % 2], sides[1 - number % 2]
        proposal = here.seller("propose-settlement", refund=euros(number + 1))["settlement_proposal"]["proposal_id"]
        there.buyer("refuse-settlement", proposal_id=proposal)
        here.buyer("post-message", text=str(number))
        there.seller("post-message", text=str(number))
    assert order.see()["version"] == 2 + 4 * rounds
    assert order.see() == sides[1].see()
    assert order.see("buyer", "chat")["messages"] == sides[1].see("buyer", "chat")["messages"]


async def test_messages_from_everywhere_at_once_all_arrive(world: World, twin: World) -> None:
    """Posting retries by itself as long as writing is allowed: no message is lost, none is doubled."""
    order = world.paid()
    async with Crowd(world, twin) as crowd:
        racers = [Racer(("buyer", "seller")[n % 2], "post-message", {"text": f"message {n}"}) for n in range(16)]
        answers = await crowd.race(order, racers)
    assert [answer.status_code for answer in answers] == [200] * 16
    texts = [message["text"] for message in order.see("buyer", "chat")["messages"]]
    assert sorted(texts) == sorted(racer.body["text"] for racer in racers)
