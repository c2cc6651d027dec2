"""Events read without keys: as with a ring whose texts are all empty, and no less strictly."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from benchmarks.views import RING
from eventsourcing.persistence import MapperDeserialisationError
from tests import kit

from brojobs_es.aggregates.base import Event, Words
from brojobs_es.application.history import encode
from brojobs_es.mapper import EventMapper

STORIES = [kit.completed(), kit.revision_accepted(), kit.cancelled(), kit.under_review().mediator("dispute/decide")]
EVENTS = list({event.TOPIC: event for story in STORIES for event in story.case.new}.values())


def silent(value: Any) -> Any:
    """The same with all texts empty."""
    if isinstance(value, Words):
        return replace(value, text="")
    if is_dataclass(value) and not isinstance(value, Event | type):
        return replace(value, **{field.name: silent(getattr(value, field.name)) for field in fields(value)})
    return tuple(map(silent, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("event", EVENTS, ids=[event.TOPIC for event in EVENTS])
def test_without_keys_an_event_differs_in_its_texts_only(event: Event) -> None:
    """Words in files, points and evidence are found as well as its own."""
    state = encode(event, RING).state
    place = (event.originator_id, event.originator_version)
    expected = event.stamped(**{field.name: silent(getattr(event, field.name)) for field in fields(event)})

    assert EventMapper().read(event.TOPIC, state, *place) == expected
    assert EventMapper().read(event.TOPIC, state, *place, RING) == event


@pytest.mark.parametrize("event", EVENTS, ids=[event.TOPIC for event in EVENTS])
def test_without_keys_every_field_is_judged(event: Event) -> None:
    """A value of a wrong type, a missing one, sealed words without a part: refused."""
    state = json.loads(encode(event, RING).state)
    for name, value in state.items():
        wrong: list[Any] = [["SECRET"]]
        if isinstance(value, dict) and "sealed" in value:
            wrong += [{key: part for key, part in value.items() if key != missing} for missing in value]
            wrong += [value | {key: 1.5} for key in value]
        for found in wrong:
            changed = json.dumps(state | {name: found}, separators=(",", ":")).encode()
            with pytest.raises(MapperDeserialisationError) as caught:
                EventMapper().read(event.TOPIC, changed, event.originator_id, event.originator_version)
            assert "SECRET" not in str(caught.value)
