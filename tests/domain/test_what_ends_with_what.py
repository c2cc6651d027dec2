"""What ends with what, time as an actor, whose turn it is, and the money after each end."""

from __future__ import annotations

import pytest
from tests import kit
from tests.kit import DUE, T0, TICK, D, H

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.commands import ORDER_COMMANDS
from brojobs_es.aggregates.timers import next_of_order
from brojobs_es.case import Case

FAR = T0 + 40 * D


def everything_pending(**changes: object) -> kit.Story:
    """In progress with a request, a deadline proposal and a settlement proposal waiting."""
    story = kit.paid(**changes).buyer("request-cancellation").seller("propose-deadline")
    return story.buyer("propose-settlement")


ALL_THREE = ("cancellation", "deadline_proposal", "settlement_proposal")


def test_what_is_pending_at_an_end_is_superseded_and_counts_as_nothing() -> None:
    """In the same commit, and nothing of it is left."""
    story = everything_pending().seller("concede")
    story.expect("SellerConceded", "OrderCancelled", "EscrowRefunded", "RequestsSuperseded")
    assert story.last("RequestsSuperseded").closed == ALL_THREE
    story.is_(request=None, deadline_proposal=None, settlement_proposal=None, refusals=())
    assert story.order.conflict.unanswered == 0


def test_what_is_pending_when_cancelled_as_overdue_is_superseded() -> None:
    """The same for the buyer's unilateral end."""
    story = kit.overdue().buyer("request-cancellation").buyer("propose-deadline").buyer("cancel-overdue")
    story.expect("OrderCancelled", "EscrowRefunded", "RequestsSuperseded")
    assert story.last("RequestsSuperseded").closed == ("cancellation", "deadline_proposal")


def test_a_pending_revision_ends_with_the_order() -> None:
    """Accepting the delivery while a revision is asked for."""
    story = kit.revision_requested().buyer("accept-delivery")
    assert story.last("RequestsSuperseded").closed == ("revision",)
    assert story.order.revisions[-1].status == "superseded"


def unlocked_with_everything_pending() -> kit.Story:
    story = kit.refused_twice(due_at=FAR).after(D).buyer("request-cancellation").seller("propose-deadline")
    return story.buyer("propose-settlement")


def test_a_dispute_of_the_buyer_supersedes_requests_but_not_a_settlement() -> None:
    """The settlement proposal survives and can be accepted in the dispute."""
    story = unlocked_with_everything_pending().buyer("open-dispute")
    story.expect("DisputeOpened", "RequestsSuperseded", "OrderFrozen")
    assert story.last("RequestsSuperseded").closed == ("cancellation", "deadline_proposal")
    story.seller("accept-settlement").is_(status="completed")


def test_a_cancellation_that_is_pending_when_the_seller_opens_a_dispute_is_refused_and_counts() -> None:
    """Opening a dispute is no way round a second refusal."""
    story = kit.quarrelling().buyer("request-cancellation").seller("open-dispute")
    story.expect("DisputeOpened", "CancelRefused", "DisputeUnlocked", "OrderFrozen")
    refused = story.last("CancelRefused")
    assert (refused.how, refused.refusal_count) == ("overtaken_by_dispute", 2)
    assert [unlock.ground for unlock in story.order.unlocks] == ["cancellation_refused_twice"]


def test_a_first_refusal_by_the_sellers_dispute_counts_one() -> None:
    """Without an unlock."""
    story = kit.paid().seller("propose-deadline").buyer("refuse-deadline")
    for side in ("buyer", "seller") * 3:
        story.act(side, "post-message")
    story.at(T0 + 48 * H).seller("post-message").seller("deliver").buyer("request-cancellation").seller("open-dispute")
    story.expect("DisputeOpened", "CancelRefused", "OrderFrozen")


def test_a_buyers_dispute_during_their_own_request_refuses_nothing() -> None:
    """The exception is for the seller's opening alone."""
    story = kit.quarrelling().buyer("request-cancellation").buyer("open-dispute")
    story.expect("DisputeOpened", "RequestsSuperseded", "OrderFrozen")
    assert len(story.order.refusals) == 1


