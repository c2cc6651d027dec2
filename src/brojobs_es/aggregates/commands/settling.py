"""The parties end it between themselves: a settlement on a part, or the seller concedes everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.bodies import Body, Comment, MoneyBody, ProposalId, Text
from brojobs_es.aggregates.commands.proposals import no_own_proposal, not_own, own, still_pending
from brojobs_es.aggregates.commands.situation import EITHER_PARTY, HELD, SELLER, Command, Situation, timer
from brojobs_es.aggregates.endings import cancel, complete_with_split
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Proposal
from brojobs_es.errors import Refusal
from brojobs_es.ids import part_id_for


def _pending(order: Order) -> Proposal | None:
    return order.settlement_proposal


class ProposeSettlement(Body):
    """How much of the price goes back to the buyer; the seller gets the rest."""

    refund: MoneyBody
    comment: Text | None = None


def _a_part_of_the_price(s: Situation) -> Refusal | None:
    price = s.order.price
    if s.body is None:
        return Refusal("amount_out_of_range") if price.amount < 2 else None
    if s.body.refund.currency != price.currency:
        return Refusal("amount_mismatch", facts={"currency": price.currency})
    return None if 0 < s.body.refund.amount < price.amount else Refusal("amount_out_of_range", facts={"amount": price})


def _propose(s: Situation) -> Iterator[Event]:
    replaced = s.order.settlement_proposal
    yield e.SettlementProposed(
        proposal_id=part_id_for(s.order.id, "settlement-proposal", s.order.version + 1),
        refund_minor=s.body.refund.amount,
        comment=s.comment(),
        expires_at=s.now + s.order.terms.settlement_proposal_ttl,
        replaces=replaced.proposal_id if replaced else None,
    )


def _accept(s: Situation) -> Iterator[Event]:
    proposal = s.order.settlement_proposal
    assert proposal is not None
    yield e.SettlementAgreed(proposal_id=proposal.proposal_id, refund_minor=proposal.refund_minor)
    yield from complete_with_split(s.order, e.Ending.SETTLED, proposal.refund_minor)


def _refuse(s: Situation) -> Iterator[Event]:
    assert s.order.settlement_proposal is not None
    yield e.SettlementRefused(proposal_id=s.order.settlement_proposal.proposal_id)


def _withdraw(s: Situation) -> Iterator[Event]:
    assert s.order.settlement_proposal is not None
    yield e.SettlementWithdrawn(proposal_id=s.order.settlement_proposal.proposal_id)


def _concede(s: Situation) -> Iterator[Event]:
    yield e.SellerConceded(comment=s.comment())
    yield from cancel(s.order, e.Ending.CONCEDED)


_PROPOSAL_EXAMPLE: Final = {"proposal_id": "0f5c1d3e-7d62-5a43-9a51-5f3d2f6f0a11"}

COMMANDS: Final = (
    Command(
        name="propose-settlement",
        by=EITHER_PARTY,
        body=ProposeSettlement,
        guards=(*HELD, no_own_proposal(_pending, "settlement")),
        checks=(_a_part_of_the_price,),
        decide=_propose,
        example={"refund": {"amount": 4000, "currency": "EUR"}, "comment": "Half of the work is usable."},
        summary="Propose how much goes back to the buyer; also while a dispute is open.",
    ),
    Command(
        name="accept-settlement",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*HELD, still_pending(_pending, "settlement"), not_own(_pending)),
        decide=_accept,
        until=timer("settlement_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Agree: the order completes and the money is split; an open dispute closes.",
    ),
    Command(
        name="refuse-settlement",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*HELD, still_pending(_pending, "settlement"), not_own(_pending)),
        decide=_refuse,
        until=timer("settlement_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Refuse the proposed settlement.",
    ),
    Command(
        name="withdraw-settlement",
        by=EITHER_PARTY,
        body=ProposalId,
        guards=(*HELD, still_pending(_pending, "settlement"), own(_pending)),
        decide=_withdraw,
        until=timer("settlement_proposal"),
        example=_PROPOSAL_EXAMPLE,
        summary="Take one's own settlement proposal back.",
    ),
    Command(
        name="concede",
        by=SELLER,
        body=Comment,
        guards=HELD,
        decide=_concede,
        example={"comment": "I cannot do it."},
        summary="Give everything back to the buyer; an open dispute closes.",
    ),
)
