"""When something happens next to an order if nobody does anything: what the scheduler looks at.

The fold is the case itself, since every rule may start or stop a timer; the row is its next timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from brojobs_es.aggregates.base import Event
from brojobs_es.case import Case


class DeadlinesView:
    """The view `deadlines`."""

    name: ClassVar[str] = "deadlines"
    columns: ClassVar[Mapping[str, str]] = {"next_at": "timestamptz", "timer": "text"}

    def fold(self, state: Case | None, event: Event) -> Case | None:
        if state is None:
            return Case.of([event])
        state.apply(event)
        return state

    def row(self, state: Case) -> dict[str, object]:
        due = state.next_timer()
        return {"next_at": due.at if due else None, "timer": due.name if due else None}
