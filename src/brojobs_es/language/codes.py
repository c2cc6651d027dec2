"""What every refusal code says to people. The codes are for clients and never change; these texts may.

A detail can name facts, all optional: `available_from`, `available_until` (instants), `status` (of the order),
`amount` (the price or the held sum that the rule compares with: money, or minor units beside `currency`),
`currency`, `limit` (a number, span, instant, money or text; bytes for `file_too_large`) and `name` (of a field, file, …).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from brojobs_es.language.codes_disputes import DISPUTE_CODES
from brojobs_es.language.codes_orders import ORDER_CODES
from brojobs_es.language.codes_requests import REQUEST_CODES
from brojobs_es.language.templates import CodeText, render
from brojobs_es.language.values import shown

CODES: Final[Mapping[str, CodeText]] = MappingProxyType({**REQUEST_CODES, **ORDER_CODES, **DISPUTE_CODES})


def title(code: str, lang: str) -> str:
    """The short name of a refusal; KeyError for an unknown code or language."""
    return CODES[code].title.of(lang)


def detail(code: str, lang: str, **facts: object) -> str:
    """Why it is refused and what to do next, naming the facts that are known; the others are left out.

    Instants are shown in UTC, `available_from` rounded up to a whole minute. KeyError for an unknown code or language.
    """
    return render(CODES[code].detail, lang, shown(facts, lang))
