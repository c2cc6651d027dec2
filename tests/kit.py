"""Given, when, then for the domain: a story is one case at one instant, driven by the commands of its people.

    kit.delivered().buyer("request-revision").expect("RevisionRequested")
    kit.paid().at(DUE - TICK).buyer("cancel-overdue", refused="not_overdue")

A command without a body gets a right one. `expect` names all events of the last step, timers and policies included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

from brojobs_es.aggregates.base import Actor, Cause, Event, FileRef, Role, Words
from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.chatting import ChatLock, lock_of
from brojobs_es.aggregates.commands.ordering import Place, place
from brojobs_es.aggregates.commands.situation import Command, Known, Situation
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.case import Case
from brojobs_es.errors import Refusal
from brojobs_es.terms import DEFAULT_TERMS, Terms

TICK: Final = timedelta(microseconds=1)
H: Final = timedelta(hours=1)
D: Final = timedelta(days=1)
T0: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
DUE: Final = T0 + 5 * D
PRICE: Final = 10_001

ORDER_ID: Final = UUID("0b9c3a52-6a0e-4a57-9d3c-5f0e6a1b2c3d")
NOWHERE: Final = "00000000-0000-4000-8000-000000000000"
FILE: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
KNOWN: Final = Known({FILE: FileRef(FILE, Words("sam", "v1.svg"), 4, "image/svg+xml")}, range(1, 1000))
PEOPLE: Final[Mapping[str, str]] = {
    "buyer": "ana", "seller": "sam", "mediator": "mia", "auditor": "aud", "operator": "ops",
}  # fmt: skip
CLOCK: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


ORDER_NAMES: Final = tuple(ORDER_COMMANDS)
DISPUTE_NAMES: Final = tuple(f"dispute/{name}" for name in DISPUTE_COMMANDS)


def wire(value: object) -> object:
    """A body as JSON has it: instants become text."""
    if isinstance(value, datetime):
        return value.strftime(CLOCK)
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    return [wire(item) for item in value] if isinstance(value, list) else value


def command_of(name: str) -> Command:
    """The command of this name; those of a dispute stand behind `dispute/`."""
    table, _, short = name.rpartition("/")
    return (DISPUTE_COMMANDS if table else ORDER_COMMANDS)[short]


class Story:
    """A case and the instant that it is at. Every step returns the story, or fails the test."""

    def __init__(self, case: Case, now: datetime) -> None:
        self.case, self.now = case, now
        self.refusal = Refusal("")
        self._before = 0

    @property
    def order(self) -> Order:
        return self.case.order

    @property
    def dispute(self) -> Dispute:
        assert self.case.dispute is not None
        return self.case.dispute

    @property
    def lock(self) -> ChatLock:
        return lock_of(self.situation("buyer", "post-message", None))

    @property
    def types(self) -> list[str]:
        """Every event so far, by name."""
        return [event.type for event in self.case.new]

    def fork(self) -> Story:
        """Another story with the same past."""
        case = self.case.fork()
        case.new = list(self.case.new)
        return Story(case, self.now)

    # -- when

    def at(self, when: datetime) -> Self:
        """Move on to an instant; whatever is due by then happens."""
        assert when >= self.now, "time only moves forward"
        self.now, self._before = when, len(self.case.new)
        self.case.elapse(when)
        return self

    def after(self, span: timedelta) -> Self:
        return self.at(self.now + span)

    def situation(self, role: str, name: str, body: Mapping[str, Any] | None, by: str | None = None) -> Situation:
        parsed = None if body is None else command_of(name).body.model_validate(wire(dict(body)))
        actor = Actor(Role(role), by or PEOPLE[role])
        return Situation(self.case.order, self.case.dispute, actor, self.now, parsed, KNOWN)

    def judge(self, role: str, name: str, body: Mapping[str, Any] | None, by: str | None = None) -> Refusal | None:
        """Why this is not possible, the role looked at first, or None."""
        if Role(role) not in command_of(name).by:
            return Refusal("forbidden")
        return self.case.refusal(command_of(name), self.situation(role, name, body, by))

    def act(self, role: str, name: str, *, by: str | None = None, refused: str | None = None, **body: Any) -> Self:
        """Give a command, with a right body where none is given; `refused` is the code that must come instead."""
        self.at(self.now)
        body = body or right_body(self, role, name)
        found = self.judge(role, name, body, by)
        assert (found.code if found else None) == refused, f"{role} {name}: {found}, but {refused} was expected"
        if found is not None:
            self.refusal = found
            return self
        situation = self.situation(role, name, body, by)
        self.case.execute(command_of(name), situation, Cause(situation.actor, name))
        return self

    def buyer(self, name: str, **body: Any) -> Self:
        return self.act("buyer", name, **body)

    def seller(self, name: str, **body: Any) -> Self:
        return self.act("seller", name, **body)

    def operator(self, name: str, **body: Any) -> Self:
        return self.act("operator", name, **body)

    def mediator(self, name: str, **body: Any) -> Self:
        return self.act("mediator", name, **body)

    # -- then

    @property
    def fresh(self) -> list[Event]:
        """The events of the last step."""
        return self.case.new[self._before :]

    def expect(self, *types: str) -> Self:
        """The last step recorded exactly these events."""
        assert [event.type for event in self.fresh] == list(types)
        return self

    def saying(self, **told: Any) -> Self:
        """The last refusal told this: `available_from`, `available_until`, `unlocked_by`."""
        assert {name: getattr(self.refusal, name) for name in told} == told
        return self

    def last(self, kind: str) -> Any:
        """The newest event of this name."""
        return next(event for event in reversed(self.case.new) if event.type == kind)

    def is_(self, **state: Any) -> Self:
        """The order's attributes have these values."""
        assert {name: getattr(self.order, name) for name in state} == state
        return self


