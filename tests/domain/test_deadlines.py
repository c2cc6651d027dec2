"""Rows O9–O13: an order that is overdue, cancelling it alone, and agreeing on another date."""

from __future__ import annotations

import pytest
from tests import kit
from tests.kit import DUE, NOWHERE, PRICE, T0, TICK, D, H


def test_o9_at_the_delivery_date_the_order_is_overdue() -> None:
    """At the exact instant, while it stays in progress."""
    story = kit.paid().at(DUE - TICK).expect()
    assert not story.order.is_overdue(story.now)
    story.at(DUE).expect("DeliveryOverdue").is_(status="in_progress", unlocks=())
    assert story.order.is_overdue(story.now)
    assert story.last("DeliveryOverdue").effective_at == DUE


def test_o9_what_was_delivered_is_not_overdue() -> None:
    """The date passes without a word once something was delivered."""
    story = kit.delivered().at(DUE)
    assert "DeliveryOverdue" not in story.types
    assert not story.order.is_overdue(story.now)


def test_o9_a_relaunched_order_with_an_older_delivery_unlocks_the_dispute_when_overdue() -> None:
    """Cancelling alone is closed to the buyer there, so the date unlocks a dispute."""
    story = kit.relaunched()
    story.at(story.order.due_at - TICK).expect().at(story.order.due_at).expect("DeliveryOverdue", "DisputeUnlocked")
    assert [unlock.ground for unlock in story.order.unlocks] == ["revision_overdue"]
    assert story.last("DisputeUnlocked").caused_by == (story.last("DeliveryOverdue").originator_version,)
    story.buyer("cancel-overdue", refused="already_delivered")


def test_o10_overdue_and_never_delivered_the_buyer_cancels_alone() -> None:
    """Everything comes back at once; one tick earlier the date is named."""
    story = kit.paid().at(DUE - TICK).buyer("cancel-overdue", refused="not_overdue").saying(available_from=DUE)
    story.at(DUE).buyer("cancel-overdue").expect("OrderCancelled", "EscrowRefunded")
    story.is_(status="cancelled", ending="overdue", refunded_minor=PRICE, held_minor=0)


def test_o10_a_late_delivery_ends_the_right() -> None:
    """Once something was delivered, cancelling alone is over for good."""
    kit.overdue().seller("deliver").buyer("cancel-overdue", refused="already_delivered")
    story = kit.revision_accepted()
    story.at(story.order.due_at).buyer("cancel-overdue", refused="already_delivered")


@pytest.mark.parametrize("side", ["buyer", "seller"])
def test_o11_either_side_proposes_another_date(side: str) -> None:
    """The proposal holds for 48 hours and has an id of its own."""
    story = kit.paid().act(side, "propose-deadline", due_at=DUE + D, comment="Please").expect("DeadlineProposed")
    proposal = story.order.deadline_proposal
    assert proposal is not None
    assert (proposal.by, proposal.due_at, proposal.expires_at) == (side, DUE + D, T0 + 48 * H)
    assert story.last("DeadlineProposed").new_due_at == DUE + D
    story.is_(due_at=DUE)


@pytest.mark.parametrize("state", [kit.delivered, kit.revision_requested])
def test_o11_only_in_progress(state: kit.Given) -> None:
    """Where no delivery is awaited there is no date to move."""
    state().seller("propose-deadline", refused="not_in_progress").buyer("propose-deadline", refused="not_in_progress")


def test_o11_one_of_ones_own_at_a_time() -> None:
    """The pending one is taken back first, or runs out."""
    story = kit.paid().seller("propose-deadline").seller("propose-deadline", refused="proposal_pending")
    story.saying(available_from=T0 + 48 * H, unlocked_by=("withdraw-deadline",))
    story.at(T0 + 48 * H).expect("DeadlineProposalExpired").seller("propose-deadline").expect("DeadlineProposed")


def test_o11_the_date_lies_after_now_and_within_80_days_of_the_payment() -> None:
    """The horizon counts from the payment, not from the order nor from now."""
    story = kit.placed().at(T0 + 5 * H).operator("confirm-payment").at(T0 + D)
    horizon = T0 + 5 * H + 80 * D
    story.seller("propose-deadline", due_at=T0 + D, refused="due_at_out_of_range").saying(available_until=horizon)
    story.seller("propose-deadline", due_at=horizon + TICK, refused="due_at_out_of_range")
    story.fork().seller("propose-deadline", due_at=horizon)
    story.fork().seller("propose-deadline", due_at=T0 + D + TICK)
    story.seller("propose-deadline", due_at=T0 + 2 * D).is_(due_at=DUE)


def test_o11_no_longer_offered_once_the_horizon_is_past() -> None:
    """Without a body the answer says that no date could be right any more."""
    story = kit.paid().at(T0 + 80 * D - TICK)
    assert story.judge("seller", "propose-deadline", None) is None
    refusal = story.at(T0 + 80 * D).judge("seller", "propose-deadline", None)
    assert refusal is not None
    assert refusal.code == "due_at_out_of_range"


