"""The table of every (state, command, role) with its outcome, made by asking the code; `outcomes.md` is its reviewed copy.

`python -m tests.domain.table` writes the copy anew. What changed in it is then read line by line before it is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.domain.states import STATES
from tests.kit import D, Story, command_of, euros, right_body

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "outcomes.md"
ROLES: Final = ("buyer", "seller", "mediator", "operator", "auditor")
OTHER_MEDIATOR: Final = "another mediator"
NOTHING: Final = "nothing new"

INTRODUCTION: Final = """# What every command does in every state

Made from the code by `python -m tests.domain.table`, and compared on every test run.
Each state below is reached by real commands and timers; every command of every role is judged there, with a body
that is right for it. A role that a command is not for is refused with `forbidden` everywhere and is left out below;
likewise the dispute's commands where there is no dispute (`not_found`). *Another mediator* is one who is not assigned.
A refused command without a role in brackets is refused so for every role that it is for.

## Who gives which command
"""


class Cell(NamedTuple):
    """One row of the table: who gives which command, and the events or the code that come of it."""

    state: str
    command: str
    role: str
    events: tuple[str, ...]
    code: str | None


def bodies(story: Story, role: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A right body for the command; a decision is asked once for each outcome."""
    body = right_body(story, role, name)
    if name != "dispute/decide":
        yield name, body
        return
    more: Mapping[str, dict[str, Any]] = {
        "full_refund": {},
        "partial_refund": {"refund": euros(3_333)},
        "relaunch": {"due_at": story.now + 2 * D},
        "validate_delivery": {},
    }
    for outcome, fields in more.items():
        yield f"{name} {outcome}", {**body, "outcome": outcome, **fields}


def names(story: Story) -> Iterator[str]:
    """All commands that this case has."""
    yield from ORDER_COMMANDS
    if story.case.dispute is not None:
        yield from (f"dispute/{name}" for name in DISPUTE_COMMANDS)


def cells(state: str) -> Iterator[Cell]:
    """Every command of every role in one state."""
    given = STATES[state][1]()
    for name in names(given):
        for role in (*ROLES, OTHER_MEDIATOR):
            if role == OTHER_MEDIATOR and not name.startswith("dispute/"):
                continue
            yield from _ask(state, given, name, role)


def _ask(state: str, given: Story, name: str, role: str) -> Iterator[Cell]:
    who, by = ("mediator", "max") if role == OTHER_MEDIATOR else (role, None)
    for label, body in bodies(given, who, name):
        refusal = given.judge(who, name, body, by)
        code = refusal.code if refusal else None
        story = given.fork().act(who, name, by=by, refused=code, **body)
        yield Cell(state, label, role, tuple(event.type for event in story.fresh), code)


def _who() -> Iterator[str]:
    for prefix, table in (("", ORDER_COMMANDS), ("dispute/", DISPUTE_COMMANDS)):
        for name in table:
            by = command_of(prefix + name).by
            yield f"| `{prefix}{name}` | {', '.join(role for role in ROLES if role in by)} |"


def _section(state: str) -> Iterator[str]:
    done: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    refused: dict[tuple[str, str], list[str]] = defaultdict(list)
    asked: dict[str, list[str]] = defaultdict(list)
    for cell in cells(state):
        if cell.code == "forbidden" and not _opener_only(cell):
            continue
        asked[cell.command].append(cell.role)
        if cell.code:
            refused[cell.code, cell.command].append(cell.role)
        else:
            done[cell.command, cell.events].append(cell.role)
    yield f"\n## {state}\n\n{STATES[state][0]}\n"
    if done:
        yield "| possible | by | events |\n| --- | --- | --- |"
    for (command, events), roles in done.items():
        yield f"| `{command}` | {', '.join(roles)} | {', '.join(events) or NOTHING} |"
    yield "\n| refused | whose |\n| --- | --- |"
    by_code: dict[str, list[str]] = defaultdict(list)
    for (code, command), roles in refused.items():
        whose = "" if roles == asked[command] else f" ({', '.join(roles)})"
        by_code[code].append(command + whose)
    for code, commands in by_code.items():
        yield f"| `{code}` | {', '.join(commands)} |"


def _opener_only(cell: Cell) -> bool:
    """A withdrawal is for its opener: the others of its roles are told so in this state only."""
    return cell.command == "dispute/withdraw" and cell.role in command_of(cell.command).by


def page() -> str:
    """The whole page, as Markdown."""
    lines = [INTRODUCTION, "| command | for |", "| --- | --- |", *_who()]
    for state in STATES:
        lines += _section(state)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
