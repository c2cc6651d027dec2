"""The docket: every dispute with its promise, the instant by which a mediator is to be there or to have decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import TypeAdapter

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
_ADAPTER: TypeAdapter[Docket] = TypeAdapter(Docket)


class DocketView:
    """The view `docket`; an order without a dispute has no row."""

    name: ClassVar[str] = "docket"
    columns: ClassVar[Mapping[str, str]] = {"open": "bool", "disputes": "jsonb"}

    def fold(self, state: Docket | None, event: Event) -> Docket | None:
        if isinstance(event, d.DisputeOpened):
            line = DocketLine(event.originator_id, DisputeStatus.OPEN, event.assignment_due_at, event.decision_due_at)
            return (*(state or ()), line)
        if state is None:
            return None
        match event:
            case d.MediatorAssigned():
                return self._newest(
                    state,
                    status=DisputeStatus.UNDER_REVIEW,
                    mediator_id=event.mediator_id,
                    promise_at=state[-1].decision_due_at,
                )
            case d.DisputeClosed():
                return self._newest(state, status=DisputeStatus.CLOSED, closed_at=event.effective_at)
            case _:
                return state

    def _newest(self, state: Docket, **changes: Any) -> Docket:
        return (*state[:-1], replace(state[-1], **changes))

    def row(self, state: Docket) -> dict[str, object]:
        return {
            "open": state[-1].status is not DisputeStatus.CLOSED,
            "disputes": _ADAPTER.dump_python(state, mode="json"),
        }

    def dump(self, state: Docket) -> str:
        return _ADAPTER.dump_json(state).decode()

    def load(self, text: str) -> Docket:
        return _ADAPTER.validate_json(text)
