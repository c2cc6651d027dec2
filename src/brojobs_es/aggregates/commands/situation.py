"""How a command is described and judged: who may give it, the guards in their order, and what it decides.

A guard looks at a situation and returns the refusal that it finds, or None. The first refusal wins. Without a
body (`body is None`) a guard judges as if the body were right: that is how the list of possible actions is made
by the very functions that judge the command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from brojobs_es.aggregates.base import Actor, Event, FileRef, Role, Words
from brojobs_es.aggregates.commands.bodies import Body
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Status
from brojobs_es.errors import Refusal


class Known(Struct, frozen=True):
    """What the order's log and file shelf hold, for the references in a body."""

    files: Mapping[str, FileRef] = MappingProxyType({})
    positions: Collection[int] = ()


class Situation(Struct, frozen=True):
    """Everything that a judgement may look at. All timers that are due at `now` have fired."""

    order: Order
    dispute: Dispute | None
    actor: Actor
    now: datetime
    body: Any = None
    known: Known = Known()

    @property
    def role(self) -> Role:
        return self.actor.role

    @property
    def the_dispute(self) -> Dispute:
        """The dispute of a command that is about one."""
        assert self.dispute is not None
        return self.dispute

    def words(self, text: str) -> Words:
        """What the actor wrote."""
        assert self.actor.id is not None
        return Words(self.actor.id, text)

    def comment(self) -> Words | None:
        """The body's optional word."""
        return self.words(self.body.comment) if self.body.comment is not None else None

    def files(self, ids: Iterable[str]) -> tuple[FileRef, ...]:
        """The files that a body refers to, each once, in its order."""
        return tuple(self.known.files[file_id] for file_id in dict.fromkeys(ids))


Guard = Callable[[Situation], Refusal | None]
Decide = Callable[[Situation], Iterator[Event]]


def _everybody(situation: Situation) -> Refusal | None:
    return None


def _nobody_waits(situation: Situation) -> datetime | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One row of the table of commands.

    `may` refuses people of the right role (403), `guards` are the domain's rules (409) in their documented order, `checks` what only the order shows about the
    body (422). `changes_nothing` recognises a harmless repetition. `until` is when a possible command ends to be so.
    """

    name: str
    by: frozenset[Role]
    body: type[Body]
    guards: tuple[Guard, ...]
    decide: Decide
    checks: tuple[Guard, ...] = ()
    may: Guard = _everybody
    until: Callable[[Situation], datetime | None] = _nobody_waits
    changes_nothing: Callable[[Situation], bool] = lambda situation: False
    example: Mapping[str, Any]
    summary: str

    def judge(self, situation: Situation) -> Refusal | None:
        """The first refusal, or None if the command is possible."""
        if (refusal := self.may(situation)) is not None:
            return refusal
        if self.changes_nothing(situation):
            return None
        for guards in (self.guards, self.checks):
            for guard in guards:
                if (refusal := guard(situation)) is not None:
                    return refusal
        return None


BUYER: Final = frozenset({Role.BUYER})
SELLER: Final = frozenset({Role.SELLER})
EITHER_PARTY: Final = BUYER | SELLER
OPERATOR: Final = frozenset({Role.OPERATOR})
MEDIATOR: Final = frozenset({Role.MEDIATOR})

ENDS_A_DISPUTE: Final = ("decide", "withdraw", "accept-settlement", "concede")


# -- guards that many commands share


def not_ended(s: Situation) -> Refusal | None:
    return Refusal("order_closed", facts={"status": s.order.status}) if s.order.ended else None


def not_frozen(s: Situation) -> Refusal | None:
    return Refusal("order_frozen", unlocked_by=ENDS_A_DISPUTE) if s.order.frozen else None


def paid(s: Situation) -> Refusal | None:
    if s.order.status is Status.AWAITING_PAYMENT:
        return Refusal("not_paid", unlocked_by=("confirm-payment",), available_until=s.order.timers.get("payment"))
    return None


RUNNING: Final[tuple[Guard, ...]] = (not_ended, not_frozen, paid)
"""Money is held and no dispute is open."""

HELD: Final[tuple[Guard, ...]] = (not_ended, paid)
"""Money is held, also while a dispute is open."""


def in_progress(s: Situation) -> Refusal | None:
    if s.order.status is Status.IN_PROGRESS:
        return None
    unlocked_by = {Status.DELIVERED: ("request-revision",), Status.REVISION_REQUESTED: ("accept-revision",)}
    return Refusal("not_in_progress", unlocked_by=unlocked_by.get(s.order.status, ()), facts={"status": s.order.status})


def never_delivered(s: Situation) -> Refusal | None:
    return Refusal("already_delivered") if s.order.deliveries else None


def something_delivered(s: Situation) -> Refusal | None:
    return None if s.order.deliveries else Refusal("nothing_delivered", unlocked_by=("deliver",))


def known_files(ids_of: Callable[[Any], Iterable[str]]) -> Guard:
    """Every file that the body names is a file of this order."""

    def check(s: Situation) -> Refusal | None:
        unknown = next((i for i in ids_of(s.body) if i not in s.known.files), None) if s.body else None
        return Refusal("unknown_file", facts={"name": unknown}) if unknown is not None else None

    return check


def timer(name: str) -> Callable[[Situation], datetime | None]:
    """Until that timer of the order wins."""
    return lambda s: s.order.timers.get(name)
