"""Inside a dispute: assignment, the thread, evidence, the decision, and the opener's way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from brojobs_es.aggregates import dispute_events as d
from brojobs_es.aggregates.base import Event, Role
from brojobs_es.aggregates.commands.bodies import (
    Body,
    Comment,
    Empty,
    FileIds,
    Instant,
    MoneyBody,
    Number,
    Positions,
    Text,
    UserId,
)
from brojobs_es.aggregates.commands.disputing import EvidenceKind
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    EITHER_PARTY,
    MEDIATOR,
    OPERATOR,
    SELLER,
    Command,
    Situation,
    known_files,
)
from brojobs_es.errors import Refusal
from brojobs_es.ids import part_id_for


def _not_closed(s: Situation) -> Refusal | None:
    return Refusal("dispute_closed") if s.the_dispute.closed else None


# -- who holds the case


class HandOver(Body):
    """The mediator who takes the case over."""

    to: UserId


def _already_mine(s: Situation) -> bool:
    return not s.the_dispute.closed and s.the_dispute.mediator_id == s.actor.id


def _unassigned(s: Situation) -> Refusal | None:
    return None if s.the_dispute.mediator_id is None else Refusal("already_assigned", unlocked_by=("hand-over",))


def _assigned(s: Situation) -> Refusal | None:
    """Somebody holds the case; of the mediators, only that one may go on."""
    holder = s.the_dispute.mediator_id
    if holder is None:
        return Refusal("not_assigned", unlocked_by=("assign",))
    if s.role is Role.MEDIATOR and holder != s.actor.id:
        return Refusal("not_assigned", unlocked_by=("hand-over",))
    return None


def _not_to_a_party(s: Situation) -> Refusal | None:
    return Refusal("party_of_the_order") if s.body and s.order.role_of(s.body.to) else None


def _assign(s: Situation) -> Iterator[Event]:
    assert s.actor.id is not None
    yield d.MediatorAssigned(assignment=(s.the_dispute.assignment or 0) + 1, mediator_id=s.actor.id)


def _hand_over(s: Situation) -> Iterator[Event]:
    yield d.MediatorAssigned(assignment=(s.the_dispute.assignment or 0) + 1, mediator_id=s.body.to)


# -- the thread


class ThreadMessage(Body):
    """A message in the dispute thread, with files of the order if need be."""

    text: Text
    files: FileIds = []


class Note(Body):
    """A private note, for mediators and auditors."""

    text: Text


class RequestInformation(Body):
    """A question to one side; without `answer_by`, the usual response window."""

    asked: Literal["buyer", "seller"] = Field(alias="from")
    question: Text
    answer_by: Instant | None = None


def _answer_in_future(s: Situation) -> Refusal | None:
    if s.body is None or s.body.answer_by is None or s.now < s.body.answer_by:
        return None
    return Refusal("due_at_out_of_range")


def _post_message(s: Situation) -> Iterator[Event]:
    dispute = s.the_dispute
    yield d.DisputeMessagePosted(
        message_id=part_id_for(dispute.id, "message", dispute.version + 1),
        text=s.words(s.body.text),
        files=s.files(s.body.files),
    )


def _add_note(s: Situation) -> Iterator[Event]:
    dispute = s.the_dispute
    yield d.MediatorNoteAdded(note_id=part_id_for(dispute.id, "note", dispute.version + 1), text=s.words(s.body.text))


def _request_information(s: Situation) -> Iterator[Event]:
    dispute = s.the_dispute
    yield d.InformationRequested(
        request_id=part_id_for(dispute.id, "question", dispute.version + 1),
        asked=Role(s.body.asked),
        question=s.words(s.body.question),
        answer_by=s.body.answer_by or s.now + s.order.terms.dispute_response_window,
    )


# -- evidence


class SubmitEvidence(Body):
    """A piece of evidence: `events` are positions in the order's log, `counters` evidence ids that it answers."""

    kind: EvidenceKind
    description: Text
    events: Positions = []
    files: FileIds = []
    counters: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=100)] = []
    origin: Literal["platform", "external"] = "platform"