def test_a_standing_validation_clock_is_suspended_with_what_remained() -> None:
    """The request ends by the dispute, and its standing clock comes back when the dispute is withdrawn."""
    story = kit.revision_refused().after(2 * D).buyer("request-cancellation").after(D).buyer("open-dispute")
    assert story.last("OrderFrozen").suspended == {"validation": 5 * D}
    story.after(D).buyer("dispute/withdraw")
    assert story.order.timers["validation"] == story.now + 5 * D


def test_a_relaunch_closes_what_is_pending_and_forgets() -> None:
    """A surviving settlement proposal and a pending revision end with it; silence and refusals are forgotten."""
    story = kit.refused_twice(due_at=FAR).seller("deliver").buyer("request-revision").buyer("propose-settlement")
    story.buyer("open-dispute").mediator("dispute/assign").seller("dispute/submit-evidence")
    story.mediator("dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 2 * D, reason="Go on.")
    story.expect("DisputeDecided", "DisputeClosed", "OrderRelaunched", "RequestsSuperseded")
    assert story.last("RequestsSuperseded").closed == ("settlement_proposal", "revision")
    story.is_(settlement_proposal=None, pending_revision=None, refusals=(), unlocks=(), due_at=story.now + 2 * D)
    assert sorted(story.order.timers) == ["delivery_due", "escrow_age"]


def test_a_relaunch_forgets_an_established_silence() -> None:
    """A refund needs a reminder again."""
    story = kit.paid(due_at=FAR).buyer("request-cancellation").buyer("send-reminder").after(72 * H)
    story.is_(silence_established=True).buyer("open-dispute").mediator("dispute/assign").after(72 * H)
    story.mediator("dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 2 * D, reason="Go on.")
    story.is_(silence_established=False).buyer("request-refund", refused="reminder_required")


ENDS = {
    "payment expired": lambda: kit.placed().after(24 * H),
    "cancelled as overdue": lambda: kit.overdue().buyer("cancel-overdue"),
    "agreed": lambda: kit.paid().buyer("request-cancellation").seller("accept-cancellation"),
    "refund by silence": lambda: kit.silent().buyer("request-refund").after(48 * H),
    "conceded": kit.cancelled,
    "accepted": kit.completed,
    "auto-accepted": lambda: kit.delivered().after(7 * D),
    "settled": lambda: kit.paid().buyer("propose-settlement").seller("accept-settlement"),
    "decided": lambda: kit.under_review().mediator("dispute/decide"),
}
HARMLESS_AFTER_AN_END = {"post-message", "confirm-payment"}


@pytest.mark.parametrize("given", ENDS.values(), ids=ENDS.keys())
def test_nothing_about_money_or_work_happens_after_an_end(given: kit.Given) -> None:
    """Every other command of an order is refused as closed, and a year on only its chat has closed."""
    story = given()
    for name, command in ORDER_COMMANDS.items():
        for role in command.by if name not in HARMLESS_AFTER_AN_END else ():
            story.act(str(role), name, refused="order_closed")
    story.after(365 * D).expect("ChatClosed")


def test_timers_fire_in_the_order_of_their_instants_with_both_dates() -> None:
    """Looking late gives the same events in the same order, recorded when somebody looked."""
    late = kit.delivered().at(T0 + 100 * D)
    assert [(e.type, e.effective_at) for e in late.fresh] == [
        ("ValidationReminderSent", T0 + 4 * D),
        ("ValidationReminderSent", T0 + 7 * D),
        ("DeliveryAutoAccepted", T0 + 8 * D),
        ("OrderCompleted", T0 + 8 * D),
        ("EscrowReleased", T0 + 8 * D),
        ("ChatClosed", T0 + 15 * D),
    ]
    assert {event.timestamp for event in late.fresh} == {T0 + 100 * D}
    assert {event.cause.actor.role for event in late.fresh} == {Role.TIME}


def test_a_timer_started_by_a_timer_counts_from_the_deadline() -> None:
    """The fresh validation window begins when the revision expired, not when it was noticed."""
    story = kit.revision_requested(due_at=FAR).at(T0 + 6 * D)
    assert story.order.timers["validation"] == T0 + D + 72 * H + 7 * D


def test_elapsing_twice_records_nothing_more() -> None:
    """Once what was due has fired, the same instant owes nothing."""
    story = kit.delivered().at(T0 + 100 * D)
    assert story.at(T0 + 100 * D).fresh == []
    assert story.case.next_timer() is None


def test_of_two_timers_at_one_instant_the_tables_decide() -> None:
    """Overdue before an expiring proposal, an expiring proposal before an expiring request, the alarm last."""
    story = kit.paid().at(DUE - 48 * H).seller("propose-deadline", due_at=DUE + D).buyer("request-cancellation")
    story.buyer("propose-settlement").at(DUE)
    story.expect(
        "DeliveryOverdue",
        "DeadlineProposalExpired",
        "CancellationRequestExpired",
        "DisputeUnlocked",
        "SettlementProposalExpired",
    )


def test_of_two_timers_at_one_instant_the_orders_comes_before_its_disputes() -> None:
    """A settlement proposal that runs out with the response window."""
    story = kit.disputed().after(24 * H).buyer("propose-settlement").after(48 * H)
    assert [event.type for event in story.fresh][-2:] == ["SettlementProposalExpired", "ResponseWindowClosed"]


def test_the_next_timer_is_the_earliest() -> None:
    """Validation reminders included."""
    story = kit.delivered()
    due = next_of_order(story.order)
    assert due is not None
    assert (due.name, due.at) == ("validation_reminder", T0 + 4 * D)
    assert story.case.next_timer() == due


TURNS = {
    "unpaid": (kit.placed, "buyer"),
    "in progress": (kit.paid, "seller"),
    "delivered": (kit.delivered, "buyer"),
    "revision asked": (kit.revision_requested, "seller"),
    "revision accepted": (kit.revision_accepted, "seller"),
    "disputed": (kit.disputed, "mediator"),
    "completed": (kit.completed, None),
    "cancelled": (kit.cancelled, None),
    "cancellation asked in delivered": (lambda: kit.delivered().buyer("request-cancellation"), "seller"),
    "seller proposes a date": (lambda: kit.paid().seller("propose-deadline"), "buyer"),
    "buyer proposes a date": (lambda: kit.paid().buyer("propose-deadline"), "seller"),
    "seller settles in a dispute": (lambda: kit.disputed().seller("propose-settlement"), "buyer"),
    "seller is asked": (lambda: kit.disputed().mediator("dispute/request-information"), "seller"),
    "seller wrote": (
        lambda: kit.disputed().mediator("dispute/request-information").seller("dispute/post-message"),
        "mediator",
    ),
    "seller submitted": (
        lambda: kit.disputed().mediator("dispute/request-information").seller("dispute/submit-evidence"),
        "mediator",
    ),
    "time to answer is up": (lambda: kit.disputed().mediator("dispute/request-information").after(72 * H), "mediator"),
    "a tick is left to answer": (
        lambda: kit.disputed().mediator("dispute/request-information").after(72 * H - TICK),
        "seller",
    ),
    "request expires before the proposal": (
        lambda: kit.paid().buyer("request-cancellation").after(H).seller("propose-settlement"),
        "seller",
    ),
    "proposal expires before the request": (
        lambda: kit.paid().seller("propose-settlement").after(H).buyer("request-cancellation"),
        "buyer",
    ),
}


@pytest.mark.parametrize(("given", "whose"), TURNS.values(), ids=TURNS.keys())
def test_whose_turn_it_is(given: kit.Given, whose: str | None) -> None:
    """Who must answer what expires first; otherwise the state says it."""
    story = given()
    assert story.case.turn(story.now) == whose


@pytest.mark.parametrize("given", [*ENDS.values(), kit.relaunched, unlocked_with_everything_pending, kit.under_review])
def test_a_case_folded_from_its_events_equals_the_one_in_memory(given: kit.Given) -> None:
    """History alone makes the same order and the same disputes."""
    story = given()
    again = Case.of(story.case.new)
    assert again is not None
    ignored = {"_pending_events"}
    for one, other in ((again.order, story.order), *zip(again.disputes, story.case.disputes, strict=True)):
        assert {k: v for k, v in vars(one).items() if k not in ignored} == {
            k: v for k, v in vars(other).items() if k not in ignored
        }
