"""Stored events of every version can be read for ever."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.golden.collect import rows

import brojobs_es.projections  # noqa: F401  (imports every event)
from brojobs_es.aggregates.base import EVENTS
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
