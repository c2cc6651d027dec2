"""Texts in both languages, with holes that may stay empty.

`{name}` is a hole. `[…]` is a part that is left out when one of its holes has no value; `[…|…]` takes the first
alternative that can be filled. So one text serves whatever is known, and values are never read as templates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

LANGUAGES: Final = ("fr", "en")

_PART: Final = re.compile(r"\[([^\]]*)\]")
_HOLE: Final = re.compile(r"\{(\w+)\}")
_HELD_TOGETHER: Final = re.compile(r" (?=[:;?!»])|(?<=n°) ")
_NBSP: Final = "\u00a0"


class Text(NamedTuple):
    """The same thing said in French and in English."""

    fr: str
    en: str

    def of(self, lang: str) -> str:
        """The text in `fr` or `en`; KeyError for any other language."""
        return {"fr": self.fr, "en": self.en}[lang]


class CodeText(NamedTuple):
    """What a refusal code says to people: a short title, and what it means and what to do next (a template)."""

    title: Text
    detail: Text


def holes(template: str) -> frozenset[str]:
    """The names that a template can show."""
    return frozenset(_HOLE.findall(template))


def render(text: Text, lang: str, values: Mapping[str, str]) -> str:
    """Fill a text; what has no value is left out with the part that needs it.

    A hole outside every `[…]` must have a value: KeyError otherwise.
    """
    template = _typeset(text.of(lang), lang)
    chosen = _PART.sub(lambda part: _first_complete(part[1], values), template)
    return _HOLE.sub(lambda hole: values[hole[1]], chosen)


@lru_cache(maxsize=1024)
def _typeset(template: str, lang: str) -> str:
    """French keeps its high punctuation on the line of the word before it, and a number on that of its « n° »."""
    return _HELD_TOGETHER.sub(_NBSP, template) if lang == "fr" else template


def _first_complete(part: str, values: Mapping[str, str]) -> str:
    return next((option for option in part.split("|") if all(name in values for name in holes(option))), "")
