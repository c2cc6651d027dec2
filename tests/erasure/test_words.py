"""Words in stored events: sealed whoever writes what, bound to their event, provable, and unreadable without the key."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from enum import Enum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import MapperDeserialisationError
from hypothesis import given
from hypothesis import strategies as st

from brojobs_es.aggregates.base import ERASED, EVENTS, Actor, Cause, Event, FileRef, Role, Words
from brojobs_es.aggregates.order_events import Delivered, EscrowFunded, MessagePosted
from brojobs_es.mapper import EventMapper, canonical, openings
from brojobs_es.vault import Keys, KeysWanted, PersonKey, wanted_in
from brojobs_es.vault.words import COMMITMENT_CONTEXT

NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAM: Final = UUID("0b9c3a52-6a0e-4a57-9d3c-5f0e6a1b2c3d")
OTHER: Final = UUID("0b9c3a52-6a0e-4a57-9d3c-5f0e6a1b2c3e")
MARK: Final = "PLAINTEXT-7f3a"
SAM: Final = PersonKey("sam", 1, bytes(32))
RING: Final = {"sam": Keys({1: SAM}, 1)}
ERASED_RING: Final = {"sam": Keys({}, 1)}
MAPPER: Final = EventMapper()


def recorded(event: Event, stream: UUID = STREAM, version: int = 3) -> Event:
    cause = Cause(Actor(Role.SELLER, "sam"), "post-message", OTHER, OTHER)
    return event.stamped(originator_id=stream, originator_version=version, timestamp=NOW, effective_at=NOW, cause=cause)


def message(text: str = MARK, of: str = "sam") -> Event:
    return recorded(MessagePosted(message_id=OTHER, text=Words(of, text)))


def sample(kind: Any) -> Any:
    """Some value of a type, with the mark wherever there are words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return sample(parts[0])
    if origin in {types.UnionType, typing.Union}:
        return sample(parts[0])
    if origin is tuple:
        return (sample(parts[0]),)
    if isinstance(origin, type) and issubclass(origin, typing.Mapping):
        return {"timer": sample(parts[1])}
    if kind is Words:
        return Words("sam", MARK)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind, include_extras=True)
        return kind(**{field.name: sample(hints[field.name]) for field in dataclasses.fields(kind)})
    if issubclass(kind, msgspec.Struct):
        return kind(*map(sample, typing.get_type_hints(kind).values()))
    if issubclass(kind, Enum):
        return next(iter(kind))
    plain: dict[Any, Any] = {
        str: "EUR", int: 7, bool: True, datetime: NOW, timedelta: timedelta(hours=1), UUID: OTHER,
    }  # fmt: skip
    return plain[kind]


@pytest.mark.parametrize("topic", sorted(EVENTS))
def test_no_event_is_stored_with_words_in_the_clear(topic: str) -> None:
    """Whatever field of whatever event holds words, they are sealed, and the same event comes back."""
    kind = EVENTS[topic]
    own = {f.name for f in dataclasses.fields(kind)} - {f.name for f in dataclasses.fields(Event)}
    hints = typing.get_type_hints(kind, include_extras=True)
    event = recorded(kind(**{name: sample(hints[name]) for name in own}))
    state = MAPPER.write(event, RING)
    assert MARK.encode() not in state
    assert MAPPER.read(topic, state, STREAM, 3, RING) == event
    assert ("Words" in repr(own and sample(kind))) == bool(wanted_in([state]))


HOSTILE: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(
    [
        '"',
        '\\"',
        '","sealed":"',
        '{"commitment":"","key":1,"of":"sam","sealed":""}',
        '{"of":"sam","text":"x"}',
        "é\u2028😀",
    ]
)


@given(text=HOSTILE, of=HOSTILE, payment=HOSTILE)
def test_any_text_of_anybody_comes_back(text: str, of: str, payment: str) -> None:
    """No text and no id can pretend to be sealed words, nor break those beside it."""
    ring = {of: Keys({2: PersonKey(of, 2, bytes(32))}, 2)}
    event = message(text, of)
    state = MAPPER.write(event, ring)
    assert wanted_in([state]) == {(of, 2)}
    assert MAPPER.read(event.TOPIC, state, STREAM, 3, ring) == event
    plain = recorded(EscrowFunded(payment_reference=payment, amount_minor=1))
    state = MAPPER.write(plain, {})
    assert wanted_in([state]) == set()
    assert MAPPER.read(plain.TOPIC, state, STREAM, 3, {}) == plain


