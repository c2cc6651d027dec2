"""The replay as one JSON document: the events as the API shows them, and what stood after each."""

from __future__ import annotations

from typing import Any

from brojobs_es.api import render
from brojobs_es.console.steps import Step, steps_of
from brojobs_es.console.timeline import Shown

Json = dict[str, Any]


def document(shown: Shown, log: int, lang: str) -> Json:
    """`{order_id, version, events, state, chat, money, next_timer, left_out}`; `after` stands beside each event."""
    history = shown.history
    steps = steps_of(history)
    due = history.case.next_timer()
    return {
        "order_id": str(history.order_id),
        "version": history.case.order.version,
        "events": [_event(step, shown, log, lang) for step in steps],
        **_standing(steps[-1]),
        "next_timer": {"name": due.name, "at": render.instant(due.at)} if due else None,
        "left_out": shown.left_out,
    }


def _event(step: Step, shown: Shown, log: int, lang: str) -> Json:
    event = render.event(step.entry, shown.history.order_id, log)
    return {**event, "sentence": step.told(lang), "after": _standing(step)}


def _standing(step: Step) -> Json:
    return {
        "state": str(step.status),
        "chat": render.lock(step.chat),
        "money": {**step.money.totals(), "accounts": step.money.accounts()},
    }
