"""Events as stored JSON and back: typed both ways, and only what is on the list of events is ever read.

The stored state is one flat JSON object in the canonical form of RFC 8785 (sorted keys, no spaces, UTF-8), with the
event's data beside `effective_at`, `recorded_at` and `cause`. It can be read with psql in ten years.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import JSONTranscoder, Mapper, MapperDeserialisationError, StoredEvent
from pydantic import ConfigDict, TypeAdapter, ValidationError

import brojobs_es.aggregates.dispute
import brojobs_es.aggregates.order  # noqa: F401  (reading an event needs every event class to be known)
from brojobs_es.aggregates.base import EVENTS, Event

_IN_COLUMNS: Final = {"originator_id", "originator_version"}
_STAMP: Final = ("cause", "class_version", "effective_at", "recorded_at")


class UnknownTopic(MapperDeserialisationError):
    """A stored name that is not an event of this service; it is never imported."""


@cache
def _adapter(topic: str) -> TypeAdapter[Event]:
    event_class = EVENTS[topic]
    event_class.__pydantic_config__ = ConfigDict(strict=True)  # type: ignore[attr-defined]
    return TypeAdapter(event_class)


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in the canonical form of RFC 8785, for values without floats and with ASCII keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def state_of(event: Event) -> dict[str, Any]:
    """The event as JSON values; a field of a wrong type raises PydanticSerializationError."""
    state: dict[str, Any] = _adapter(event.TOPIC).dump_python(
        event, mode="json", exclude=_IN_COLUMNS, by_alias=True, warnings="error"
    )
    if event.class_version > 1:
        state["class_version"] = event.class_version
    return state


def data_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the event itself says, without when, why and by whom it was recorded."""
    return {key: value for key, value in state.items() if key not in _STAMP}


class EventMapper(Mapper[UUID]):
    """The library's mapper, typed: a stored event is read as its class says, or not at all."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        event: Event = domain_event
        return StoredEvent(
            originator_id=event.originator_id,
            originator_version=event.originator_version,
            topic=event.TOPIC,
            state=canonical(state_of(event)),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Event:
        """Raises UnknownTopic or MapperDeserialisationError; the message says which event and why."""
        stream_id = stored_event.originator_id
        assert isinstance(stream_id, UUID)
        return self.read(stored_event.topic, stored_event.state, stream_id, stored_event.originator_version)

    def read(self, topic: str, state: bytes, stream_id: UUID, version: int) -> Event:
        """The event of one stored row; raises as `to_domain_event`."""
        event_class = EVENTS.get(topic)
        if event_class is None:
            raise UnknownTopic(f"{topic!r} (stream {stream_id}, version {version}) is not an event of this service")
        try:
            event = _adapter(topic).validate_json(_upcast(event_class, state))
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise MapperDeserialisationError(f"{topic} (stream {stream_id}, version {version}): {error}") from error
        event.__dict__.update(originator_id=stream_id, originator_version=version)
        return event


def _upcast(event_class: type[Event], state: bytes) -> bytes:
    """The state as the newest version of the class would have stored it."""
    if event_class.class_version == 1:
        return state
    fields = json.loads(state)
    version = fields.pop("class_version", 1)
    while version < event_class.class_version:
        step: Callable[[dict[str, Any]], None] = getattr(event_class, f"upcast_v{version}_v{version + 1}")
        step(fields)
        version += 1
    return json.dumps(fields).encode()
