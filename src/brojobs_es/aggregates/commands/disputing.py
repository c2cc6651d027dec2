"""Opening a dispute: the grounds, which of them is spent, and what the case starts with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from brojobs_es.aggregates import dispute_events as d
from brojobs_es.aggregates.base import Event, Role
from brojobs_es.aggregates.commands.bodies import Body, FileIds, Number, Positions, Text, coded, not_blank
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    ENDS_A_DISPUTE,
    OPERATOR,
    SELLER,
    Command,
    Situation,
    known_files,
    not_ended,
    paid,
    something_delivered,
)
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import Ground
from brojobs_es.aggregates.order_parts import Revision, RevisionStatus
from brojobs_es.errors import Refusal
from brojobs_es.ids import dispute_id_for, part_id_for
from brojobs_es.terms import DEFAULT_TERMS, Terms

EvidenceKind = Literal["statement", "document", "screenshot", "other"]


class EvidencePiece(Body):
    """A first piece of evidence; `events` are positions in the order's log."""

    description: Text
    kind: EvidenceKind = "statement"
    events: Positions = []
    files: FileIds = []
    origin: Literal["platform", "external"] = "platform"


class OpenDispute(Body):
    """What it is about, in a short statement, with at least one piece of evidence of the platform."""

    ground: Ground | None = Field(default=None, strict=False)
    statement: Annotated[str, AfterValidator(not_blank)]
    points: Annotated[list[Number], Field(max_length=100)] = []
    evidence: Annotated[list[EvidencePiece], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _short_and_grounded(self) -> Self:
        if _is_too_long(self.statement, DEFAULT_TERMS):
            raise coded("summary_too_long", "the statement has too many lines or too long ones")
        if all(piece.origin == "external" for piece in self.evidence):
            raise ValueError("at least one piece of evidence must be from the platform")
        return self


def _is_too_long(statement: str, terms: Terms) -> bool:
    lines = statement.splitlines()
    return len(lines) > terms.summary_lines_max or any(len(line) > terms.summary_line_chars_max for line in lines)


def _statement_within_terms(s: Situation) -> Refusal | None:
    """An order placed under other terms than the newest keeps its own limits."""
    return Refusal("summary_too_long") if s.body and _is_too_long(s.body.statement, s.order.terms) else None


def conflict_persists(order: Order) -> bool:
    """The objective gate of `persistent_conflict`: refused, talked enough, for long enough."""
    conflict, terms = order.conflict, order.terms
    return (
        conflict.unanswered >= 1
        and min(conflict.messages) >= terms.conflict_messages_min
        and conflict.first_at is not None
        and conflict.last_at is not None
        and conflict.last_at - conflict.first_at >= terms.conflict_span_min
    )


def _ground(s: Situation) -> Ground | None:
    """The ground on which this actor may open a dispute now: the named one, or the newest that is unlocked."""
    order, named = s.order, s.body.ground if s.body else None
    usable: list[Ground] = []
    if s.role is Role.OPERATOR:
        usable = [Ground.ESCROW_AGE] if order.escrow_alarmed else []
    else:
        if conflict_persists(order):
            usable.append(Ground.PERSISTENT_CONFLICT)
        if s.role is Role.BUYER:
            usable += [unlock.ground for unlock in order.unlocks]
    if named is not None:
        return named if named in usable else None
    return usable[-1] if usable else None


def _none_open(s: Situation) -> Refusal | None:
    return Refusal("dispute_open", unlocked_by=ENDS_A_DISPUTE) if s.order.frozen else None


def _delivered_if_seller(s: Situation) -> Refusal | None:
    return something_delivered(s) if s.role is Role.SELLER else None


def _unlocked(s: Situation) -> Refusal | None:
    if _ground(s) is not None:
        return None
    if s.role is Role.OPERATOR:
        return Refusal("dispute_locked", available_from=s.order.timers.get("escrow_age"))
    return Refusal("dispute_locked", unlocked_by=("refuse-cancellation", "refuse-revision"))


def _some_left(s: Situation) -> Refusal | None:
    limit = s.order.terms.disputes_max
    if s.role is Role.OPERATOR or s.order.disputes_opened_by(s.role) < limit:
        return None
    return Refusal("disputes_exhausted", facts={"limit": limit})


_ENDED_BY: Final = {
    Ground.REVISION_INSUFFICIENT: RevisionStatus.ANSWERED,
    Ground.REVISION_REFUSED: RevisionStatus.REFUSED,
    Ground.REVISION_UNANSWERED: RevisionStatus.EXPIRED,
}


def _revision(s: Situation) -> Revision | None:
    """The revision that the dispute is about: the newest that ended as the ground says, or else the newest."""
    ended_by = _ENDED_BY.get(_ground(s) or Ground.ESCROW_AGE)
    return next((r for r in reversed(s.order.revisions) if ended_by in (None, r.status)), None)


def _known_points(s: Situation) -> Refusal | None:
    revision = _revision(s)
    known = {point.number for point in revision.points} if revision else set()
    unknown = next((number for number in s.body.points if number not in known), None) if s.body else None
    return Refusal("unknown_point", facts={"name": unknown}) if unknown is not None else None


def _known_events(s: Situation) -> Refusal | None:
    named = (position for piece in s.body.evidence for position in piece.events) if s.body else ()
    unknown = next((position for position in named if position not in s.known.positions), None)
    return Refusal("unknown_reference", facts={"name": unknown}) if unknown is not None else None


def _points(s: Situation, ground: Ground) -> tuple[int, ...]:
    """The revision points in question: the named ones, or all that were not addressed, or all."""
    revision = _revision(s)
    if s.body.points or revision is None or not ground.startswith("revision_"):
        return tuple(dict.fromkeys(s.body.points))
    addressed = {answer.number for answer in revision.answers if answer.status == "addressed"}
    numbers = tuple(point.number for point in revision.points)
    return tuple(number for number in numbers if number not in addressed) or numbers


def _open(s: Situation) -> Iterator[Event]:
    ground = _ground(s)
    assert ground is not None
    order, terms = s.order, s.order.terms
    number = len(order.disputes) + 1
    dispute_id = dispute_id_for(order.id, number)
    points, revision = _points(s, ground), _revision(s)
    yield d.DisputeOpened(
        order_id=order.id,
        number=number,
        ground=ground,
        opened_by=s.role,
        last=s.role is not Role.OPERATOR and order.disputes_opened_by(s.role) + 1 >= terms.disputes_max,
        statement=s.words(s.body.statement),
        revision=revision.number if revision and points else None,
        points=points,
        evidence=tuple(
            d.Evidence(
                evidence_id=part_id_for(dispute_id, "opening-evidence", index),
                by=s.role,
                kind=piece.kind,
                description=s.words(piece.description),
                events=tuple(dict.fromkeys(piece.events)),
                files=s.files(piece.files),
                counters=(),
                origin=d.Origin(piece.origin),
                late=False,
                submitted_at=s.now,
            )
            for index, piece in enumerate(s.body.evidence, 1)
        ),
        order_status_before=str(order.status),
        assignment_due_at=s.now + terms.mediator_assignment_target,
        response_due_at=s.now + terms.dispute_response_window,
        evidence_due_at=s.now + terms.dispute_evidence_window,
        decision_due_at=s.now + terms.decision_target,
    )


COMMANDS: Final = (
    Command(
        name="open-dispute",
        by=BUYER | SELLER | OPERATOR,
        body=OpenDispute,
        guards=(not_ended, _none_open, paid, _delivered_if_seller, _unlocked, _some_left),
        checks=(
            known_files(lambda body: (f for piece in body.evidence for f in piece.files)),
            _statement_within_terms,
            _known_points,
            _known_events,
        ),
        decide=_open,
        example={
            "statement": "The work does not follow the brief.",
            "evidence": [{"description": "The delivery and the brief"}],
        },
        summary="Open a dispute: the order freezes until a mediator decides or the parties end it.",
    ),
)
