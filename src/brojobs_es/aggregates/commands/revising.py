"""Revisions: numbered points that the buyer wants changed, and the seller's answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.bodies import Body, FileIds, Instant, Reason, Text
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    RUNNING,
    SELLER,
    Command,
    Situation,
    known_files,
    something_delivered,
    timer,
)
from brojobs_es.aggregates.order_parts import RevisionStatus, Status
from brojobs_es.errors import Refusal


class RevisionPointBody(Body):
    """One thing to change, in words."""

    text: Text
    files: FileIds = []


class RequestRevision(Body):
    """What the buyer wants changed; the points are numbered from 1 in this order."""

    points: Annotated[list[RevisionPointBody], Field(min_length=1, max_length=100)]


def _none_pending(s: Situation) -> Refusal | None:
    if s.order.pending_revision:
        return Refusal("revision_pending", unlocked_by=("accept-revision", "refuse-revision", "deliver"))
    return None


def _delivered(s: Situation) -> Refusal | None:
    return None if s.order.status is Status.DELIVERED else Refusal("not_delivered", unlocked_by=("deliver",))


def _this_delivery_not_refused(s: Situation) -> Refusal | None:
    delivery = s.order.deliveries[-1].number
    refused = any(r.delivery == delivery and r.status is RevisionStatus.REFUSED for r in s.order.revisions)
    return Refusal("revision_already_refused", unlocked_by=("open-dispute",)) if refused else None


def _request(s: Situation) -> Iterator[Event]:
    yield e.RevisionRequested(
        number=len(s.order.revisions) + 1,
        points=tuple(
            e.RevisionPoint(number, s.words(point.text), s.files(point.files))
            for number, point in enumerate(s.body.points, 1)
        ),
        answer_by=s.now + s.order.terms.revision_answer_window,
    )


class AcceptRevision(Body):
    """By when the changes will be delivered; without a date, the usual working time."""

    due_at: Instant | None = None


def _pending(s: Situation) -> Refusal | None:
    if s.order.pending_revision:
        return None
    last = s.order.revision
    expired = last is not None and last.status is RevisionStatus.EXPIRED
    return Refusal("request_expired" if expired else "no_revision_pending", unlocked_by=("request-revision",))


def _latest(s: Situation) -> datetime:
    return s.now + s.order.terms.revision_work_window_max


def _within_working_time(s: Situation) -> Refusal | None:
    if s.body is None or s.body.due_at is None or s.now < s.body.due_at <= _latest(s):
        return None
    return Refusal("due_at_out_of_range", available_until=_latest(s))


def _accept(s: Situation) -> Iterator[Event]:
    due_at = s.body.due_at or s.now + s.order.terms.revision_work_window_default
    yield e.RevisionAccepted(number=s.order.revisions[-1].number, due_at=due_at)


def _refuse(s: Situation) -> Iterator[Event]:
    yield e.RevisionRefused(number=s.order.revisions[-1].number, reason=s.words(s.body.reason))


COMMANDS: Final = (
    Command(
        name="request-revision",
        by=BUYER,
        body=RequestRevision,
        guards=(*RUNNING, something_delivered, _none_pending, _delivered, _this_delivery_not_refused),
        checks=(known_files(lambda body: (f for point in body.points for f in point.files)),),
        decide=_request,
        until=timer("validation"),
        example={"points": [{"text": "Darker blue"}, {"text": "Bigger letters"}]},
        summary="Ask for changes to what was delivered; stops the validation clock.",
    ),
    Command(
        name="accept-revision",
        by=SELLER,
        body=AcceptRevision,
        guards=(*RUNNING, _pending),
        checks=(_within_working_time,),
        decide=_accept,
        until=timer("revision_answer"),
        example={"due_at": "2026-03-18T12:00:00Z"},
        summary="Accept to make the changes.",
    ),
    Command(
        name="refuse-revision",
        by=SELLER,
        body=Reason,
        guards=(*RUNNING, _pending),
        decide=_refuse,
        until=timer("revision_answer"),
        example={"reason": "It is what the brief says."},
        summary="Refuse the changes, in words; unlocks the dispute.",
    ),
)
