"""Who somebody is to an order, and what that lets them ask: taken from the credential and the order, never from a body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from brojobs_es.aggregates.base import PARTIES, Actor, Role
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.aggregates.order import Order
from brojobs_es.errors import Refusal

STAFF: Final = (Role.MEDIATOR, Role.AUDITOR, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class Caller:
    """A user and the roles that the token grants: any of buyer, seller, mediator, auditor, operator, or none."""

    sub: str
    roles: frozenset[str]


class NotFound(Exception):
    """There is no such thing, or the caller has nothing to do with it; nobody is told which."""


class Viewer(Struct, frozen=True):
    """A caller as this order knows them. A party is that party and nothing else; staff keep their roles."""

    id: str
    roles: tuple[Role, ...]
    granted: frozenset[str]

    @property
    def role(self) -> Role:
        """The role that a view is made for."""
        return self.roles[0]

    @property
    def is_party(self) -> bool:
        return self.role in PARTIES

    def actor(self, command: Command) -> Actor:
        """The caller as the actor of a command; raises the Refusal that another role deserves."""
        for role in self.roles:
            if role in command.by:
                return Actor(role, self.id)
        raise _not_a_partys(command, self.granted) if self.is_party else Refusal("forbidden")

    def must_be(self, *roles: Role) -> None:
        """Raises `forbidden` unless the viewer has one of these roles."""
        if not any(role in roles for role in self.roles):
            raise Refusal("forbidden")


def _not_a_partys(command: Command | None, granted: frozenset[str]) -> Refusal:
    """What a party is told: a mediator who gives a mediator's command learns that this order is theirs."""
    mediating = command is not None and Role.MEDIATOR in command.by and not command.by & PARTIES
    return Refusal("party_of_the_order" if mediating and Role.MEDIATOR in granted else "forbidden")


def viewer_of(order: Order, caller: Caller, command: Command | None = None) -> Viewer:
    """The caller, who looks at the order or gives a command on it.

    Raises NotFound for strangers, and for a party whose token lacks the party's role `forbidden`, or
    `party_of_the_order` where a mediator gives a mediator's command.
    """
    party = order.role_of(caller.sub)
    if party is not None:
        if party not in caller.roles:
            raise _not_a_partys(command, caller.roles)
        return Viewer(caller.sub, (party,), caller.roles)
    staff = tuple(role for role in STAFF if role in caller.roles)
    if not staff:
        raise NotFound
    return Viewer(caller.sub, staff, caller.roles)
