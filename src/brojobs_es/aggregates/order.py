"""The order: what happened to it so far.

    status              leaves it by
    awaiting_payment    EscrowFunded → in_progress; OrderCancelled
    in_progress         Delivered → delivered; DeliveryAccepted (accepted revision); a cancellation; OrderFrozen
    delivered           RevisionRequested → revision_requested; DeliveryAccepted, DeliveryAutoAccepted; OrderFrozen
    revision_requested  RevisionAccepted → in_progress; RevisionRefused, RevisionRequestExpired → delivered; Delivered
    disputed            OrderUnfrozen → the status before; OrderRelaunched → in_progress; an end
    completed           nothing
    cancelled           nothing

Overdue, requests, proposals and unlocked disputes are facts beside the status. Decisions stand in
`aggregates.commands`, timers in `order_timers`; this file only remembers. Nothing here judges: replay reads
what was recorded, and a rule that changes later leaves old histories readable.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from eventsourcing.utils import register_topic

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event, Recording, Role, Words
from brojobs_es.aggregates.order_parts import (
    ENDED,
    Conflict,
    Delivery,
    DisputeRef,
    Proposal,
    Request,
    Revision,
    RevisionStatus,
    Status,
    Unlock,
)
from brojobs_es.money import Money
from brojobs_es.terms import Terms


class Order(Recording):
    """One purchase of one service by one buyer from one seller."""

    buyer_id: str
    seller_id: str
    title: Words
    brief: Words
    price: Money
    terms: Terms
    placed_at: datetime
    due_at: datetime
    status: Status
    payment_reference: str | None
    paid_at: datetime | None
    ended_at: datetime | None
    ending: e.Ending | None
    chat_closed: bool
    funded_minor: int
    refunded_minor: int
    released_minor: int
    commission_minor: int
    timers: dict[str, datetime]
    suspended: dict[str, timedelta]
    reminded: bool
    last_reminder_at: datetime | None
    silence_established: bool
    request: Request | None
    last_request_expired: bool
    last_cancellation_requested_at: datetime | None
    deadline_proposal: Proposal | None
    settlement_proposal: Proposal | None
    refusals: tuple[int, ...]
    unlocks: tuple[Unlock, ...]
    deliveries: tuple[Delivery, ...]
    revisions: tuple[Revision, ...]
    validation_reminders_sent: int
    conflict: Conflict
    disputes: tuple[DisputeRef, ...]
    status_before_dispute: Status | None
    relaunched: bool
    escrow_alarmed: bool

    def __init__(self) -> None:
        self.status = Status.AWAITING_PAYMENT
        self.payment_reference = None
        self.paid_at = None
        self.ended_at = None
        self.ending = None
        self.chat_closed = False
        self.funded_minor = 0
        self.refunded_minor = 0
        self.released_minor = 0
        self.commission_minor = 0
        self.timers = {}
        self.suspended = {}
        self.reminded = False
        self.last_reminder_at = None
        self.silence_established = False
        self.request = None
        self.last_request_expired = False
        self.last_cancellation_requested_at = None
        self.deadline_proposal = None
        self.settlement_proposal = None
        self.refusals = ()
        self.unlocks = ()
        self.deliveries = ()
        self.revisions = ()
        self.validation_reminders_sent = 0
        self.conflict = Conflict()
        self.disputes = ()
        self.status_before_dispute = None
        self.relaunched = False
        self.escrow_alarmed = False

    # -- questions

    @property
    def held_minor(self) -> int:
        """What escrow holds now."""
        return self.funded_minor - self.refunded_minor - self.released_minor - self.commission_minor

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def frozen(self) -> bool:
        return self.status is Status.DISPUTED

    @property
    def revision(self) -> Revision | None:
        """The newest revision, whatever became of it."""
        return self.revisions[-1] if self.revisions else None

    @property
    def pending_revision(self) -> Revision | None:
        revision = self.revision
        return revision if revision and revision.status is RevisionStatus.PENDING else None

    @property
    def accepted_revision(self) -> Revision | None:
        """The revision that the seller works on."""
        revision = self.revision
        return revision if revision and revision.status is RevisionStatus.ACCEPTED else None

    def is_overdue(self, now: datetime) -> bool:
        return self.status is Status.IN_PROGRESS and now >= self.due_at

    def has_unlocked(self, ground: e.Ground) -> bool:
        return any(unlock.ground is ground for unlock in self.unlocks)

    def disputes_opened_by(self, role: Role) -> int:
        return sum(dispute.opened_by is role for dispute in self.disputes)

    def role_of(self, user_id: str) -> Role | None:
        """Which party this person is, if any."""
        if user_id == self.buyer_id:
            return Role.BUYER
        return Role.SELLER if user_id == self.seller_id else None

    def pending(self) -> tuple[e.Pending, ...]:
        """All that waits for an answer."""
        waiting = {
            e.Pending.DEADLINE_PROPOSAL: self.deadline_proposal,
            e.Pending.SETTLEMENT_PROPOSAL: self.settlement_proposal,
            e.Pending.REVISION: self.pending_revision,
        }
        request = (self.request.kind,) if self.request else ()
        return request + tuple(kind for kind, what in waiting.items() if what)

    # -- applying: assignments only

    def evolve(self, event: Event) -> None:
        super().evolve(event)
        if event.cause.actor.role is Role.SELLER:
            self._seller_gave_a_sign_of_life()

    def _seller_gave_a_sign_of_life(self) -> None:
        self.silence_established = False
        self._stop("silence")

    def _start(self, timer: str, at: datetime) -> None:
        self.timers = {**self.timers, timer: at}

    def _stop(self, *timers: str) -> None:
        for timer in timers:
            if timer in self.timers:
                self.timers = self.timers.copy()
                del self.timers[timer]
            if timer in self.suspended:
                self.suspended = self.suspended.copy()
                del self.suspended[timer]

    def _start_validation(self, at: datetime) -> None:
        """A fresh validation window; it stands still while a cancellation request is pending."""
        self._stop("validation")
        self.validation_reminders_sent = 0
        if self.request:
            self.suspended = {**self.suspended, "validation": self.terms.validation_window}
        else:
            self._start("validation", at + self.terms.validation_window)

    def _stand_validation(self, at: datetime) -> None:
        if "validation" in self.timers:
            remaining = self.timers["validation"] - at
            self._stop("validation")
            self.suspended = {**self.suspended, "validation": remaining}

    def _end_request(self, at: datetime) -> None:
        self.request = None
        self._stop("refund_answer", "cancellation_answer")
        if not self.frozen and "validation" in self.suspended:
            remaining = self.suspended["validation"]
            self._stop("validation")
            self._start("validation", at + remaining)

    def _end(self, status: Status, event: Event, reason: e.Ending) -> None:
        self.status = status
        self.status_before_dispute = None
        self.ending = reason
        self.ended_at = event.effective_at
        self.unlocks = ()
        self.suspended = {}
        self.timers = {"chat_close": event.effective_at + self.terms.chat_open_after_end}

    def _revise(self, **changes: object) -> None:
        self.revisions = (*self.revisions[:-1], replace(self.revisions[-1], **changes))  # type: ignore[arg-type]

    def _on_OrderPlaced(self, event: e.OrderPlaced) -> None:
        self.buyer_id, self.seller_id = event.buyer_id, event.seller_id
        self.title, self.brief, self.price = event.title, event.brief, event.price
        self.terms, self.due_at, self.placed_at = event.terms, event.due_at, event.effective_at
        self._start("payment", min(event.effective_at + event.terms.payment_window, event.due_at))

    def _on_EscrowFunded(self, event: e.EscrowFunded) -> None:
        self.status = Status.IN_PROGRESS
        self.payment_reference = event.payment_reference
        self.paid_at = event.effective_at
        self.funded_minor = event.amount_minor
        self._stop("payment")
        self._start("delivery_due", self.due_at)
        self._start("escrow_age", event.effective_at + self.terms.escrow_age_alarm)

    def _on_MessagePosted(self, event: e.MessagePosted) -> None:
        if self.funded_minor and not self.ended:
            self.conflict = self.conflict.with_message(event.cause.actor.role, event.effective_at)

    def _on_SellerReminded(self, event: e.SellerReminded) -> None:
        self.reminded = True
        self.last_reminder_at = event.effective_at
        if "silence" not in self.timers and not self.silence_established:
            self._start("silence", event.effective_at + self.terms.silence_window)

    def _on_SellerSilenceEstablished(self, event: e.SellerSilenceEstablished) -> None:
        self.silence_established = True
        self._stop("silence")

    def _on_RefundRequested(self, event: e.RefundRequested) -> None:
        self.request = Request(e.Pending.REFUND, None, event.comment, event.effective_at, event.answer_by)
        self.last_request_expired = False
        self._start("refund_answer", event.answer_by)

    def _on_RefundGrantedBySilence(self, event: e.RefundGrantedBySilence) -> None:
        self._end_request(event.effective_at)

    def _on_DeliveryOverdue(self, event: e.DeliveryOverdue) -> None:
        self._stop("delivery_due")

    def _on_DeadlineProposed(self, event: e.DeadlineProposed) -> None:
        by = event.cause.actor.role
        self.deadline_proposal = Proposal(
            event.proposal_id, by, event.comment, event.expires_at, due_at=event.new_due_at
        )
        self._start("deadline_proposal", event.expires_at)

    def _on_DeadlineAgreed(self, event: e.DeadlineAgreed) -> None:
        self._end_deadline_proposal()
        self.due_at = event.due_at
        if self.accepted_revision:
            self._revise(due_at=event.due_at)
            self._start("revision_due", event.due_at)
        else:
            self._start("delivery_due", event.due_at)

    def _on_DeadlineRefused(self, event: e.DeadlineRefused) -> None:
        self._end_deadline_proposal(unanswered=True)

    def _on_DeadlineWithdrawn(self, event: e.DeadlineWithdrawn) -> None:
        self._end_deadline_proposal()

    def _on_DeadlineProposalExpired(self, event: e.DeadlineProposalExpired) -> None:
        self._end_deadline_proposal(unanswered=True)

    def _end_deadline_proposal(self, *, unanswered: bool = False) -> None:
        self.deadline_proposal = None
        self._stop("deadline_proposal")
        self._count_conflict(unanswered)

    def _count_conflict(self, unanswered: bool) -> None:
        if unanswered:
            self.conflict = replace(self.conflict, unanswered=self.conflict.unanswered + 1)

    def _on_CancellationRequested(self, event: e.CancellationRequested) -> None:
        self.request = Request(e.Pending.CANCELLATION, event.reason, event.comment, event.effective_at, event.answer_by)
        self.last_request_expired = False
        self.last_cancellation_requested_at = event.effective_at
        self._start("cancellation_answer", event.answer_by)
        self._stand_validation(event.effective_at)

    def _on_CancellationAccepted(self, event: e.CancellationAccepted) -> None:
        self._end_request(event.effective_at)

    def _on_CancellationWithdrawn(self, event: e.CancellationWithdrawn) -> None:
        self._end_request(event.effective_at)

    def _on_CancelRefused(self, event: e.CancelRefused) -> None:
        self._count_refusal(event)

    def _on_CancellationRequestExpired(self, event: e.CancellationRequestExpired) -> None:
        self._count_refusal(event)
        self.last_request_expired = True

    def _count_refusal(self, event: Event) -> None:
        self._end_request(event.effective_at)
        self.refusals = (*self.refusals, event.originator_version)
        self._count_conflict(unanswered=True)

    def _on_Delivered(self, event: e.Delivered) -> None:
        self.status = Status.DELIVERED
        delivery = Delivery(event.number, event.note, event.files, event.points, event.late, event.effective_at)
        self.deliveries = (*self.deliveries, delivery)
        if event.revision is not None:
            self._revise(status=RevisionStatus.ANSWERED, answers=event.points)
        self._stop("delivery_due", "revision_due", "revision_answer")
        self._start_validation(event.effective_at)

    def _on_ValidationReminderSent(self, event: e.ValidationReminderSent) -> None:
        self.validation_reminders_sent = event.number

    def _on_RevisionRequested(self, event: e.RevisionRequested) -> None:
        self.status = Status.REVISION_REQUESTED
        revision = Revision(
            event.number, self.deliveries[-1].number, event.points, RevisionStatus.PENDING, event.effective_at
        )
        self.revisions = (*self.revisions, revision)
        self._stop("validation")
        self._start("revision_answer", event.answer_by)

    def _on_RevisionAccepted(self, event: e.RevisionAccepted) -> None:
        self.status = Status.IN_PROGRESS
        self.due_at = event.due_at
        self._revise(status=RevisionStatus.ACCEPTED, due_at=event.due_at)
        self._stop("revision_answer")
        self._start("revision_due", event.due_at)

    def _on_RevisionRefused(self, event: e.RevisionRefused) -> None:
        self._deny_revision(event, RevisionStatus.REFUSED)

    def _on_RevisionRequestExpired(self, event: e.RevisionRequestExpired) -> None:
        self._deny_revision(event, RevisionStatus.EXPIRED)

    def _deny_revision(self, event: Event, status: RevisionStatus) -> None:
        self.status = Status.DELIVERED
        self._revise(status=status)
        self._stop("revision_answer")
        self._start_validation(event.effective_at)
        self._count_conflict(unanswered=True)

    def _on_RevisionOverdue(self, event: e.RevisionOverdue) -> None:
        self._stop("revision_due")

    def _on_SettlementProposed(self, event: e.SettlementProposed) -> None:
        by = event.cause.actor.role
        self.settlement_proposal = Proposal(
            event.proposal_id, by, event.comment, event.expires_at, refund_minor=event.refund_minor
        )
        self._start("settlement_proposal", event.expires_at)

    def _on_SettlementAgreed(self, event: e.SettlementAgreed) -> None:
        self._end_settlement_proposal()

    def _on_SettlementRefused(self, event: e.SettlementRefused) -> None:
        self._end_settlement_proposal(unanswered=True)

    def _on_SettlementWithdrawn(self, event: e.SettlementWithdrawn) -> None:
        self._end_settlement_proposal()

    def _on_SettlementProposalExpired(self, event: e.SettlementProposalExpired) -> None:
        self._end_settlement_proposal(unanswered=True)

    def _end_settlement_proposal(self, *, unanswered: bool = False) -> None:
        self.settlement_proposal = None
        self._stop("settlement_proposal")
        self._count_conflict(unanswered)

    def _on_DisputeUnlocked(self, event: e.DisputeUnlocked) -> None:
        self.unlocks = (*self.unlocks, Unlock(event.ground, event.caused_by))
        if "validation" in self.timers:
            least = event.effective_at + self.terms.resumed_timer_min
            self._start("validation", max(self.timers["validation"], least))

    def _on_DisputeUnlockTakenBack(self, event: e.DisputeUnlockTakenBack) -> None:
        self._spend(event.ground)

    def _spend(self, ground: e.Ground) -> None:
        self.unlocks = tuple(unlock for unlock in self.unlocks if unlock.ground is not ground)

    def _on_RequestsSuperseded(self, event: e.RequestsSuperseded) -> None:
        for kind in event.closed:
            match kind:
                case e.Pending.CANCELLATION | e.Pending.REFUND:
                    self._end_request(event.effective_at)
                case e.Pending.DEADLINE_PROPOSAL:
                    self._end_deadline_proposal()
                case e.Pending.SETTLEMENT_PROPOSAL:
                    self._end_settlement_proposal()
                case e.Pending.REVISION:
                    self._revise(status=RevisionStatus.SUPERSEDED)
                    self._stop("revision_answer")

    def _on_OrderFrozen(self, event: e.OrderFrozen) -> None:
        self.status_before_dispute = self.status
        self.status = Status.DISPUTED
        self.disputes = (*self.disputes, DisputeRef(event.dispute_id, event.opened_by, event.ground))
        self.timers = {name: at for name, at in self.timers.items() if name not in event.suspended}
        self.suspended = dict(event.suspended)
        if event.opened_by is Role.BUYER:
            self._spend(event.ground)
            if event.ground is e.Ground.CANCELLATION_REFUSED_TWICE:
                self.refusals = ()

    def _on_OrderUnfrozen(self, event: e.OrderUnfrozen) -> None:
        assert self.status_before_dispute is not None
        self.status = self.status_before_dispute
        self.status_before_dispute = None
        self.due_at = event.due_at
        self.timers = {**self.timers, **event.resumed}
        self.suspended = {}
        if event.silence_broken:
            self._seller_gave_a_sign_of_life()
        if self.accepted_revision:
            self._revise(due_at=event.due_at)

    def _on_OrderRelaunched(self, event: e.OrderRelaunched) -> None:
        self.status = Status.IN_PROGRESS
        self.status_before_dispute = None
        self.relaunched = True
        self.due_at = event.due_at
        self.timers = {name: at for name, at in self.timers.items() if name == "escrow_age"}
        self.timers["delivery_due"] = event.due_at
        self.suspended = {}
        self.reminded = self.silence_established = False
        self.last_reminder_at = None
        self.refusals, self.unlocks, self.conflict = (), (), Conflict()
        if self.accepted_revision:
            self._revise(status=RevisionStatus.SUPERSEDED)

    def _on_OrderCompleted(self, event: e.OrderCompleted) -> None:
        self._end(Status.COMPLETED, event, event.reason)

    def _on_OrderCancelled(self, event: e.OrderCancelled) -> None:
        self._end(Status.CANCELLED, event, event.reason)

    def _on_EscrowRefunded(self, event: e.EscrowRefunded) -> None:
        self.refunded_minor = event.refund_minor

    def _on_EscrowReleased(self, event: e.EscrowReleased) -> None:
        self.released_minor, self.commission_minor = event.payout_minor, event.commission_minor

    def _on_EscrowSplit(self, event: e.EscrowSplit) -> None:
        self.refunded_minor = event.refund_minor
        self.released_minor, self.commission_minor = event.payout_minor, event.commission_minor

    def _on_EscrowAgeAlarmRaised(self, event: e.EscrowAgeAlarmRaised) -> None:
        self.escrow_alarmed = True
        self._stop("escrow_age")

    def _on_ChatClosed(self, event: e.ChatClosed) -> None:
        self.chat_closed = True
        self._stop("chat_close")


register_topic("order", Order)
