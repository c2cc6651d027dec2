"""Adds a golden row for every event (and version of its class) that has none yet: `python -m tests.golden.collect`.

Rows that are there are never changed: they are what deployments have stored. The rows come from the stories of
`tests.domain.states`, one step further: every command that is possible there, and a year without anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import kit
from tests.domain.states import STATES
from tests.domain.table import bodies, names
from tests.kit import PEOPLE, D, Story, command_of

from brojobs_es.aggregates.base import Actor, Cause, Event, Moment, Role, Words
from brojobs_es.aggregates.order_events import PersonErased
from brojobs_es.mapper import canonical, state_of

ROWS = Path(__file__).parent / "events.ndjson"


def rows() -> list[dict[str, Any]]:
    """The golden rows: topic, class_version, stream_id, stream_version, and the state with its words in the open."""
    lines = ROWS.read_text(encoding="utf-8").splitlines() if ROWS.exists() else []
    return [json.loads(line) for line in lines]


def seen() -> Iterator[Event]:
    """Events of every kind that the stories lead to."""
    late = kit.revision_requested().seller("accept-revision").after(4 * D).seller("propose-deadline")
    yield from late.buyer("accept-deadline").case.new
    erased = kit.paid().fork()
    reason = Words(PEOPLE["operator"], "The buyer asked for it.")
    fact = PersonErased(person=PEOPLE["buyer"], role=Role.BUYER, generations=(1_772_366_400,), reason=reason)
    erased.case.note(fact, Moment(erased.now, erased.now, Cause(Actor(Role.OPERATOR, PEOPLE["operator"]), "erase")))
    yield from erased.case.new
    for _, given in STATES.values():
        yield from given().case.new
        yield from given().after(timedelta(days=365)).case.new
        for name in names(given()):
            for role in PEOPLE:
                if role in command_of(name).by:
                    yield from _one_step(given(), role, name)


def _one_step(story: Story, role: str, name: str) -> Iterator[Event]:
    for _, body in bodies(story, role, name):
        further = story.fork()
        if further.case.refusal(command_of(name), further.situation(role, name, body)) is None:
            getattr(further, role)(name, **body)
            yield from further.case.new


def row(event: Event) -> dict[str, Any]:
    """One event as a golden row."""
    return {
        "topic": event.TOPIC,
        "class_version": event.class_version,
        "stream_id": str(event.originator_id),
        "stream_version": event.originator_version,
        "state": state_of(event),
    }


def main() -> None:
    """Append the rows that are missing."""
    known = {(row["topic"], row["class_version"]) for row in rows()}
    with ROWS.open("a", encoding="utf-8") as file:
        for event in seen():
            kind = (event.TOPIC, event.class_version)
            if kind not in known:
                known.add(kind)
                file.write(canonical(row(event)).decode() + "\n")


if __name__ == "__main__":
    main()
