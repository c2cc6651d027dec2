from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tests import kit
from tests.case.making import recorded
from tests.console.helpers import printed, store
from tests.kit import Story
from typer.testing import CliRunner

from brojobs_es.cli import app
from brojobs_es.console.changes import Difference, difference, document
from brojobs_es.console.changes_table import table
from brojobs_es.console.replaying import NothingToShow

Diff = Callable[..., Any]
ORDER = str(kit.ORDER_ID)
Point = int | datetime


def between(story: Story, first: Point, second: Point) -> Difference:
    return difference(recorded(story), first, second, "en")


def fields(found: Difference) -> dict[str, tuple[Any, Any]]:
    return {f"{change.section}: {change.field}": (change.before, change.after) for change in found.changes}


def test_the_same_point_twice_differs_in_nothing() -> None:
    """No change and no event between a version and itself."""
    found = between(kit.disputed(), 3, 3)

    assert (found.changes, found.between) == ((), ())
    assert "Nothing changed." in printed(table(found, "en"))


def test_paying_changes_status_turn_money_and_timers() -> None:
    """Each view shows its part of what one command did, and nothing else differs."""
    found = fields(between(kit.paid(), 1, 2))

    assert found["order: status"] == ("awaiting_payment", "in_progress")
    assert found["order: turn"] == ("buyer", "seller")
    assert found["money: held"] == (0, 10_001)
    assert found["money: accounts.buyer"] == (0, -10_001)
    assert found["timers: payment"][1] is None
    assert found["timers: delivery_due"] == (None, "2026-03-06T12:00:00.000000Z")
    assert not [name for name in found if name.startswith(("chat", "dispute", "order: terms"))]


def test_a_message_is_a_change_of_the_chat() -> None:
    """What was written appears with who wrote it, and the event between is told."""
    found = between(kit.paid().buyer("post-message", text="Hello?"), 2, 3)
    values = [after for name, (_, after) in fields(found).items() if name.startswith("chat: messages[")]

    assert "Hello?" in values
    assert "buyer" in values
    assert [step.entry.event.type for step in found.between] == ["MessagePosted"]


def test_a_dispute_freezes_and_suspends() -> None:
    """Opening one shows in the order, the chat lock, the dispute itself, and in clocks that stand still."""
    story = kit.disputed()
    found = fields(between(story, story.order.version - 1, story.order.version))

    assert found["order: status"] == ("delivered", "disputed")
    assert found["chat: lock.code"] == ("delivered", "disputed")
    assert found["disputes: [1].ground"] == (None, "revision_refused")
    assert found["disputes: [1].status"] == (None, "open")
    assert found["timers: validation"][1] is None
    assert found["timers: validation (suspended)"] == (None, "604800 s")
    assert found["timers: disputes[1].response"][0] is None


def test_instants_read_what_had_taken_effect() -> None:
    """A timer counts from its deadline: an hour before it is not overdue, at it it is."""
    story = kit.paid().at(kit.DUE + 3 * kit.D)
    found = fields(between(story, kit.DUE - kit.H, kit.DUE))

    assert found["order: overdue"] == (False, True)


def test_backwards_is_forwards_with_the_sides_changed() -> None:
    """Whoever names the later point first sees the same rows, the other way round."""
    story = kit.under_review()
    forwards, backwards = between(story, 2, 5), between(story, 5, 2)

    assert {k: (b, a) for k, (a, b) in fields(backwards).items()} == fields(forwards)
    assert len(forwards.between) == len(backwards.between)


def test_every_step_of_a_long_story_can_be_compared() -> None:
    """Between any two neighbouring versions something differs, unless the event only says what happened."""
    story = kit.relaunched()
    for version in range(1, story.order.version):
        found = between(story, version, version + 1)
        assert found.between, version
        json.dumps(document(found, version, version + 1, "fr"))
        assert printed(table(found, "fr"))


def test_a_point_before_the_placing_is_a_sentence() -> None:
    """There is nothing to compare with."""
    with pytest.raises(NothingToShow):
        between(kit.paid(), kit.T0 - kit.D, 1)
    with pytest.raises(NothingToShow):
        between(kit.paid(), 1, 99)


def test_hostile_words_cannot_steer_the_terminal() -> None:
    """What people wrote is printed without control characters."""
    found = between(kit.paid().buyer("post-message", text="\x1b[2Jgone"), 2, 3)

    assert "\x1b" not in printed(table(found, "en"))


@pytest.fixture
def diff(clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch) -> Diff:
    """`brojobs replay --diff` over a database that holds one story."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs)
    monkeypatch.setenv("BROJOBS_LANGUAGE", "en")
    store(clean_logs, log_count, kit.completed())

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["replay", ORDER, *arguments])

    return run


def test_the_command_line_compares_versions_and_instants(diff: Diff) -> None:
    """A table for people, JSON for scripts, and both kinds of points may be mixed."""
    shown = diff("--diff", "2", "2026-03-02T12:00:00Z")
    assert shown.exit_code == 0, shown.output
    assert "in progress" in shown.stdout
    assert "The seller made delivery no. 1" in " ".join(shown.stdout.split())

    told = json.loads(diff("--diff", "1", "2", "--json").stdout)
    assert (told["from"], told["to"]) == ({"version": 1}, {"version": 2})
    change = next(each for each in told["changes"] if each["field"] == "status")
    assert change == {"section": "order", "field": "status", "before": "awaiting_payment", "after": "in_progress"}


def test_points_that_are_none_are_said_calmly(diff: Diff) -> None:
    """No traceback for nonsense, for the future of the order, or for two questions at once."""
    assert diff("--diff", "yesterday", "2").exit_code == 2
    missing = diff("--diff", "1", "99")
    assert (missing.exit_code, missing.stderr) == (1, "brojobs: The order has no version 99; the last one is 6.\n")
    assert "not several" in diff("--diff", "1", "2", "--version", "3").stderr
