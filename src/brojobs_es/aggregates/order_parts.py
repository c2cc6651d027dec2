"""The values that an order is made of: immutable, so that a copy of an order is cheap and safe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import FileRef, Role, Words


class Status(StrEnum):
    """Where an order stands."""

    AWAITING_PAYMENT = "awaiting_payment"
    IN_PROGRESS = "in_progress"
    DELIVERED = "delivered"
    REVISION_REQUESTED = "revision_requested"
    DISPUTED = "disputed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({Status.COMPLETED, Status.CANCELLED})


class RevisionStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    ANSWERED = "answered"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Request:
    """A pending cancellation or refund request; the seller answers it."""

    kind: e.Pending
    reason: str | None
    comment: Words | None
    requested_at: datetime
    answer_by: datetime


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pending proposal: a new deadline (`due_at`) or a settlement (`refund_minor`)."""

    proposal_id: UUID
    by: Role
    comment: Words | None
    expires_at: datetime
    due_at: datetime | None = None
    refund_minor: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    number: int
    note: Words
    files: tuple[FileRef, ...]
    points: tuple[e.PointAnswer, ...]
    late: bool
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """`delivery` is the number of the delivery it is about; `answers` what the seller said of its points."""

    number: int
    delivery: int
    points: tuple[e.RevisionPoint, ...]
    status: RevisionStatus
    requested_at: datetime
    due_at: datetime | None = None
    answers: tuple[e.PointAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Unlock:
    """A ground for a dispute that the buyer may use, with the stream versions of the events that prove it."""

    ground: e.Ground
    caused_by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DisputeRef:
    dispute_id: UUID
    opened_by: Role
    ground: e.Ground


@dataclass(frozen=True, slots=True)
class Conflict:
    """What the gate of `persistent_conflict` counts, since payment or the last relaunch."""

    unanswered: int = 0
    messages: tuple[int, int] = (0, 0)
    first_at: datetime | None = None
    last_at: datetime | None = None

    def with_message(self, by: Role, at: datetime) -> Conflict:
        buyer, seller = self.messages
        messages = (buyer + 1, seller) if by is Role.BUYER else (buyer, seller + 1)
        return Conflict(self.unanswered, messages, self.first_at or at, at)
