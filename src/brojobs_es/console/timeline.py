"""The replay as a timeline for people: good on 80 columns, without colours where nobody sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from brojobs_es.aggregates.base import Actor, Event
from brojobs_es.aggregates.commands.chatting import ChatLock
from brojobs_es.application.history import History
from brojobs_es.console.hanging import Hanging
from brojobs_es.console.steps import Step, steps_of
from brojobs_es.console.words import TIMERS, label
from brojobs_es.language import format_money, format_span, quoted, word
from brojobs_es.projections.escrow import Account, Ledger

_TOTALS = ("held", "refunded", "released", "commission")


@dataclass(frozen=True, slots=True)
class Shown:
    """What to show: a history up to some point, how many events were recorded after it, and the point in words."""

    history: History
    left_out: int = 0
    point: str | None = None


def timeline(shown: Shown, lang: str) -> RenderableType:
    """The head of the order, its events one by one, and where it stands."""
    steps = steps_of(shown.history)
    parts: list[RenderableType] = [*_head(shown, lang), Text()]
    width = max(len(_place(step)) for step in steps)
    before: Step | None = None
    for step in steps:
        if not step.same_cause(before):
            if before is not None:
                parts.append(Text())
            parts.append(_when_and_who(step.entry.event, lang))
        parts.extend(_what(step, before, width, lang))
        before = step
    return Group(*parts, Text(), Rule(style="dim"), *_end(shown.history, steps[-1], lang))


def printable(text: str) -> str:
    """Text that cannot steer a terminal: what has no shape of its own becomes a dot."""
    return "".join(char if char.isprintable() else "·" for char in text)


def moment(instant: datetime) -> str:
    """An instant to the second, cut off, in UTC: `2026-03-01 12:00:00 UTC`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# -- the head


def _head(shown: Shown, lang: str) -> Iterator[RenderableType]:
    order = shown.history.case.order
    yield Text.assemble((label("order", lang), "bold"), f" {order.id}")
    words = quoted(order.title.text, lang) or ""
    price = format_money(order.price.amount, order.price.currency, lang)
    yield Text(f"{words} · {label('price', lang)} {price}")
    buyer, seller = printable(order.buyer_id), printable(order.seller_id)
    yield Text(f"{label('buyer', lang)} {buyer} · {label('seller', lang)} {seller}")
    if shown.point is not None:
        yield Text(f"{shown.point} · {label('left_out', lang, count=shown.left_out)}", "italic")


# -- one event


def _place(step: Step) -> str:
    return f"#{step.entry.position}"


def _when_and_who(event: Event, lang: str) -> Text:
    line = Text(moment(event.effective_at), "bold")
    line.append(f"  {_who(event.cause.actor, lang)}", "cyan")
    if event.cause.on_behalf_of:
        line.append(f" {label('on_behalf_of', lang)} {printable(event.cause.on_behalf_of)}", "cyan")
    if event.timestamp != event.effective_at:
        later = event.timestamp > event.effective_at
        span = format_span(event.timestamp - event.effective_at, lang)
        name = "recorded" if later else "recorded_before"
        line.append(f"\n  ({label(name, lang, instant=moment(event.timestamp), span=span)})", "dim")
    return line


def _who(actor: Actor, lang: str) -> str:
    role = word("role", str(actor.role), lang)
    return f"{role} {printable(actor.id)}" if actor.id else role


def _what(step: Step, before: Step | None, width: int, lang: str) -> Iterator[RenderableType]:
    """The sentence beside the event's position; below it what then stood, with what changed in bold."""
    indent = width + 3
    yield Hanging(Text(f"  {_place(step):>{width}}", "dim"), Text(step.told(lang)), indent)
    stood = Text()
    was = _standing(before, lang) if before is not None else ("", "", "")
    for index, (now, then) in enumerate(zip(_standing(step, lang), was, strict=True)):
        stood.append(" · " if index else "", "dim")
        stood.append(now, "bold green" if now != then else "dim")
    yield Hanging(Text(), stood, indent)


def _standing(step: Step, lang: str) -> tuple[str, str, str]:
    return word("status", str(step.status), lang), chat_words(step.chat, lang), money_words(step.money, lang)


def chat_words(lock: ChatLock, lang: str) -> str:
    """Who may write, and if not everybody, why."""
    kinds = {(True, True): "chat_open", (False, True): "chat_seller", (True, False): "chat_buyer"}
    kind = kinds.get((lock.buyer_can_write, lock.seller_can_write), "chat_locked")
    reason = f" ({word('chat_lock', lock.code, lang)})" if lock.code and kind == "chat_locked" else ""
    return label(kind, lang) + reason


def until_words(lock: ChatLock, lang: str) -> str:
    """When the chat closes, where that is known."""
    return f", {label('until', lang)} {moment(lock.until)}" if lock.until is not None else ""


def money_words(ledger: Ledger, lang: str) -> str:
    """Held, refunded, released, commission: each that is not nothing."""
    totals = ((name, getattr(ledger, name)) for name in _TOTALS)
    found = [_sum(name, amount, ledger.currency, lang) for name, amount in totals if amount]
    return ", ".join(found) or label("nothing_held", lang)


# -- where it stands


def _end(history: History, last: Step, lang: str) -> Iterator[RenderableType]:
    order = history.case.order
    state = word("status", str(last.status), lang)
    if order.ending is not None:
        state += f" ({word('ending', str(order.ending), lang)})"
    rows = [
        ("state", state),
        ("chat", chat_words(last.chat, lang) + until_words(last.chat, lang)),
        ("money", money_words(last.money, lang)),
    ]
    rows += [("accounts", account_words(last.money, lang)), ("next", _next(history, lang))]
    width = max(len(label(name, lang)) for name, _ in rows) + 2
    for name, told in rows:
        yield Hanging(Text(label(name, lang), "bold"), Text(told), width)


def account_words(ledger: Ledger, lang: str) -> str:
    """The four balances and their sum."""
    shown = [(str(account), ledger.balance(account)) for account in Account]
    total = sum(balance for _, balance in shown)
    shown.append(("zero", total))
    return ", ".join(_sum(name, amount, ledger.currency, lang) for name, amount in shown)


def _sum(name: str, amount_minor: int, currency: str, lang: str) -> str:
    """A labelled amount that no line end divides."""
    return f"{label(name, lang)} {format_money(amount_minor, currency, lang)}".replace(" ", "\u00a0")


def _next(history: History, lang: str) -> str:
    due = history.case.next_timer()
    if due is None:
        return label("no_next", lang)
    return f"{TIMERS[due.name].of(lang)}, {moment(due.at)} ({label('not_fired', lang)})"
