"""The events of a dispute. Names and fields are the storage format, as in `order_events`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from brojobs_es.aggregates.base import Begins, Event, FileRef, Role, Words
from brojobs_es.aggregates.order_events import Ground


class Outcome(StrEnum):
    """How a dispute ended: the first four are decisions."""

    FULL_REFUND = "full_refund"
    PARTIAL_REFUND = "partial_refund"
    RELAUNCH = "relaunch"
    VALIDATE_DELIVERY = "validate_delivery"
    SETTLED = "settled"
    CONCEDED = "conceded"
    WITHDRAWN = "withdrawn"


class Origin(StrEnum):
    """Where a piece of evidence comes from; only what happened on the platform counts."""

    PLATFORM = "platform"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece: `events` are positions in the order's log, `counters` the evidence that it answers."""

    evidence_id: UUID
    by: Role
    kind: str
    description: Words
    events: tuple[int, ...]
    files: tuple[FileRef, ...]
    counters: tuple[UUID, ...]
    origin: Origin
    late: bool
    submitted_at: datetime


@dataclass(frozen=True, kw_only=True)
class DisputeEvent(Event):
    """An event of a dispute's own stream."""


@dataclass(frozen=True, kw_only=True)
class DisputeOpened(Begins, DisputeEvent):
    """`points` are those of revision number `revision` that are in question; `last`: its opener has no other left."""

    TOPIC: ClassVar[str] = "dispute:DisputeOpened"
    originator_topic: ClassVar[str] = "dispute"  # type: ignore[misc]  # never stored: the topic says it

    order_id: UUID
    number: int
    ground: Ground
    opened_by: Role
    last: bool
    statement: Words
    revision: int | None
    points: tuple[int, ...]
    evidence: tuple[Evidence, ...]
    order_status_before: str
    assignment_due_at: datetime
    response_due_at: datetime
    evidence_due_at: datetime
    decision_due_at: datetime


@dataclass(frozen=True, kw_only=True)
class MediatorAssigned(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:MediatorAssigned"

    assignment: int
    mediator_id: str


@dataclass(frozen=True, kw_only=True)
class DisputeMessagePosted(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:DisputeMessagePosted"

    message_id: UUID
    text: Words
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MediatorNoteAdded(DisputeEvent):
    """Seen by mediators and auditors only."""

    TOPIC: ClassVar[str] = "dispute:MediatorNoteAdded"

    note_id: UUID
    text: Words


@dataclass(frozen=True, kw_only=True)
class InformationRequested(DisputeEvent):
    """`asked` is the side that is to answer."""

    TOPIC: ClassVar[str] = "dispute:InformationRequested"

    request_id: UUID
    asked: Role
    question: Words
    answer_by: datetime


@dataclass(frozen=True, kw_only=True)
class EvidenceSubmitted(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:EvidenceSubmitted"

    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class DisputeDecided(DisputeEvent):
    """`refund_minor` only with partial_refund, `due_at` only with relaunch; `cited` are evidence ids."""

    TOPIC: ClassVar[str] = "dispute:DisputeDecided"

    assignment: int
    outcome: Outcome
    reason: Words
    one_sided: bool
    refund_minor: int | None = None
    due_at: datetime | None = None
    cited: tuple[UUID, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DisputeWithdrawn(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:DisputeWithdrawn"

    comment: Words | None


@dataclass(frozen=True, kw_only=True)
class DisputeClosed(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:DisputeClosed"

    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class MediatorAssignmentOverdue(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:MediatorAssignmentOverdue"


@dataclass(frozen=True, kw_only=True)
class ResponseWindowClosed(DisputeEvent):
    """`one_sided`: somebody had not submitted anything when the window closed."""

    TOPIC: ClassVar[str] = "dispute:ResponseWindowClosed"

    one_sided: bool


@dataclass(frozen=True, kw_only=True)
class DecisionOverdue(DisputeEvent):
    TOPIC: ClassVar[str] = "dispute:DecisionOverdue"
