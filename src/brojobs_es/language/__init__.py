"""The words of the service in French and English: refusals, the timeline, values. Pure, and on its own."""

from __future__ import annotations

from brojobs_es.language.codes import CODES, detail, title
from brojobs_es.language.formats import format_instant, format_money, format_number, format_span, quoted
from brojobs_es.language.sentences import SENTENCES, sentence
from brojobs_es.language.templates import LANGUAGES, CodeText, Text
from brojobs_es.language.words import WORDS, word

__all__ = [
    "CODES",
    "LANGUAGES",
    "SENTENCES",
    "WORDS",
    "CodeText",
    "Text",
    "detail",
    "format_instant",
    "format_money",
    "format_number",
    "format_span",
    "quoted",
    "sentence",
    "title",
    "word",
]
