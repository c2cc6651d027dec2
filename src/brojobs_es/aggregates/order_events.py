"""The events of an order. Names and fields are the storage format: never rename, remove or give a new meaning.

A changed event gets the next `class_version` and an `upcast_v1_v2` beside it, and a golden row in the tests.
Instants are UTC, amounts minor units of the order's currency, `number`s count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from brojobs_es.aggregates.base import Begins, Event, FileRef, Role, Words
from brojobs_es.money import Money
from brojobs_es.terms import Terms


class Ground(StrEnum):
    """Why a dispute may be opened."""

    CANCELLATION_REFUSED_TWICE = "cancellation_refused_twice"
    CANCELLATION_UNANSWERED = "cancellation_unanswered"
    REVISION_REFUSED = "revision_refused"
    REVISION_UNANSWERED = "revision_unanswered"
    REVISION_OVERDUE = "revision_overdue"
    REVISION_INSUFFICIENT = "revision_insufficient"
    SELLER_SILENT = "seller_silent"
    PERSISTENT_CONFLICT = "persistent_conflict"
    ESCROW_AGE = "escrow_age"


class Ending(StrEnum):
    """Why an order was completed or cancelled."""

    PAYMENT_EXPIRED = "payment_expired"
    OVERDUE = "overdue"
    AGREED = "agreed"
    REFUND_GRANTED_BY_SILENCE = "refund_granted_by_silence"
    CONCEDED = "conceded"
    ACCEPTED = "accepted"
    AUTO_ACCEPTED = "auto_accepted"
    SETTLED = "settled"
    DECIDED = "decided"


class Pending(StrEnum):
    """What can wait for an answer beside the order's status."""

    CANCELLATION = "cancellation"
    REFUND = "refund"
    DEADLINE_PROPOSAL = "deadline_proposal"
    SETTLEMENT_PROPOSAL = "settlement_proposal"
    REVISION = "revision"


class Refused(StrEnum):
    """How a cancellation or refund request came to be refused."""

    IN_WORDS = "in_words"
    OVERTAKEN_BY_DELIVERY = "overtaken_by_delivery"
    OVERTAKEN_BY_DISPUTE = "overtaken_by_dispute"


@dataclass(frozen=True, slots=True)
class RevisionPoint:
    """One numbered thing that the buyer wants changed."""

    number: int
    text: Words
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class PointAnswer:
    """What the seller says of a revision point: `addressed` or `contested`."""

    number: int
    status: str
    note: Words | None = None


@dataclass(frozen=True, kw_only=True)
class OrderEvent(Event):
    """An event of an order's own stream."""


# -- ordering and paying


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(Begins, OrderEvent):
    TOPIC: ClassVar[str] = "order:OrderPlaced"
    originator_topic: ClassVar[str] = "order"  # type: ignore[misc]  # never stored: the topic says it

    buyer_id: str
    seller_id: str
    title: Words
    brief: Words
    price: Money
    due_at: datetime
    terms: Terms


@dataclass(frozen=True, kw_only=True)
class EscrowFunded(OrderEvent):
    TOPIC: ClassVar[str] = "order:EscrowFunded"

    payment_reference: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class PaymentExpired(OrderEvent):
    TOPIC: ClassVar[str] = "order:PaymentExpired"


# -- talking, reminding, silence


@dataclass(frozen=True, kw_only=True)
class MessagePosted(OrderEvent):
    TOPIC: ClassVar[str] = "order:MessagePosted"

    message_id: UUID
    text: Words
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SellerReminded(OrderEvent):
    TOPIC: ClassVar[str] = "order:SellerReminded"

    text: Words


@dataclass(frozen=True, kw_only=True)
class SellerSilenceEstablished(OrderEvent):
    TOPIC: ClassVar[str] = "order:SellerSilenceEstablished"


@dataclass(frozen=True, kw_only=True)
class RefundRequested(OrderEvent):
    TOPIC: ClassVar[str] = "order:RefundRequested"

    comment: Words | None
    answer_by: datetime


@dataclass(frozen=True, kw_only=True)
class RefundGrantedBySilence(OrderEvent):
    TOPIC: ClassVar[str] = "order:RefundGrantedBySilence"


# -- deadlines


