"""The shapes of answers, for the OpenAPI document; the tests hold every rendered answer against them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from brojobs_es.aggregates.dispute import DisputeStatus
from brojobs_es.aggregates.dispute_events import Origin, Outcome
from brojobs_es.aggregates.order_events import Ending, Ground
from brojobs_es.aggregates.order_parts import RevisionStatus, Status

Party = Literal["buyer", "seller"]
RoleName = Literal["buyer", "seller", "mediator", "auditor", "operator", "time"]
Minor = Annotated[int, Field(description="Minor units of the currency: 10001 is EUR 100.01.")]


class Shape(BaseModel):
    """An answer has these fields and no others."""

    model_config = ConfigDict(extra="forbid")


class Money(Shape):
    amount: Minor
    currency: str


class File(Shape):
    file_id: str
    name: str
    size: int
    media_type: str
    sha256: str


class ChatLock(Shape):
    buyer_can_write: bool
    seller_can_write: bool
    code: Literal["delivered", "disputed", "closed"] | None
    unlocked_by: list[str]
    until: datetime | None


class EscrowTotals(Shape):
    currency: str
    funded: Minor
    held: Minor
    refunded: Minor
    released: Minor
    commission: Minor


class PointAnswer(Shape):
    number: int
    status: Literal["addressed", "contested"]
    note: str | None


class Delivery(Shape):
    number: int
    note: str
    files: list[File]
    points: list[PointAnswer]
    late: bool
    delivered_at: datetime


class RevisionPoint(Shape):
    number: int
    text: str
    files: list[File]
    status: Literal["open", "addressed", "contested"]
    note: str | None


class Revision(Shape):
    number: int
    points: list[RevisionPoint]
    status: RevisionStatus
    requested_at: datetime
    due_at: datetime | None


class Cancellation(Shape):
    kind: Literal["cancellation", "refund"]
    reason: str | None
    comment: str | None
    requested_at: datetime
    answer_by: datetime


class DeadlineProposal(Shape):
    proposal_id: UUID
    by: Party
    due_at: datetime
    comment: str | None
    expires_at: datetime


class SettlementProposal(Shape):
    proposal_id: UUID
    by: Party
    refund: Money
    comment: str | None
    expires_at: datetime


class Refusals(Shape):
    """`events` are positions in the order's log."""

    count: int
    needed: int
    events: list[int | None]


class EventActor(Shape):
    role: RoleName
    id: str | None


class Event(Shape):
    log: int
    position: int | None
    cursor: str | None
    order_id: UUID
    stream_id: UUID
    stream_version: int
    type: str
    type_version: int
    data: dict[str, Any]
    actor: EventActor
    on_behalf_of: str | None
    command: str | None
    command_id: UUID | None
    correlation_id: UUID | None
    effective_at: datetime | None
    recorded_at: datetime | None
    digest: str | None


DryEvents = Annotated[list[Event] | None, Field(description="Of a dry run only: what would be recorded.")]


class Order(Shape):
    order_id: UUID
    version: int
    status: Status
    buyer_id: str
    seller_id: str
    title: str
    brief: str
    price: Money
    placed_at: datetime
    paid_at: datetime | None
    ended_at: datetime | None
    ending: Ending | None
    due_at: datetime
    overdue: bool
    deliveries: list[Delivery]
    revisions: list[Revision]
    cancellation: Cancellation | None
    deadline_proposal: DeadlineProposal | None
    settlement_proposal: SettlementProposal | None
    refusals: Refusals
    dispute_unlocked_by: list[Ground]
    dispute_id: UUID | None
    chat: ChatLock
    escrow: EscrowTotals
    terms: dict[str, Any]
    turn: Literal["buyer", "seller", "mediator"] | None
    events: DryEvents = None


class Message(Shape):
    message_id: UUID
    by: RoleName
    text: str
    files: list[File]
    posted_at: datetime


class Chat(Shape):
    """`items` are the messages under the name that every list has."""

    lock: ChatLock
    messages: list[Message]
    items: list[Message]
    next: str | None


class LedgerEntry(Shape):
    """`amount` leaves the account `debit` and arrives on `credit`; `event` is a position in the order's log."""

    event: int | None
    type: str
    at: datetime
    debit: Literal["buyer", "escrow", "seller", "platform"]
    credit: Literal["buyer", "escrow", "seller", "platform"]
    amount: Minor


