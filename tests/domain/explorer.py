"""Breadth-first exploration of what an order can become, with the real decision code.

A node is a real case at a real instant; of all cases with the same `abstraction` the first one found stands for the
others. Time moves only to instants at which something changes: the next timer and the ends of the two pauses.
The conflict gate asks for one message of each side at any distance, so that its counters stay small.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from msgspec import structs
from tests import kit
from tests.kit import KNOWN, PEOPLE, TICK, D, H, Story, command_of, euros, right_body, wire

from brojobs_es.aggregates.base import Actor, Cause, Event, Role
from brojobs_es.aggregates.commands.disputing import conflict_persists
from brojobs_es.aggregates.commands.situation import Command, Situation
from brojobs_es.case import Case
from brojobs_es.errors import Refusal
from brojobs_es.terms import Terms

TERMS: Final = Terms(conflict_messages_min=1, conflict_span_min=0 * H, commission_bps=1_000)
TIME: Final = "time"


@dataclass(slots=True)
class Edge:
    """What somebody, or time, made of a node."""

    who: str
    command: str
    source: int
    target: int
    events: tuple[Event, ...]


@dataclass(slots=True)
class Node:
    """A case that stands for all with the same abstraction. `edges` lead on."""

    case: Case
    now: datetime
    key: Hashable
    edges: list[Edge] = field(default_factory=list)
    came_by: Edge | None = None

    @property
    def held(self) -> bool:
        return self.case.order.held_minor > 0


def abstraction(case: Case, now: datetime) -> Hashable:
    """What decisions can tell apart, with counters bounded and instants reduced to what is possible at them."""
    order, dispute, terms = case.order, case.dispute, case.order.terms
    asked_at, reminded_at = order.last_cancellation_requested_at, order.last_reminder_at
    revision = order.revision
    beside: tuple[Hashable, ...] = (
        order.is_overdue(now),
        bool(order.deliveries),
        revision and (revision.status, revision.delivery == len(order.deliveries)),
        order.request and order.request.kind,
        order.last_request_expired,
        asked_at is not None and now < asked_at + terms.cancellation_cooldown,
        order.reminded,
        reminded_at is not None and now < reminded_at + terms.reminder_cooldown,
        order.silence_established,
        order.deadline_proposal and order.deadline_proposal.by,
        order.settlement_proposal and order.settlement_proposal.by,
    )
    disputed: tuple[Hashable, ...] = (
        min(len(order.refusals), terms.refusals_to_unlock_dispute),
        (order.unlocks[-1].ground if order.unlocks else None),
        conflict_persists(order) or (order.conflict.unanswered > 0, *map(bool, order.conflict.messages)),
        order.disputes_opened_by(Role.BUYER),
        order.disputes_opened_by(Role.SELLER),
        order.relaunched,
        order.escrow_alarmed,
        order.status_before_dispute,
        "validation" in order.timers and order.validation_reminders_sent,
        frozenset(order.suspended),
        dispute
        and order.frozen
        and (dispute.opened_by, dispute.last, dispute.heard(), dispute.one_sided, frozenset(dispute.timers)),
    )
    if order.ended:
        return (order.status, order.ending, order.chat_closed)
    return (order.status, frozenset(order.timers), beside, disputed)


class Exploration:
    """All nodes and edges from a freshly placed order on; `limit` bounds the nodes that are expanded."""

    def __init__(self, *, limit: int, without: frozenset[str] = frozenset()) -> None:
        self.without = without
        start = kit.placed(terms=TERMS)
        self.nodes: list[Node] = []
        self.index: dict[Hashable, int] = {}
        self.edge_count = 0
        self.judged = 0
        self._add(start.case, start.now, None)
        waiting = deque([0])
        while waiting and len(self.nodes) < limit:
            waiting.extend(self._expand(waiting.popleft()))
        self.complete = not waiting

    def _add(self, case: Case, now: datetime, edge: Edge | None) -> tuple[int, bool]:
        key = abstraction(case, now)
        known = self.index.get(key)
        if known is not None:
            return known, False
        self.index[key] = len(self.nodes)
        case.new = []
        self.nodes.append(Node(case, now, key, came_by=edge))
        return len(self.nodes) - 1, True

    def _expand(self, index: int) -> Iterator[int]:
        node = self.nodes[index]
        for who, command, case, now in (*self._commands(node), *waits(node)):
            edge = Edge(who, command, index, -1, tuple(case.new))
            edge.target, new = self._add(case, now, edge)
            assert who != TIME or edge.target != index, f"{command} leads nowhere: {self.path(index)}"
            node.edges.append(edge)
            self.edge_count += 1
            if new:
                yield edge.target

    def _commands(self, node: Node) -> Iterator[tuple[str, str, Case, datetime]]:
        story = Story(node.case, node.now)
        for name in names(node.case):
            if name in self.without:
                continue
            command = command_of(name)
            for role in command.by:
                for label, body in bodies(story, str(role), name):
                    self.judged += 1
                    case = attempt(story, command, role, name, body)
                    if case is not None and case.new:
                        yield str(role), label, case, node.now

    def path(self, index: int) -> list[str]:
        """How the node was first reached, for the reader of a failure."""
        steps: list[str] = []
        edge = self.nodes[index].came_by
        while edge is not None:
            steps.append(f"{edge.who}: {edge.command}")
            edge = self.nodes[edge.source].came_by
        return steps[::-1]


def names(case: Case) -> tuple[str, ...]:
    """The commands that this case has."""
    return (*kit.ORDER_NAMES, *(kit.DISPUTE_NAMES if case.dispute else ()))


_PARSED: Final[dict[tuple[str, str], Any]] = {}


def _parsed(name: str, body: dict[str, Any]) -> Any:
    key = (name, repr(body))
    if key not in _PARSED:
        _PARSED[key] = command_of(name).body.model_validate(wire(body))
    return _PARSED[key]


def attempt(story: Story, command: Command, role: Role, name: str, body: dict[str, Any]) -> Case | None:
    """The case after the command, or None if it is refused; what is possible must work, what is refused must not."""
    actor = Actor(role, PEOPLE[role] if role is not Role.MEDIATOR else _mediator(story))
    situation = Situation(story.order, story.case.dispute, actor, story.now, _parsed(name, body), KNOWN)
    refusal = story.case.refusal(command, situation)
    case = story.case if refusal else story.case.fork()
    if refusal is None:
        situation = structs.replace(situation, order=case.order, dispute=case.dispute)
    raised: Refusal | None = None
    try:
        case.execute(command, situation, Cause(actor, name))
    except Refusal as found:
        raised = found
    assert raised == refusal, f"{name} was judged {refusal}, and then {raised}"
    assert raised is None or not case.new, f"{name} was refused, and recorded something"
    return None if raised else case


def _mediator(story: Story) -> str:
    dispute = story.case.dispute
    return dispute.mediator_id if dispute and dispute.mediator_id else PEOPLE["mediator"]


def bodies(story: Story, role: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A small set of right bodies: every outcome of a decision, every ground that is unlocked, a near and a far date."""
    body = right_body(story, role, name)
    match name:
        case "dispute/decide":
            yield "decide full_refund", body
            yield "decide partial_refund", {**body, "outcome": "partial_refund", "refund": euros(3_333)}
            yield "decide relaunch", {**body, "outcome": "relaunch", "due_at": story.now + 2 * D}
            yield "decide validate_delivery", {**body, "outcome": "validate_delivery"}
        case "open-dispute" if role == "buyer" and len(story.order.unlocks) > 1:
            for unlock in story.order.unlocks:
                yield "open-dispute", {**body, "ground": str(unlock.ground)}
        case "propose-deadline":
            yield name, body
            yield name, {"due_at": story.now + H}
        case _:
            yield name, body


def waits(node: Node) -> Iterator[tuple[str, str, Case, datetime]]:
    """Time passes: to the next timer, or to the end of a pause if that comes first. A tick before nothing happens."""
    due = node.case.next_timer()
    order, terms = node.case.order, node.case.order.terms
    pauses = {
        "cancellation_cooldown": (order.last_cancellation_requested_at, terms.cancellation_cooldown),
        "reminder_cooldown": (order.last_reminder_at, terms.reminder_cooldown),
    }
    for name, (since, span) in pauses.items():
        if since is not None and node.now < since + span and (due is None or since + span < due.at) and not order.ended:
            case = node.case.fork()
            case.elapse(since + span)
            assert not case.new, f"{case.new} before any timer"
            yield TIME, name, case, since + span
    if due is not None:
        case = node.case.fork()
        case.elapse(due.at - TICK)
        assert not case.new, f"{case.new} a tick before {due}"
        case.elapse(due.at)
        assert case.new, f"nothing at {due}"
        yield TIME, due.name, case, due.at
