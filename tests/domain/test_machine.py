"""Random lives of an order against an independent book-keeper, a scheduler that sleeps, and its own replay."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests import kit
from tests.domain.bookkeeper import Bookkeeper
from tests.domain.driving import OPENINGS, CaseDriver, bodies, likely, opening_step, steps
from tests.kit import DISPUTE_NAMES, ORDER_NAMES, PEOPLE, PRICE, T0, D, H, command_of

from brojobs_es.aggregates.base import Event
from brojobs_es.case import Case
from brojobs_es.terms import Terms

SOAK: Final = bool(os.environ.get("BROJOBS_TEST_SOAK"))
STAMPS: Final = {"timestamp"}
COMMISSIONS: Final = st.sampled_from([0, 1_000, 1_250, 10_000])
BEGINNINGS: Final = st.sampled_from(sorted(OPENINGS))


def without_recording(event: Event) -> dict[str, Any]:
    """An event but for when it was recorded."""
    return {"type": event.type, **{name: value for name, value in vars(event).items() if name not in STAMPS}}


def remembered(case: Case) -> list[dict[str, Any]]:
    """All that the order and its disputes hold in memory."""
    return [{k: v for k, v in vars(part).items() if k != "_pending_events"} for part in (case.order, *case.disputes)]


class AnOrdersLife(RuleBasedStateMachine):
    """`watched` is elapsed at every instant; `sleeping` only when a command is judged."""

    @initialize(bps=COMMISSIONS, opening=BEGINNINGS)
    def begin(self, bps: int, opening: str) -> None:
        terms, due_at = Terms(commission_bps=bps), T0 + 20 * D
        self.now = T0
        self.watched = CaseDriver(kit.placed(terms=terms, due_at=due_at))
        self.sleeping = CaseDriver(kit.placed(terms=terms, due_at=due_at))
        self.books = Bookkeeper(PRICE, bps, T0, due_at)
        for step in OPENINGS[opening].split():
            if step.startswith("+"):
                self.move_to(self.now + int(step) * H)
            else:
                role, command = step.split(":")
                command, body = opening_step(self.watched.story, role, command)
                assert self.give(role, command, body, PEOPLE[role]) is None

    def move_to(self, now: datetime) -> None:
        """Only the watched case is looked at."""
        self.now = now
        self.books.tick(now)
        self.watched.elapse(now)

    def give(self, role: str, command: str, body: dict[str, Any], by: str) -> str | None:
        """The same command to both; the book-keeper hears of it if it was accepted."""
        lock = self.books.lock
        before = len(self.watched.case.new)
        code = self.watched.send(role, command, body, self.now, by)
        assert self.sleeping.send(role, command, body, self.now, by) == code
        if code is not None:
            assert len(self.watched.case.new) == before, f"{command} was refused, and recorded something"
        elif role in {"buyer", "seller"} and command == "post-message":
            assert lock[0 if role == "buyer" else 1], "a message went through the lock"
        if code in {"chat_locked", "chat_closed"}:
            assert not lock[0 if role == "buyer" else 1], "the lock kept a message that may pass"
        if code is None:
            assert not self.books.forbids(command), f"{command} in {self.books.status}"
            self.books.accepted(role, command, body, self.now)
        return code

    def draw_and_give(self, data: st.DataObject, role: str, command: str) -> None:
        view = self.watched.order(self.now)
        body = data.draw(bodies(command, role, view, self.now, self.watched.story), label="body")
        holder = (view["dispute"] or {}).get("mediator_id")
        by = (
            data.draw(st.sampled_from([holder or "mia", holder or "mia", "max"]))
            if role == "mediator"
            else PEOPLE[role]
        )
        self.give(role, command, body, by)

    @rule(data=st.data())
    def somebody_acts(self, data: st.DataObject) -> None:
        """One of the commands that are possible for somebody now."""
        self.do_what_is_possible(data)

    @rule(data=st.data())
    def somebody_acts_later(self, data: st.DataObject) -> None:
        """The same after some time."""
        self.time_passes(data)
        self.do_what_is_possible(data)

    def do_what_is_possible(self, data: st.DataObject) -> None:
        """After an end, another order begins instead."""
        if self.books.status in {"completed", "cancelled"}:
            self.begin(data.draw(COMMISSIONS, label="bps"), data.draw(BEGINNINGS, label="opening"))
        story = self.watched.story
        possible = [
            (str(role), name)
            for name in (*ORDER_NAMES, *(DISPUTE_NAMES if story.case.dispute else ()))
            for role in sorted(command_of(name).by)
            if story.judge(str(role), name, None) is None
        ]
        if possible:
            self.draw_and_give(data, *data.draw(likely(possible), label="command"))

    @rule(data=st.data(), command=st.sampled_from((*ORDER_NAMES, *DISPUTE_NAMES)))
    def somebody_tries_anything(self, data: st.DataObject, command: str) -> None:
        """Mostly refused."""
        if command in ORDER_NAMES or self.watched.case.dispute is not None:
            self.draw_and_give(data, data.draw(st.sampled_from(sorted(command_of(command).by)), label="role"), command)

    def time_passes(self, data: st.DataObject) -> None:
        """To any instant."""
        self.move_to(data.draw(steps(self.books.next_instant(), self.now), label="now"))

    @rule(data=st.data())
    def nobody_acts(self, data: st.DataObject) -> None:
        """Only time passes."""
        self.time_passes(data)

    @invariant()
    def a_repeated_command_changes_nothing(self) -> None:
        """The same payment, and the assignment of who is assigned already, whenever they come."""
        again = CaseDriver(self.watched.story.fork())
        before = len(again.case.new)
        if again.case.order.payment_reference is not None:
            body = kit.right_body(again.story, "operator", "confirm-payment")
            assert again.send("operator", "confirm-payment", body, self.now, "ops") is None
        if again.case.dispute is not None and again.story.dispute.mediator_id is not None:
            code = again.send("mediator", "dispute/assign", {}, self.now, again.story.dispute.mediator_id)
            assert code == ("dispute_closed" if again.story.dispute.closed else None)
        assert len(again.case.new) == before

    @invariant()
    def the_books_agree(self) -> None:
        """Status, dates, unlocks, money and chat are what the book-keeper says."""
        view, books = self.watched.order(self.now), self.books
        assert (view["status"], view["due_at"]) == (books.status, books.due_at)
        assert view["overdue"] == books.overdue(self.now)
        escrow = view["escrow"]
        assert escrow == {name: getattr(books, name) for name in escrow}
        assert sum(books.accounts.values()) == 0
        assert escrow["funded"] == sum(escrow[name] for name in ("held", "refunded", "released", "commission"))
        assert tuple(view["chat"].values()) == books.lock
        assert view["refusals"]["count"] == books.refusals or books.status in {"completed", "cancelled"}
        assert view["dispute_unlocked_by"] == books.unlocks

    @invariant()
    def a_replay_equals_the_memory(self) -> None:
        """Folding the events again makes the same order and disputes."""
        again = Case.of(self.watched.case.new)
        assert again is not None
        assert remembered(again) == remembered(self.watched.case)

    @invariant()
    def elapsing_again_owes_nothing(self) -> None:
        """What was due has happened, once."""
        assert self.watched.elapse(self.now) == []

    @invariant()
    def a_sleeping_scheduler_changes_no_answer(self) -> None:
        """Looked at now, the case that nobody watched has the same history but for when it was recorded."""
        looked_at = CaseDriver(self.sleeping.story.fork())
        looked_at.elapse(self.now)
        one, other = self.watched.case.new, looked_at.case.new
        assert [without_recording(event) for event in one] == [without_recording(event) for event in other]


TestAnOrdersLife = AnOrdersLife.TestCase
TestAnOrdersLife.settings = settings(
    max_examples=5_000 if SOAK else 200,
    stateful_step_count=100 if SOAK else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
