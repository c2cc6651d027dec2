"""Signed notes and checkpoints in the forms that C2SP publishes, read strictly.

A checkpoint is three lines: origin, number of leaves, root in base64. A note is a text, an empty line, and a line for each
signature: `— name base64(key id, signature)`. A log's key signs the text itself (algorithm 1). A witness, and the log for
the time that it states, signs text and time together (algorithm 4, `cosignature/v1`).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

PLAIN: Final = 1
"""Algorithm of a signature over the text alone (Ed25519)."""
COSIGNATURE: Final = 4
"""Algorithm of a signature over time and text (Ed25519)."""

MAX_NOTE_BYTES: Final = 65_536
MAX_SIGNATURES: Final = 64
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_HASH_BYTES: Final = 32
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_NAME: Final = re.compile(r"[!-*,-~]{1,255}")  # visible ASCII without `+`
_VKEY: Final = re.compile(r"([!-*,-~]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)")
_LINE: Final = re.compile(r"— ([!-*,-~]{1,255}) ([A-Za-z0-9+/]+=*)")


class NoteError(ValueError):
    """A note, a checkpoint or a key that isn't well formed; the message says what is wrong."""


class BadSignature(Exception):
    """A well-formed note that the key did not sign; the message says which."""


def _base64(text: str, what: str) -> bytes:
    """Standard base64 in its one canonical spelling."""
    try:
        made = b64decode(text, validate=True)
    except ValueError as error:  # also for what is not ASCII
        raise NoteError(f"{what} is no base64") from error
    if b64encode(made).decode() != text:
        raise NoteError(f"{what} is not in the one spelling that base64 has for it")
    return made


# -- keys


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name and the algorithm that it is used with."""

    name: str
    algorithm: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the one-line form `name+id+base64`; raises NoteError."""
        found = _VKEY.fullmatch(text.strip())
        if found is None:
            raise NoteError("a verifier key is `name+id+base64`, the id as eight hexadecimal digits")
        data = _base64(found[3], "the key")
        if len(data) != 1 + _KEY_BYTES or data[0] not in {PLAIN, COSIGNATURE}:
            raise NoteError("the key is not an Ed25519 key of algorithm 1 or 4")
        key = cls(found[1], data[0], data[1:])
        if key.id.hex() != found[2]:
            raise NoteError("the id of the verifier key does not belong to its name and key")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that tell a note's signatures apart."""
        return sha256(f"{self.name}\n".encode() + bytes([self.algorithm]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.algorithm]) + self.public).decode()}"


def public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key, out of PEM or of a verifier key; raises NoteError."""
    if not text.lstrip().startswith("-----BEGIN"):
        return VerifierKey.parse(text).public
    try:
        key = load_pem_public_key(text.encode())
    except ValueError as error:
        raise NoteError("this is no PEM of a public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise NoteError("the public key is not an Ed25519 key")
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name."""

    name: str
    private: Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise NoteError(f"{self.name!r} cannot name a key: visible ASCII without spaces and `+`")

    def verifier(self, algorithm: int) -> VerifierKey:
        """The public half for one of the two algorithms."""
        return VerifierKey(self.name, algorithm, self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def signed(self, text: str) -> str:
        """The signature line over a text."""
        return self._line(PLAIN, self.private.sign(text.encode()))

    def cosigned(self, text: str, unix_seconds: int) -> str:
        """The signature line over a text and the time at which it was seen."""
        signature = self.private.sign(_timed(text, unix_seconds))
        return self._line(COSIGNATURE, unix_seconds.to_bytes(_TIME_BYTES) + signature)

    def _line(self, algorithm: int, content: bytes) -> str:
        return f"— {self.name} {b64encode(self.verifier(algorithm).id + content).decode()}\n"


def _timed(text: str, unix_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {unix_seconds}\n{text}".encode()


# -- notes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note, taken apart and not yet believed."""

    name: str
    key_id: bytes
    content: bytes

    @property
    def line(self) -> str:
        return f"— {self.name} {b64encode(self.key_id + self.content).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a line break, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: str | bytes) -> Self:
        """Raises NoteError for anything that isn't exactly a signed note."""
        raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
        if len(raw) > MAX_NOTE_BYTES:
            raise NoteError(f"a note has at most {MAX_NOTE_BYTES} bytes")
        try:
            whole = raw.decode()
        except UnicodeDecodeError as error:
            raise NoteError("a note is UTF-8") from error
        if any((char < " " and char != "\n") or char == "\x7f" for char in whole):
            raise NoteError("a note has no control characters")
        body, gap, signed = whole.rpartition("\n\n")
        if not gap or not signed.endswith("\n") or not body:
            raise NoteError("a note is a text, an empty line, and a line for each signature")
        lines = signed.split("\n")[:-1]
        if not 0 < len(lines) <= MAX_SIGNATURES:
            raise NoteError(f"a note has 1 to {MAX_SIGNATURES} signatures")
        return cls(body + "\n", tuple(_signature(line) for line in lines))

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(signature.line for signature in self.signatures)

    def check(self, key: VerifierKey) -> int | None:
        """Raise BadSignature unless this key signed; the time in Unix seconds that it states, if it states one.

        More than one signature by the same key must all be good; the latest time counts.
        """
        mine = [each for each in self.signatures if each.name == key.name and each.key_id == key.id]
        if not mine:
            raise BadSignature(f"no signature by {key.name} ({key.id.hex()})")
        times = [_checked(self.text, each.content, key) for each in mine]
        return max((time for time in times if time is not None), default=None)


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    if found is None:
        raise NoteError("a signature line is `— name base64`")
    content = _base64(found[2], "a signature")
    if len(content) <= _ID_BYTES:
        raise NoteError("a signature holds the key's id and more")
    return Signature(found[1], content[:_ID_BYTES], content[_ID_BYTES:])


def _checked(text: str, content: bytes, key: VerifierKey) -> int | None:
    time = None
    message = text.encode()
    if key.algorithm == COSIGNATURE:
        time = int.from_bytes(content[:_TIME_BYTES])
        message, content = _timed(text, time), content[_TIME_BYTES:]
    try:
        if len(content) != _SIGNATURE_BYTES:
            raise BadSignature(f"the signature by {key.name} ({key.id.hex()}) has the wrong length")
        Ed25519PublicKey.from_public_bytes(key.public).verify(content, message)
    except InvalidSignature:
        raise BadSignature(f"the signature by {key.name} ({key.id.hex()}) does not belong to this text") from None
    return time


# -- checkpoints


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a tree: which log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text of a note, exactly as `text` writes it; raises NoteError."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise NoteError("a checkpoint is three lines: origin, size, root")
        origin, size, root = lines[:3]
        if not _NAME.fullmatch(origin):
            raise NoteError("the origin of a checkpoint is visible ASCII without spaces and `+`")
        if not _SIZE.fullmatch(size):
            raise NoteError("the size of a checkpoint is a decimal number without sign or leading zeros")
        made = _base64(root, "the root")
        if len(made) != _HASH_BYTES:
            raise NoteError(f"the root of a checkpoint has {_HASH_BYTES} bytes")
        return cls(origin, int(size), made)

    @property
    def text(self) -> str:
        """The three lines."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def signed_checkpoint(checkpoint: Checkpoint, signer: Signer, unix_seconds: int) -> str:
    """The note of a log's own key: once over the text, once over text and time."""
    text = checkpoint.text
    return f"{text}\n{signer.signed(text)}{signer.cosigned(text, unix_seconds)}"
