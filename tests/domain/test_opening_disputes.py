"""Row O29, O31 and the unlocks: who may open a dispute, on which ground, and what opening it does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import T0, TICK, D, H

from brojobs_es.aggregates.base import Role

FAR = T0 + 40 * D
EVIDENCE = [{"description": "The brief"}]


def grounds(story: kit.Story) -> list[str]:
    return [str(unlock.ground) for unlock in story.order.unlocks]


def on(story: kit.Story, ground: str, role: str = "buyer", **more: Any) -> kit.Story:
    """Open a dispute on a named ground."""
    return story.act(role, "open-dispute", ground=ground, statement="Please look.", evidence=EVIDENCE, **more)


def test_o29_opens_the_dispute_and_freezes_the_order_in_one_commit() -> None:
    """With its ground, its first evidence and all its dates."""
    story = kit.disputed().expect("DisputeOpened", "OrderFrozen").is_(status="disputed")
    opened = story.last("DisputeOpened")
    assert (opened.number, opened.ground, opened.opened_by, opened.last) == (1, "revision_refused", "buyer", False)
    assert (opened.order_status_before, opened.order_id) == ("delivered", story.order.id)
    assert opened.assignment_due_at == T0 + D + 48 * H
    assert opened.response_due_at == T0 + D + 72 * H
    assert opened.evidence_due_at == T0 + D + 5 * D
    assert opened.decision_due_at == T0 + D + 14 * D
    (piece,) = opened.evidence
    assert (piece.by, piece.kind, piece.origin, piece.late) == ("buyer", "statement", "platform", False)
    assert (story.last("OrderFrozen").dispute_id, story.dispute.id) == (opened.originator_id, opened.originator_id)
    assert story.dispute.status == "open"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"statement": "x\n" * 11, "evidence": EVIDENCE}, "summary_too_long"),
        ({"statement": "x" * 121, "evidence": EVIDENCE}, "summary_too_long"),
        ({"statement": " ", "evidence": EVIDENCE}, "value_error"),
        ({"statement": "x", "evidence": []}, "too_short"),
        ({"statement": "x"}, "missing"),
        ({"statement": "x", "evidence": [{"description": "x", "origin": "external"}]}, "value_error"),
        ({"statement": "x", "evidence": EVIDENCE, "ground": "boredom"}, "enum"),
    ],
)
def test_o29_a_short_statement_and_evidence_of_the_platform_are_needed(body: dict[str, object], code: str) -> None:
    """Ten lines of 120 characters; evidence from elsewhere alone is not enough."""
    with pytest.raises(ValidationError) as error:
        kit.command_of("open-dispute").body.model_validate(body)
    assert error.value.errors()[0]["type"] == code


def test_o29_the_longest_statement_is_taken() -> None:
    """Exactly ten lines of exactly 120 characters, and evidence from elsewhere beside that of the platform."""
    evidence = [*EVIDENCE, {"description": "Another chat", "origin": "external", "kind": "screenshot"}]
    story = kit.refused_twice().buyer("open-dispute", statement="\n".join(["x" * 120] * 10), evidence=evidence)
    assert [piece.origin for piece in story.last("DisputeOpened").evidence] == ["platform", "external"]


def test_o29_refusals_in_their_order() -> None:
    """Open already, nothing delivered (seller), locked, exhausted; before them the end and the missing payment."""
    kit.completed().buyer("open-dispute", refused="order_closed")
    kit.disputed().buyer("open-dispute", refused="dispute_open").seller("open-dispute", refused="dispute_open")
    kit.placed().buyer("open-dispute", refused="not_paid")
    kit.paid().seller("open-dispute", refused="nothing_delivered").buyer("open-dispute", refused="dispute_locked")
    kit.delivered().seller("open-dispute", refused="dispute_locked")
    kit.refused_twice().seller("open-dispute", refused="nothing_delivered")
    kit.paid().operator("open-dispute", refused="dispute_locked")


def test_o29_references_are_those_of_the_order() -> None:
    """Unknown files and events are refused last."""
    body: dict[str, Any] = {"statement": "x"}
    story = kit.refused_twice()
    story.buyer("open-dispute", **body, evidence=[{"description": "x", "files": ["no"]}], refused="unknown_file")
    story.buyer("open-dispute", **body, evidence=[{"description": "x", "events": [0]}], refused="unknown_reference")
    story.buyer("open-dispute", **body, evidence=[{"description": "x", "events": [3], "files": [kit.FILE]}])


def unanswered() -> kit.Story:
    return kit.paid(due_at=FAR).buyer("request-cancellation").after(48 * H)


def revision_expired() -> kit.Story:
    return kit.revision_requested().after(72 * H)


def revision_overdue() -> kit.Story:
    return kit.revision_accepted().after(3 * D)


def insufficient() -> kit.Story:
    return kit.revision_requested().seller("deliver")


def silent_after_delivery() -> kit.Story:
    due_at = T0 + 15 * D
    return kit.revision_requested().seller("accept-revision", due_at=due_at).buyer("send-reminder").after(3 * D)


BUYERS_GROUNDS = {
    "cancellation_refused_twice": kit.refused_twice,
    "cancellation_unanswered": unanswered,
    "revision_refused": kit.revision_refused,
    "revision_unanswered": revision_expired,
    "revision_overdue": revision_overdue,
    "revision_insufficient": insufficient,
    "seller_silent": silent_after_delivery,
}


@pytest.mark.parametrize(("ground", "given"), BUYERS_GROUNDS.items())
def test_each_ground_of_the_buyer_opens_a_dispute_once(ground: str, given: kit.Given) -> None:
    """It is spent by the dispute that names it, and a withdrawal does not bring it back."""
    story = given()
    assert grounds(story) == [ground]
    for other in BUYERS_GROUNDS.keys() - {ground}:
        on(story, other, refused="dispute_locked")
    on(story, "persistent_conflict", refused="dispute_locked")
    on(story, "escrow_age", refused="dispute_locked")
    on(story, ground)
    assert (story.dispute.ground, grounds(story)) == (ground, [])
    story.buyer("dispute/withdraw").buyer("open-dispute", refused="dispute_locked")


@pytest.mark.parametrize("ground", ["revision_refused", "cancellation_refused_twice", "seller_silent"])
def test_unlocks_belong_to_the_buyer(ground: str) -> None:
    """The seller can use none of them."""
    on(kit.revision_refused(), ground, "seller", refused="dispute_locked")


def both_unlocked() -> kit.Story:
    """First a second refusal, then a refused revision."""
    return kit.refused_twice().seller("deliver").buyer("request-revision").seller("refuse-revision")


def test_without_a_ground_the_newest_unlock_is_spent() -> None:
    """The others stay for a second dispute."""
    story = both_unlocked().buyer("open-dispute")
    assert (story.dispute.ground, grounds(story)) == ("revision_refused", ["cancellation_refused_twice"])
    story.buyer("dispute/withdraw").buyer("open-dispute")
    assert story.dispute.ground == "cancellation_refused_twice"


def test_a_named_ground_spends_only_itself() -> None:
    """Also where it is the older one."""
    story = on(both_unlocked(), "cancellation_refused_twice")
    assert grounds(story) == ["revision_refused"]


def test_a_spent_second_refusal_starts_the_count_again() -> None:
    """Two more refusals are needed for the next unlock."""
    story = kit.refused_twice(due_at=FAR).buyer("open-dispute").is_(refusals=())
    story.buyer("dispute/withdraw").after(D)
    story.buyer("request-cancellation").seller("refuse-cancellation").expect("CancelRefused")
    assert story.last("CancelRefused").refusal_count == 1
    story.after(D).buyer("request-cancellation").seller("refuse-cancellation")
    assert story.expect("CancelRefused", "DisputeUnlocked").last("CancelRefused").refusal_count == 2


def test_another_dispute_leaves_the_count_of_refusals() -> None:
    """Only the ground that counted them spends them."""
    story = kit.revision_refused(due_at=FAR).buyer("request-cancellation").seller("refuse-cancellation")
    assert len(story.buyer("open-dispute").order.refusals) == 1


def test_an_unlock_lasts_until_the_order_is_relaunched_or_ends() -> None:
    """Neither leaves a ground behind."""
    story = both_unlocked().buyer("open-dispute").mediator("dispute/assign").after(72 * H)
    story.mediator("dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 2 * D, reason="Go on.")
    story.is_(unlocks=()).buyer("open-dispute", refused="dispute_locked")
    both_unlocked().buyer("accept-delivery").is_(unlocks=())


def test_persistent_conflict_is_open_to_both_sides() -> None:
    """The seller's only ground; the buyer's when no unlock is left."""
    for role in ("buyer", "seller"):
        story = kit.quarrelling().act(role, "open-dispute")
        assert (story.dispute.ground, story.dispute.opened_by) == ("persistent_conflict", role)
    story = kit.quarrelling().buyer("request-revision").seller("refuse-revision").buyer("open-dispute")
    assert story.dispute.ground == "revision_refused"


def test_persistent_conflict_can_be_named_beside_an_unlock() -> None:
    """The unlock stays."""
    story = on(kit.quarrelling().buyer("request-revision").seller("refuse-revision"), "persistent_conflict")
    assert grounds(story) == ["revision_refused"]


def talk(story: kit.Story, *sides: str) -> kit.Story:
    for side in sides:
        story.act(side, "post-message")
    return story


SEVEN = ("buyer", "seller") * 3


@pytest.mark.parametrize(
    "given",
    [
        lambda: talk(talk(kit.paid(), *SEVEN).at(T0 + 48 * H), "seller").seller("deliver"),
        lambda: talk(talk(refused_once(), *SEVEN[1:]).at(T0 + 48 * H), "seller").seller("deliver"),
        lambda: talk(talk(refused_once(), *SEVEN).at(T0 + 48 * H - TICK), "seller").seller("deliver"),
        lambda: talk(refused_once(), *SEVEN).at(T0 + 48 * H).seller("deliver"),
        lambda: talk(withdrawn_once(), *SEVEN).at(T0 + 48 * H).seller("deliver").seller("post-message"),
    ],
    ids=["nothing-refused", "two-messages", "a-tick-short", "last-message-early", "withdrawn-is-not-refused"],
)
def test_persistent_conflict_has_an_objective_gate(given: kit.Given) -> None:
    """Something refused, three messages from each side, 48 hours from the first to the last message: all of it."""
    given().seller("open-dispute", refused="dispute_locked")


def refused_once() -> kit.Story:
    return kit.paid().buyer("request-cancellation").seller("refuse-cancellation")


def withdrawn_once() -> kit.Story:
    return kit.paid().seller("propose-deadline").seller("withdraw-deadline")


def test_persistent_conflict_at_exactly_48_hours() -> None:
    """The span includes its end."""
    talk(talk(refused_once(), *SEVEN).at(T0 + 48 * H), "seller").seller("deliver").seller("open-dispute")


REFUSED_OR_UNANSWERED = {
    "refused cancellation": refused_once,
    "expired cancellation": lambda: kit.paid().buyer("request-cancellation").after(48 * H),
    "refused deadline": lambda: kit.paid().seller("propose-deadline").buyer("refuse-deadline"),
    "expired deadline": lambda: kit.paid().buyer("propose-deadline").after(48 * H),
    "refused settlement": lambda: kit.paid().buyer("propose-settlement").seller("refuse-settlement"),
    "expired settlement": lambda: kit.paid().seller("propose-settlement").after(48 * H),
    "refused revision": kit.revision_refused,
    "expired revision": revision_expired,
    "refused refund": lambda: kit.silent().buyer("request-refund").seller("refuse-cancellation"),
}
WITHDRAWN_OR_AGREED = {
    "withdrawn cancellation": lambda: kit.paid().buyer("request-cancellation").buyer("withdraw-cancellation"),
    "agreed deadline": lambda: kit.paid().seller("propose-deadline").buyer("accept-deadline"),
    "withdrawn settlement": lambda: kit.paid().seller("propose-settlement").seller("withdraw-settlement"),
    "superseded deadline": lambda: kit.paid().buyer("propose-deadline").seller("deliver"),
    "accepted revision": kit.revision_accepted,
}


@pytest.mark.parametrize(("given", "count"), [
    *((given, 1) for given in REFUSED_OR_UNANSWERED.values()), *((given, 0) for given in WITHDRAWN_OR_AGREED.values()),
])  # fmt: skip
def test_persistent_conflict_counts_what_was_refused_or_stayed_unanswered(given: kit.Given, count: int) -> None:
    """What was taken back, agreed to or superseded counts as nothing."""
    assert given().order.conflict.unanswered == count


def test_messages_before_the_payment_and_before_a_relaunch_do_not_count() -> None:
    """The gate counts since the payment or the last relaunch."""
    story = talk(kit.placed(), *SEVEN).operator("confirm-payment")
    assert story.order.conflict.messages == (0, 0)
    story = kit.quarrelling().buyer("open-dispute").mediator("dispute/assign").after(72 * H)
    story.mediator("dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 2 * D, reason="Go on.")
    assert (story.order.conflict.messages, story.order.conflict.unanswered) == ((0, 0), 0)
    story.buyer("open-dispute", refused="dispute_locked")


def test_each_party_opens_at_most_two_disputes_withdrawn_ones_included() -> None:
    """The third is refused, though its ground holds; the other party's are counted apart."""
    story = kit.quarrelling(due_at=FAR).buyer("open-dispute").buyer("dispute/withdraw")
    story.buyer("open-dispute")
    assert story.last("DisputeOpened").last is True
    story.seller("dispute/submit-evidence").mediator("dispute/assign")
    story.buyer("dispute/withdraw", refused="disputes_exhausted")
    seller = kit.quarrelling(due_at=FAR).seller("open-dispute").seller("dispute/withdraw")
    assert seller.buyer("open-dispute").last("DisputeOpened").last is False


