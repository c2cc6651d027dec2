"""The keys of people. A person has one key at a time; after an erasure, new words get a key of the next generation."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_NAME_CHARS: Final = 16


def new_secret() -> bytes:
    """32 bytes that nobody can guess."""
    return os.urandom(KEY_BYTES)


class PersonKey:
    """One generation of a person's key. Each use has a key of its own, derived with HMAC-SHA256."""

    __slots__ = ("_requests", "_secret", "generation", "person", "words")

    def __init__(self, person: str, generation: int, secret: bytes) -> None:
        assert len(secret) == KEY_BYTES
        self.person = person
        self.generation = generation
        self._secret = secret
        self._requests = hmac.new(self._derived(b"requests"), digestmod="sha256")
        self.words = AESGCM(self._derived(b"words"))

    def of_file(self, salt: bytes) -> AESGCM:
        """The key of one file; `salt` is the file's own."""
        return AESGCM(self._derived(b"file" + salt))

    def digest(self, content: bytes) -> bytes:
        """A digest of a request that only the key's holder can repeat: 32 bytes."""
        made = self._requests.copy()  # the key's own part is done, and OpenSSL need not look the hash up again
        made.update(content)
        return made.digest()

    def _derived(self, use: bytes) -> bytes:
        return hmac.digest(self._secret, b"brojobs-es 1 " + use, "sha256")


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that a person still has, by generation. `newest` counts erased generations as well; 0 for none ever."""

    generations: Mapping[int, PersonKey]
    newest: int

    @property
    def current(self) -> PersonKey | None:
        """The key for new words; None before the first and after an erasure."""
        return self.generations.get(self.newest)


Ring = Mapping[str, Keys]
"""The keys at hand, by person. A generation up to the newest that a person's keys do not hold is erased."""

Wanted = tuple[str, int]
"""A person and a generation of the person's key."""


class KeysWanted(Exception):
    """Something is to be sealed or opened for people whose keys are not at hand, or who have none yet."""

    def __init__(self, people: Set[str]) -> None:
        super().__init__("keys of people are needed first")
        self.people = people


def current_key(ring: Ring, person: str) -> PersonKey:
    """The key for what this person writes; raises KeysWanted where the ring has none."""
    keys = ring.get(person)
    key = keys.current if keys is not None else None
    if key is None:
        raise KeysWanted({person})
    return key


class MasterKeyError(Exception):
    """The master key cannot be used; the message says why, for whoever runs the service."""


class MasterKey:
    """Wraps people's keys, so that the database alone opens nothing."""

    def __init__(self, secret: bytes) -> None:
        self.name = sha256(b"brojobs-es master key " + secret).hexdigest()[:_NAME_CHARS]
        self._cipher = AESGCM(secret)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The key in a file that holds 64 hexadecimal digits; raises MasterKeyError."""
        try:
            secret = bytes.fromhex(path.read_text(encoding="ascii"))
        except OSError as error:
            raise MasterKeyError(f"the master key {path} cannot be read: {error.strerror}") from error
        except ValueError:
            raise MasterKeyError(f"the master key {path} is not hexadecimal") from None
        if len(secret) != KEY_BYTES:
            raise MasterKeyError(f"the master key {path} does not hold {2 * KEY_BYTES} hexadecimal digits")
        return cls(secret)

    def wrapped(self, secret: bytes, person: str) -> bytes:
        """A person's secret as it is stored."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, person.encode())

    def unwrapped(self, stored: bytes, person: str) -> bytes:
        """What `wrapped` took; raises MasterKeyError for anything else."""
        nonce, sealed = stored[:NONCE_BYTES], stored[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, person.encode())
        except (InvalidTag, ValueError):
            raise MasterKeyError("a stored key was changed, or belongs to somebody else") from None
