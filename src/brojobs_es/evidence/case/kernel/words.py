"""What people wrote stands sealed in the events, with a commitment to it; the file opens it with the salt of each.

The commitment is SHA-256 over a context, a salt of 16 bytes and the text. Words that nobody can open any more have no
opening; their events stay proven.
"""

from __future__ import annotations

import hashlib
from typing import Any

from brojobs_es.evidence.case.kernel.container import Bag
from brojobs_es.evidence.case.kernel.events import Chain, parse_canonical
from brojobs_es.evidence.case.kernel.notes import unbase64
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

WORDS = "data/words.ndjson"
WORDS_CONTEXT = b"brojobs-es words 1\x00"
_OPENING = ["commitment", "of", "salt", "text"]


def check_words(bag: Bag, chain: Chain, facts: dict[str, Any]) -> None:
    """Every opening says what was recorded, by whom it was recorded, and opens words of these events."""
    opened = set()
    for number, line in enumerate(bag.lines(WORDS), 1):
        value = parse_canonical(line)
        if sorted(value) != _OPENING or not all(isinstance(part, str) for part in value.values()):
            raise Malformed(f"{WORDS}, ligne {number}, ne se lit pas", f"{WORDS}, line {number}, cannot be read")
        commitment = value["commitment"]
        made = hashlib.sha256(WORDS_CONTEXT + unbase64(value["salt"]) + value["text"].encode()).digest()
        if unbase64(commitment) != made or chain.words.get(commitment) != value["of"] or commitment in opened:
            raise Failed(
                f"{WORDS}, ligne {number} : ce ne sont pas les mots enregistrés",
                f"{WORDS}, line {number}: these are not the words that were recorded",
            )
        opened.add(commitment)
    facts["words"], facts["words_absent"] = len(opened), len(chain.words) - len(opened)
