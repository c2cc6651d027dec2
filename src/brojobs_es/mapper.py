"""Events as stored JSON and back: typed both ways, and only what is on the list of events is ever read.

The stored state is one flat JSON object in the canonical form of RFC 8785 (sorted keys, no spaces, UTF-8), with the
event's data beside `effective_at`, `recorded_at` and `cause`. It can be read with psql in ten years, but for what
people wrote: here is the one place where words are sealed with their author's key on the way in, and opened on the way
out. Nothing that a person wrote is ever stored otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.persistence import JSONTranscoder, Mapper, MapperDeserialisationError, StoredEvent
from pydantic import ValidationError

import brojobs_es.aggregates.dispute
import brojobs_es.aggregates.order  # noqa: F401  (reading an event needs every event class to be known)
from brojobs_es.aggregates.base import ERASED, EVENTS, Event, Words
from brojobs_es.event_json import canonical, form_of
from brojobs_es.vault.keys import KeysWanted, PersonKey, Ring, current_key
from brojobs_es.vault.words import MARK, SEALED, Opening, opened_words, opening_of, person_of, place_of, sealed_words

__all__ = ["EventMapper", "UnknownTopic", "canonical", "data_of", "openings", "state_of"]

_VERSIONED: Final = b'"class_version":'
"""Cannot stand inside a text, where quotation marks are escaped."""

_STAMP: Final = ("cause", "class_version", "effective_at", "recorded_at")

_VALUE_IN_ERROR: Final = re.compile(r"^Invalid enum value .*(?= - at `[^`]*`$)", re.DOTALL)


class UnknownTopic(MapperDeserialisationError):
    """A stored name that is not an event of this service; it is never imported."""


def state_of(event: Event) -> dict[str, Any]:
    """The event as JSON values, words in the clear."""
    return form_of(event.TOPIC).values(event)


def data_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the event itself says, without when, why and by whom it was recorded."""
    return {key: value for key, value in state.items() if key not in _STAMP}


class EventMapper(Mapper[UUID]):
    """The library's mapper, typed: a stored event is read as its class says, or not at all.

    Without a ring of keys it reads events with their words left sealed (as empty texts), and writes none with words.
    """

    def __init__(self, ring: Ring | None = None) -> None:
        super().__init__(JSONTranscoder())
        self._ring = ring

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Raises KeysWanted where the ring has no key to seal somebody's words with."""
        event: Event = domain_event
        return StoredEvent(
            originator_id=event.originator_id,
            originator_version=event.originator_version,
            topic=event.TOPIC,
            state=self.write(event, self._ring or {}),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Event:
        """Raises UnknownTopic or MapperDeserialisationError; the message says which event and why."""
        stream_id = stored_event.originator_id
        assert isinstance(stream_id, UUID)
        return self.read(stored_event.topic, stored_event.state, stream_id, stored_event.originator_version, self._ring)

    def write(self, event: Event, ring: Ring) -> bytes:
        """The stored state, words sealed; raises KeysWanted, or ValueError for an event whose own class cannot read it."""
        place = place_of(event.originator_id, event.originator_version)

        def seal(words: Words) -> msgspec.Raw:
            key = current_key(ring, words.of)
            return msgspec.Raw(sealed_words(msgspec.json.encode(words.of), words.text, key, place))

        return form_of(event.TOPIC).write(event, seal)

    def read(self, topic: str, state: bytes, stream_id: UUID, version: int, ring: Ring | None = None) -> Event:
        """The event of one stored row; raises as `to_domain_event`.

        Words whose key the ring knows to be destroyed are erased; KeysWanted where it does not know. Without a ring they
        stay sealed, and their texts are empty.
        """
        try:
            form = form_of(topic)
        except KeyError:
            raise UnknownTopic(
                f"{topic!r} (stream {stream_id}, version {version}) is not an event of this service"
            ) from None
        if ring is None and (event := form.read_unopened(state, stream_id, version)) is not None:
            return event
        try:
            if MARK in state:
                state = _opened(state, place_of(stream_id, version), ring)
            return form.read(_upcast(EVENTS[topic], state), stream_id, version)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MapperDeserialisationError(
                f"{topic} (stream {stream_id}, version {version}): {_why(error)}"
            ) from None


def _opened(state: bytes, place: bytes, ring: Ring | None) -> bytes:
    """The state with all sealed words in it opened; works on the canonical text, which is quick."""
    return SEALED.sub(partial(_plain, place, ring), state)


def _plain(place: bytes, ring: Ring | None, found: re.Match[bytes]) -> bytes:
    _, generation, of, sealed = found.groups()
    if ring is None:
        return b'{"of":%b,"text":""}' % of
    key = _key(ring, person_of(of), int(generation))
    text = opened_words(sealed, key, place) if key is not None else ERASED
    return b'{"of":%b,"text":%b}' % (of, msgspec.json.encode(text))


def _key(ring: Ring, person: str, generation: int) -> PersonKey | None:
    """The key of sealed words, None for an erased one; KeysWanted where the ring does not know."""
    keys = ring.get(person)
    if keys is None or keys.newest < generation:
        raise KeysWanted({person})
    return keys.generations.get(generation)


def openings(state: bytes, stream_id: UUID, version: int, ring: Ring) -> Iterator[Opening]:
    """For each of an event's words that are not erased, what proves to anybody what they say; ValueError if changed."""
    place = place_of(stream_id, version)
    for found in SEALED.finditer(state):
        key = _key(ring, person_of(found[3]), int(found[2]))
        if key is not None:
            yield opening_of(found, key, place)


def _why(error: Exception) -> str:
    """What is wrong, without the value: it may be somebody's words, and errors go into logs."""
    if isinstance(error, msgspec.ValidationError):
        return _VALUE_IN_ERROR.sub("Invalid enum value", str(error))
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found[:5])


def _upcast(event_class: type[Event], state: bytes) -> bytes:
    """The state as the newest version of the class would have stored it; ValueError for one that is newer still."""
    if event_class.class_version == 1 and _VERSIONED not in state:
        return state
    fields = json.loads(state)
    version = fields.pop("class_version", 1)
    if version > event_class.class_version:
        raise ValueError(f"stored as version {version} by a newer program; this one knows {event_class.class_version}")
    while version < event_class.class_version:
        step: Callable[[dict[str, Any]], None] = getattr(event_class, f"upcast_v{version}_v{version + 1}")
        step(fields)
        version += 1
    return json.dumps(fields).encode()
