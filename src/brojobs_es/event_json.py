"""One kind of event as canonical JSON and back, typed in both directions.

The form is that of RFC 8785: sorted keys, no spaces, UTF-8. Whatever is written has been read back before anybody gets it,
so that no event is ever recorded that its own class cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, Final, Literal, get_args, get_type_hints
from uuid import UUID

import msgspec
from pydantic import TypeAdapter

from brojobs_es.aggregates.base import EVENTS, Event
from brojobs_es.sealed_shapes import Seal, sealing_of, twin_of

_IN_COLUMNS: Final = frozenset({"originator_id", "originator_version"})
_STAMP: Final = frozenset({"timestamp", "effective_at", "cause"})
_STORED_NAMES: Final = {"timestamp": "recorded_at"}
_SPELLINGS_KEPT: Final = 256

_VERSION: Final = "class_version"

_as_dict: Final = msgspec.structs.asdict
_new: Final = object.__new__
_set: Final = object.__setattr__
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
        spans = {field.name for field in own if _has_spans(hints[field.name])}
        self._spellings = [(name, _spelling(hints[name])) for name in sorted(spans)]
        kinds = {field.name: msgspec.Raw if field.name in spans else hints[field.name] for field in own}
        shape = [(field.name, kinds[field.name], *_default(field)) for field in own]
        stored = msgspec.defstruct(event_class.__name__, shape, kw_only=True, rename=_STORED_NAMES, gc=False)
        self._decoder = msgspec.json.Decoder(stored)
        self._sealings = [(name, sealing) for name, kind in kinds.items() if (sealing := sealing_of(kind)) is not None]
        self._sealed_decoder = self._decoder_without_keys(own, hints, kinds)

    def write(self, event: Event, seal: Seal | None = None) -> bytes:
        """The canonical state, words sealed or, without `seal`, in the clear.

        ValueError where a field has a value of a wrong type; raises what `seal` raises.
        """
        values = self._values(event)
        if seal is None:
            state = _sorted.encode(values)
            self._decoder.decode(state)
            return state
        for name, sealing in self._sealings:
            values[name] = sealing(values[name], seal)
        state = _sorted.encode(values)
        self._sealed_decoder.decode(state)
        return state

    def values(self, event: Event) -> dict[str, Any]:
        """The same as JSON values, in the order in which the class declares its fields."""
        values: dict[str, Any] = msgspec.json.decode(_as_declared.encode(self._values(event)))
        return values

    def read(self, state: bytes, stream_id: UUID, version: int) -> Event:
        """The event at this place; ValueError where the state is not as the class says."""
        return self._made(_as_dict(self._decoder.decode(state)), stream_id, version)

    def read_unopened(self, state: bytes, stream_id: UUID, version: int) -> Event | None:
        """The same for a state of the newest version whose words are all sealed: texts are empty. None for any other."""
        try:
            values = _as_dict(self._sealed_decoder.decode(state))
            del values[_VERSION]
            for name, unopened in self._unopened:
                values[name] = unopened(values[name])
            return self._made(values, stream_id, version)
        except ValueError:
            return None  # `read` says why

    def _decoder_without_keys(
        self, own: Sequence[Field[Any]], hints: Mapping[str, Any], kinds: Mapping[str, Any]
    ) -> msgspec.json.Decoder[Any]:
        """It takes states of the newest version only: older ones are rewritten first."""
        twins = {field.name: twin_of(hints[field.name]) for field in own}
        self._unopened = [(name, unopened) for name, (_, unopened) in twins.items() if unopened is not None]
        sealed = {**kinds, **{name: twins[name][0] for name, _ in self._unopened}}
        shape = [(field.name, sealed[field.name], *_default(field)) for field in own]
        version = self._class.class_version
        shape.append((_VERSION, Literal[version], *((1,) if version == 1 else ())))
        stored = msgspec.defstruct(self._class.__name__, shape, kw_only=True, rename=_STORED_NAMES, gc=False)
        return msgspec.json.Decoder(stored)

    def _made(self, values: dict[str, Any], stream_id: UUID, version: int) -> Event:
        for name, spelling in self._spellings:
            values[name] = spelling.read(bytes(values[name]))
        values["originator_id"] = stream_id
        values["originator_version"] = version
        event = _new(self._class)
        _set(event, "__dict__", values)
        return event

    def _values(self, event: Event) -> dict[str, Any]:
        held = event.__dict__
        values = {stored: held[name] for stored, name in self._names}
        for name, spelling in self._spellings:
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
