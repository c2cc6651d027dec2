"""Rows O27, O28: the parties settle on a part, or the seller gives everything back."""

from __future__ import annotations

import pytest
from tests import kit
from tests.kit import NOWHERE, PRICE, T0, TICK, H, euros

from brojobs_es.terms import Terms

HELD = (kit.paid, kit.delivered, kit.revision_requested, kit.revision_accepted, kit.disputed, kit.relaunched)


@pytest.mark.parametrize("given", HELD)
def test_o27_either_side_proposes_while_money_is_held_also_in_a_dispute(given: kit.Given) -> None:
    """The other side may accept for 48 hours; the money is split in one commit."""
    for proposer, other in (("buyer", "seller"), ("seller", "buyer")):
        story = given().act(proposer, "propose-settlement", refund=euros(3_333)).expect("SettlementProposed")
        assert story.last("SettlementProposed").expires_at == story.now + 48 * H
        story.act(other, "accept-settlement")
        assert [e.type for e in story.fresh][:3] == ["SettlementAgreed", "OrderCompleted", "EscrowSplit"]
        story.is_(status="completed", ending="settled", refunded_minor=3_333, released_minor=6_668, held_minor=0)


def test_o27_commission_is_taken_from_the_sellers_share_alone() -> None:
    """The worked example: 10 001 at 10 %, 3 333 back, 6 002 to the seller, 666 to the platform."""
    story = kit.paid(terms=Terms(commission_bps=1_000)).buyer("propose-settlement", refund=euros(3_333))
    story.seller("accept-settlement").is_(refunded_minor=3_333, released_minor=6_002, commission_minor=666)


def test_o27_closes_an_open_dispute_in_the_same_commit() -> None:
    """The mediator sees that the parties settled."""
    story = kit.under_review().buyer("propose-settlement").seller("accept-settlement")
    story.expect("SettlementAgreed", "OrderCompleted", "EscrowSplit", "DisputeClosed")
    assert (story.dispute.outcome, story.dispute.status) == ("settled", "closed")


@pytest.mark.parametrize("amount", [0, -1, PRICE, PRICE + 1])
def test_o27_the_refund_is_a_true_part_of_the_price(amount: int) -> None:
    """Nothing and everything are no settlement."""
    kit.paid().buyer("propose-settlement", refund=euros(amount), refused="amount_out_of_range")


def test_o27_the_smallest_and_the_largest_part() -> None:
    """One unit less than the price, and one unit."""
    for amount in (1, PRICE - 1):
        kit.paid().buyer("propose-settlement", refund=euros(amount)).expect("SettlementProposed")
    kit.paid().buyer("propose-settlement", refund=euros(1, "USD"), refused="amount_mismatch")


def test_o27_a_price_of_one_unit_cannot_be_split() -> None:
    """No body could be right, and the list of actions says so."""
    story = kit.paid(price=euros(1))
    refusal = story.judge("buyer", "propose-settlement", None)
    assert refusal is not None
    assert refusal.code == "amount_out_of_range"


def test_o27_a_counter_proposal_replaces_and_ones_own_waits() -> None:
    """One pending: the other side counters it, the proposer takes it back first."""
    story = kit.paid().buyer("propose-settlement", refund=euros(5_000))
    first = story.order.settlement_proposal
    assert first is not None
    story.buyer("propose-settlement", refused="proposal_pending").saying(available_from=T0 + 48 * H)
    story.saying(unlocked_by=("withdraw-settlement",))
    story.seller("propose-settlement", refund=euros(1_000)).expect("SettlementProposed")
    assert story.last("SettlementProposed").replaces == first.proposal_id
    story.seller("accept-settlement", proposal_id=str(first.proposal_id), refused="proposal_void")
    story.buyer("accept-settlement").is_(refunded_minor=1_000)


def test_o27_own_void_and_withdrawn() -> None:
    """Nobody answers their own or withdraws another's; another id is void before all."""
    story = kit.paid().buyer("propose-settlement")
    story.buyer("accept-settlement", refused="own_proposal").buyer("refuse-settlement", refused="own_proposal")
    story.seller("withdraw-settlement", refused="not_own_proposal")
    story.buyer("accept-settlement", proposal_id=NOWHERE, refused="proposal_void")
    story.fork().seller("refuse-settlement").expect("SettlementRefused").is_(settlement_proposal=None)
    story.buyer("withdraw-settlement").expect("SettlementWithdrawn").is_(settlement_proposal=None)
    story.seller("accept-settlement", refused="proposal_void")


@pytest.mark.parametrize("given", [kit.paid, kit.disputed])
def test_o27_a_proposal_ends_after_48_hours_also_in_a_dispute(given: kit.Given) -> None:
    """This clock is not suspended by a dispute."""
    story = given().buyer("propose-settlement")
    ends_at = story.now + 48 * H
    story.at(ends_at - TICK).fork().seller("accept-settlement")
    story.at(ends_at)
    assert "SettlementProposalExpired" in [e.type for e in story.fresh]
    assert story.last("SettlementProposalExpired").effective_at == ends_at
    story.seller("accept-settlement", refused="proposal_void")


def test_o27_o28_not_without_held_money() -> None:
    """Neither before the payment nor after the end."""
    for command in ("propose-settlement", "accept-settlement", "concede"):
        kit.placed().seller(command, refused="not_paid")
        kit.completed().seller(command, refused="order_closed")


@pytest.mark.parametrize("given", HELD)
def test_o28_the_seller_gives_everything_back(given: kit.Given) -> None:
    """At any time while money is held, also in a dispute, which then closes as conceded."""
    story = given().seller("concede", comment="I cannot.")
    assert [e.type for e in story.fresh][:3] == ["SellerConceded", "OrderCancelled", "EscrowRefunded"]
    story.is_(status="cancelled", ending="conceded", refunded_minor=PRICE, held_minor=0)
    if given is kit.disputed:
        assert (story.dispute.outcome, story.fresh[-1].type) == ("conceded", "DisputeClosed")