class Accounts(Shape):
    buyer: Minor
    escrow: Minor
    seller: Minor
    platform: Minor


class Escrow(EscrowTotals):
    accounts: Accounts
    entries: list[LedgerEntry]


class Action(Shape):
    command: str
    allowed: bool
    code: str | None
    detail: str | None
    available_from: datetime | None
    available_until: datetime | None
    unlocked_by: list[str]


class Actions(Shape):
    items: list[Action]
    turn: Literal["buyer", "seller", "mediator"] | None


class KeyDates(Shape):
    placed_at: datetime
    paid_at: datetime | None
    due_at: datetime
    last_delivery_at: datetime | None
    dispute_opened_at: datetime | None
    ended_at: datetime | None


class SupportSummary(Shape):
    order_id: UUID
    key_dates: KeyDates
    lines: list[str]


class Evidence(Shape):
    evidence_id: UUID
    by: RoleName
    kind: Literal["statement", "document", "screenshot", "other"]
    description: str
    events: list[int]
    files: list[File]
    counters: list[UUID]
    origin: Origin
    late: bool
    submitted_at: datetime


class Windows(Shape):
    assignment: datetime
    response: datetime
    evidence: datetime
    decision: datetime


class Decision(Shape):
    outcome: Outcome
    reason: str
    refund: Money | None
    due_at: datetime | None
    cited: list[UUID]
    mediator_id: str
    decided_at: datetime


class Dispute(Shape):
    dispute_id: UUID
    order_id: UUID
    number: int
    version: int
    status: DisputeStatus
    ground: Ground
    opened_by: Literal["buyer", "seller", "operator"]
    opened_at: datetime
    closed_at: datetime | None
    statement: str
    revision: int | None
    points: list[int]
    order_status_before: Status
    assignment: int | None
    mediator_id: str | None
    evidence: list[Evidence]
    one_sided: bool | None
    windows: Windows
    decision: Decision | None
    outcome: Outcome | None
    events: DryEvents = None


class ThreadItem(Message):
    """A message, a mediator's question (`from`, `answer_by`) or, for mediators and auditors, a private note."""

    kind: Literal["message", "information_request", "note"]
    asked: Party | None = Field(default=None, alias="from")
    answer_by: datetime | None = None


class OrderList(Shape):
    items: list[Order]
    next: str | None


class EventList(Shape):
    items: list[Event]
    next: str | None


class DisputeList(Shape):
    items: list[Dispute]
    next: str | None


class Thread(Shape):
    items: list[ThreadItem]
    next: str | None


class Clock(Shape):
    timer: str
    side: Party | None
    at: datetime | None
    remaining_seconds: int | None


class PastRequest(Shape):
    position: int | None
    type: str
    by: RoleName
    at: datetime
    reason: str | None


class SummaryLines(Shape):
    fr: list[str]
    en: list[str]


class OverviewChat(Shape):
    lock: ChatLock
    messages: list[Message]


class Overview(Shape):
    """A dispute and its order on one page."""

    dispute: Dispute
    summary: SummaryLines
    order_status_before: Status
    clocks: list[Clock]
    requests: list[PastRequest]
    refusals: Refusals
    deliveries: list[Delivery]
    revisions: list[Revision]
    settlement_proposal: SettlementProposal | None
    chat: OverviewChat
    escrow: Escrow


class RefusedCommand(Shape):
    """`number` counts within its log, in commit order."""

    log: int
    number: int
    cursor: str
    order_id: UUID | None
    actor: EventActor
    command: str
    command_id: UUID | None
    code: str
    at: datetime


class RefusalList(Shape):
    items: list[RefusedCommand]
    next: str | None


class Look(Shape):
    """Somebody of the staff looked at the order, or, where `order_id` is null, at its log as far as `filters` say."""

    cursor: str
    order_id: UUID | None
    reader: EventActor
    what: str
    filters: dict[str, str]
    at: datetime


class CustodyList(Shape):
    items: list[Look]
    next: str | None


SHAPES: Final = (
    Order,
    OrderList,
    Chat,
    Escrow,
    EventList,
    Actions,
    SupportSummary,
    Dispute,
    DisputeList,
    Thread,
    Overview,
    File,
    RefusalList,
    CustodyList,
)
