from __future__ import annotations

from datetime import timedelta

import pytest
from rich.cells import cell_len
from rich.text import Text
from tests import kit
from tests.console.helpers import history_of, printed
from tests.kit import Story

from brojobs_es.aggregates.timers import DISPUTE_TIMERS, ORDER_TIMERS
from brojobs_es.console.hanging import Hanging
from brojobs_es.console.replaying import NothingToShow, up_to
from brojobs_es.console.timeline import Shown, timeline
from brojobs_es.console.words import LABELS, TIMERS
from brojobs_es.language import LANGUAGES
from brojobs_es.terms import DEFAULT_TERMS


def told(story: Story, lang: str = "en", width: int = 80) -> str:
    return printed(timeline(Shown(history_of(story)), lang), width=width)


STORIES = {
    "completed": kit.completed,
    "disputed": kit.disputed,
    "quarrelling": kit.quarrelling,
    "relaunched": kit.relaunched,
    "refused twice": kit.refused_twice,
    "silent": kit.silent,
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", STORIES)
def test_it_fits_eighty_columns(name: str, lang: str) -> None:
    """No line is longer than the terminal, and none ends in blanks."""
    for line in told(STORIES[name](), lang).splitlines():
        assert cell_len(line) <= 80, line
        assert line == line.rstrip()


def test_colours_are_for_terminals_alone() -> None:
    """A pipe gets plain text; a terminal gets colours around the same words."""
    history = history_of(kit.completed())

    assert "\x1b" not in printed(timeline(Shown(history), "en"))
    assert "\x1b[" in printed(timeline(Shown(history), "en"), terminal=True)


def test_it_tells_who_did_what_and_what_stood_after() -> None:
    """The end of a completed order, word for word."""
    assert told(kit.completed()).partition("2026-03-02 12:00:00 UTC  seller sam\n")[2].splitlines()[:11] == [
        "  #3 The seller made delivery no. 1 (1 file): “Here it is.”.",
        "     delivered · chat: seller only · held\u00a0EUR\u00a0100.01",
        "",
        "2026-03-02 12:00:00 UTC  buyer ana",
        "  #4 The buyer accepted delivery no. 1.",
        "     delivered · chat: seller only · held\u00a0EUR\u00a0100.01",
        "  #5 The order is completed: delivery accepted by the buyer.",
        "     completed · chat open · held\u00a0EUR\u00a0100.01",
        "  #6 The money in escrow is to be paid to the seller: EUR 100.01.",
        "     completed · chat open · released\u00a0EUR\u00a0100.01",
        "",
    ]


def test_when_it_was_recorded_is_said_only_where_it_differs() -> None:
    """A command takes effect as it is recorded; a timer that nobody watched is recorded later."""
    assert "recorded" not in told(kit.overdue())
    assert "  (recorded 2026-03-06 14:00:00 UTC, 2 hours later)" in told(kit.paid().at(kit.DUE + 2 * kit.H))


def test_a_timer_acts_without_a_name() -> None:
    """Time is an actor of its own."""
    assert "2026-03-06 12:00:00 UTC  timer\n" in told(kit.overdue())


def test_the_next_timer_is_named_and_not_fired() -> None:
    """The reader learns what happens next if nobody does anything."""
    assert "Next timer  expected delivery date, 2026-03-06 12:00:00 UTC (a replay fires" in told(kit.paid())


def test_an_order_that_waits_for_nothing_says_so() -> None:
    """After the chat has closed no timer is left."""
    assert "Next timer  none" in told(kit.completed().after(DEFAULT_TERMS.chat_open_after_end))


def test_a_locked_chat_says_why() -> None:
    """During a dispute talk goes on in its thread."""
    assert "chat locked (talk goes on in the dispute thread)" in told(kit.disputed(), width=120)


def test_names_cannot_steer_the_terminal() -> None:
    """A user id is any text; what has no shape of its own is shown as a dot."""
    page = told(kit.placed(seller_id="sam\x1b[2J\u202e\nbuyer ana"))

    assert "seller sam·[2J··buyer ana\n" in page
    assert "\x1b" not in page


def test_a_view_of_the_past_says_what_it_leaves_out() -> None:
    """Nobody takes a part for the whole."""
    shown = up_to(history_of(kit.completed()), "en", version=3)

    page = printed(timeline(shown, "en"))

    assert "As of version 3 · events recorded since, not shown: 3" in page
    assert "State       delivered" in page


def test_a_version_that_is_not_there_is_named_with_the_last() -> None:
    """Asking beyond the end is answered with the end."""
    with pytest.raises(NothingToShow, match=r"no version 9; the last one is 2\."):
        up_to(history_of(kit.paid()), "en", version=9)


def test_an_instant_before_the_placing_shows_nothing() -> None:
    """There was no order then."""
    with pytest.raises(NothingToShow, match="not yet placed"):
        up_to(history_of(kit.paid()), "en", at=kit.T0 - timedelta(seconds=1))


def test_every_timer_has_its_words() -> None:
    """A timer without words could not be announced."""
    assert set(TIMERS) == {*ORDER_TIMERS, *DISPUTE_TIMERS}


def test_both_languages_say_everything() -> None:
    """French and English differ, and neither is empty."""
    same = {"commission"}
    for name, text in {**TIMERS, **LABELS}.items():
        assert text.fr, name
        assert text.en, name
        assert text.fr != text.en or name in same, name


def test_words_joined_by_a_hard_space_stay_together() -> None:
    """An amount is never divided by the end of a line."""
    lines = printed(Hanging(Text("#1"), Text("it costs exactly EUR\u00a0100.01 today"), 3), width=24).splitlines()

    assert lines == ["#1 it costs exactly", "   EUR\u00a0100.01 today"]
