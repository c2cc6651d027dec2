"""What happened, in one sentence for each event, for the timeline of an order and its disputes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from brojobs_es.language.dispute_sentences import DISPUTE_SENTENCES
from brojobs_es.language.order_sentences import ORDER_SENTENCES
from brojobs_es.language.templates import Text, render
from brojobs_es.language.values import shown
from brojobs_es.language.words import WORDS

SENTENCES: Final[Mapping[str, Text]] = MappingProxyType({**ORDER_SENTENCES, **DISPUTE_SENTENCES})
"""By the public name of the event: `Delivered`, `DisputeDecided`."""

_EXTERNAL: Final = "external"


def sentence(event_type: str, data: Mapping[str, object], lang: str, role: str | None) -> str:
    """Tell one event in `fr` or `en`; `role` is who acted, None or `time` for a timer.

    `data` are the event's own fields: money as `{"amount", "currency"}`, or `refund_minor` and the like with the
    order's `currency` put beside them; instants as datetime or ISO 8601; words as `{"of", "text"}`. Whatever is
    missing or unreadable is left out. KeyError only for an unknown event type or language.
    """
    facts = _flat(data)
    values = shown(facts, lang)
    if facts.get("origin") == _EXTERNAL:
        values["external"] = WORDS["origin"][_EXTERNAL].of(lang)
    subject = WORDS["subject"].get(role or "")
    if subject is not None:
        values["who"] = subject.of(lang)
    return render(SENTENCES[event_type], lang, values)


def _flat(data: Mapping[str, object]) -> dict[str, object]:
    """Submitted evidence is told by what it holds."""
    evidence = data.get("evidence")
    return {**evidence, **data} if isinstance(evidence, Mapping) else dict(data)
