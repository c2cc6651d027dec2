"""Who plays a random order: a driver takes commands and shows the order; bodies are drawn for what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from hypothesis import strategies as st
from tests import kit
from tests.kit import FILE, NOWHERE, D, H, Story, euros

from brojobs_es.aggregates.base import Event
from brojobs_es.case import Case

GROUNDS: Final = (
    "cancellation_refused_twice", "cancellation_unanswered", "revision_refused", "revision_unanswered",
    "revision_overdue", "revision_insufficient", "seller_silent", "persistent_conflict", "escrow_age",
)  # fmt: skip
View = Mapping[str, Any]


class Driver(Protocol):
    """One order under test: a case in memory, or a whole service."""

    def send(self, role: str, command: str, body: Mapping[str, Any], now: datetime, by: str) -> str | None:
        """Give a command; None if it was accepted, else the code of its refusal."""

    def order(self, now: datetime) -> View:
        """The order as it is shown at this instant, the fields named as in the HTTP contract."""


class CaseDriver:
    """Drives a case in memory. The scheduler of the real service calls `elapse`; nobody has to."""

    def __init__(self, story: Story) -> None:
        self.story = story

    @property
    def case(self) -> Case:
        return self.story.case

    def send(self, role: str, command: str, body: Mapping[str, Any], now: datetime, by: str) -> str | None:
        self.story.at(now)
        if command.startswith("dispute/") and self.case.dispute is None:
            return "not_found"
        refusal = self.story.judge(role, command, body, by)
        self.story.act(role, command, by=by, refused=refusal.code if refusal else None, **body)
        return refusal.code if refusal else None

    def elapse(self, now: datetime) -> list[Event]:
        self.story.at(now)
        return self.story.fresh

    def order(self, now: datetime) -> View:
        self.elapse(now)
        order, lock, dispute = self.story.order, self.story.lock, self.case.dispute
        held = order.funded_minor - order.refunded_minor - order.released_minor - order.commission_minor
        return {
            "status": str(order.status),
            "due_at": order.due_at,
            "overdue": order.is_overdue(now),
            "escrow": {
                "funded": order.funded_minor, "held": held, "refunded": order.refunded_minor,
                "released": order.released_minor, "commission": order.commission_minor,
            },
            "chat": {
                "buyer_can_write": lock.buyer_can_write, "seller_can_write": lock.seller_can_write, "code": lock.code,
            },
            "refusals": {"count": len(order.refusals)},
            "dispute_unlocked_by": [str(unlock.ground) for unlock in order.unlocks],
            "deadline_proposal": order.deadline_proposal and {"proposal_id": str(order.deadline_proposal.proposal_id)},
            "settlement_proposal": order.settlement_proposal
            and {"proposal_id": str(order.settlement_proposal.proposal_id)},
            "dispute": dispute and {"assignment": dispute.assignment, "mediator_id": dispute.mediator_id},
        }  # fmt: skip


OPENINGS: Final[Mapping[str, str]] = {
    "unpaid": "",
    "paid": "operator:confirm-payment",
    "late": "operator:confirm-payment +480 buyer:send-reminder",
    "asked to cancel": "operator:confirm-payment buyer:request-cancellation +5",
    "refused once": "operator:confirm-payment buyer:request-cancellation seller:refuse-cancellation +24",
    "delivered": "operator:confirm-payment +24 seller:deliver +1",
    "asked to cancel late": "operator:confirm-payment seller:deliver +167 buyer:request-cancellation",
    "revising": "operator:confirm-payment seller:deliver buyer:request-revision +1",
    "revision refused": "operator:confirm-payment seller:deliver buyer:request-revision seller:refuse-revision",
    "disputed while revising": (
        "operator:confirm-payment buyer:request-cancellation +48 seller:deliver buyer:request-revision "
        "seller:accept-revision buyer:send-reminder +30 buyer:open-dispute"
    ),
    "disputed": (
        "operator:confirm-payment buyer:request-cancellation +48 buyer:send-reminder buyer:propose-settlement "
        "buyer:open-dispute mediator:dispute/assign seller:dispute/submit-evidence"
    ),
    "relaunched": (
        "operator:confirm-payment seller:deliver buyer:request-revision seller:refuse-revision buyer:open-dispute "
        "mediator:dispute/assign seller:dispute/submit-evidence +24 mediator:relaunch"
    ),
    "revision overdue": (
        "operator:confirm-payment seller:deliver buyer:request-revision seller:accept-revision +72 "
        "seller:propose-deadline"
    ),
    "alarmed": "operator:confirm-payment buyer:request-cancellation +1800 operator:open-dispute mediator:dispute/assign",
    "quarrelling": (
        "operator:confirm-payment buyer:request-cancellation seller:refuse-cancellation buyer:post-message "
        "seller:post-message buyer:post-message seller:post-message buyer:post-message +48 seller:deliver "
        "seller:post-message buyer:request-cancellation"
    ),
}
"""How a life may begin: who gives which command, and the hours that pass between."""


def opening_step(story: Story, role: str, command: str) -> tuple[str, dict[str, Any]]:
    """The command and a right body for a step of an opening; `relaunch` is that decision, due in four days."""
    if command != "relaunch":
        return command, kit.right_body(story, role, command)
    body = kit.right_body(story, role, "dispute/decide")
    return "dispute/decide", {**body, "outcome": "relaunch", "due_at": story.now + 4 * D}


ENDINGS: Final = {"concede", "cancel-overdue", "accept-cancellation", "accept-delivery", "accept-settlement"}


def likely(possible: list[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """One of these roles with its command; those that end an order come rarely, so that lives grow long."""
    return st.sampled_from([pair for pair in possible for _ in range(1 if pair[1] in ENDINGS else 8)])


SPANS: Final = st.sampled_from([H, 5 * H, D, 2 * D, 3 * D, 7 * D, 14 * D, 30 * D, 81 * D])
POINTS: Final = st.sampled_from([[], [{"number": 1, "status": "addressed"}], [{"number": 2, "status": "contested"}]])


def _id_of(view: View, kind: str) -> st.SearchStrategy[dict[str, Any]]:
    pending = view[f"{kind}_proposal"]
    right = pending["proposal_id"] if pending else NOWHERE
    return st.fixed_dictionaries({"proposal_id": st.sampled_from([right, right, right, NOWHERE])})


def _ahead(now: datetime) -> st.SearchStrategy[datetime]:
    return SPANS.map(lambda span: now + span)


def _decisions(view: View, now: datetime) -> st.SearchStrategy[dict[str, Any]]:
    base = {"assignment": (view["dispute"] or {}).get("assignment") or 1, "reason": "The brief is clear."}
    return st.one_of(
        st.just({**base, "outcome": "full_refund"}),
        st.just({**base, "outcome": "validate_delivery"}),
        st.sampled_from([1, 3_333, 10_000, 10_001]).map(
            lambda part: {**base, "outcome": "partial_refund", "refund": euros(part)}
        ),
        _ahead(now).map(lambda due: {**base, "outcome": "relaunch", "due_at": due}),
    )


def bodies(command: str, role: str, view: View, now: datetime, story: Story) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of the right shape for a command; now and then with a date, a sum or an id that the order refuses."""
    opening = {"statement": "It does not follow the brief.", "evidence": [{"description": "The brief"}]}
    match command:
        case "propose-deadline":
            return _ahead(now).map(lambda due: {"due_at": due})
        case "accept-revision":
            return st.one_of(st.just({}), _ahead(now).map(lambda due: {"due_at": due}))
        case "accept-deadline" | "refuse-deadline" | "withdraw-deadline":
            return _id_of(view, "deadline")
        case "accept-settlement" | "refuse-settlement" | "withdraw-settlement":
            return _id_of(view, "settlement")
        case "propose-settlement":
            return st.sampled_from([1, 3_333, 5_000, 10_000, 10_001]).map(lambda part: {"refund": euros(part)})
        case "deliver":
            return POINTS.map(lambda points: {"note": "Here it is.", "files": [FILE], "points": points})
        case "open-dispute":
            grounds = st.sampled_from([None, None, *view["dispute_unlocked_by"], *GROUNDS])
            return grounds.map(lambda ground: opening if ground is None else {**opening, "ground": ground})
        case "dispute/decide":
            return _decisions(view, now)
        case _:
            return st.just(kit.BODIES[command](story, role) if command in kit.BODIES else {})


def steps(instant: datetime | None, now: datetime) -> st.SearchStrategy[datetime]:
    """Where the clock may go: by a span, or to the next instant that matters, a tick before it, or a tick after."""
    tick = timedelta(microseconds=1)
    spans = [now + span for span in (timedelta(0), H, H, 12 * H, D, 2 * D)]
    if instant is None:
        return st.sampled_from(spans)
    near = [instant + shift for shift in (timedelta(0), timedelta(0), -tick, tick, -H) if instant + shift >= now]
    return st.sampled_from([*near, *spans[:4]])
