"""Random lives of an order in the real service over PostgreSQL, against an independent book-keeper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.domain.bookkeeper import Bookkeeper
from tests.domain.driving import OPENINGS, bodies, likely, opening_step, steps
from tests.http.crowd import SOAK
from tests.http.stage import COMMISSION_BPS, Person, Stage, shown
from tests.kit import DISPUTE_NAMES, NOWHERE, ORDER_NAMES, PEOPLE, PRICE, D, H, Story, command_of, euros, wire

from brojobs_es.application.access import viewer_of
from brojobs_es.application.explain import explain
from brojobs_es.application.history import History
from brojobs_es.case import Case
from brojobs_es.errors import Refusal

EXAMPLES: Final = 1_000 if SOAK else 200
STEPS: Final = 60 if SOAK else 40
MOVES: Final = ("EscrowReleased", "EscrowRefunded", "EscrowSplit")
TOTALS: Final = ("funded", "held", "refunded", "released", "commission")
BEGINNINGS: Final = st.sampled_from(sorted(OPENINGS))
CONTENT: Final = b"test"
"""The kit's file: its id there is the digest of this."""


def remembered(case: Case) -> list[dict[str, Any]]:
    """All that the order and its disputes hold in memory."""
    return [{k: v for k, v in vars(part).items() if k != "_pending_events"} for part in (case.order, *case.disputes)]


def without_recording(history: History) -> list[tuple[Any, ...]]:
    """The events but for their ids and when they were recorded."""
    events = (entry.event for entry in history.entries)
    return [(e.type, e.originator_version, e.effective_at, e.cause.actor.role, e.cause.command) for e in events]


class Order:
    """One order on the stage and what is known of it so far."""

    def __init__(self, stage: Stage, people: dict[str, Person], due_at: datetime) -> None:
        self.stage, self.people = stage, people
        body = {
            "seller_id": people["seller"].sub, "title": "Logo", "brief": "Two colours.", "price": euros(PRICE),
            "due_at": wire(due_at),
        }  # fmt: skip
        self.id: UUID = stage.place(people["buyer"], body).standing.order_id
        self.history: History = self.look()
        stage.upload(people["seller"], self.id, CONTENT)

    def look(self) -> History:
        self.history = self.stage.history(self.id)
        return self.history

    def give(self, person: Person, command: str, body: dict[str, Any], key: str) -> str | None:
        """The code of the refusal, or None; what is answered is what a reload shows, and a repetition does nothing."""
        dispute = self.history.case.dispute
        about = dispute.id if "/" in command and dispute else None
        asked = (person, command_of(command), self.id, wire(body), f"{key} of {self.id}", about)
        before = len(self.history.entries)
        try:
            first = self.stage.give(*asked)
        except Refusal as refusal:
            assert self.stage.recorded(self.id) == before, f"{command} was refused, and recorded something"
            return refusal.code
        again = self.stage.give(*asked)
        assert again.replayed
        assert remembered(again.standing.case) == remembered(first.standing.case)
        reloaded = self.look()
        assert remembered(reloaded.case) == remembered(first.standing.case), "a reload is not what was answered"
        assert reloaded.positions == first.standing.positions, f"{command} happened twice"
        return None


