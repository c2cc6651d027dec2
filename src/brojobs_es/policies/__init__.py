"""What follows from an event, in the same commit: one business sentence a file, pure, in this order.

A policy gets the event, and the order and its newest dispute as they are after it, and yields the facts that follow.
Which events it follows is said by the type of its first parameter; it is never called for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, get_args, get_type_hints

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.policies.close_dispute_on_order_end import close_dispute_on_order_end
from brojobs_es.policies.close_pending_on_delivery import close_pending_on_delivery
from brojobs_es.policies.close_pending_on_end_or_relaunch import close_pending_on_end_or_relaunch
from brojobs_es.policies.close_pending_on_opened_dispute import close_pending_on_opened_dispute
from brojobs_es.policies.execute_decision import execute_decision
from brojobs_es.policies.freeze_order_on_opened_dispute import freeze_order_on_opened_dispute
from brojobs_es.policies.take_overdue_unlock_back_on_new_deadline import take_overdue_unlock_back_on_new_deadline
from brojobs_es.policies.unfreeze_order_on_withdrawn_dispute import unfreeze_order_on_withdrawn_dispute
from brojobs_es.policies.unlock_dispute_on_insufficient_revision import unlock_dispute_on_insufficient_revision
from brojobs_es.policies.unlock_dispute_on_overdue_revision import unlock_dispute_on_overdue_revision
from brojobs_es.policies.unlock_dispute_on_refused_revision import unlock_dispute_on_refused_revision
from brojobs_es.policies.unlock_dispute_on_second_refusal import unlock_dispute_on_second_refusal
from brojobs_es.policies.unlock_dispute_on_silent_seller import unlock_dispute_on_silent_seller
from brojobs_es.policies.unlock_dispute_on_unanswered_cancellation import unlock_dispute_on_unanswered_cancellation
from brojobs_es.policies.unlock_dispute_on_unanswered_revision import unlock_dispute_on_unanswered_revision

Policy = Callable[[Any, Order, Dispute | None], Iterator[Event]]

POLICIES: Final[tuple[Policy, ...]] = (
    close_pending_on_delivery,
    unlock_dispute_on_second_refusal,
    unlock_dispute_on_unanswered_cancellation,
    unlock_dispute_on_refused_revision,
    unlock_dispute_on_unanswered_revision,
    unlock_dispute_on_overdue_revision,
    take_overdue_unlock_back_on_new_deadline,
    unlock_dispute_on_insufficient_revision,
    unlock_dispute_on_silent_seller,
    close_pending_on_opened_dispute,
    freeze_order_on_opened_dispute,
    execute_decision,
    unfreeze_order_on_withdrawn_dispute,
    close_dispute_on_order_end,
    close_pending_on_end_or_relaunch,
)


def events_of(policy: Policy) -> tuple[type[Event], ...]:
    """The types of events that a policy follows."""
    followed = get_type_hints(policy)["event"]
    return get_args(followed) or (followed,)


_BY_EVENT: Final[dict[type[Event], tuple[Policy, ...]]] = {
    event: tuple(policy for policy in POLICIES if event in events_of(policy))
    for policy in POLICIES
    for event in events_of(policy)
}


def following(event: Event) -> tuple[Policy, ...]:
    """The policies that follow an event, in their order."""
    return _BY_EVENT.get(type(event), ())