def test_the_same_text_is_never_stored_twice_alike() -> None:
    """Nobody sees from the log that somebody repeats themselves, nor finds a text by trying."""
    states = [json.loads(MAPPER.write(message(), RING))["text"] for _ in range(2)]
    assert states[0]["sealed"] != states[1]["sealed"]
    assert states[0]["commitment"] != states[1]["commitment"]


@pytest.mark.parametrize(("stream", "version"), [(OTHER, 3), (STREAM, 4)])
def test_words_are_bound_to_their_event(stream: UUID, version: int) -> None:
    """Sealed words that were put into another event are not read."""
    event = message()
    state = MAPPER.write(event, RING)
    with pytest.raises(MapperDeserialisationError, match="belong to another event"):
        MAPPER.read(event.TOPIC, state, stream, version, RING)


def test_a_changed_bit_is_noticed() -> None:
    """Each bit of sealed words counts."""
    event = message("ab")
    state = json.loads(MAPPER.write(event, RING))
    sealed = b64decode(state["text"]["sealed"])
    for bit in range(8 * len(sealed)):
        flipped = int.from_bytes(sealed) ^ (1 << bit)
        state["text"]["sealed"] = b64encode(flipped.to_bytes(len(sealed))).decode()
        with pytest.raises(MapperDeserialisationError, match="were changed"):
            MAPPER.read(event.TOPIC, canonical(state), STREAM, 3, RING)


def test_erased_words_leave_a_placeholder() -> None:
    """Once the key is gone the event is read with everything but the words; the other's words stay."""
    event = recorded(
        Delivered(
            number=1, note=Words("sam", MARK), files=(FileRef("a" * 64, Words("ana", "plan"), 5, "x/y"),), late=False
        )
    )
    ana = {"ana": Keys({1: PersonKey("ana", 1, bytes(range(32)))}, 1)}
    state = MAPPER.write(event, {**RING, **ana})
    read = MAPPER.read(event.TOPIC, state, STREAM, 3, {**ERASED_RING, **ana})
    assert isinstance(read, Delivered)
    assert read.note == Words("sam", ERASED)
    assert read.files[0].name == Words("ana", "plan")
    assert [opening.text for opening in openings(state, STREAM, 3, {**ERASED_RING, **ana})] == ["plan"]


def test_without_a_ring_words_stay_sealed() -> None:
    """Views read events so: nothing that somebody wrote can get into their tables."""
    event = message()
    read = MAPPER.read(event.TOPIC, MAPPER.write(event, RING), STREAM, 3)
    assert isinstance(read, MessagePosted)
    assert read.text == Words("sam", "")


def test_nothing_is_written_without_a_key() -> None:
    """Where the author has no current key the event is not stored at all."""
    for ring in ({}, ERASED_RING):
        with pytest.raises(KeysWanted) as caught:
            MAPPER.write(message(), ring)
        assert caught.value.people == {"sam"}
    with pytest.raises(KeysWanted):
        MAPPER.to_stored_event(message())


@pytest.mark.parametrize("ring", [{}, {"sam": Keys({}, 0)}])
def test_a_key_that_is_not_at_hand_is_asked_for(ring: dict[str, Keys]) -> None:
    """Only a generation that the ring knows to be destroyed is erased; any other may just not be here yet."""
    event = message()
    with pytest.raises(KeysWanted):
        MAPPER.read(event.TOPIC, MAPPER.write(event, RING), STREAM, 3, ring)


def test_an_opening_proves_what_was_recorded() -> None:
    """Salt and text give the stored commitment, which needs no key to check; any other text gives another."""
    state = MAPPER.write(message(), RING)
    (opening,) = openings(state, STREAM, 3, RING)
    assert (opening.of, opening.text, len(opening.salt)) == ("sam", MARK, 16)
    assert sha256(COMMITMENT_CONTEXT + opening.salt + MARK.encode()).digest() == opening.commitment
    assert sha256(COMMITMENT_CONTEXT + opening.salt + b"other").digest() != opening.commitment
    assert list(openings(state, STREAM, 3, ERASED_RING)) == []


def test_an_unreadable_event_does_not_tell_its_words() -> None:
    """The error goes into logs: it names event and field, not what somebody wrote."""
    state = json.loads(MAPPER.write(message(), RING))
    state["files"] = {"of": "sam", "text": MARK}
    with pytest.raises(MapperDeserialisationError) as caught:
        MAPPER.read("order:MessagePosted", json.dumps(state, separators=(",", ":")).encode(), STREAM, 3, RING)
    assert "files" in str(caught.value)
    assert MARK not in str(caught.value)
    assert "secret" not in repr(SAM)