def _evidence_ids(s: Situation) -> dict[str, d.Evidence]:
    return {str(piece.evidence_id): piece for piece in s.the_dispute.evidence}


def _known_references(s: Situation) -> Refusal | None:
    if s.body is None:
        return None
    known = _evidence_ids(s)
    unknown = [i for i in s.body.counters if i.lower() not in known]
    unknown += [str(position) for position in s.body.events if position not in s.known.positions]
    return Refusal("unknown_reference", facts={"name": unknown[0]}) if unknown else None


def _submit(s: Situation) -> Iterator[Event]:
    dispute, known = s.the_dispute, _evidence_ids(s)
    yield d.EvidenceSubmitted(
        evidence=d.Evidence(
            evidence_id=part_id_for(dispute.id, "evidence", dispute.version + 1),
            by=s.role,
            kind=s.body.kind,
            description=s.words(s.body.description),
            events=tuple(dict.fromkeys(s.body.events)),
            files=s.files(s.body.files),
            counters=tuple(known[i.lower()].evidence_id for i in dict.fromkeys(s.body.counters)),
            origin=d.Origin(s.body.origin),
            late=s.now >= dispute.evidence_due_at,
            submitted_at=s.now,
        )
    )


# -- the decision


class Decide(Body):
    """The decision, with its reasons and the evidence it rests on. `refund` belongs to partial_refund only, `due_at` to relaunch."""

    assignment: Number
    outcome: Literal["full_refund", "partial_refund", "relaunch", "validate_delivery"]
    refund: MoneyBody | None = None
    due_at: Instant | None = None
    reason: Text
    cited: Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _fields_belong_together(self) -> Self:
        if (self.refund is not None) != (self.outcome == "partial_refund"):
            raise ValueError("refund belongs to partial_refund, and is needed there")
        if (self.due_at is not None) != (self.outcome == "relaunch"):
            raise ValueError("due_at belongs to relaunch, and is needed there")
        return self


def _somebody_assigned(s: Situation) -> Refusal | None:
    return None if s.the_dispute.mediator_id else Refusal("not_assigned", unlocked_by=("assign",))


def _current_assignment(s: Situation) -> Refusal | None:
    """A hand that held the case before is told so, whoever holds it now."""
    return Refusal("stale_assignment") if s.body and s.body.assignment != s.the_dispute.assignment else None


def _heard(s: Situation) -> Refusal | None:
    dispute = s.the_dispute
    if dispute.both_heard or dispute.response_window_closed:
        return None
    return Refusal("evidence_window", available_from=dispute.response_due_at, unlocked_by=("submit-evidence",))


def _outcome_available(s: Situation) -> Refusal | None:
    impossible = {
        "relaunch": s.order.relaunched or s.the_dispute.last,
        "validate_delivery": not s.order.deliveries,
    }
    if s.body is None or not impossible.get(s.body.outcome):
        return None
    return Refusal("outcome_not_available", facts={"name": s.body.outcome})


def _refund_is_a_part(s: Situation) -> Refusal | None:
    refund = s.body.refund if s.body else None
    if refund is None:
        return None
    if refund.currency != s.order.price.currency:
        return Refusal("amount_mismatch", facts={"currency": s.order.price.currency})
    return None if 0 < refund.amount < s.order.held_minor else Refusal("amount_out_of_range")


def _relaunch_gives_time(s: Situation) -> Refusal | None:
    due_at, terms = s.body.due_at if s.body else None, s.order.terms
    if due_at is None or s.now + terms.relaunch_notice_min <= due_at <= s.now + terms.deadline_horizon:
        return None
    return Refusal(
        "due_at_out_of_range",
        available_from=s.now + terms.relaunch_notice_min,
        available_until=s.now + terms.deadline_horizon,
    )


def _cited_known(s: Situation) -> Refusal | None:
    known = _evidence_ids(s)
    unknown = next((i for i in s.body.cited if i.lower() not in known), None) if s.body else None
    return Refusal("unknown_reference", facts={"name": unknown}) if unknown is not None else None


