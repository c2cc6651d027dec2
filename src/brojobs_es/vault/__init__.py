"""Sealing what people write with keys of their own: destroying a key erases all of it, and touches nothing else."""

from brojobs_es.vault.keys import (
    Keys,
    KeysWanted,
    MasterKey,
    MasterKeyError,
    PersonKey,
    Ring,
    Wanted,
    current_key,
    new_secret,
)
from brojobs_es.vault.words import Opening, open_text, opening_of, seal_text, sealed_words, wanted_in

__all__ = [
    "Keys",
    "KeysWanted",
    "MasterKey",
    "MasterKeyError",
    "Opening",
    "PersonKey",
    "Ring",
    "Wanted",
    "current_key",
    "new_secret",
    "open_text",
    "opening_of",
    "seal_text",
    "sealed_words",
    "wanted_in",
]