def test_a_third_dispute_is_refused_as_exhausted() -> None:
    """Only a relaunch in the first leaves an order that can see a third attempt."""
    story = kit.relaunched(due_at=FAR).seller("deliver").buyer("request-revision").seller("refuse-revision")
    story.buyer("open-dispute")
    assert (story.dispute.number, story.dispute.last) == (2, True)
    story.buyer("dispute/withdraw", refused="disputes_exhausted")
    locked = kit.relaunched().buyer("open-dispute", refused="dispute_locked")
    assert locked.order.disputes_opened_by(Role.BUYER) == 1


def test_o31_after_75_days_an_operator_may_open_a_dispute() -> None:
    """The money is never seized; a mediator ends it."""
    story = kit.paid().at(T0 + 75 * D - TICK).operator("open-dispute", refused="dispute_locked")
    story.at(T0 + 75 * D).expect("EscrowAgeAlarmRaised").is_(status="in_progress", held_minor=kit.PRICE)
    story.buyer("open-dispute", refused="dispute_locked")
    on(story.fork(), "escrow_age", "operator")
    story.operator("open-dispute").expect("DisputeOpened", "OrderFrozen")
    opened = story.last("DisputeOpened")
    assert (opened.ground, opened.opened_by, opened.last) == ("escrow_age", "operator", False)


