"""Guards that proposals of a deadline and of a settlement share: one pending, answered by the other side."""

from __future__ import annotations

from collections.abc import Callable

from brojobs_es.aggregates.commands.situation import Guard, Situation
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Proposal
from brojobs_es.errors import Refusal

PendingOf = Callable[[Order], Proposal | None]


def no_own_proposal(pending_of: PendingOf, kind: str) -> Guard:
    """One's own proposal waits for an answer; the other side's would be countered."""

    def guard(s: Situation) -> Refusal | None:
        pending = pending_of(s.order)
        if pending is None or pending.by is not s.role:
            return None
        return Refusal("proposal_pending", available_from=pending.expires_at, unlocked_by=(f"withdraw-{kind}",))

    return guard


def still_pending(pending_of: PendingOf, kind: str) -> Guard:
    """The proposal that the body names is the one that waits."""

    def guard(s: Situation) -> Refusal | None:
        pending = pending_of(s.order)
        named = s.body.proposal_id.lower() if s.body else None
        if pending is not None and named in (None, str(pending.proposal_id)):
            return None
        return Refusal("proposal_void", unlocked_by=() if pending else (f"propose-{kind}",))

    return guard


def not_own(pending_of: PendingOf) -> Guard:
    """Nobody answers a proposal of their own."""

    def guard(s: Situation) -> Refusal | None:
        pending = pending_of(s.order)
        return Refusal("own_proposal") if pending and pending.by is s.role else None

    return guard


def own(pending_of: PendingOf) -> Guard:
    """Nobody withdraws another's proposal."""

    def guard(s: Situation) -> Refusal | None:
        pending = pending_of(s.order)
        return Refusal("not_own_proposal") if pending and pending.by is not s.role else None

    return guard
