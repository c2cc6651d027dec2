"""The arrows between an order's statuses, found by asking the code in every named state; the README's picture shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.domain.states import STATES
from tests.domain.table import bodies, names
from tests.kit import Story, command_of, right_body

from brojobs_es.aggregates.order_parts import ENDED

Edge = tuple[str, str, str]
"""From, to, and the command or timer that leads there."""


def edges() -> set[Edge]:
    """Every change of status that a command or a timer makes in one of the named states."""
    found = {("[*]", "awaiting_payment", "place")}
    for _, given in STATES.values():
        for story in _with_requests(given()):
            found |= {edge for edge in (*_by_command(story), *_by_time(story)) if edge[0] != edge[1]}
    return found | {(str(status), "[*]", "") for status in ENDED}


def _with_requests(story: Story) -> Iterator[Story]:
    """The story, and what it is once somebody waits for an answer."""
    yield story
    for role, name in (("seller", "propose-settlement"), ("buyer", "request-cancellation")):
        if story.judge(role, name, right_body(story, role, name)) is None:
            yield story.fork().act(role, name)


def _by_command(story: Story) -> Iterator[Edge]:
    for name in names(story):
        for role in command_of(name).by:
            for _, body in bodies(story, role, name):
                if story.judge(role, name, body) is None:
                    after = story.fork().act(role, name, **body)
                    yield str(story.order.status), str(after.order.status), name.removeprefix("dispute/")


def _by_time(story: Story) -> Iterator[Edge]:
    """The first timer that changes the status, if nobody does anything."""
    before, later = str(story.order.status), story.fork()
    while str(later.order.status) == before and (due := later.case.next_timer()) is not None:
        later.at(max(due.at, later.now))
        yield before, str(later.order.status), f"{due.name} (time)"


def mermaid(arrows: set[Edge]) -> str:
    """The arrows as a state diagram, one line for each pair of statuses."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for start, end, label in arrows:
        labels[start, end].add(label)
    lines = ["stateDiagram-v2"]
    for (start, end), found in sorted(
        labels.items(), key=lambda item: (item[0][0] != "[*]", item[0][1] == "[*]", item[0])
    ):
        told = ", ".join(sorted(found, key=lambda label: (label.endswith("(time)"), label)))
        lines.append(f"    {start} --> {end}: {told}" if told else f"    {start} --> {end}")
    return "\n".join(lines) + "\n"
