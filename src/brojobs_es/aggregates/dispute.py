"""The dispute: what its parties and its mediator did so far.

    status         leaves it by
    open           MediatorAssigned → under_review; DisputeClosed
    under_review   DisputeClosed
    closed         nothing

A dispute closes in one commit with what that does to its order. Decisions stand in `aggregates.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from eventsourcing.utils import register_topic

from brojobs_es.aggregates import dispute_events as e
from brojobs_es.aggregates.base import PARTIES, Event, Recording, Role, Words
from brojobs_es.aggregates.order_events import Ground


class DisputeStatus(StrEnum):
    OPEN = "open"
    UNDER_REVIEW = "under_review"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Question:
    """What a mediator asked a side, until that side writes or submits, or the time is up."""

    asked: Role
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: e.Outcome
    reason: Words
    refund_minor: int | None
    due_at: datetime | None
    cited: tuple[UUID, ...]
    mediator_id: str
    decided_at: datetime


class Dispute(Recording):
    """One case before a mediator, about one order."""

    order_id: UUID
    number: int
    ground: Ground
    opened_by: Role
    opener_id: str | None
    last: bool
    statement: Words
    revision: int | None
    points: tuple[int, ...]
    order_status_before: str
    opened_at: datetime
    response_due_at: datetime
    evidence_due_at: datetime
    assignment_due_at: datetime
    decision_due_at: datetime
    status: DisputeStatus
    evidence: tuple[e.Evidence, ...]
    assignment: int | None
    mediator_id: str | None
    one_sided: bool | None
    response_window_closed: bool
    questions: tuple[Question, ...]
    decision: Decision | None
    outcome: e.Outcome | None
    closed_at: datetime | None
    seller_spoke: bool
    timers: dict[str, datetime]

    def __init__(self) -> None:
        self.status = DisputeStatus.OPEN
        self.evidence = ()
        self.assignment = None
        self.mediator_id = None
        self.one_sided = None
        self.response_window_closed = False
        self.questions = ()
        self.decision = None
        self.outcome = None
        self.closed_at = None
        self.seller_spoke = False
        self.timers = {}

    # -- questions

    @property
    def closed(self) -> bool:
        return self.status is DisputeStatus.CLOSED

    def heard(self) -> frozenset[Role]:
        """The sides that have submitted something of the platform."""
        sides = {piece.by for piece in self.evidence if piece.origin is e.Origin.PLATFORM}
        return PARTIES & sides

    @property
    def both_heard(self) -> bool:
        return self.heard() == PARTIES

    def asked(self, now: datetime) -> Role | None:
        """The side whose answer the mediator waits for; of two, the one with less time left."""
        waiting = [question for question in self.questions if now < question.answer_by]
        return min(waiting, key=lambda question: question.answer_by).asked if waiting else None

    # -- applying: assignments only

    def evolve(self, event: Event) -> None:
        super().evolve(event)
        if event.cause.actor.role is Role.SELLER:
            self.seller_spoke = True

    def _stop(self, timer: str) -> None:
        self.timers = {name: at for name, at in self.timers.items() if name != timer}

    def _answered_by(self, role: Role) -> None:
        self.questions = tuple(question for question in self.questions if question.asked is not role)

    def _on_DisputeOpened(self, event: e.DisputeOpened) -> None:
        self.order_id, self.number = event.order_id, event.number
        self.ground, self.opened_by, self.last = event.ground, event.opened_by, event.last
        self.opener_id = event.cause.actor.id
        self.statement, self.evidence = event.statement, event.evidence
        self.revision, self.points = event.revision, event.points
        self.order_status_before, self.opened_at = event.order_status_before, event.effective_at
        self.assignment_due_at, self.response_due_at = event.assignment_due_at, event.response_due_at
        self.evidence_due_at, self.decision_due_at = event.evidence_due_at, event.decision_due_at
        self.timers = {
            "assignment": event.assignment_due_at,
            "response": event.response_due_at,
            "decision": event.decision_due_at,
        }

    def _on_MediatorAssigned(self, event: e.MediatorAssigned) -> None:
        self.status = DisputeStatus.UNDER_REVIEW
        self.assignment, self.mediator_id = event.assignment, event.mediator_id
        self._stop("assignment")

    def _on_MediatorAssignmentOverdue(self, event: e.MediatorAssignmentOverdue) -> None:
        self._stop("assignment")

    def _on_DisputeMessagePosted(self, event: e.DisputeMessagePosted) -> None:
        self._answered_by(event.cause.actor.role)

    def _on_InformationRequested(self, event: e.InformationRequested) -> None:
        self.questions = (*self.questions, Question(event.asked, event.answer_by))

    def _on_EvidenceSubmitted(self, event: e.EvidenceSubmitted) -> None:
        self.evidence = (*self.evidence, event.evidence)
        if event.evidence.origin is e.Origin.PLATFORM:
            self._answered_by(event.cause.actor.role)
        if self.both_heard and self.one_sided is None:
            self.one_sided = False
            self._stop("response")

    def _on_ResponseWindowClosed(self, event: e.ResponseWindowClosed) -> None:
        self.response_window_closed = True
        self.one_sided = event.one_sided
        self._stop("response")

    def _on_DecisionOverdue(self, event: e.DecisionOverdue) -> None:
        self._stop("decision")

    def _on_DisputeDecided(self, event: e.DisputeDecided) -> None:
        assert self.mediator_id is not None
        self.one_sided = event.one_sided
        self.decision = Decision(
            outcome=event.outcome,
            reason=event.reason,
            refund_minor=event.refund_minor,
            due_at=event.due_at,
            cited=event.cited,
            mediator_id=self.mediator_id,
            decided_at=event.effective_at,
        )

    def _on_DisputeClosed(self, event: e.DisputeClosed) -> None:
        self.status = DisputeStatus.CLOSED
        self.outcome, self.closed_at = event.outcome, event.effective_at
        self.questions = ()
        self.timers = {}


register_topic("dispute", Dispute)