@dataclass(frozen=True, kw_only=True)
class DeliveryOverdue(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeliveryOverdue"

    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeadlineProposed(OrderEvent):
    """`replaces` is the other side's pending proposal that this one counters."""

    TOPIC: ClassVar[str] = "order:DeadlineProposed"

    proposal_id: UUID
    new_due_at: datetime
    comment: Words | None
    expires_at: datetime
    replaces: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class DeadlineAgreed(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeadlineAgreed"

    proposal_id: UUID
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeadlineRefused(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeadlineRefused"

    proposal_id: UUID


@dataclass(frozen=True, kw_only=True)
class DeadlineWithdrawn(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeadlineWithdrawn"

    proposal_id: UUID


@dataclass(frozen=True, kw_only=True)
class DeadlineProposalExpired(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeadlineProposalExpired"

    proposal_id: UUID


# -- cancelling


@dataclass(frozen=True, kw_only=True)
class CancellationRequested(OrderEvent):
    """`reason` is delay, no_response or other."""

    TOPIC: ClassVar[str] = "order:CancellationRequested"

    reason: str
    comment: Words | None
    answer_by: datetime


@dataclass(frozen=True, kw_only=True)
class CancellationAccepted(OrderEvent):
    TOPIC: ClassVar[str] = "order:CancellationAccepted"


@dataclass(frozen=True, kw_only=True)
class CancelRefused(OrderEvent):
    """`refusal_count` includes this one; `reason` is in words unless something overtook the request."""

    TOPIC: ClassVar[str] = "order:CancelRefused"

    refusal_count: int
    how: Refused
    reason: Words | None = None


@dataclass(frozen=True, kw_only=True)
class CancellationWithdrawn(OrderEvent):
    TOPIC: ClassVar[str] = "order:CancellationWithdrawn"


@dataclass(frozen=True, kw_only=True)
class CancellationRequestExpired(OrderEvent):
    """Silence counts as a refusal: `refusal_count` includes it."""

    TOPIC: ClassVar[str] = "order:CancellationRequestExpired"

    refusal_count: int


# -- delivering and validating


@dataclass(frozen=True, kw_only=True)
class Delivered(OrderEvent):
    """`revision` is the number of the revision that this delivery answers, if any."""

    TOPIC: ClassVar[str] = "order:Delivered"

    number: int
    note: Words
    files: tuple[FileRef, ...]
    late: bool
    revision: int | None = None
    points: tuple[PointAnswer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DeliveryAccepted(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeliveryAccepted"

    number: int


@dataclass(frozen=True, kw_only=True)
class ValidationReminderSent(OrderEvent):
    """The first, second, … reminder that the delivery validates itself soon."""

    TOPIC: ClassVar[str] = "order:ValidationReminderSent"

    number: int
    auto_accepted_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveryAutoAccepted(OrderEvent):
    TOPIC: ClassVar[str] = "order:DeliveryAutoAccepted"

    number: int


# -- revisions


@dataclass(frozen=True, kw_only=True)
class RevisionRequested(OrderEvent):
    TOPIC: ClassVar[str] = "order:RevisionRequested"

    number: int
    points: tuple[RevisionPoint, ...]
    answer_by: datetime


@dataclass(frozen=True, kw_only=True)
class RevisionAccepted(OrderEvent):
    TOPIC: ClassVar[str] = "order:RevisionAccepted"

    number: int
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class RevisionRefused(OrderEvent):
    TOPIC: ClassVar[str] = "order:RevisionRefused"

    number: int
    reason: Words


@dataclass(frozen=True, kw_only=True)
class RevisionRequestExpired(OrderEvent):
    TOPIC: ClassVar[str] = "order:RevisionRequestExpired"

    number: int


@dataclass(frozen=True, kw_only=True)
class RevisionOverdue(OrderEvent):
    TOPIC: ClassVar[str] = "order:RevisionOverdue"

    number: int
    due_at: datetime


# -- settling and conceding


@dataclass(frozen=True, kw_only=True)
class SettlementProposed(OrderEvent):
    """`replaces` is the other side's pending proposal that this one counters."""

    TOPIC: ClassVar[str] = "order:SettlementProposed"

    proposal_id: UUID
    refund_minor: int
    comment: Words | None
    expires_at: datetime
    replaces: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class SettlementAgreed(OrderEvent):
    TOPIC: ClassVar[str] = "order:SettlementAgreed"

    proposal_id: UUID
    refund_minor: int


@dataclass(frozen=True, kw_only=True)
class SettlementRefused(OrderEvent):
    TOPIC: ClassVar[str] = "order:SettlementRefused"

    proposal_id: UUID


@dataclass(frozen=True, kw_only=True)
class SettlementWithdrawn(OrderEvent):
    TOPIC: ClassVar[str] = "order:SettlementWithdrawn"

    proposal_id: UUID


@dataclass(frozen=True, kw_only=True)
class SettlementProposalExpired(OrderEvent):
    TOPIC: ClassVar[str] = "order:SettlementProposalExpired"

    proposal_id: UUID


@dataclass(frozen=True, kw_only=True)
class SellerConceded(OrderEvent):
    TOPIC: ClassVar[str] = "order:SellerConceded"

    comment: Words | None


# -- disputes, as the order sees them


@dataclass(frozen=True, kw_only=True)
class DisputeUnlocked(OrderEvent):
    """`caused_by` are the stream versions of the order's events that prove it."""

    TOPIC: ClassVar[str] = "order:DisputeUnlocked"

    ground: Ground
    caused_by: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DisputeUnlockTakenBack(OrderEvent):
    TOPIC: ClassVar[str] = "order:DisputeUnlockTakenBack"

    ground: Ground


@dataclass(frozen=True, kw_only=True)
class OrderFrozen(OrderEvent):
    """`suspended` are the timers that were running, with the time that remained to each."""

    TOPIC: ClassVar[str] = "order:OrderFrozen"

    dispute_id: UUID
    number: int
    opened_by: Role
    ground: Ground
    suspended: Mapping[str, timedelta]


@dataclass(frozen=True, kw_only=True)
class OrderUnfrozen(OrderEvent):
    """The order goes on as before: `resumed` are its timers' new instants; a silence may have been broken meanwhile."""

    TOPIC: ClassVar[str] = "order:OrderUnfrozen"

    dispute_id: UUID
    due_at: datetime
    resumed: Mapping[str, datetime]
    silence_broken: bool


@dataclass(frozen=True, kw_only=True)
class OrderRelaunched(OrderEvent):
    TOPIC: ClassVar[str] = "order:OrderRelaunched"

    dispute_id: UUID
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class RequestsSuperseded(OrderEvent):
    """Requests and proposals that ended with something bigger; they count as nothing."""

    TOPIC: ClassVar[str] = "order:RequestsSuperseded"

    closed: tuple[Pending, ...]


# -- ending, and the money


@dataclass(frozen=True, kw_only=True)
class OrderCompleted(OrderEvent):
    TOPIC: ClassVar[str] = "order:OrderCompleted"

    reason: Ending


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(OrderEvent):
    TOPIC: ClassVar[str] = "order:OrderCancelled"

    reason: Ending


@dataclass(frozen=True, kw_only=True)
class EscrowRefunded(OrderEvent):
    """All that was held goes back to the buyer. Instructions have stable ids: paying one twice is visible."""

    TOPIC: ClassVar[str] = "order:EscrowRefunded"

    refund_instruction_id: UUID
    refund_minor: int


@dataclass(frozen=True, kw_only=True)
class EscrowReleased(OrderEvent):
    """All that was held goes to the seller, less the platform's commission."""

    TOPIC: ClassVar[str] = "order:EscrowReleased"

    payout_instruction_id: UUID
    payout_minor: int
    commission_minor: int


@dataclass(frozen=True, kw_only=True)
class EscrowSplit(OrderEvent):
    """A part goes back to the buyer, the rest to the seller, less the platform's commission on that rest."""

    TOPIC: ClassVar[str] = "order:EscrowSplit"

    refund_instruction_id: UUID
    payout_instruction_id: UUID
    refund_minor: int
    payout_minor: int
    commission_minor: int


@dataclass(frozen=True, kw_only=True)
class EscrowAgeAlarmRaised(OrderEvent):
    TOPIC: ClassVar[str] = "order:EscrowAgeAlarmRaised"


@dataclass(frozen=True, kw_only=True)
class ChatClosed(OrderEvent):
    TOPIC: ClassVar[str] = "order:ChatClosed"


# -- erasing


@dataclass(frozen=True, kw_only=True)
class PersonErased(OrderEvent):
    """What `person` wrote and uploaded under these generations of their key is gone; nothing else has changed."""

    TOPIC: ClassVar[str] = "order:PersonErased"

    person: str
    role: Role
    generations: tuple[int, ...]
    reason: Words
