"""What changed, as a table for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from brojobs_es.console.changes import Change, Difference
from brojobs_es.console.hanging import Hanging
from brojobs_es.console.timeline import moment, printable
from brojobs_es.console.words import TIMERS
from brojobs_es.language import WORDS, format_money, word
from brojobs_es.language import Text as Said

_WORDS: Final[Mapping[str, Said]] = {
    "order": Said("Commande", "Order"),
    "chat": Said("Conversation", "Chat"),
    "money": Said("Argent", "Money"),
    "timers": Said("Échéances", "Timers"),
    "disputes": Said("Litiges", "Disputes"),
    "field": Said("champ", "field"),
    "nothing": Said("Rien n’a changé.", "Nothing changed."),
    "between": Said("Entre les deux", "In between"),
    "suspended": Said("suspendue", "suspended"),
    "true": Said("oui", "yes"),
    "false": Said("non", "no"),
}
_LISTS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("status", "dispute_status", "revision_status"),
    "order_status_before": ("status",),
    "turn": ("role",),
    "by": ("role",),
    "opened_by": ("role",),
    "ending": ("ending",),
    "ground": ("ground",),
    "dispute_unlocked_by": ("ground",),
    "outcome": ("outcome",),
    "code": ("chat_lock",),
}
"""Fields whose values are words of these lists."""
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def table(found: Difference, lang: str) -> RenderableType:
    """The two points, a row for each field that differs, and what happened in between."""
    first, second = (shown.point or "" for shown in found.points)
    parts: list[RenderableType] = []
    if not found.changes:
        parts.append(Text(_say("nothing", lang)))
    currency = found.points[0].history.case.order.price.currency
    for section, changes in groupby(found.changes, key=lambda change: change.section):
        rows = Table(box=SIMPLE, pad_edge=False, expand=False, title=_say(section, lang), title_justify="left")
        for name, ratio in ((_say("field", lang), 2), (first, 3), (second, 3)):
            rows.add_column(Text(name), overflow="fold", ratio=ratio)
        for change in changes:
            rows.add_row(Text(_field(change, lang)), *_values(change, currency, lang))
        parts.append(rows)
    return Group(*parts, *_between(found, lang))


def _values(change: Change, currency: str, lang: str) -> tuple[Text, Text]:
    shown = [_value(change, value, currency, lang) for value in (change.before, change.after)]
    return Text(shown[0], "dim"), Text(shown[1], "bold")


def _value(change: Change, value: Any, currency: str, lang: str) -> str:
    name = change.field.rpartition(".")[2]
    match value:
        case None:
            return "—"
        case bool():
            return _say(str(value).lower(), lang)
        case {"amount": int(amount), "currency": str(own)}:
            return format_money(amount, own, lang)
        case int() if change.section == "money":
            return format_money(value, currency, lang)
        case list():
            return ", ".join(_text(name, str(part), lang) for part in value)
        case _:
            return _text(name, str(value), lang)


def _text(name: str, value: str, lang: str) -> str:
    """A word of a list in the reader's language, an instant to the second, or the text itself."""
    listed = next((each for each in _LISTS.get(name, ()) if value in WORDS[each]), None)
    if listed is not None:
        return word(listed, value, lang)
    return moment(datetime.fromisoformat(value)) if _INSTANT.fullmatch(value) else printable(value)


def _field(change: Change, lang: str) -> str:
    """Where the value stands; timers by their name."""
    path, _, name = change.field.rpartition(".")
    timer, gap, state = name.partition(" ")
    if change.section == "timers" and timer in TIMERS:
        name = TIMERS[timer].of(lang) + (f" ({_say('suspended', lang)})" if gap else state)
    return printable(f"{path}.{name}" if path else name)


def _between(found: Difference, lang: str) -> Iterator[RenderableType]:
    if not found.between:
        return
    yield Text(f"{_say('between', lang)} ({len(found.between)})", "bold")
    for step in found.between:
        when = f"  #{step.entry.position} {moment(step.entry.event.effective_at)}  "
        yield Hanging(Text(when, "dim"), Text(step.told(lang)), len(when))


def _say(name: str, lang: str) -> str:
    return _WORDS[name].of(lang)
