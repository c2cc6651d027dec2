"""Signed notes, public keys and checkpoints in the forms of C2SP (signed-note, tlog-checkpoint, tlog-cosignature).

Strict: each has exactly one spelling, whatever else is Malformed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

ED25519 = 1
COSIGNATURE = 4
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_TIME_BYTES = 8
_KEY_ID_BYTES = 4
_HASH_BYTES = 32
_PLAIN_NAME = re.compile(r"[^\s+]+")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class VerifyKey:
    """A public Ed25519 key. A key in PEM form has no name: it fits whatever carries its key id."""

    name: str | None
    public: bytes

    def key_id(self, name: str, kind: int) -> bytes:
        """The four bytes by which a signature says whose it is."""
        made = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + self.public)
        return made.digest()[:_KEY_ID_BYTES]

    def fingerprint(self) -> str:
        """The SHA-256 of the public key in hex, to compare with what its owner publishes."""
        return hashlib.sha256(self.public).hexdigest()

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether these 64 bytes are this key's signature of the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class NoteSignature:
    """A signature line: who signs, by which key, and what the kind of the key makes of the rest."""

    name: str
    key_id: bytes
    body: bytes


@dataclass(frozen=True)
class Note:
    """A text that ends with a line end, and its signatures."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head: the log's name, how many leaves it had, the root over them."""

    origin: str
    size: int
    root: bytes
    note: Note


def unbase64(text: str) -> bytes:
    """The bytes of a base64 text in its one canonical spelling; raises Malformed."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = None
    if raw is None or base64.b64encode(raw).decode() != text:
        raise Malformed("un texte en base64 n’est pas canonique", "a base64 text is not canonical")
    return raw


def read_key(data: bytes) -> VerifyKey:
    """A public key, as PEM or as a line `name+keyid+base64`; raises Malformed."""
    wrong = Malformed("la clé n’est pas une clé publique Ed25519", "the key is not a public Ed25519 key")
    if data.lstrip().startswith(b"-----BEGIN"):
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm):
            raise wrong from None
        if not isinstance(key, Ed25519PublicKey):
            raise wrong
        return VerifyKey(None, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    try:
        name, key_id, coded = data.decode().strip().split("+", 2)
    except (UnicodeDecodeError, ValueError):
        raise wrong from None
    raw = unbase64(coded)
    if len(raw) != 1 + _KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE) or not _PLAIN_NAME.fullmatch(name):
        raise wrong
    made = VerifyKey(name, raw[1:])
    if made.key_id(name, raw[0]).hex() != key_id:
        raise wrong
    return made


def read_note(data: bytes) -> Note:
    """The parts of a signed note; raises Malformed."""
    wrong = Malformed("ce n’est pas une note signée", "this is not a signed note")
    try:
        text, gap, tail = data.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        raise wrong from None
    if not gap or not text or not tail.endswith("\n") or any(ord(char) < 0x20 and char != "\n" for char in text):
        raise wrong
    signatures = []
    for line in tail[:-1].split("\n"):
        found = _SIGNATURE_LINE.fullmatch(line)
        if found is None:
            raise wrong
        raw = unbase64(found[2])
        if len(raw) <= _KEY_ID_BYTES:
            raise wrong
        signatures.append(NoteSignature(found[1], raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]))
    return Note((text + "\n").encode(), tuple(signatures))


def read_checkpoint(data: bytes) -> Checkpoint:
    """A checkpoint, its signatures not yet verified; raises Malformed."""
    note = read_note(data)
    wrong = Malformed("ce n’est pas un point de contrôle", "this is not a checkpoint")
    lines = note.text.decode()[:-1].split("\n")
    if len(lines) != 3 or not all(lines) or not _SIZE.fullmatch(lines[1]):
        raise wrong
    root = unbase64(lines[2])
    if len(root) != _HASH_BYTES:
        raise wrong
    return Checkpoint(lines[0], int(lines[1]), root, note)


def signature_of(note: Note, key: VerifyKey) -> NoteSignature | None:
    """The last line that this key signed; None where it signed none. Raises Failed where any of its lines is wrong."""
    found = None
    for line in note.signatures:
        for kind in (ED25519, COSIGNATURE):
            if key.name in (None, line.name) and key.key_id(line.name, kind) == line.key_id:
                _verify_line(note, key, line, kind)
                found = line
    return found


def _verify_line(note: Note, key: VerifyKey, line: NoteSignature, kind: int) -> None:
    message, signature = note.text, line.body
    if kind == COSIGNATURE and len(signature) == _TIME_BYTES + _SIGNATURE_BYTES:
        at = int.from_bytes(signature[:_TIME_BYTES], "big")
        message, signature = b"cosignature/v1\ntime %d\n" % at + note.text, signature[_TIME_BYTES:]
    if len(signature) != _SIGNATURE_BYTES or not key.accepts(signature, message):
        raise Failed(f"la signature de {line.name} est fausse", f"the signature of {line.name} is wrong")
