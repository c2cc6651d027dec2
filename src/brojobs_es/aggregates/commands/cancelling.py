"""Asking to cancel, asking for a refund after a silence, and the seller's answer to either."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.commands.bodies import TEXT_CHARS_MAX, Body, Comment, Empty, Reason, coded, not_blank
from brojobs_es.aggregates.commands.situation import (
    BUYER,
    RUNNING,
    SELLER,
    Command,
    Situation,
    in_progress,
    never_delivered,
)
from brojobs_es.aggregates.endings import cancel
from brojobs_es.errors import Refusal

ANSWERS: Final = ("accept-cancellation", "refuse-cancellation", "withdraw-cancellation")


def _answer_by(s: Situation) -> datetime | None:
    return s.order.request.answer_by if s.order.request else None


def _nothing_requested(s: Situation) -> Refusal | None:
    request = s.order.request
    return Refusal("cancellation_pending", available_from=request.answer_by, unlocked_by=ANSWERS) if request else None


# -- the buyer asks


class RequestCancellation(Body):
    """Why the buyer wants to cancel; `other` needs a comment."""

    reason: Literal["delay", "no_response", "other"]
    comment: Annotated[str, Field(max_length=TEXT_CHARS_MAX)] | None = None

    @model_validator(mode="after")
    def _other_needs_words(self) -> Self:
        blank = self.comment is None or not self.comment.strip()
        if self.reason == "other" and blank:
            raise coded("reason_required", "reason other needs a comment")
        if self.comment is not None:
            not_blank(self.comment)
        return self


def _cooled_down(s: Situation) -> Refusal | None:
    last = s.order.last_cancellation_requested_at
    if last is None or s.now >= last + s.order.terms.cancellation_cooldown:
        return None
    return Refusal("cancellation_cooldown", available_from=last + s.order.terms.cancellation_cooldown)


def _request(s: Situation) -> Iterator[Event]:
    yield e.CancellationRequested(
        reason=s.body.reason,
        comment=s.comment(),
        answer_by=s.now + s.order.terms.cancellation_answer_window,
    )


def _reminded(s: Situation) -> Refusal | None:
    return None if s.order.reminded else Refusal("reminder_required", unlocked_by=("send-reminder",))


def _seller_silent(s: Situation) -> Refusal | None:
    if s.order.silence_established:
        return None
    running_until = s.order.timers.get("silence")
    return Refusal(
        "seller_not_silent",
        available_from=running_until,
        unlocked_by=() if running_until else ("send-reminder",),
    )


def _request_refund(s: Situation) -> Iterator[Event]:
    yield e.RefundRequested(comment=s.comment(), answer_by=s.now + s.order.terms.refund_answer_window)


# -- the seller answers, the buyer takes it back


def _pending(s: Situation) -> Refusal | None:
    if s.order.request:
        return None
    if s.order.last_request_expired:
        return Refusal("request_expired", unlocked_by=("request-cancellation",))
    return Refusal("no_cancellation_pending", unlocked_by=("request-cancellation",))


def _accept(s: Situation) -> Iterator[Event]:
    yield e.CancellationAccepted()
    yield from cancel(s.order, e.Ending.AGREED)


def _refuse(s: Situation) -> Iterator[Event]:
    yield e.CancelRefused(
        refusal_count=len(s.order.refusals) + 1, how=e.Refused.IN_WORDS, reason=s.words(s.body.reason)
    )


def _withdraw(s: Situation) -> Iterator[Event]:
    yield e.CancellationWithdrawn()


COMMANDS: Final = (
    Command(
        name="request-refund",
        by=BUYER,
        body=Comment,
        guards=(*RUNNING, never_delivered, in_progress, _nothing_requested, _reminded, _seller_silent),
        decide=_request_refund,
        example={"comment": "Nothing since my reminder."},
        summary="The seller stayed silent after a reminder: ask for the money back.",
    ),
    Command(
        name="request-cancellation",
        by=BUYER,
        body=RequestCancellation,
        guards=(*RUNNING, _nothing_requested, _cooled_down),
        decide=_request,
        example={"reason": "other", "comment": "I changed my mind."},
        summary="Ask the seller to cancel; silence counts as a refusal and unlocks the dispute.",
    ),
    Command(
        name="accept-cancellation",
        by=SELLER,
        body=Empty,
        guards=(*RUNNING, _pending),
        decide=_accept,
        until=_answer_by,
        example={},
        summary="Agree to cancel, or to the refund: the buyer gets everything back.",
    ),
    Command(
        name="refuse-cancellation",
        by=SELLER,
        body=Reason,
        guards=(*RUNNING, _pending),
        decide=_refuse,
        until=_answer_by,
        example={"reason": "It is ready tomorrow."},
        summary="Refuse to cancel, in words; the second refusal unlocks the dispute.",
    ),
    Command(
        name="withdraw-cancellation",
        by=BUYER,
        body=Empty,
        guards=(*RUNNING, _pending),
        decide=_withdraw,
        until=_answer_by,
        example={},
        summary="Take one's own cancellation or refund request back.",
    ),
)
