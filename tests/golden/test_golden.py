"""Stored events of every version can be read for ever."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import MapperDeserialisationError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.golden.collect import rows

import brojobs_es.projections  # noqa: F401  (imports every event)
from brojobs_es.aggregates.base import EVENTS
from brojobs_es.event_json import form_of
from brojobs_es.mapper import EventMapper, canonical, state_of

ROWS = rows()


def test_every_event_has_its_golden_row() -> None:
    """An event, or a new version of one, comes with its row in the same commit."""
    assert {(topic, event.class_version) for topic, event in EVENTS.items()} <= {
        (row["topic"], row["class_version"]) for row in ROWS
    }


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['topic']} {row['class_version']}" for row in ROWS])
def test_a_golden_row_is_read_and_written_as_it_stands(row: dict[str, Any]) -> None:
    """Names, fields and their spelling do not move; a row of an older version is read as the newest."""
    stream_id, version = UUID(row["stream_id"]), row["stream_version"]
    event = EventMapper().read(row["topic"], canonical(row["state"]), stream_id, version)
    assert (event.TOPIC, event.originator_id, event.originator_version) == (row["topic"], stream_id, version)
    if event.class_version == row["class_version"]:
        assert state_of(event) == row["state"]
        assert form_of(event.TOPIC).write(event) == canonical(row["state"])


@given(span=st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_any_span_is_written_as_ever(span: timedelta) -> None:
    """Spans of time have many spellings in ISO 8601; the log holds the one that pydantic writes, and it is read back."""
    (row,) = (row for row in ROWS if row["topic"] == "order:OrderFrozen")
    event = EventMapper().read(row["topic"], canonical(row["state"]), UUID(row["stream_id"]), row["stream_version"])
    frozen = event.stamped(suspended={"validation": span})
    spelled = TypeAdapter(timedelta).dump_python(span, mode="json")
    assert state_of(frozen) == {**row["state"], "suspended": {"validation": spelled}}
    assert EventMapper().read(
        row["topic"], form_of(row["topic"]).write(frozen), frozen.originator_id, 3
    ) == frozen.stamped(originator_version=3)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['topic']} {row['class_version']}" for row in ROWS])
def test_every_field_is_judged_both_ways(row: dict[str, Any]) -> None:
    """A value of a wrong type is neither written nor read, whatever the field; the error does not tell the value."""
    event = EventMapper().read(row["topic"], canonical(row["state"]), UUID(row["stream_id"]), 1)
    for field in fields(event):
        if field.name in {"originator_id", "originator_version"}:
            continue
        with pytest.raises((ValueError, TypeError)):
            form_of(row["topic"]).write(event.stamped(**{field.name: 1.5}))
    for name in row["state"]:
        with pytest.raises(MapperDeserialisationError) as caught:
            EventMapper().read(row["topic"], canonical({**row["state"], name: ["SECRET"]}), event.originator_id, 1)
        assert "SECRET" not in str(caught.value)


def test_an_unknown_word_is_not_repeated() -> None:
    """What stands where a name of ours was expected may be anything that somebody wrote."""
    (row,) = (row for row in ROWS if row["topic"] == "order:DisputeUnlocked")
    state = canonical({**row["state"], "ground": "SECRET - at \n `$.x`"})
    with pytest.raises(MapperDeserialisationError, match=r"ground") as caught:
        EventMapper().read(row["topic"], state, UUID(row["stream_id"]), 1)
    assert "SECRET" not in str(caught.value)
