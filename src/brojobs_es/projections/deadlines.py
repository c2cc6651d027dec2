"""When something happens next to an order if nobody does anything: what the scheduler looks at.

The fold is the case itself, since every rule may start or stop a timer; the row is its next timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, get_type_hints
from uuid import UUID

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from brojobs_es.aggregates.base import Event, Recording
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.case import Case


class DeadlinesView:
    """The view `deadlines`."""

    name: ClassVar[str] = "deadlines"
    columns: ClassVar[Mapping[str, str]] = {"next_at": "timestamptz", "timer": "text"}

    def fold(self, state: Case | None, event: Event) -> Case | None:
        if state is None:
            return Case.of([event])
        case = state.fork()
        case.apply(event)
        return case

    def row(self, state: Case) -> dict[str, object]:
        due = state.next_timer()
        return {"next_at": due.at if due else None, "timer": due.name if due else None}

    def dump(self, state: Case) -> str:
        kept = {"order": _kept(state.order), "disputes": [_kept(dispute) for dispute in state.disputes]}
        return _ADAPTER.dump_json(kept).decode()  # type: ignore[arg-type]

    def load(self, text: str) -> Case:
        kept = _ADAPTER.validate_json(text)
        disputes = tuple(_restored(Dispute, fields) for fields in kept["disputes"])
        return Case(_restored(Order, kept["order"]), disputes)


_ORDER_FIELDS = get_type_hints(Order)
_DISPUTE_FIELDS = get_type_hints(Dispute)
_STREAM = {"id": UUID, "version": int}
_OrderFields = TypedDict("_OrderFields", {**_ORDER_FIELDS, **_STREAM})  # type: ignore[misc]
_DisputeFields = TypedDict("_DisputeFields", {**_DISPUTE_FIELDS, **_STREAM})  # type: ignore[misc]


class _CaseFields(TypedDict):
    order: _OrderFields
    disputes: list[_DisputeFields]


_ADAPTER = TypeAdapter(_CaseFields)


def _kept(aggregate: Recording) -> dict[str, Any]:
    names = _ORDER_FIELDS if isinstance(aggregate, Order) else _DISPUTE_FIELDS
    kept = {name: getattr(aggregate, name) for name in names}
    return {**kept, "id": aggregate.id, "version": aggregate.version}


def _restored(aggregate_class: Any, fields: Mapping[str, Any]) -> Any:
    aggregate = aggregate_class.__new__(aggregate_class)
    stream = {"_id": fields["id"], "_version": fields["version"], "_pending_events": []}
    aggregate.__dict__.update({name: value for name, value in fields.items() if name not in _STREAM}, **stream)
    return aggregate
