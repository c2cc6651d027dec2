"""A case: one order with its disputes, and the one way in which anything happens to it.

A command is judged and decided, or a timer fires; each fact is recorded on its stream, and the policies add what
follows from it, all for one commit. There is one judge: `refusal`; the list of possible actions asks it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from msgspec import structs

from brojobs_es.aggregates.base import BY_TIME, Cause, Event, Moment, Role, begin
from brojobs_es.aggregates.commands.situation import Command, Situation
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import DisputeEvent, DisputeOpened
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import OrderPlaced
from brojobs_es.aggregates.timers import Due, fire_of_dispute, fire_of_order, next_of_dispute, next_of_order
from brojobs_es.errors import Refusal
from brojobs_es.ids import dispute_id_for
from brojobs_es.policies import following


@dataclass(slots=True)
class Case:
    """An order and its disputes, the newest last. `new` are the events since loading, in recorded order."""

    order: Order
    disputes: tuple[Dispute, ...] = ()
    new: list[Event] = field(default_factory=list)
    _ahead: list[tuple[datetime, Case]] | None = field(default=None, init=False, repr=False, compare=False)

    # -- from history

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self | None:
        """The case that these events make, both streams in recorded order; None without any."""
        case: Self | None = None
        for event in events:
            if case is None:
                order: Any = event.mutate(None)
                case = cls(order)
            else:
                case.apply(event)
        return case

    def apply(self, event: Event) -> None:
        """Add a recorded event."""
        self._ahead = None
        if isinstance(event, DisputeOpened):
            dispute: Any = event.mutate(None)
            self.disputes = (*self.disputes, dispute)
        elif isinstance(event, DisputeEvent):
            self._disputed(event.originator_id).follow(event)
        else:
            self.order.follow(event)

    def _disputed(self, dispute_id: UUID) -> Dispute:
        newest = self.disputes[-1]
        return newest if newest.id == dispute_id else next(d for d in self.disputes if d.id == dispute_id)

    def fork(self) -> Case:
        """An independent copy to decide on; cheap."""
        return Case(self.order.fork(), tuple([dispute.fork() for dispute in self.disputes]))

    @classmethod
    def place(cls, fact: OrderPlaced, order_id: UUID, now: datetime, cause: Cause) -> Self:
        """A new case."""
        order, event = begin(fact, order_id, Moment(now, now, cause))
        return cls(order, new=[event])

    # -- questions

    @property
    def dispute(self) -> Dispute | None:
        """The newest dispute."""
        return self.disputes[-1] if self.disputes else None

    def dispute_of(self, dispute_id: UUID) -> Dispute | None:
        return next((dispute for dispute in self.disputes if dispute.id == dispute_id), None)

    def next_timer(self) -> Due | None:
        """The timer that wins next; of two at the same instant the order's."""
        return self._next()[0]

    def turn(self, now: datetime) -> Role | None:
        """Who has to do something next."""
        order, dispute = self.order, self.dispute
        waiting = [
            (proposal.expires_at, proposal.by.other)
            for proposal in (order.deadline_proposal, order.settlement_proposal)
            if proposal
        ]
        if order.request:
            waiting.append((order.request.answer_by, Role.SELLER))
        if order.pending_revision and "revision_answer" in order.timers:
            waiting.append((order.timers["revision_answer"], Role.SELLER))
        if waiting:
            return min(waiting)[1]
        if order.frozen and dispute:
            return dispute.asked(now) or Role.MEDIATOR
        return TURN_BY_STATUS.get(order.status)

    # -- what happens

    def elapse(self, now: datetime) -> None:
        """Fire every timer that is due at `now`, in order, each with what follows from it."""
        while True:
            due, dispute = self._next()
            if due is None or due.at > now:
                return
            facts = fire_of_order(self.order, due) if dispute is None else fire_of_dispute(dispute, due)
            self._happen(facts, Moment(due.at, now, BY_TIME))

    def refusal(self, command: Command, situation: Situation) -> Refusal | None:
        """The one judgement: why this command is not possible, or None. It names the instant from which it is, if time alone does it."""
        refusal = command.judge(situation)
        if refusal is None or command.judge(structs.replace(situation, body=None)) is None:
            return refusal  # possible, or only not with this body
        return replace(refusal, available_from=self._possible_from(command, situation, refusal))

    def _possible_from(self, command: Command, situation: Situation, refusal: Refusal) -> datetime | None:
        """When the command becomes possible if nothing happens but time; None if time alone does not do it."""
        case, at, ahead = self, situation.now, iter(self._futures())
        timer = next(ahead, None)
        while instants := [i for i in (refusal.available_from, timer and timer[0]) if i is not None and i > at]:
            at = min(instants)
            while timer is not None and timer[0] <= at:
                case, timer = timer[1], next(ahead, None)
            dispute = case.dispute_of(situation.dispute.id) if situation.dispute else None
            later = command.judge(structs.replace(situation, order=case.order, dispute=dispute, now=at, body=None))
            if later is None:
                return at
            refusal = later
        return None

    def _futures(self) -> list[tuple[datetime, Case]]:
        """The case after each timer that is still to win, the last word if nothing else happens."""
        if self._ahead is None:
            self._ahead, case = [], self
            while (due := case.next_timer()) is not None:
                case = case.fork()
                case.elapse(due.at)
                self._ahead.append((due.at, case))
        return self._ahead

    def execute(self, command: Command, situation: Situation, cause: Cause) -> None:
        """Record what the command decides and what follows from it; raises the Refusal that judging finds."""
        refusal = self.refusal(command, situation)
        if refusal is not None:
            raise refusal
        if not command.changes_nothing(situation):
            self._happen(command.decide(situation), Moment(situation.now, situation.now, cause))

    def note(self, fact: Event, moment: Moment) -> None:
        """Record a fact about the order that no command of its people decides."""
        self._happen(iter((fact,)), moment)

    def _next(self) -> tuple[Due | None, Dispute | None]:
        of_order = next_of_order(self.order)
        dispute = self.dispute
        of_dispute = next_of_dispute(dispute) if dispute is not None else None
        if of_dispute is not None and (of_order is None or of_dispute.at < of_order.at):
            return of_dispute, dispute
        return of_order, None

    def _happen(self, facts: Iterator[Event], moment: Moment) -> None:
        """Record the facts of one step, then what follows from each of them, all the way down."""
        for event in [self._record(fact, moment) for fact in facts]:
            for policy in following(event):
                self._happen(policy(event, self.order, self.dispute), moment)

    def _record(self, fact: Event, moment: Moment) -> Event:
        if isinstance(fact, DisputeOpened):
            dispute, event = begin(fact, dispute_id_for(self.order.id, fact.number), moment)
            self.disputes = (*self.disputes, dispute)
        elif isinstance(fact, DisputeEvent):
            assert self.dispute is not None
            event = self.dispute.record(fact, moment)
        else:
            event = self.order.record(fact, moment)
        self.new.append(event)
        self._ahead = None
        return event


TURN_BY_STATUS = {
    "awaiting_payment": Role.BUYER,
    "in_progress": Role.SELLER,
    "delivered": Role.BUYER,
    "revision_requested": Role.SELLER,
}
