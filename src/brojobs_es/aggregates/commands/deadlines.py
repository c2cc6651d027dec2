"""A new delivery date: proposed by one side, agreed by the other; and the buyer's right once it has passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.bodies import Body, Empty, Instant, ProposalId, Text
from brojobs_es.aggregates.commands.proposals import no_own_proposal, not_own, own, still_pending
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    EITHER_PARTY,
    RUNNING,
    Command,
    Situation,
    in_progress,
    never_delivered,
    timer,
)
from brojobs_es.aggregates.endings import cancel
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Proposal
from brojobs_es.errors import Refusal
from brojobs_es.ids import part_id_for


def _pending(order: Order) -> Proposal | None:
    return order.deadline_proposal


def _horizon(s: Situation) -> datetime | None:
    """The last instant that a deadline may be moved to: counted from the payment."""
    return s.order.paid_at + s.order.terms.deadline_horizon if s.order.paid_at else None


class ProposeDeadline(Body):
    """A new instant by which the delivery is expected."""

    due_at: Instant
    comment: Text | None = None


def _within_horizon(s: Situation) -> Refusal | None:
    horizon = _horizon(s)
    assert horizon is not None
    latest_possible = s.body.due_at if s.body else horizon
    if s.now < latest_possible <= horizon:
        return None
    return Refusal("due_at_out_of_range", available_until=horizon)


def _propose(s: Situation) -> Iterator[Event]:
    replaced = s.order.deadline_proposal
    yield e.DeadlineProposed(
        proposal_id=part_id_for(s.order.id, "deadline-proposal", s.order.version + 1),
        new_due_at=s.body.due_at,
        comment=s.comment(),
        expires_at=min(s.now + s.order.terms.deadline_proposal_ttl, s.body.due_at),
        replaces=replaced.proposal_id if replaced else None,
    )


def _accept(s: Situation) -> Iterator[Event]:
    proposal = s.order.deadline_proposal
    assert proposal is not None
    assert proposal.due_at is not None
    yield e.DeadlineAgreed(proposal_id=proposal.proposal_id, due_at=proposal.due_at)


def _refuse(s: Situation) -> Iterator[Event]:
    assert s.order.deadline_proposal is not None
    yield e.DeadlineRefused(proposal_id=s.order.deadline_proposal.proposal_id)


def _withdraw(s: Situation) -> Iterator[Event]:
    assert s.order.deadline_proposal is not None
    yield e.DeadlineWithdrawn(proposal_id=s.order.deadline_proposal.proposal_id)


def _overdue(s: Situation) -> Refusal | None:
    return None if s.order.is_overdue(s.now) else Refusal("not_overdue", available_from=s.order.due_at)


def _cancel_overdue(s: Situation) -> Iterator[Event]:
    yield from cancel(s.order, e.Ending.OVERDUE)


_PROPOSAL_EXAMPLE: Final = {"proposal_id": "0f5c1d3e-7d62-5a43-9a51-5f3d2f6f0a11"}

COMMANDS: Final = (
    Command(
        name="cancel-overdue",
        by=BUYER,
        body=Empty,
        guards=(*RUNNING, never_delivered, _overdue),
        decide=_cancel_overdue,
        example={},
        summary="Nothing was delivered in time: cancel alone and get everything back at once.",
    ),
    Command(
        name="propose-deadline",
        by=EITHER_PARTY,
        body=ProposeDeadline,
        guards=(*RUNNING, in_progress, no_own_proposal(_pending, "deadline")),
        checks=(_within_horizon,),
        decide=_propose,
        until=_horizon,
        example={"due_at": "2026-03-20T12:00:00Z", "comment": "I need three more days."},
        summary="Propose a new delivery date; it replaces a pending proposal of the other side.",
    ),
    Command(
        name="accept-deadline",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*RUNNING, still_pending(_pending, "deadline"), not_own(_pending)),
        decide=_accept,
        until=timer("deadline_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Agree to the proposed delivery date.",
    ),
    Command(
        name="refuse-deadline",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*RUNNING, still_pending(_pending, "deadline"), not_own(_pending)),
        decide=_refuse,
        until=timer("deadline_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Refuse the proposed delivery date.",
    ),
    Command(
        name="withdraw-deadline",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*RUNNING, still_pending(_pending, "deadline"), own(_pending)),
        decide=_withdraw,
        until=timer("deadline_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Take one's own proposal back.",
    ),
)
