"""Money, instants, spans and people's own words, as a reader of French or English expects to see them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from iso4217 import Currency

from brojobs_es.language.templates import Text

QUOTE_CHARS_MAX: Final = 60

# fmt: off
_MONTHS: Final = {
    "fr": ("janvier", "février", "mars", "avril", "mai", "juin",
           "juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    "en": ("January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December"),
}
# fmt: on
_UNITS: Final = (
    (timedelta(days=1), Text("jour", "day")),
    (timedelta(hours=1), Text("heure", "hour")),
    (timedelta(minutes=1), Text("minute", "minute")),
    (timedelta(seconds=1), Text("seconde", "second")),
)
_UNITS_SHOWN: Final = 2
_GROUP: Final = {"fr": "\u00a0", "en": ","}
_POINT: Final = {"fr": ",", "en": "."}
_AND: Final = {"fr": " et ", "en": " and "}
_LESS: Final = {"fr": "moins d’une seconde", "en": "less than a second"}
_MARKS: Final = {"fr": ("«\u00a0", "\u00a0»"), "en": ("“", "”")}
_INNER_MARKS: Final = str.maketrans({"«": "‹", "»": "›", "“": "‘", "”": "’"})
_BLANK_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp", "Zs"})
_DIRECTION_MARKS: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@lru_cache(maxsize=512)
def _digits(currency: str) -> int:
    digits: int | None = Currency(currency).exponent
    if digits is None:
        raise ValueError(f"{currency} has no minor unit")
    return digits


def format_number(number: int, lang: str) -> str:
    """A whole number with its thousands apart: 12 345 or 12,345."""
    return f"{number:,}".replace(",", _GROUP[lang])


def format_money(amount_minor: int, currency: str, lang: str) -> str:
    """An amount in minor units: « 100,01 EUR » or "EUR 100.01"; ValueError for a currency that nobody pays with."""
    digits = _digits(currency)
    whole, part = divmod(abs(amount_minor), 10**digits)
    sign = "-" if amount_minor < 0 else ""
    fraction = f"{_POINT[lang]}{part:0{digits}}" if digits else ""
    figure = f"{sign}{format_number(whole, lang)}{fraction}"
    return f"{figure} {currency}" if lang == "fr" else f"{currency} {figure}"


def format_instant(instant: datetime | str, lang: str, *, round_up: bool = False) -> str:
    """A minute in UTC: « 3 mars 2026 à 14:05 UTC » or "3 March 2026 at 14:05 UTC".

    Seconds are cut off, so that nobody acts after a limit; `round_up` goes to the next whole minute instead, so that
    nobody acts before something is possible. Without a zone the instant is UTC. ValueError for text that is no instant.
    """
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    minute = moment.replace(second=0, microsecond=0)
    if round_up and minute < moment:
        minute += timedelta(minutes=1)
    month = _MONTHS[lang][minute.month - 1]
    if lang == "fr":
        day = "1er" if minute.day == 1 else str(minute.day)
        return f"{day} {month} {minute.year} à {minute:%H:%M} UTC"
    return f"{minute.day} {month} {minute.year} at {minute:%H:%M} UTC"


def format_span(span: timedelta, lang: str) -> str:
    """The two largest units of a span, the rest cut off: « 3 jours et 2 heures ». Its sign is not shown."""
    rest = abs(span)
    shown: list[str] = []
    for size, name in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            shown.append(f"{count} {name.of(lang)}{'s' if count > 1 else ''}")
    return _AND[lang].join(shown[:_UNITS_SHOWN]) or _LESS[lang]


def quoted(text: str, lang: str) -> str | None:
    """The beginning of what somebody wrote, on one line, in quotation marks; None when nothing is left to show.

    Control and direction characters are dropped and inner quotation marks become single ones: nobody can end
    the quotation and go on in the service's own voice, nor steer a reader's terminal.
    """
    visible = (
        " " if unicodedata.category(char) in _BLANK_CATEGORIES else char
        for char in text
        if char not in _DIRECTION_MARKS
    )
    line = " ".join("".join(visible).split()).translate(_INNER_MARKS)
    if len(line) > QUOTE_CHARS_MAX:
        line = line[: QUOTE_CHARS_MAX - 1].rstrip() + "…"
    opening, closing = _MARKS[lang]
    return f"{opening}{line}{closing}" if line else None