# -- right bodies


def _proposal(kind: str) -> Callable[[Story, str], dict[str, Any]]:
    def body(story: Story, role: str) -> dict[str, Any]:
        pending = getattr(story.order, f"{kind}_proposal")
        return {"proposal_id": str(pending.proposal_id) if pending else NOWHERE}

    return body


def _fixed(**body: Any) -> Callable[[Story, str], dict[str, Any]]:
    return lambda story, role: dict(body)


def euros(amount: int, currency: str = "EUR") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


BODIES: Final[Mapping[str, Callable[[Story, str], dict[str, Any]]]] = {
    "confirm-payment": lambda story, role: {
        "payment_reference": "pay-1",
        "amount": euros(story.order.price.amount, story.order.price.currency),
    },
    "post-message": _fixed(text="Bonjour"),
    "send-reminder": _fixed(text="Are you there?"),
    "propose-deadline": lambda story, role: {"due_at": max(story.now, story.order.due_at) + D},
    "accept-deadline": _proposal("deadline"),
    "refuse-deadline": _proposal("deadline"),
    "withdraw-deadline": _proposal("deadline"),
    "request-cancellation": _fixed(reason="delay"),
    "refuse-cancellation": _fixed(reason="Nearly done."),
    "deliver": _fixed(note="Here it is.", files=[FILE]),
    "request-revision": _fixed(points=[{"text": "Darker blue"}, {"text": "Bigger letters"}]),
    "refuse-revision": _fixed(reason="It is what the brief says."),
    "propose-settlement": lambda story, role: {"refund": euros(3_333, story.order.price.currency)},
    "accept-settlement": _proposal("settlement"),
    "refuse-settlement": _proposal("settlement"),
    "withdraw-settlement": _proposal("settlement"),
    "open-dispute": _fixed(statement="It does not follow the brief.", evidence=[{"description": "The brief"}]),
    "dispute/hand-over": _fixed(to="max"),
    "dispute/post-message": _fixed(text="Look at point 1."),
    "dispute/add-note": _fixed(text="Compare with the brief."),
    "dispute/request-information": _fixed(**{"from": "seller", "question": "Which part?"}),
    "dispute/submit-evidence": _fixed(kind="statement", description="Section 2."),
    "dispute/decide": lambda story, role: {
        "assignment": story.dispute.assignment or 1, "outcome": "full_refund", "reason": "The brief is clear.",
    },
}  # fmt: skip


def right_body(story: Story, role: str, name: str) -> dict[str, Any]:
    """A body with which the command is possible whenever it can be."""
    return BODIES.get(name, _fixed())(story, role)


# -- given

Given = Callable[..., Story]


def place_body(**changes: Any) -> Place:
    body = {"seller_id": "sam", "title": "Logo", "brief": "Two colours.", "price": euros(PRICE), "due_at": DUE}
    return Place.model_validate(wire({**body, **changes}))


def placed(*, terms: Terms = DEFAULT_TERMS, at: datetime = T0, **changes: Any) -> Story:
    """Ordered by ana from sam for 100.01 EUR, to be delivered in five days."""
    fact = place(place_body(**changes), "ana", at, terms)
    return Story(Case.place(fact, ORDER_ID, at, Cause(Actor(Role.BUYER, "ana"), "place")), at)


def paid(**changes: Any) -> Story:
    return placed(**changes).operator("confirm-payment")


def overdue(**changes: Any) -> Story:
    return paid(**changes).at(DUE)


def delivered(**changes: Any) -> Story:
    """Delivered a day after the payment."""
    return paid(**changes).at(T0 + D).seller("deliver")


def revision_requested(**changes: Any) -> Story:
    return delivered(**changes).buyer("request-revision")


def revision_accepted(**changes: Any) -> Story:
    """In progress again, to be delivered within three days."""
    return revision_requested(**changes).seller("accept-revision")


def revision_refused(**changes: Any) -> Story:
    return revision_requested(**changes).seller("refuse-revision")


def silent(**changes: Any) -> Story:
    """Reminded at once, and nothing for 72 hours."""
    return paid(**changes).buyer("send-reminder").at(T0 + 72 * H)


def refused_twice(**changes: Any) -> Story:
    story = paid(**changes).buyer("request-cancellation").seller("refuse-cancellation").after(D)
    return story.buyer("request-cancellation").seller("refuse-cancellation")


def disputed(**changes: Any) -> Story:
    """The buyer's first dispute, over a refused revision."""
    return revision_refused(**changes).buyer("open-dispute")


def under_review(**changes: Any) -> Story:
    """Both sides heard, the mediator assigned."""
    return disputed(**changes).mediator("dispute/assign").seller("dispute/submit-evidence")


def relaunched(**changes: Any) -> Story:
    """Relaunched at once, to be delivered in two days."""
    story = under_review(**changes)
    return story.mediator(
        "dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 2 * D, reason="Good progress."
    )


def quarrelling(**changes: Any) -> Story:
    """Delivered, one request refused, three messages of each side over 48 hours: the conflict persists."""
    story = paid(**changes).buyer("request-cancellation").seller("refuse-cancellation")
    for side in ("buyer", "seller", "buyer", "seller", "buyer"):
        story.act(side, "post-message")
    return story.at(T0 + 48 * H).seller("deliver").seller("post-message")


def completed(**changes: Any) -> Story:
    return delivered(**changes).buyer("accept-delivery")


def cancelled(**changes: Any) -> Story:
    return paid(**changes).seller("concede")