def _decide(s: Situation) -> Iterator[Event]:
    dispute, known = s.the_dispute, _evidence_ids(s)
    yield d.DisputeDecided(
        assignment=s.body.assignment,
        outcome=d.Outcome(s.body.outcome),
        reason=s.words(s.body.reason),
        one_sided=dispute.one_sided if dispute.one_sided is not None else not dispute.both_heard,
        refund_minor=s.body.refund.amount if s.body.refund else None,
        due_at=s.body.due_at,
        cited=tuple(known[i.lower()].evidence_id for i in dict.fromkeys(s.body.cited)),
    )
    yield d.DisputeClosed(outcome=d.Outcome(s.body.outcome))


# -- the way back


def _the_opener(s: Situation) -> Refusal | None:
    return None if s.role is s.the_dispute.opened_by else Refusal("forbidden")


def _not_the_last(s: Situation) -> Refusal | None:
    limit = s.order.terms.disputes_max
    return Refusal("disputes_exhausted", facts={"limit": limit}) if s.the_dispute.last else None


def _withdraw(s: Situation) -> Iterator[Event]:
    yield d.DisputeWithdrawn(comment=s.comment())
    yield d.DisputeClosed(outcome=d.Outcome.WITHDRAWN)


COMMANDS: Final = (
    Command(
        name="assign",
        by=MEDIATOR,
        body=Empty,
        guards=(_not_closed, _unassigned),
        decide=_assign,
        changes_nothing=_already_mine,
        example={},
        summary="Take the case.",
    ),
    Command(
        name="hand-over",
        by=MEDIATOR | OPERATOR,
        body=HandOver,
        guards=(_not_to_a_party, _not_closed, _assigned),
        decide=_hand_over,
        example={"to": "mediator-2"},
        summary="Give the case to another mediator; the old assignment number is refused from then on.",
    ),
    Command(
        name="post-message",
        by=EITHER_PARTY | MEDIATOR,
        body=ThreadMessage,
        guards=(_not_closed,),
        checks=(known_files(lambda body: body.files),),
        decide=_post_message,
        example={"text": "Look at point 1.", "files": []},
        summary="Write in the dispute thread, the only place to talk while the order is frozen.",
    ),
    Command(
        name="add-note",
        by=MEDIATOR,
        body=Note,
        guards=(_not_closed,),
        decide=_add_note,
        example={"text": "Compare the brief with delivery 1."},
        summary="Keep a private note.",
    ),
    Command(
        name="request-information",
        by=MEDIATOR,
        body=RequestInformation,
        guards=(_not_closed,),
        checks=(_answer_in_future,),
        decide=_request_information,
        example={"from": "seller", "question": "Which part of the brief?"},
        summary="Ask one side a question.",
    ),
    Command(
        name="submit-evidence",
        by=EITHER_PARTY,
        body=SubmitEvidence,
        guards=(_not_closed,),
        checks=(known_files(lambda body: body.files), _known_references),
        decide=_submit,
        example={"kind": "statement", "description": "Section 2 of the brief."},
        summary="Submit a piece of evidence.",
    ),
    Command(
        name="decide",
        by=MEDIATOR,
        body=Decide,
        guards=(_not_closed, _somebody_assigned, _current_assignment, _assigned, _heard, _outcome_available),
        checks=(_refund_is_a_part, _relaunch_gives_time, _cited_known),
        decide=_decide,
        example={
            "assignment": 1,
            "outcome": "partial_refund",
            "refund": {"amount": 3333, "currency": "EUR"},
            "reason": "One of three points is missing.",
        },
        summary="Decide the dispute; the order and its money follow in the same commit.",
    ),
    Command(
        name="withdraw",
        by=BUYER | SELLER | OPERATOR,
        body=Comment,
        may=_the_opener,
        guards=(_not_closed, _not_the_last),
        decide=_withdraw,
        example={"comment": "We found a way."},
        summary="Take one's own dispute back: the order goes on where it stood.",
    ),
)