class ServedLife(RuleBasedStateMachine):
    """`watched` is looked at after every step; `sleeping` only gets the commands. There is no scheduler at all."""

    stage: ClassVar[Stage]
    lives: ClassVar[int] = 0

    @initialize(opening=BEGINNINGS)
    def begin(self, opening: str) -> None:
        ServedLife.lives += 1
        self.life, self.asked = self.lives, 0
        self.people = {role: Person(f"{name}-{self.life}", role) for role, name in PEOPLE.items()}
        self.others = {role: Person(f"{name}-{self.life}-too", role) for role, name in PEOPLE.items()}
        self.now = self.stage.start()
        due_at = self.now + 20 * D
        self.watched, self.sleeping = (Order(self.stage, people, due_at) for people in (self.people, self.others))
        self.books = Bookkeeper(PRICE, COMMISSION_BPS, self.now, due_at)
        self.album: dict[datetime, dict[str, Any]] = {}
        for step in OPENINGS[opening].split():
            if step.startswith("+"):
                self.move_to(self.now + int(step) * H)
            else:
                role, command = step.split(":")
                command, body = opening_step(self.story, role, command)
                assert self.give(role, command, body) is None

    @property
    def story(self) -> Story:
        return Story(self.watched.history.case, self.now)

    def move_to(self, now: datetime) -> None:
        """Only the watched order is looked at."""
        self.now = now
        self.stage.at(now)
        self.books.tick(now)
        self.watched.look()

    def give(self, role: str, command: str, body: dict[str, Any], mediator: str = PEOPLE["mediator"]) -> str | None:
        """The same command to both orders; the book-keeper hears of it if it was accepted."""
        self.asked += 1
        key = f"key {self.asked}"
        theirs = self._translated(command, body)
        code = self.watched.give(self._person(self.people, role, mediator), command, body, key)
        assert self.sleeping.give(self._person(self.others, role, mediator), command, theirs, key) == code
        if code is None:
            assert not self.books.forbids(command), f"{command} in {self.books.status}"
            self.books.accepted(role, command, body, self.now)
        return code

    def _person(self, people: dict[str, Person], role: str, mediator: str) -> Person:
        return Person(f"{mediator}-{self.life}", role) if role == "mediator" else people[role]

    def _translated(self, command: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body for the other order, whose proposals have other ids."""
        if body.get("proposal_id") in (None, NOWHERE):
            return body
        order = self.sleeping.history.elapsed(self.now).case.order
        proposal = getattr(order, f"{command.rpartition('-')[2]}_proposal")
        return {"proposal_id": str(proposal.proposal_id) if proposal else NOWHERE}

    def _draw_and_give(self, data: st.DataObject, role: str, command: str) -> str | None:
        dispute = self.watched.history.case.dispute
        view = shown(self.watched.history, self.people)["order"] | {
            "dispute": dispute and {"assignment": dispute.assignment, "mediator_id": dispute.mediator_id}
        }
        body = data.draw(bodies(command, role, view, self.now, self.story), label="body")
        mediator = PEOPLE["mediator"]
        if role == "mediator":
            mediator = data.draw(st.sampled_from([mediator, mediator, "max"]), label="mediator")
        return self.give(role, command, body, mediator)

    @rule(data=st.data())
    def somebody_acts(self, data: st.DataObject) -> None:
        """One of the commands that the lists of possible actions offer now; after an end, another life begins."""
        if self.books.status in {"completed", "cancelled"}:
            self.teardown()
            self.begin(data.draw(BEGINNINGS, label="opening"))
        history = self.watched.history
        possible = []
        for role in ("buyer", "seller", "mediator", "operator"):
            viewer = viewer_of(history.case.order, self.people[role].caller)
            possible += [(role, v.command) for v in explain(history, viewer) if v.refusal is None]
            if history.case.dispute and (not viewer.is_party or not history.case.dispute.closed):
                verdicts = explain(history, viewer, history.case.dispute.id)
                possible += [(role, f"dispute/{v.command}") for v in verdicts if v.refusal is None]
        if possible:
            self._draw_and_give(data, *data.draw(likely(possible), label="role and command"))

    @rule(data=st.data())
    def somebody_acts_later(self, data: st.DataObject) -> None:
        """The same after some time."""
        self.time_passes(data)
        self.somebody_acts(data)

    @rule(data=st.data(), command=st.sampled_from((*ORDER_NAMES, *DISPUTE_NAMES)))
    def somebody_tries_anything(self, data: st.DataObject, command: str) -> None:
        """Mostly refused."""
        if command in ORDER_NAMES or self.watched.history.case.dispute is not None:
            role = str(data.draw(st.sampled_from(sorted(command_of(command).by)), label="role"))
            self._draw_and_give(data, role, command)

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        """To any instant."""
        self.move_to(data.draw(steps(self.books.next_instant(), self.now), label="now"))

    @invariant()
    def the_books_agree(self) -> None:
        """Status, dates, money and chat are what the book-keeper says; accounts sum to zero; nothing is paid twice."""
        history, books = self.watched.history, self.books
        views = shown(history, self.people)
        order, ledger = views["order"], views["escrow"]
        assert (order["status"], order["due_at"]) == (books.status, _written(books.due_at))
        for totals in (order["escrow"], ledger):
            assert {name: totals[name] for name in TOTALS} == {name: getattr(books, name) for name in TOTALS}
        assert ledger["accounts"] == books.accounts
        assert sum(ledger["accounts"].values()) == 0
        assert ledger["accounts"]["escrow"] >= 0
        lock = order["chat"]
        assert (lock["buyer_can_write"], lock["seller_can_write"], lock["code"]) == books.lock
        types = Counter(entry.event.type for entry in history.entries)
        assert sum(types[name] for name in MOVES) <= 1
        self.album[self.now] = views

    def teardown(self) -> None:
        """Nobody has looked at the sleeping order yet; and the past of the watched one is what was shown then."""
        if not hasattr(self, "album"):
            return
        watched, sleeping = self.watched.look(), self.sleeping.look()
        assert without_recording(watched) == without_recording(sleeping)
        for at, views in self.album.items():
            past = watched.at_instant(at)
            assert past is not None
            assert shown(past, self.people) == views, f"the past of {at} is not what was shown then"


def _written(instant: datetime) -> str:
    text = wire(instant)
    assert isinstance(text, str)
    return text


@pytest.fixture(scope="module", autouse=True)
def stage(new_database: Callable[[], str], log_count: int, data_folder: Path) -> Iterator[None]:
    """The deployment of all lives of this module."""
    with Stage(new_database(), log_count, data_folder) as made:
        made.at(made.now() + timedelta(seconds=1))
        ServedLife.stage = made
        yield


TestServedLife = ServedLife.TestCase
TestServedLife.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking a life over a database would take minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
