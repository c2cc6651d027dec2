"""Each policy alone: which events it answers, with which facts, and that it is silent for all others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import pytest
from tests import kit
from tests.domain.states import STATES
from tests.kit import D, H, Story

from brojobs_es.aggregates.base import Event
from brojobs_es.case import Case
from brojobs_es.policies import POLICIES, Policy, following


class Answer(NamedTuple):
    """An event of a story, and the facts that a policy yields right after it."""

    trigger: Event
    facts: tuple[Event, ...]


def answers(policy: Policy, story: Story) -> Iterator[Answer]:
    """The policy asked after each event of the story, with the order and dispute as they were then."""
    for count in range(1, len(story.case.new) + 1):
        case = Case.of(story.case.new[:count])
        assert case is not None
        event = story.case.new[count - 1]
        yield Answer(event, tuple(policy(event, case.order, case.dispute)) if policy in following(event) else ())


def both_denied() -> Story:
    """A second refusal while the first unlock is unspent, and a second of everything else that unlocks."""
    story = (
        kit.refused_twice(due_at=kit.T0 + 40 * D).after(D).buyer("request-cancellation").seller("refuse-cancellation")
    )
    story.seller("deliver").buyer("request-revision").seller("deliver").buyer("request-revision").seller("deliver")
    return story.buyer("request-revision").after(72 * H).buyer("request-revision").after(72 * H)


@cache
def stories() -> tuple[Story, ...]:
    return (
        *(given() for _, given in STATES.values()),
        both_denied(),
        kit.overdue().seller("propose-deadline").seller("deliver"),
    )


NAMES = {policy.__name__: policy for policy in POLICIES}

TRIGGERS = {
    "close_pending_on_delivery": {("Delivered", "CancelRefused"), ("Delivered", "RequestsSuperseded")},
    "unlock_dispute_on_second_refusal": {
        ("CancelRefused", "DisputeUnlocked"),
        ("CancellationRequestExpired", "DisputeUnlocked"),
    },
    "unlock_dispute_on_unanswered_cancellation": {("CancellationRequestExpired", "DisputeUnlocked")},
    "unlock_dispute_on_refused_revision": {("RevisionRefused", "DisputeUnlocked")},
    "unlock_dispute_on_unanswered_revision": {("RevisionRequestExpired", "DisputeUnlocked")},
    "unlock_dispute_on_overdue_revision": {
        ("RevisionOverdue", "DisputeUnlocked"),
        ("DeliveryOverdue", "DisputeUnlocked"),
    },
    "take_overdue_unlock_back_on_new_deadline": {("DeadlineAgreed", "DisputeUnlockTakenBack")},
    "unlock_dispute_on_insufficient_revision": {("Delivered", "DisputeUnlocked")},
    "unlock_dispute_on_silent_seller": {("SellerSilenceEstablished", "DisputeUnlocked")},
    "close_pending_on_opened_dispute": {("DisputeOpened", "CancelRefused"), ("DisputeOpened", "RequestsSuperseded")},
    "freeze_order_on_opened_dispute": {("DisputeOpened", "OrderFrozen")},
    "execute_decision": {
        ("DisputeDecided", "OrderCancelled"),
        ("DisputeDecided", "EscrowRefunded"),
        ("DisputeDecided", "OrderCompleted"),
        ("DisputeDecided", "EscrowSplit"),
        ("DisputeDecided", "EscrowReleased"),
        ("DisputeDecided", "OrderRelaunched"),
    },
    "unfreeze_order_on_withdrawn_dispute": {("DisputeWithdrawn", "OrderUnfrozen")},
    "close_dispute_on_order_end": {("SettlementAgreed", "DisputeClosed"), ("SellerConceded", "DisputeClosed")},
    "close_pending_on_end_or_relaunch": {
        ("OrderCompleted", "RequestsSuperseded"),
        ("OrderCancelled", "RequestsSuperseded"),
        ("OrderRelaunched", "RequestsSuperseded"),
    },
}
"""For each policy, by hand: every pair of an event and a fact that may follow from it."""


def more() -> Iterator[Story]:
    """Stories in which the rarer facts follow."""
    yield (
        kit.paid(due_at=kit.T0 + 20 * D)
        .buyer("request-cancellation")
        .seller("refuse-cancellation")
        .after(D)
        .buyer("request-cancellation")
        .after(48 * H)
    )
    yield kit.quarrelling().buyer("request-cancellation").seller("open-dispute")
    yield kit.refused_twice().buyer("propose-deadline").buyer("open-dispute")
    yield kit.paid().buyer("request-cancellation").buyer("propose-deadline").seller("deliver")
    overdue = kit.revision_accepted().after(3 * D).seller("propose-deadline")
    yield overdue.buyer("accept-deadline")
    for outcome in ({"outcome": "partial_refund", "refund": kit.euros(1)}, {"outcome": "validate_delivery"}):
        yield kit.under_review().mediator("dispute/decide", assignment=1, reason="x", **outcome)
    yield kit.disputed().seller("concede")
    yield kit.paid().buyer("propose-settlement").seller("concede")
    yield kit.revision_requested().buyer("accept-delivery")
    pending = kit.disputed().buyer("propose-settlement").mediator("dispute/assign").seller("dispute/submit-evidence")
    yield pending.mediator(
        "dispute/decide", assignment=1, outcome="relaunch", due_at=pending.now + 2 * D, reason="Go on."
    )


def test_every_policy_stands_here() -> None:
    """A new policy needs its row."""
    assert TRIGGERS.keys() == NAMES.keys()


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_policy_answers_its_events_and_no_others(name: str) -> None:
    """Over all stories, exactly the facts of its row follow, each at least once."""
    seen = {
        (answer.trigger.type, fact.type)
        for story in (*stories(), *more())
        for answer in answers(NAMES[name], story)
        for fact in answer.facts
    }
    assert seen == TRIGGERS[name]


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_policy_is_silent_where_nothing_follows(name: str) -> None:
    """In an ordinary life, paid, delivered, revised and accepted, only the revision's own unlock follows."""
    story = kit.revision_accepted().seller("deliver").buyer("accept-delivery").after(7 * D)
    facts = [fact.type for answer in answers(NAMES[name], story) for fact in answer.facts]
    assert facts == (["DisputeUnlocked"] if name == "unlock_dispute_on_insufficient_revision" else [])


@pytest.mark.parametrize("name", [name for name in TRIGGERS if name.startswith("unlock_")])
def test_an_unspent_ground_is_not_unlocked_again(name: str) -> None:
    """Whatever happens twice, each ground is there once."""
    story = both_denied()
    grounds = [unlock.ground for unlock in story.order.unlocks]
    assert len(grounds) == len(set(grounds)) == 3
    assert sum(len(answer.facts) for answer in answers(NAMES[name], story)) <= 1


@pytest.mark.parametrize("name", TRIGGERS)
def test_asking_a_policy_twice_gives_the_same_and_changes_nothing(name: str) -> None:
    """A policy looks; it records nothing."""
    for story in stories():
        for count in range(1, len(story.case.new) + 1):
            event = story.case.new[count - 1]
            if NAMES[name] not in following(event):
                continue
            case = Case.of(story.case.new[:count])
            assert case is not None
            before = repr(sorted(vars(case.order).items()))
            once, again = (list(NAMES[name](event, case.order, case.dispute)) for _ in range(2))
            assert repr(once) == repr(again)
            assert repr(sorted(vars(case.order).items())) == before
