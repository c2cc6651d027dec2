"""What a viewer can do now: every command of the viewer's role, judged by the function that judges the command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from brojobs_es.aggregates.base import Actor
from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.situation import Command, Situation
from brojobs_es.application.access import Viewer
from brojobs_es.application.history import History
from brojobs_es.errors import Refusal


@dataclass(frozen=True, slots=True)
class Verdict:
    """A command and why it is not possible now (`refusal`), or until when it is."""

    command: str
    refusal: Refusal | None
    available_until: datetime | None


ENDS_THE_ORDER: Final = ("validation", "refund_answer")
SURVIVES_THE_END: Final = frozenset({"post-message"})


def _until(command: Command, situation: Situation) -> datetime | None:
    """When a possible command ends to be so, by its own clock or because a clock ends the order."""
    instants = [command.until(situation)]
    if command.name not in SURVIVES_THE_END:
        instants += [situation.order.timers.get(name) for name in ENDS_THE_ORDER]
    return min((at for at in instants if at is not None), default=None)


def explain(history: History, viewer: Viewer, dispute_id: UUID | None = None) -> Iterator[Verdict]:
    """A verdict for each command that the viewer has on the order, or on one of its disputes."""
    table: Mapping[str, Command] = DISPUTE_COMMANDS if dispute_id else ORDER_COMMANDS
    case = history.case
    dispute = case.dispute_of(dispute_id) if dispute_id else case.dispute
    for command in table.values():
        role = next((role for role in viewer.roles if role in command.by), None)
        if role is None:
            continue
        situation = Situation(case.order, dispute, Actor(role, viewer.id), history.now)
        refusal = case.refusal(command, situation)
        until = _until(command, situation) if refusal is None else refusal.available_until
        yield Verdict(command.name, refusal, until)