def test_o31_the_alarm_runs_while_disputed_and_not_after_the_end() -> None:
    """It is not suspended by a dispute; an ended order holds nothing."""
    story = kit.disputed().at(T0 + 75 * D)
    assert story.last("EscrowAgeAlarmRaised").effective_at == T0 + 75 * D
    assert "EscrowAgeAlarmRaised" not in kit.completed().at(T0 + 80 * D).types


def test_o31_it_survives_a_relaunch() -> None:
    """Its 75 days count from the payment."""
    story = kit.relaunched().at(T0 + 75 * D)
    assert story.last("EscrowAgeAlarmRaised").effective_at == T0 + 75 * D


def test_o31_the_alarm_is_named_to_the_operator_only_where_money_will_still_be_held() -> None:
    """A delivery that nobody answers is accepted long before; so is one whose revision or cancellation nobody answers."""
    for story in (kit.paid(), kit.revision_accepted()):
        story.operator("open-dispute", refused="dispute_locked").saying(available_from=T0 + 75 * D)
        story.at(T0 + 75 * D).operator("open-dispute").expect("DisputeOpened", "OrderFrozen")
    for story in (kit.delivered(), kit.revision_requested(), kit.delivered().buyer("request-cancellation")):
        story.operator("open-dispute", refused="dispute_locked").saying(available_from=None)
        story.at(T0 + 75 * D).is_(status="completed")


@pytest.mark.parametrize(
    ("story", "at"),
    [
        (kit.paid().buyer("request-cancellation"), T0 + 48 * H),
        (kit.revision_requested(due_at=T0 + 40 * D), T0 + D + 72 * H),
        (kit.revision_accepted(), kit.revision_accepted().order.due_at),
    ],
)
def test_what_time_alone_unlocks_is_named(story: kit.Story, at: datetime) -> None:
    """A cancellation or a revision that nobody answers, an accepted one that is not delivered: not possible a moment before."""
    story.buyer("open-dispute", refused="dispute_locked").saying(available_from=at)
    story.at(at - TICK).buyer("open-dispute", refused="dispute_locked").at(at).buyer("open-dispute")
    story.expect("DisputeOpened", "OrderFrozen")
