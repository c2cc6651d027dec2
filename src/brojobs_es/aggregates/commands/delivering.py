"""Delivering, and accepting what was delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.bodies import Body, Empty, FileIds, Number, Text, coded
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
from brojobs_es.aggregates.endings import complete_with_release
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_parts import Revision, Status
from brojobs_es.errors import Refusal


class PointAnswerBody(Body):
    """What became of one revision point; a point left out stays open."""

    number: Number
    status: Literal["addressed", "contested"]
    note: Text | None = None


class Deliver(Body):
    """The work: a note, at least one file, and what became of the revision points if a revision was asked for."""

    note: Text
    files: FileIds = []
    points: Annotated[list[PointAnswerBody], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _at_least_one_file(self) -> Self:
        if len({point.number for point in self.points}) != len(self.points):
            raise ValueError("a revision point is answered twice")
        if not self.files:
            raise coded("file_required", "a delivery needs at least one file")
        return self


def _answered_revision(order: Order) -> Revision | None:
    """The revision that a delivery answers now."""
    return order.pending_revision or order.accepted_revision


def _not_waiting_for_the_buyer(s: Situation) -> Refusal | None:
    if s.order.status is Status.DELIVERED:
        return Refusal("already_delivered", unlocked_by=("request-revision",))
    return None


def _work_expected(s: Situation) -> Refusal | None:
    if s.order.status in (Status.IN_PROGRESS, Status.REVISION_REQUESTED):
        return None
    return Refusal("not_in_progress", facts={"status": s.order.status})


def _known_points(s: Situation) -> Refusal | None:
    if s.body is None:
        return None
    revision = _answered_revision(s.order)
    numbers = {point.number for point in revision.points} if revision else set()
    unknown = next((point.number for point in s.body.points if point.number not in numbers), None)
    return Refusal("unknown_point", facts={"name": unknown}) if unknown is not None else None


def _deliver(s: Situation) -> Iterator[Event]:
    revision = _answered_revision(s.order)
    yield e.Delivered(
        number=len(s.order.deliveries) + 1,
        note=s.words(s.body.note),
        files=s.files(s.body.files),
        late=s.order.is_overdue(s.now),
        revision=revision.number if revision else None,
        points=tuple(
            e.PointAnswer(point.number, point.status, s.words(point.note) if point.note is not None else None)
            for point in s.body.points
        ),
    )


def _validation_open(s: Situation) -> Refusal | None:
    """Something waits for the buyer's word: a delivery, or an earlier one while its revision is under way."""
    if s.order.status is Status.IN_PROGRESS and s.order.accepted_revision is None:
        return Refusal("not_delivered", unlocked_by=("deliver",))
    return None


def _accept_delivery(s: Situation) -> Iterator[Event]:
    yield e.DeliveryAccepted(number=s.order.deliveries[-1].number)
    yield from complete_with_release(s.order, e.Ending.ACCEPTED)


COMMANDS: Final = (
    Command(
        name="deliver",
        by=SELLER,
        body=Deliver,
        guards=(*RUNNING, _not_waiting_for_the_buyer, _work_expected),
        checks=(known_files(lambda body: body.files), _known_points),
        decide=_deliver,
        until=timer("revision_answer"),
        example={
            "note": "First version",
            "files": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        },
        summary="Deliver the work with at least one file.",
    ),
    Command(
        name="accept-delivery",
        by=BUYER,
        body=Empty,
        guards=(*RUNNING, something_delivered, _validation_open),
        decide=_accept_delivery,
        until=timer("validation"),
        example={},
        summary="Accept the delivery: the order completes and the seller is paid.",
    ),
)
