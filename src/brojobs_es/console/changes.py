"""What changed in an order between two points of its history: two views of it, laid side by side.

Both points are read as a replay reads them: from what was recorded, no timer fires.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from brojobs_es.aggregates.base import Recording
from brojobs_es.aggregates.order import Order
from brojobs_es.api import render, render_dispute
from brojobs_es.application.access import STAFF, Viewer
from brojobs_es.application.history import History
from brojobs_es.console.replaying import up_to
from brojobs_es.console.steps import Step, steps_of
from brojobs_es.console.timeline import Shown

Json = dict[str, Any]

SECTIONS: Final = ("order", "chat", "money", "timers", "disputes")
_STAFF: Final = Viewer("", STAFF, frozenset())
_NAMED_BY: Final = ("message_id", "evidence_id", "proposal_id", "file_id", "number")
_ELSEWHERE: Final = frozenset({"chat", "escrow", "version"})
"""Parts of the order that have a section of their own, or that every event changes."""
_SAID_ELSEWHERE: Final = frozenset({"number", "order_id", "sha256"})
"""Parts of a list's item that its path or another part says already."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs: its section, its path there, and its JSON values (None: absent, empty or null)."""

    section: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """Two points in words, what differs, and the events that lie between them."""

    points: tuple[Shown, Shown]
    changes: tuple[Change, ...]
    between: tuple[Step, ...]


def point_of(history: History, point: int | datetime, lang: str) -> Shown:
    """The history up to a version or an instant; raises NothingToShow."""
    return up_to(history, lang, version=point) if isinstance(point, int) else up_to(history, lang, at=point)


def difference(history: History, first: int | datetime, second: int | datetime, lang: str) -> Difference:
    """What the second point shows and the first does not, and the other way round; raises NothingToShow."""
    points = point_of(history, first, lang), point_of(history, second, lang)
    before, after = (_fields(shown.history) for shown in points)
    changes = [
        Change(section, field, before[section].get(field), after[section].get(field))
        for section in SECTIONS
        for field in {**before[section], **after[section]}
        if before[section].get(field) != after[section].get(field)
    ]
    known, seen = ({entry.position for entry in shown.history.entries} for shown in points)
    between = [step for step in steps_of(history) if step.entry.position in known ^ seen]
    return Difference(points, tuple(changes), tuple(between))


def document(found: Difference, first: int | datetime, second: int | datetime, lang: str) -> Json:
    """`{order_id, from, to, changes: [{section, field, before, after}], events: [{position, type, effective_at, sentence}]}`."""
    return {
        "order_id": str(found.points[0].history.order_id),
        "from": _point(first),
        "to": _point(second),
        "changes": [
            {"section": each.section, "field": each.field, "before": each.before, "after": each.after}
            for each in found.changes
        ],
        "events": [
            {
                "position": step.entry.position,
                "type": step.entry.event.type,
                "effective_at": render.instant(step.entry.event.effective_at),
                "sentence": step.told(lang),
            }
            for step in found.between
        ],
    }


def _point(point: int | datetime) -> Json:
    return {"version": point} if isinstance(point, int) else {"at": render.instant(point)}


def _fields(history: History) -> dict[str, dict[str, Any]]:
    """Every value of the views of an order, by section and path."""
    order = {name: value for name, value in render.order(history).items() if name not in _ELSEWHERE}
    escrow = render.escrow(history)
    sections: dict[str, Mapping[str, Any]] = {
        "order": order,
        "chat": render.chat(history),
        "money": {name: value for name, value in escrow.items() if name not in {"entries", "currency"}},
        "timers": {
            **_timers(history.case.order),
            "disputes": [_dispute_timers(each) for each in history.case.disputes],
        },
        "disputes": {"": [_dispute(history, each.id) for each in history.case.disputes]},
    }
    return {section: dict(_flat("", value)) for section, value in sections.items()}


def _timers(stream: Recording) -> Json:
    running = {name: render.instant(at) for name, at in getattr(stream, "timers", {}).items()}
    standing = getattr(stream, "suspended", {}) if isinstance(stream, Order) else {}
    return running | {f"{name} (suspended)": f"{int(left.total_seconds())} s" for name, left in standing.items()}


def _dispute_timers(dispute: Any) -> Json:
    return {"number": dispute.number, **_timers(dispute)}


def _dispute(history: History, dispute_id: Any) -> Json:
    shown = render_dispute.dispute(history, dispute_id)
    del shown["version"]
    return {**shown, "thread": render_dispute.thread(history, dispute_id, _STAFF)}


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each leaf with its path; money stays whole, and what is empty is not there."""
    if isinstance(value, Mapping) and value.keys() != {"amount", "currency"}:
        for name, part in value.items():
            if path and name in _SAID_ELSEWHERE:
                continue
            yield from _flat(f"{path}.{name}" if path and name else path or name, part)
    elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        for index, part in enumerate(value, 1):
            yield from _flat(f"{path}[{_name_of(part, index)}]", part)
    elif value not in (None, [], ""):
        yield path, value


def _name_of(part: Mapping[str, Any], index: int) -> str:
    named = next((part[name] for name in _NAMED_BY if part.get(name) is not None), index)
    return str(named)[:8]
