"""Words as they are stored: sealed with their author's key, bound to their event, with a commitment to what they say.

    {"commitment": "…", "key": 1, "of": "ana", "sealed": "…"}

`sealed` is base64 of nonce (12 bytes) ‖ AES-256-GCM of salt (16) ‖ text, authenticated with stream and version.
`commitment` is base64 of SHA-256(context ‖ salt ‖ text): whoever is shown salt and text can check, without any key,
that they are what was recorded, and without the salt nobody can tell a right guess of the text from a wrong one.
"""

from __future__ import annotations

import json
import os
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag

from brojobs_es.vault.keys import NONCE_BYTES, PersonKey, Wanted

COMMITMENT_CONTEXT: Final = b"brojobs-es words 1\x00"
SALT_BYTES: Final = 16

MARK: Final = b'"sealed":"'
"""Stands in every stored state that holds sealed words; inside a JSON string its quotes would be escaped."""

SEALED: Final = re.compile(rb'\{"commitment":"([^"]*+)","key":(\d++),"of":("(?:[^"\\]++|\\.)*+"),"sealed":"([^"]*+)"\}')
"""Sealed words in canonical JSON: commitment, generation, the person as a JSON string, the sealed text."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What convinces somebody without a key of what sealed words say; all but `of` and `text` are bytes."""

    of: str
    commitment: bytes
    salt: bytes
    text: str


def seal_text(text: str, key: PersonKey, bound_to: bytes) -> str:
    """A short text sealed alone: base64 of nonce ‖ ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return _base64(nonce + key.words.encrypt(nonce, text.encode(), bound_to))


def open_text(sealed: str, key: PersonKey, bound_to: bytes) -> str:
    """What `seal_text` took; ValueError if it was changed or bound to something else."""
    return _opened(sealed, key, bound_to).decode()


def place_of(stream_id: UUID, version: int) -> bytes:
    """What words are bound to: their event's stream and version."""
    return stream_id.bytes + version.to_bytes(8)


def sealed_words(of: bytes, text: str, key: PersonKey, place: bytes) -> bytes:
    """Words as the event at this place stores them, as `SEALED` finds them; `of` is the person as a JSON string."""
    random = os.urandom(NONCE_BYTES + SALT_BYTES)
    nonce, secret = random[:NONCE_BYTES], random[NONCE_BYTES:] + text.encode()
    sealed = nonce + key.words.encrypt(nonce, secret, place)
    commitment = sha256(COMMITMENT_CONTEXT + secret).digest()
    parts = (b2a_base64(commitment, newline=False), key.generation, of, b2a_base64(sealed, newline=False))
    return b'{"commitment":"%b","key":%d,"of":%b,"sealed":"%b"}' % parts


def opened_words(sealed: bytes, key: PersonKey, place: bytes) -> str:
    """The text of sealed words; ValueError if they were changed or stand in another event."""
    return _opened(sealed, key, place)[SALT_BYTES:].decode()


def opening_of(found: re.Match[bytes], key: PersonKey, place: bytes) -> Opening:
    """The opening of words that `SEALED` found; ValueError as for `opened_words`."""
    secret = _opened(found[4], key, place)
    return Opening(key.person, a2b_base64(found[1]), secret[:SALT_BYTES], secret[SALT_BYTES:].decode())


def wanted_in(states: Iterable[bytes]) -> set[Wanted]:
    """Whose keys, and of which generation, reading these stored states takes."""
    found = {match.group(3, 2) for state in states if MARK in state for match in SEALED.finditer(state)}
    return {(person_of(person), int(generation)) for person, generation in found}


@lru_cache(maxsize=4096)
def person_of(literal: bytes) -> str:
    """A person's id from the JSON string that `SEALED` found."""
    person: str = json.loads(literal)
    return person


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()


def _opened(sealed: str | bytes, key: PersonKey, bound_to: bytes) -> bytes:
    whole = a2b_base64(sealed, strict_mode=True)
    try:
        return key.words.decrypt(whole[:NONCE_BYTES], whole[NONCE_BYTES:], bound_to)
    except InvalidTag:
        raise ValueError("sealed words were changed, or belong to another event") from None
