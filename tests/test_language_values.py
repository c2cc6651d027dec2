from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.dispute_events import Origin, Outcome
from brojobs_es.aggregates.order_events import Ending, Ground, Pending, Refused
from brojobs_es.language import LANGUAGES, WORDS, format_instant, format_money, format_span, quoted, sentence, word
from brojobs_es.language.templates import Text, render

AT = datetime(2026, 3, 3, 14, 5, tzinfo=UTC)


# -- what people wrote


def test_a_quotation_cannot_be_ended_from_inside() -> None:
    """Inner marks become single ones, so that nobody speaks in the service's voice."""
    spoof = "ok ». Le médiateur a décidé : « tout"
    shown = sentence("MessagePosted", {"text": {"of": "b", "text": spoof}}, "fr", "buyer")
    assert shown.count("»") == 1
    assert shown.endswith("tout\u00a0».")


@pytest.mark.parametrize("hostile", ["a\x1b[31mb", "a\r\nb", "a\u202eb", "a\u2028b", "a\x00b", "a\u0085b"])
def test_a_quotation_stays_on_its_line(hostile: str) -> None:
    """Control and direction characters never reach a terminal or a page."""
    shown = quoted(hostile, "en")
    assert shown is not None
    assert all(char.isprintable() for char in shown)


def test_a_long_text_is_cut_and_an_empty_one_left_out() -> None:
    """A quotation is the beginning of a text, and nothing is not quoted."""
    shown = quoted("word " * 100, "en")
    assert shown is not None
    assert len(shown) <= 62
    assert shown.endswith("…”")
    assert quoted(" \n\t", "fr") is None


def test_values_are_never_read_as_templates() -> None:
    """Braces and brackets that people write are shown as they are."""
    data = {"text": {"of": "b", "text": "{who} [x|y]"}}
    assert sentence("MessagePosted", data, "en", "buyer") == "The buyer wrote: “{who} [x|y]”."


def test_a_text_whose_necessary_value_is_missing_is_a_mistake() -> None:
    """Only bracketed parts may go."""
    with pytest.raises(KeyError):
        render(Text("{a}", "{a}"), "fr", {})


# -- money, instants, spans


@pytest.mark.parametrize(
    ("amount_minor", "currency", "french", "english"),
    [
        (10001, "EUR", "100,01 EUR", "EUR 100.01"),
        (5, "EUR", "0,05 EUR", "EUR 0.05"),
        (0, "EUR", "0,00 EUR", "EUR 0.00"),
        (-10001, "EUR", "-100,01 EUR", "EUR -100.01"),
        (123456789, "EUR", "1\u00a0234\u00a0567,89 EUR", "EUR 1,234,567.89"),
        (1500, "JPY", "1\u00a0500 JPY", "JPY 1,500"),
        (1001, "BHD", "1,001 BHD", "BHD 1.001"),
        (10001, "CLF", "1,0001 CLF", "CLF 1.0001"),
        (2**53 - 1, "EUR", "90\u00a0071\u00a0992\u00a0547\u00a0409,91 EUR", "EUR 90,071,992,547,409.91"),
    ],
)
def test_money_has_the_digits_of_its_currency(amount_minor: int, currency: str, french: str, english: str) -> None:
    """No unit is lost, whatever the number of digits."""
    assert format_money(amount_minor, currency, "fr") == french
    assert format_money(amount_minor, currency, "en") == english


@pytest.mark.parametrize("currency", ["XXX", "XAU", "ZZZ", "", "eur"])
def test_what_is_no_money_is_not_shown_as_money(currency: str) -> None:
    """Metals, test codes and inventions have no amount to show."""
    with pytest.raises(ValueError, match=r".*"):
        format_money(1, currency, "fr")


@pytest.mark.parametrize(
    ("instant", "french", "english"),
    [
        (AT, "3 mars 2026 à 14:05 UTC", "3 March 2026 at 14:05 UTC"),
        ("2026-03-03T14:05:59.999999Z", "3 mars 2026 à 14:05 UTC", "3 March 2026 at 14:05 UTC"),
        (datetime(2026, 8, 1, 0, 0), "1er août 2026 à 00:00 UTC", "1 August 2026 at 00:00 UTC"),  # noqa: DTZ001 - the case
        (
            datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))),
            "31 décembre 2025 à 23:30 UTC",
            "31 December 2025 at 23:30 UTC",
        ),
    ],
)
def test_instants_are_shown_in_utc(instant: datetime | str, french: str, english: str) -> None:
    """One way to show an instant, to the minute, whatever zone it came in."""
    assert format_instant(instant, "fr") == french
    assert format_instant(instant, "en") == english


def test_rounding_an_instant_up_may_change_the_year() -> None:
    """The next minute of the last one of a year is in the next year."""
    last = datetime(2026, 12, 31, 23, 59, 1, tzinfo=UTC)
    assert format_instant(last, "fr", round_up=True) == "1er janvier 2027 à 00:00 UTC"


def test_text_that_is_no_instant_is_refused() -> None:
    """A formatter does not guess."""
    with pytest.raises(ValueError, match="isoformat"):
        format_instant("tomorrow", "fr")


@pytest.mark.parametrize(
    ("span", "french", "english"),
    [
        (timedelta(days=7), "7 jours", "7 days"),
        (timedelta(hours=1), "1 heure", "1 hour"),
        (timedelta(days=2, hours=23, minutes=59), "2 jours et 23 heures", "2 days and 23 hours"),
        (timedelta(minutes=1, seconds=1), "1 minute et 1 seconde", "1 minute and 1 second"),
        (timedelta(milliseconds=5), "moins d’une seconde", "less than a second"),
        (timedelta(hours=-2), "2 heures", "2 hours"),
    ],
)
def test_spans_show_their_two_largest_units(span: timedelta, french: str, english: str) -> None:
    """Enough to plan by, in words."""
    assert format_span(span, "fr") == french
    assert format_span(span, "en") == english


# -- words


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("role", Role),
        ("ground", Ground),
        ("ending", Ending),
        ("pending", Pending),
        ("refused", Refused),
        ("outcome", Outcome),
        ("origin", Origin),
    ],
)
def test_every_value_of_a_list_has_its_word(kind: str, values: type[StrEnum]) -> None:
    """The words and the values that events hold are the same set."""
    assert WORDS[kind].keys() == {value.value for value in values}


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_words_are_translated_and_told_apart(kind: str) -> None:
    """A word exists in both languages and stands for one value."""
    for lang in LANGUAGES:
        words = [word(kind, value, lang) for value in WORDS[kind]]
        assert all(text and text == text.strip() and "_" not in text for text in words)
        assert len(set(words)) == len(words)
    assert all(text.fr != text.en for text in WORDS[kind].values())


@pytest.mark.parametrize(
    ("kind", "value", "lang"), [("status", "x", "fr"), ("x", "open", "fr"), ("role", "buyer", "x")]
)
def test_unknown_words_are_refused(kind: str, value: str, lang: str) -> None:
    """A value without a word is a mistake of the caller."""
    with pytest.raises(KeyError):
        word(kind, value, lang)
