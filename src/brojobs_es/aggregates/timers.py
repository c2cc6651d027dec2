"""Time as an actor: which timer is next, and what it does when it has won.

The order of the two tables is the order in which timers of the same instant fire, the order's before its
dispute's. What follows from these facts beside the order's own end is a policy's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from brojobs_es.aggregates import dispute_events as d
from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.endings import cancel, complete_with_release
from brojobs_es.aggregates.order import Order


class Due(Struct, frozen=True):
    """A timer and the instant at which it wins."""

    at: datetime
    name: str


def next_of_order(order: Order) -> Due | None:
    """The order's earliest timer; validation reminders are derived from the validation clock."""
    reminder = _next_validation_reminder(order)
    return _earliest(order.timers, _ORDER_RANK, Due(reminder, "validation_reminder") if reminder is not None else None)


def next_of_dispute(dispute: Dispute) -> Due | None:
    """The dispute's earliest timer."""
    return _earliest(dispute.timers, _DISPUTE_RANK, None)


def _earliest(timers: Mapping[str, datetime], rank: Mapping[str, int], first: Due | None) -> Due | None:
    """The first to win of a timer and some others; at the same instant the one of the lower rank."""
    for name, at in timers.items():
        if first is None or at < first.at or (at == first.at and rank[name] < rank[first.name]):
            first = Due(at, name)
    return first


def fire_of_order(order: Order, due: Due) -> Iterator[Event]:
    """The facts that this timer of the order makes."""
    return ORDER_TIMERS[due.name](order, due.at)


def fire_of_dispute(dispute: Dispute, due: Due) -> Iterator[Event]:
    """The facts that this timer of the dispute makes."""
    return DISPUTE_TIMERS[due.name](dispute, due.at)


def _next_validation_reminder(order: Order) -> datetime | None:
    ends_at, sent = order.timers.get("validation"), order.validation_reminders_sent
    if ends_at is None or sent >= len(order.terms.validation_reminders):
        return None
    return ends_at - order.terms.validation_window + order.terms.validation_reminders[sent]


# -- the order's timers


def _payment(order: Order, at: datetime) -> Iterator[Event]:
    yield e.PaymentExpired()
    yield from cancel(order, e.Ending.PAYMENT_EXPIRED)


def _silence(order: Order, at: datetime) -> Iterator[Event]:
    yield e.SellerSilenceEstablished()


def _refund_answer(order: Order, at: datetime) -> Iterator[Event]:
    yield e.RefundGrantedBySilence()
    yield from cancel(order, e.Ending.REFUND_GRANTED_BY_SILENCE)


def _delivery_due(order: Order, at: datetime) -> Iterator[Event]:
    yield e.DeliveryOverdue(due_at=order.due_at)


def _deadline_proposal(order: Order, at: datetime) -> Iterator[Event]:
    assert order.deadline_proposal is not None
    yield e.DeadlineProposalExpired(proposal_id=order.deadline_proposal.proposal_id)


def _cancellation_answer(order: Order, at: datetime) -> Iterator[Event]:
    yield e.CancellationRequestExpired(refusal_count=len(order.refusals) + 1)


def _validation_reminder(order: Order, at: datetime) -> Iterator[Event]:
    number = order.validation_reminders_sent + 1
    yield e.ValidationReminderSent(number=number, auto_accepted_at=order.timers["validation"])


def _validation(order: Order, at: datetime) -> Iterator[Event]:
    yield e.DeliveryAutoAccepted(number=order.deliveries[-1].number)
    yield from complete_with_release(order, e.Ending.AUTO_ACCEPTED)


def _revision_answer(order: Order, at: datetime) -> Iterator[Event]:
    yield e.RevisionRequestExpired(number=order.revisions[-1].number)


def _revision_due(order: Order, at: datetime) -> Iterator[Event]:
    yield e.RevisionOverdue(number=order.revisions[-1].number, due_at=order.due_at)


def _settlement_proposal(order: Order, at: datetime) -> Iterator[Event]:
    assert order.settlement_proposal is not None
    yield e.SettlementProposalExpired(proposal_id=order.settlement_proposal.proposal_id)


def _chat_close(order: Order, at: datetime) -> Iterator[Event]:
    yield e.ChatClosed()


def _escrow_age(order: Order, at: datetime) -> Iterator[Event]:
    yield e.EscrowAgeAlarmRaised()


ORDER_TIMERS: Final[Mapping[str, Callable[[Order, datetime], Iterator[Event]]]] = {
    "payment": _payment,
    "silence": _silence,
    "refund_answer": _refund_answer,
    "delivery_due": _delivery_due,
    "deadline_proposal": _deadline_proposal,
    "cancellation_answer": _cancellation_answer,
    "validation_reminder": _validation_reminder,
    "validation": _validation,
    "revision_answer": _revision_answer,
    "revision_due": _revision_due,
    "settlement_proposal": _settlement_proposal,
    "chat_close": _chat_close,
    "escrow_age": _escrow_age,
}

RUNS_WHILE_FROZEN: Final = frozenset({"settlement_proposal", "escrow_age"})


# -- the dispute's timers


def _assignment(dispute: Dispute, at: datetime) -> Iterator[Event]:
    yield d.MediatorAssignmentOverdue()


def _response(dispute: Dispute, at: datetime) -> Iterator[Event]:
    yield d.ResponseWindowClosed(one_sided=not dispute.both_heard)


def _decision(dispute: Dispute, at: datetime) -> Iterator[Event]:
    yield d.DecisionOverdue()


DISPUTE_TIMERS: Final[Mapping[str, Callable[[Dispute, datetime], Iterator[Event]]]] = {
    "assignment": _assignment,
    "response": _response,
    "decision": _decision,
}

_ORDER_RANK: Final = {name: rank for rank, name in enumerate(ORDER_TIMERS)}
_DISPUTE_RANK: Final = {name: rank for rank, name in enumerate(DISPUTE_TIMERS)}
