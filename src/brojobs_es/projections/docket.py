"""The docket: every dispute with its promise, the instant by which a mediator is to be there or to have decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from brojobs_es.aggregates import dispute_events as d
from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import DisputeStatus


@dataclass(frozen=True, slots=True)
class DocketLine:
    """One dispute as the list shows it."""

    dispute_id: UUID
    status: DisputeStatus
    promise_at: datetime
    decision_due_at: datetime
    mediator_id: str | None = None
    closed_at: datetime | None = None


Docket = tuple[DocketLine, ...]


class DocketView:
    """The view `docket`; an order without a dispute has no row."""

    name: ClassVar[str] = "docket"
    columns: ClassVar[Mapping[str, str]] = {"open": "bool", "disputes": "jsonb"}

    @property
    def takes(self) -> frozenset[type[Event]]:
        return frozenset({d.DisputeOpened, *_CHANGES})

    def fold(self, state: Docket | None, event: Event) -> Docket | None:
        if isinstance(event, d.DisputeOpened):
            line = DocketLine(event.originator_id, DisputeStatus.OPEN, event.assignment_due_at, event.decision_due_at)
            return (*(state or ()), line)
        change = _CHANGES.get(type(event))
        return (*state[:-1], change(state[-1], event)) if state is not None and change is not None else state

    def row(self, state: Docket) -> dict[str, object]:
        return {"open": state[-1].status is not DisputeStatus.CLOSED, "disputes": state}


def _assigned(line: DocketLine, event: d.MediatorAssigned) -> DocketLine:
    promise_at = line.decision_due_at
    return replace(line, status=DisputeStatus.UNDER_REVIEW, mediator_id=event.mediator_id, promise_at=promise_at)


def _closed(line: DocketLine, event: d.DisputeClosed) -> DocketLine:
    return replace(line, status=DisputeStatus.CLOSED, closed_at=event.effective_at)


_CHANGES: Final[Mapping[type[Event], Callable[[DocketLine, Any], DocketLine]]] = {
    d.MediatorAssigned: _assigned,
    d.DisputeClosed: _closed,
}
