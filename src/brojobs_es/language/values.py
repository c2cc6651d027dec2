"""From the values of events and refusals to what people read. What cannot be shown is left out, never an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from brojobs_es.language.formats import format_instant, format_money, format_number, format_span, quoted
from brojobs_es.language.templates import Text
from brojobs_es.language.words import WORDS

_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("status",),
    "ground": ("ground",),
    "outcome": ("outcome",),
    "reason": ("ending", "cancellation_reason"),
    "how": ("refused",),
    "closed": ("pending",),
    "kind": ("evidence_kind",),
    "asked": ("addressee",),
    "role": ("role",),
}
"""Which lists of words a string under this name is taken from."""

_COUNTED: Final[Mapping[str, tuple[Text, Text]]] = {
    "files": (Text("fichier", "file"), Text("fichiers", "files")),
    "points": (Text("point", "point"), Text("points", "points")),
}
"""Lists of which only the length is said: one, several."""

_INSTANTS: Final = ("_at", "_by", "available_from", "available_until")
_FREE: Final = frozenset({"limit", "name"})
_MINOR: Final = "_minor"


def shown(data: Mapping[str, object], lang: str) -> dict[str, str]:
    """The values of `data` that can be shown, as text in `lang`, by name.

    `refund_minor` beside a `currency` becomes `refund`; true flags become empty text, so that they only choose a part.
    """
    found: dict[str, str] = {}
    for name, value in _with_money(data).items():
        text = _show_or_none(name, value, lang)
        if text is not None:
            found[name] = text
    return found


def _with_money(data: Mapping[str, object]) -> dict[str, object]:
    """Bare minor units take the currency beside them; without one they are no money that can be shown."""
    currency = data.get("currency")
    values: dict[str, object] = {}
    for name, value in data.items():
        bare = name == "amount" or name.endswith(_MINOR)
        if bare and isinstance(value, int):
            values[name.removesuffix(_MINOR)] = {"amount": value, "currency": currency}
        else:
            values[name] = value
    return values


def _show_or_none(name: str, value: object, lang: str) -> str | None:
    try:
        return _show(name, value, lang)
    except (ValueError, OverflowError):
        return None


def _show(name: str, value: object, lang: str) -> str | None:
    match value:
        case bool():
            return "" if value else None
        case int():
            return format_number(value, lang) if name in _FREE else str(value)
        case datetime():
            return format_instant(value, lang, round_up=name == "available_from")
        case timedelta():
            return format_span(value, lang)
        case str():
            return _show_string(name, value, lang)
        case Sequence():
            return _show_list(name, value, lang)
        case _:
            return _show_money_or_words(value, lang)


def _show_string(name: str, value: str, lang: str) -> str | None:
    if name.endswith(_INSTANTS):
        return format_instant(value, lang, round_up=name == "available_from")
    if name in _KINDS:
        return next((WORDS[kind][value].of(lang) for kind in _KINDS[name] if value in WORDS[kind]), None)
    if name == "currency":
        return value if value.isascii() and value.isalpha() else None
    if name == "limit":
        return " ".join(value.split()) or None
    return quoted(value, lang) if name in _FREE else None


def _show_list(name: str, values: Sequence[object], lang: str) -> str | None:
    if name in _COUNTED and values:
        one, several = _COUNTED[name]
        return f"{len(values)} {(one if len(values) == 1 else several).of(lang)}"
    if name in _KINDS:
        words = (_show_string(name, value, lang) for value in values if isinstance(value, str))
        return ", ".join(word for word in words if word) or None
    return None


def _show_money_or_words(value: object, lang: str) -> str | None:
    amount, currency, text = (_part(value, name) for name in ("amount", "currency", "text"))
    if isinstance(amount, int) and isinstance(currency, str):
        # An amount of nothing, such as no commission, is not worth a word.
        return format_money(amount, currency, lang) if amount else None
    return quoted(text, lang) if isinstance(text, str) else None


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