def test_o12_the_other_side_agrees_and_the_date_moves() -> None:
    """The order is due at the new date and not before."""
    story = kit.paid().seller("propose-deadline", due_at=DUE + D).buyer("accept-deadline").expect("DeadlineAgreed")
    story.is_(due_at=DUE + D, deadline_proposal=None).at(DUE).expect()
    story.buyer("cancel-overdue", refused="not_overdue").saying(available_from=DUE + D)
    story.at(DUE + D).expect("DeliveryOverdue").buyer("cancel-overdue")


def test_o12_agreeing_after_the_old_date_suspends_the_overdue_right() -> None:
    """The buyer who agrees waits until the new date, then has the right again."""
    story = kit.overdue().buyer("propose-deadline", due_at=DUE + 2 * D).seller("accept-deadline")
    assert not story.order.is_overdue(story.now)
    story.buyer("cancel-overdue", refused="not_overdue").at(DUE + 2 * D).expect("DeliveryOverdue")
    story.buyer("cancel-overdue").expect("OrderCancelled", "EscrowRefunded")


def test_o12_in_an_accepted_revision_it_moves_the_date_of_the_revision() -> None:
    """And an unspent unlock for an overdue revision is taken back."""
    story = kit.revision_accepted()
    first = story.order.due_at
    story.at(first).expect("RevisionOverdue", "DisputeUnlocked").buyer("send-reminder")
    story.seller("propose-deadline", due_at=first + D).buyer("accept-deadline")
    story.expect("DeadlineAgreed", "DisputeUnlockTakenBack").is_(unlocks=(), due_at=first + D)
    assert story.order.revisions[-1].due_at == first + D
    story.buyer("open-dispute", refused="dispute_locked").at(first + D).expect("RevisionOverdue", "DisputeUnlocked")


def test_o12_only_the_unlock_for_overdue_work_is_taken_back() -> None:
    """Other grounds stay, and agreeing early takes nothing back."""
    story = kit.refused_twice().seller("propose-deadline").buyer("accept-deadline").expect("DeadlineAgreed")
    assert [unlock.ground for unlock in story.order.unlocks] == ["cancellation_refused_twice"]


def test_o12_refusing_and_withdrawing_leave_the_date() -> None:
    """The other side refuses, the proposer takes it back."""
    for role, command, event in (
        ("buyer", "refuse-deadline", "DeadlineRefused"),
        ("seller", "withdraw-deadline", "DeadlineWithdrawn"),
    ):
        story = kit.paid().seller("propose-deadline", due_at=DUE + D).act(role, command).expect(event)
        story.is_(due_at=DUE, deadline_proposal=None)


def test_o12_nobody_answers_their_own_or_withdraws_anothers() -> None:
    """Each side has its own commands for a pending proposal."""
    story = kit.paid().seller("propose-deadline")
    story.seller("accept-deadline", refused="own_proposal").seller("refuse-deadline", refused="own_proposal")
    story.buyer("withdraw-deadline", refused="not_own_proposal")


@pytest.mark.parametrize("command", ["accept-deadline", "refuse-deadline", "withdraw-deadline"])
def test_o12_only_the_pending_one_can_be_named(command: str) -> None:
    """Without a pending one, or with another id, the named one is void; that is told before whose it was."""
    kit.paid().buyer(command, refused="proposal_void").seller(command, refused="proposal_void")
    pending = kit.paid().seller("propose-deadline")
    for role in ("buyer", "seller"):
        pending.act(role, command, proposal_id=NOWHERE, refused="proposal_void")


def test_o12_a_counter_proposal_replaces_the_pending_one() -> None:
    """The first is void at once; the second can be agreed by whoever made the first."""
    story = kit.paid().seller("propose-deadline", due_at=DUE + 3 * D)
    first = story.order.deadline_proposal
    assert first is not None
    story.buyer("propose-deadline", due_at=DUE + 2 * D).expect("DeadlineProposed")
    assert story.last("DeadlineProposed").replaces == first.proposal_id
    story.buyer("accept-deadline", proposal_id=str(first.proposal_id), refused="proposal_void")
    story.at(T0 + 47 * H).seller("accept-deadline").expect("DeadlineAgreed").is_(due_at=DUE + 2 * D)


def test_o13_a_proposal_expires_after_48_hours() -> None:
    """One tick before it can be agreed to, at the instant it is void."""
    story = kit.paid().seller("propose-deadline", due_at=DUE + D).at(T0 + 48 * H - TICK).expect()
    story.fork().buyer("accept-deadline").expect("DeadlineAgreed")
    story.at(T0 + 48 * H).expect("DeadlineProposalExpired").buyer("accept-deadline", refused="proposal_void")


def test_o13_a_proposal_expires_at_the_proposed_date_if_that_is_earlier() -> None:
    """A date that has come can no longer be agreed to."""
    story = kit.paid().seller("propose-deadline", due_at=T0 + 5 * H).at(T0 + 5 * H - TICK).expect()
    story.at(T0 + 5 * H).expect("DeadlineProposalExpired").buyer("accept-deadline", refused="proposal_void")


def test_o13_a_counter_proposal_has_a_time_of_its_own() -> None:
    """The clock of the replaced one is gone with it."""
    story = kit.paid().seller("propose-deadline").at(T0 + 40 * H).buyer("propose-deadline")
    story.at(T0 + 48 * H).expect().at(T0 + 88 * H).expect("DeadlineProposalExpired")
