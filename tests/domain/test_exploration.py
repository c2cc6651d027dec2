"""What holds in every state that an order can reach: found by trying everything that anybody can do, with the real code."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import pytest
from tests.console import diagram
from tests.domain.explorer import Edge, Exploration, names
from tests.kit import TICK, H, Story, command_of

from brojobs_es.aggregates.base import Event, Role
from brojobs_es.errors import Refusal

SOAK: Final = bool(os.environ.get("BROJOBS_TEST_SOAK"))

FOCUSES: Final = {
    "agreeing on dates and parts": "request-cancellation open-dispute post-message",
    "working and disputing revisions": "request-cancellation propose-settlement post-message send-reminder",
    "cancelling and refunding": "propose-deadline propose-settlement request-revision post-message open-dispute",
    "cancelling and disputing": "propose-deadline propose-settlement request-revision post-message send-reminder",
    "cancelling and revising": "propose-deadline propose-settlement post-message send-reminder open-dispute",
    "reminding and rescheduling": "propose-settlement request-cancellation request-revision open-dispute",
}
SOAKED: Final = {
    "settling disputes": "propose-deadline send-reminder post-message request-cancellation",
    "quarrelling and disputing": "propose-deadline send-reminder request-cancellation request-revision",
    "silence and disputes": "propose-deadline propose-settlement post-message request-cancellation",
    "everything": "",
}
"""Each focus leaves some commands out, so that the rest is explored to its end."""

LIMIT: Final = 150_000 if SOAK else 20_000


@lru_cache
def explored(focus: str) -> Exploration:
    made = Exploration(limit=LIMIT, without=frozenset({**FOCUSES, **SOAKED}[focus].split()))
    print(f"\n{focus}: {len(made.nodes)} states, {made.edge_count} edges, {made.judged} judgements")  # noqa: T201
    return made


ALL: Final = [*FOCUSES, *(SOAKED if SOAK else ())]
WITH_DISPUTES: Final = [focus for focus in ALL if "open-dispute" not in {**FOCUSES, **SOAKED}[focus]]


@pytest.fixture(scope="module", params=ALL)
def world(request: pytest.FixtureRequest) -> Exploration:
    """One exploration at a time; all its tests before the next."""
    return explored(request.param)


def edges(world: Exploration) -> Iterator[Edge]:
    for node in world.nodes:
        yield from node.edges


def carried(world: Exploration, start: Any, step: Callable[[Any, Event], Any]) -> list[Any]:
    """A value for every node, carried by its events from the first one on."""
    values = [start] * len(world.nodes)
    for index, node in enumerate(world.nodes):
        if node.came_by is not None:
            value = values[node.came_by.source]
            for event in node.came_by.events:
                value = step(value, event)
            values[index] = value
    return values


def test_what_may_be_left_out_is_explored_to_its_end(world: Exploration) -> None:
    """Nothing was cut off by the bound, except the exploration of everything at once."""
    assert world.complete or not world.without
    assert len(world.nodes) > 500
    assert all(node.edges for node in world.nodes if node.held) or not world.complete


# -- money


class Ledger(NamedTuple):
    """The four accounts; `split` is what the escrow owed to others has been divided into."""

    buyer: int = 0
    escrow: int = 0
    seller: int = 0
    platform: int = 0
    funded: int = 0


def booked(ledger: Ledger, event: Any) -> Ledger:
    """The ledger after an event, by the amounts that the event itself names."""
    back, paid_out, fee, funded = (
        getattr(event, name, 0) for name in ("refund_minor", "payout_minor", "commission_minor", "amount_minor")
    )
    if not event.type.startswith("Escrow") or event.type == "EscrowAgeAlarmRaised":
        return ledger
    return Ledger(
        ledger.buyer - funded + back,
        ledger.escrow + funded - back - paid_out - fee,
        ledger.seller + paid_out,
        ledger.platform + fee,
        ledger.funded + funded,
    )


def test_accounts_balance_after_every_event(world: Exploration) -> None:
    """They sum to zero, escrow is never negative, and what was funded is held or went somewhere."""
    ledgers = carried(world, Ledger(), booked)
    for edge in edges(world):
        ledger = ledgers[edge.source]
        for event in edge.events:
            ledger = booked(ledger, event)
            assert sum(ledger[:4]) == 0
            assert ledger.escrow >= 0, event
            assert ledger.funded == ledger.escrow + (ledger.funded + ledger.buyer) + ledger.seller + ledger.platform
    for index, node in enumerate(world.nodes):
        order, ledger = node.case.order, ledgers[index]
        assert order.held_minor == ledger.escrow
        assert (order.released_minor, order.commission_minor) == (ledger.seller, ledger.platform)
        assert ledger.escrow == 0 or not order.ended


def test_money_moves_once_and_only_with_an_end(world: Exploration) -> None:
    """Funded once, and paid out or refunded in the commit of the end."""
    for edge in edges(world):
        kinds = [event.type for event in edge.events]
        paying = [kind for kind in kinds if kind in {"EscrowRefunded", "EscrowReleased", "EscrowSplit"}]
        ending = [kind for kind in kinds if kind in {"OrderCompleted", "OrderCancelled"}]
        held = world.nodes[edge.source].held
        assert len(ending) <= 1
        assert len(paying) == (1 if ending and held else 0), kinds
        assert "EscrowFunded" not in kinds or world.nodes[edge.source].case.order.status == "awaiting_payment"


# -- nobody is stuck


def reaches_an_end(world: Exploration, allowed: Callable[[Edge], bool]) -> set[int]:
    """The nodes from which allowed edges lead to an end, or to where a bounded exploration stopped."""
    back: dict[int, list[int]] = {}
    for edge in edges(world):
        if allowed(edge):
            back.setdefault(edge.target, []).append(edge.source)
    waiting = deque(i for i, node in enumerate(world.nodes) if node.case.order.ended or not node.edges)
    found = set(waiting)
    while waiting:
        for source in back.get(waiting.popleft(), ()):
            if source not in found:
                found.add(source)
                waiting.append(source)
    return found


def stuck(world: Exploration, people: Collection[str]) -> list[list[str]]:
    """Paths to nodes that these people cannot bring to an end."""
    found = reaches_an_end(world, lambda edge: edge.who in people)
    lost = [i for i, node in enumerate(world.nodes) if node.held and i not in found]
    return [world.path(i) for i in lost[:3]]


def test_held_money_can_always_be_moved_to_an_end(world: Exploration) -> None:
    """From every state with money in escrow, people and time lead to an end."""
    everybody = {"buyer", "seller", "mediator", "operator", "time"}
    assert stuck(world, everybody) == []


@pytest.mark.parametrize(
    ("world", "present"),
    [
        ("cancelling and disputing", "buyer"),
        ("cancelling and disputing", "seller"),
        ("working and disputing revisions", "seller"),
    ],
    indirect=["world"],
)
def test_a_party_that_never_shows_up_cannot_hold_the_money(world: Exploration, present: str) -> None:
    """The other party with a mediator and time is enough, given all of that party's commands."""
    assert stuck(world, {present, "mediator", "time"}) == []


