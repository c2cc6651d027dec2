"""The timeline of a case as one static page in both languages: no scripts, nothing loaded, everything escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from brojobs_es.aggregates.base import Event, Words
from brojobs_es.aggregates.dispute_events import Evidence, MediatorNoteAdded, Origin
from brojobs_es.application.history import Entry, History
from brojobs_es.case import Case
from brojobs_es.evidence.case.event_parts import files_in, values_in
from brojobs_es.evidence.case.page_words import FIELDS, LABELS, PAGE_HEAD
from brojobs_es.language import LANGUAGES, format_money, sentence, word
from brojobs_es.mapper import data_of, state_of
from brojobs_es.projections.escrow import EscrowView, Ledger

_TOTALS: Final = ("held", "refunded", "released", "commission")
_HARMLESS: Final = "\n\t\u200c\u200d"  # line ends, and what joins letters and pictures
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def page(history: History, summaries: Mapping[str, Sequence[str]]) -> bytes:
    """The whole page; `summaries` are the lines of the support summary by language."""
    order = history.case.order
    parts = [
        PAGE_HEAD.format(order=order.id),
        f"<h1>{_both('order')} <code>{order.id}</code></h1>",
        f"<p>{safe(order.title.text)} · {_money(order.price.amount, order.price.currency)}</p>",
        f"<p>{_both('buyer')} {safe(order.buyer_id)} · {_both('seller')} {safe(order.seller_id)}</p>",
        f"<p class=note>{LABELS['how'].fr}</p><p class=note lang=en>{LABELS['how'].en}</p>",
        "<div class=pair>",
        *(_summary(language, summaries[language]) for language in LANGUAGES),
        "</div>",
        f"<h2>{_both('events')}</h2>",
        *_articles(history),
        "</body></html>\n",
    ]
    return "\n".join(parts).encode()


def safe(text: str) -> str:
    """A person's text: escaped, on its own for the direction of writing, with characters that hide made visible."""
    if text.isprintable():
        return f"<bdi>{escape(text)}</bdi>"
    return f"<bdi>{''.join(_mark(char) if _hides(char) else escape(char) for char in text)}</bdi>"


def _hides(char: str) -> bool:
    return char not in _HARMLESS and unicodedata.category(char) in _HIDDEN


def _mark(char: str) -> str:
    return f"<span class=hidden>U+{ord(char):04X}</span>"


def _both(name: str) -> str:
    label = LABELS[name]
    return label.fr if label.fr == label.en else f"{label.fr} <i lang=en>{label.en}</i>"


def _money(amount_minor: int, currency: str) -> str:
    return escape(format_money(amount_minor, currency, "fr"))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def _summary(language: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{safe(line)}</li>" for line in lines)
    return f"<ul lang={language}>{items}</ul>"


def _articles(history: History) -> Iterator[str]:
    view, money, case = EscrowView(), None, None
    for entry in history.entries:
        if case is None:
            case = Case.of([entry.event])
        else:
            case.apply(entry.event)
        money = view.fold(money, entry.event)
        assert case is not None
        assert money is not None
        yield _article(entry, case, money)


def _article(entry: Entry, case: Case, money: Ledger) -> str:
    event = entry.event
    actor = event.cause.actor
    who = f"{word('role', str(actor.role), 'fr')} <i lang=en>{word('role', str(actor.role), 'en')}</i>"
    who += f" {safe(actor.id)}" if actor.id else ""
    when = f"<time>{_instant(event.effective_at)}</time>"
    if event.timestamp != event.effective_at:
        when += f" <small>({_both('recorded')} {_instant(event.timestamp)})</small>"
    marks = "".join(f" <b class=mark>{_both(name)}</b>" for name in _marks(event))
    data = {**data_of(state_of(event)), "currency": money.currency}
    told = {language: sentence(event.type, data, language, str(actor.role)) for language in LANGUAGES}
    return (
        f"<article><header>#{entry.position} {when} · {who}{marks}</header>"
        f"<div class=pair><p lang=fr>{safe(told['fr'])}</p><p lang=en>{safe(told['en'])}</p></div>"
        f"{_words(event)}{_files(event)}<footer>{_standing(case, money)}</footer></article>"
    )


def _marks(event: Event) -> Iterator[str]:
    if isinstance(event, MediatorNoteAdded):
        yield "private"
    pieces = (piece for _, piece in values_in(event) if isinstance(piece, Evidence))
    if any(piece.origin is Origin.EXTERNAL for piece in pieces):
        yield "external"


def _words(event: Event) -> str:
    """Everything that a person wrote in this event, in full."""
    found = [(name, value) for name, value in values_in(event) if isinstance(value, Words)]
    rows = "".join(f"<dt>{_field(name)}</dt><dd>{safe(words.text)}</dd>" for name, words in found if words.text)
    return f"<dl>{rows}</dl>" if rows else ""


def _field(name: str) -> str:
    label = FIELDS.get(name)
    return escape(name) if label is None else f"{label.fr} <i lang=en>{label.en}</i>"


def _files(event: Event) -> str:
    items = "".join(
        f"<li>{safe(ref.name.text)} · {ref.size:,} B · {safe(ref.media_type)}<br><code>files/{escape(ref.file_id)}</code></li>"
        for ref in files_in(event)
    )
    return f"<ul class=files>{items}</ul>" if items else ""


def _standing(case: Case, money: Ledger) -> str:
    status = str(case.order.status)
    totals = [
        f"{_both(name)} {_money(getattr(money, name), money.currency)}" for name in _TOTALS if getattr(money, name)
    ]
    return " · ".join([f"{word('status', status, 'fr')} <i lang=en>{word('status', status, 'en')}</i>", *totals])
