"""One kind of event as canonical JSON and back, typed in both directions.

The form is that of RFC 8785: sorted keys, no spaces, UTF-8. Whatever is written has been read back before anybody gets it,
so that no event is ever recorded that its own class cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, Final, get_args, get_type_hints
from uuid import UUID

import msgspec
from pydantic import TypeAdapter

from brojobs_es.aggregates.base import EVENTS, Event

_IN_COLUMNS: Final = frozenset({"originator_id", "originator_version"})
_STAMP: Final = frozenset({"timestamp", "effective_at", "cause"})
_STORED_NAMES: Final = {"timestamp": "recorded_at"}
_SPELLINGS_KEPT: Final = 256

_sorted: Final = msgspec.json.Encoder(order="sorted")
_as_declared: Final = msgspec.json.Encoder()


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in the canonical form of RFC 8785, for values without floats and with ASCII keys."""
    return _sorted.encode(value)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a field is stored that holds spans of time: ISO 8601 knows several ways, and ours is for ever."""

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


class EventForm:
    """The stored form of one class of events."""

    def __init__(self, event_class: type[Event]) -> None:
        self._class = event_class
        hints = get_type_hints(event_class)
        own = [field for field in fields(event_class) if field.name not in _IN_COLUMNS]
        self._names = [(_STORED_NAMES.get(field.name, field.name), field.name) for field in own]
        self._spellings = {field.name: _spelling(hints[field.name]) for field in own if _has_spans(hints[field.name])}
        kinds = {field.name: msgspec.Raw if field.name in self._spellings else hints[field.name] for field in own}
        shape = [(field.name, kinds[field.name], *_default(field)) for field in own]
        stored = msgspec.defstruct(event_class.__name__, shape, kw_only=True, rename=_STORED_NAMES, gc=False)
        self._decoder = msgspec.json.Decoder(stored)

    def write(self, event: Event) -> bytes:
        """The canonical state, words in the clear; ValueError where a field has a value of a wrong type."""
        state = _sorted.encode(self._values(event))
        self._decoder.decode(state)
        return state

    def values(self, event: Event) -> dict[str, Any]:
        """The same as JSON values, in the order in which the class declares its fields."""
        values: dict[str, Any] = msgspec.json.decode(_as_declared.encode(self._values(event)))
        return values

    def read(self, state: bytes, stream_id: UUID, version: int) -> Event:
        """The event at this place; ValueError where the state is not as the class says."""
        values = msgspec.structs.asdict(self._decoder.decode(state))
        for name, spelling in self._spellings.items():
            values[name] = spelling.read(bytes(values[name]))
        values["originator_id"], values["originator_version"] = stream_id, version
        event = object.__new__(self._class)
        object.__setattr__(event, "__dict__", values)
        return event

    def _values(self, event: Event) -> dict[str, Any]:
        held = event.__dict__
        values = {stored: held[name] for stored, name in self._names}
        for name, spelling in self._spellings.items():
            values[name] = msgspec.Raw(spelling.write(values[name]))
        if event.class_version > 1:
            values["class_version"] = event.class_version
        return values


@cache
def form_of(topic: str) -> EventForm:
    """The form of the events with this topic, which must be one of ours."""
    return EventForm(EVENTS[topic])


def _default(field: Field[Any]) -> tuple[Any, ...]:
    """A field that came later than its event has a default, since older states lack it; every state has its stamp."""
    return () if field.default is MISSING or field.name in _STAMP else (field.default,)


def _has_spans(kind: Any) -> bool:
    if is_dataclass(kind):
        return any(_has_spans(part) for part in get_type_hints(kind).values())
    return kind is timedelta or any(_has_spans(part) for part in get_args(kind))


def _spelling(kind: Any) -> _Spelling:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def read(text: bytes) -> Any:
        return adapter.validate_json(text, strict=True)

    def write(value: Any) -> bytes:
        return canonical(adapter.dump_python(value, mode="json", warnings="error"))

    if is_dataclass(kind):  # frozen, and the same in nearly every event: terms
        return _Spelling(lru_cache(_SPELLINGS_KEPT)(read), lru_cache(_SPELLINGS_KEPT)(write))
    return _Spelling(read, write)