@pytest.mark.parametrize("world", WITH_DISPUTES, indirect=True)
def test_without_both_parties_a_mediator_ends_it(world: Exploration) -> None:
    """After the alarm an operator opens the dispute that a mediator decides."""
    assert stuck(world, {"mediator", "operator", "time"}) == []


def test_a_dispute_is_ended_by_its_mediator_and_time(world: Exploration) -> None:
    """Played out on every disputed state: assigned, the response window over, decided."""
    for index, node in enumerate(world.nodes):
        if node.case.order.frozen:
            story = Story(node.case.fork(), node.now)
            if story.dispute.mediator_id is None:
                story.mediator("dispute/assign")
            story.at(max(story.now, story.dispute.response_due_at))
            story.act("mediator", "dispute/decide", by=story.dispute.mediator_id)
            assert (story.order.ended, story.order.held_minor) == (True, 0), world.path(index)


def test_the_parties_together_end_it_wherever_money_is_held(world: Exploration) -> None:
    """Played out on every such state: a settlement is proposed and accepted, or the seller concedes."""
    for index, node in enumerate(world.nodes):
        if not node.held:
            continue
        story = Story(node.case.fork(), node.now)
        if story.order.settlement_proposal is None:
            story.buyer("propose-settlement")
        assert story.order.settlement_proposal is not None
        story.act(str(story.order.settlement_proposal.by.other), "accept-settlement")
        conceded = Story(node.case.fork(), node.now).seller("concede")
        for ended in (story, conceded):
            assert (ended.order.ended, ended.order.held_minor) == (True, 0), world.path(index)
            assert ended.case.dispute is None or ended.case.dispute.closed, world.path(index)


# -- ends, frozen orders, relaunches


def test_nothing_about_money_or_work_happens_after_an_end(world: Exploration) -> None:
    """Only messages, until the chat closes; within the commit of the end, its money and what it closes."""
    for edge in edges(world):
        kinds = [event.type for event in edge.events]
        if world.nodes[edge.source].case.order.ended:
            assert set(kinds) <= {"MessagePosted", "ChatClosed"}, kinds
        ends = [i for i, kind in enumerate(kinds) if kind in {"OrderCompleted", "OrderCancelled"}]
        if ends:
            after = {"EscrowRefunded", "EscrowReleased", "EscrowSplit", "DisputeClosed", "RequestsSuperseded"}
            assert set(kinds[ends[0] + 1 :]) <= after, kinds


def frozen_timers(timers: dict[str, timedelta], event: Any) -> dict[str, timedelta]:
    return dict(event.suspended) if event.type == "OrderFrozen" else timers


