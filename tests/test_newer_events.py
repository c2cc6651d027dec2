"""Events that a later version of the program has stored: this one does not guess what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eventsourcing.persistence import MapperDeserialisationError
from tests import kit

from brojobs_es.mapper import EventMapper, state_of

EVENT = kit.paid().case.new[1]


def read(**changes: Any) -> object:
    state = json.dumps(state_of(EVENT) | changes, separators=(",", ":")).encode()
    return EventMapper().read(EVENT.TOPIC, state, EVENT.originator_id, EVENT.originator_version)


def test_the_version_that_this_program_writes_is_read() -> None:
    """Whether it is named or, as for the first, left out."""
    assert EVENT.class_version == 1
    assert read() == read(class_version=1) == EVENT


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_version_is_refused(version: int) -> None:
    """With the event and both versions in the sentence."""
    with pytest.raises(
        MapperDeserialisationError, match=f"stored as version {version} by a newer program; this one knows 1"
    ):
        read(class_version=version)


@pytest.mark.parametrize("version", [0, -1, "1", None, [], 0.5])
def test_what_is_no_version_is_refused(version: object) -> None:
    """Whole numbers from one on, nothing else."""
    with pytest.raises(MapperDeserialisationError):
        read(class_version=version)


def test_a_text_that_looks_like_a_version_is_only_a_text() -> None:
    """What people write does not make an event newer."""
    assert read(payment_reference='"class_version":2')
