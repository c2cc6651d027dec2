"""`Terms`: every number of the procedure. An order is judged for its whole life by the terms in its first event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_H = timedelta(hours=1)
_D = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """Version 1. Changing a default means a new version; orders placed under the old one keep the old one.

    Spans are exact and half open: at exactly `start + span` the timer has won.
    """

    version: int = 1
    payment_window: timedelta = 24 * _H
    cancellation_answer_window: timedelta = 48 * _H
    cancellation_cooldown: timedelta = 24 * _H
    refusals_to_unlock_dispute: int = 2
    silence_window: timedelta = 72 * _H
    reminder_cooldown: timedelta = 24 * _H
    refund_answer_window: timedelta = 48 * _H
    deadline_proposal_ttl: timedelta = 48 * _H
    deadline_horizon: timedelta = 80 * _D
    validation_window: timedelta = 7 * _D
    validation_reminders: tuple[timedelta, ...] = (3 * _D, 6 * _D)
    revision_answer_window: timedelta = 72 * _H
    revision_work_window_default: timedelta = 3 * _D
    revision_work_window_max: timedelta = 14 * _D
    included_revisions: int = 2
    chat_open_after_end: timedelta = 7 * _D
    settlement_proposal_ttl: timedelta = 48 * _H
    dispute_response_window: timedelta = 72 * _H
    dispute_evidence_window: timedelta = 5 * _D
    mediator_assignment_target: timedelta = 48 * _H
    decision_target: timedelta = 14 * _D
    disputes_max: int = 2
    relaunch_notice_min: timedelta = 24 * _H
    resumed_timer_min: timedelta = 24 * _H
    escrow_age_alarm: timedelta = 75 * _D
    conflict_messages_min: int = 3
    conflict_span_min: timedelta = 48 * _H
    commission_bps: int = 0
    summary_lines_max: int = 10
    summary_line_chars_max: int = 120

    def __hash__(self) -> int:
        """Of a part that tells most terms apart: what is looked up by its terms is nearly always the same object."""
        return hash((self.version, self.commission_bps))


DEFAULT_TERMS: Final = Terms()