def test_suspended_timers_resume_with_what_remained_and_a_day_at_least(world: Exploration) -> None:
    """All of them, but a silence that the seller has broken meanwhile; a delivery date moves with its timer."""
    frozen = carried(world, {}, frozen_timers)
    for edge in edges(world):
        for event in edge.events:
            if event.type != "OrderUnfrozen":
                continue
            resumed: dict[str, datetime] = event.resumed  # type: ignore[attr-defined]
            left = frozen[edge.source]
            assert left.keys() - resumed.keys() <= {"silence"}, world.path(edge.source)
            assert resumed == {name: event.effective_at + max(left[name], 24 * H) for name in resumed}
            for date in resumed.keys() & {"delivery_due", "revision_due"}:
                assert event.due_at == resumed[date]  # type: ignore[attr-defined]


def test_an_order_is_relaunched_once_and_never_in_a_last_dispute(world: Exploration) -> None:
    """And the last dispute of a party is not withdrawn."""
    relaunches = carried(world, 0, lambda count, event: count + (event.type == "OrderRelaunched"))
    for edge in edges(world):
        dispute = world.nodes[edge.source].case.dispute
        for event in edge.events:
            if event.type == "OrderRelaunched":
                assert relaunches[edge.source] == 0, world.path(edge.source)
            if event.type in {"OrderRelaunched", "DisputeWithdrawn"}:
                assert dispute is not None
                assert not dispute.last, world.path(edge.source)


def test_no_party_opens_more_than_two_disputes(world: Exploration) -> None:
    """Withdrawn ones included."""
    for node in world.nodes:
        opened = [dispute.opened_by for dispute in node.case.order.disputes]
        assert opened.count(Role.BUYER) <= 2
        assert opened.count(Role.SELLER) <= 2


def test_every_wait_has_its_clock(world: Exploration) -> None:
    """What is pending ends by itself; a frozen order's clocks stand but two; an ended one has only its chat's."""
    for index, node in enumerate(world.nodes):
        order = node.case.order
        timers, path = set(order.timers), world.path(index)
        if order.ended:
            assert timers <= {"chat_close"}, path
            continue
        assert bool(order.deadline_proposal) == ("deadline_proposal" in timers), path
        assert bool(order.settlement_proposal) == ("settlement_proposal" in timers), path
        assert bool(order.request) == bool(timers & {"cancellation_answer", "refund_answer"}), path
        assert node.now < min(order.timers.values(), default=node.now + H), path
        if order.frozen:
            assert timers <= {"settlement_proposal", "escrow_age"}, path
            assert (order.request, order.deadline_proposal) == (None, None), path
        elif order.status == "delivered":
            assert ("validation" in timers) == (order.request is None), path
            assert ("validation" in order.suspended) == (order.request is not None), path
        elif order.status == "revision_requested":
            assert "revision_answer" in timers, path


def test_every_change_of_status_is_in_the_picture(world: Exploration) -> None:
    """What the diagram of the README draws from named states is all that exploring finds."""
    drawn = diagram.edges()
    by_time = {(start, end) for start, end, label in drawn if label.endswith("(time)")}
    for edge in edges(world):
        start, end = (str(world.nodes[index].case.order.status) for index in (edge.source, edge.target))
        if start == end:
            continue
        if edge.who == "time":  # of several timers at one instant, the edge names the first
            assert (start, end) in by_time, world.path(edge.source)
        else:
            assert (start, end, edge.command.removeprefix("dispute/").split()[0]) in drawn, world.path(edge.source)


def test_turns_point_at_somebody_until_the_end(world: Exploration) -> None:
    """Who is asked to act exists in every state but the ended ones."""
    for node in world.nodes:
        assert (node.case.turn(node.now) is None) == node.case.order.ended


def test_actions_without_a_body_never_fail(world: Exploration) -> None:
    """The list of actions can be made in every state, and says possible for what a right body makes possible."""
    for index, node in enumerate(world.nodes):
        story = Story(node.case, node.now)
        possible = {(edge.who, edge.command.split()[0]) for edge in node.edges if edge.who != "time"}
        for who, command in possible:
            name = "dispute/decide" if command == "decide" else command
            by = story.dispute.mediator_id if who == "mediator" else None
            found: Refusal | None = story.judge(who, name, None, by)
            assert found is None, (world.path(index), who, name, found)


def test_an_instant_that_is_named_is_the_first_at_which_the_command_is_possible(world: Exploration) -> None:
    """If nothing happens but time until then; a tick earlier it is still refused."""
    for index, node in enumerate(world.nodes):
        now = Story(node.case, node.now)
        for name in names(node.case):
            for role in command_of(name).by:
                refusal = now.judge(role, name, None)
                if refusal is not None and refusal.available_from is not None:
                    told = (world.path(index), role, name, refusal)
                    then = Story(node.case.fork(), node.now).at(refusal.available_from - TICK)
                    assert then.judge(role, name, None) is not None, told
                    assert then.after(TICK).judge(role, name, None) is None, told
