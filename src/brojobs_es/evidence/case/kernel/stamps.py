"""The time stamp that a case file may hold (RFC 3161): an authority's word that a signed checkpoint existed at a time.

What the stamp is of, and which time it states, is read here. Who signed it is only checked where the reader names the
authorities and brings a program for it: chains of certificates take more than this file has.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from brojobs_es.evidence.case.kernel.container import Bag
from brojobs_es.evidence.case.kernel.notes import Checkpoint, read_checkpoint, unbase64
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

STAMP_FOLDER = "data/stamp/"
STAMPED, RESPONSE, STAMP_PROOF = (STAMP_FOLDER + name for name in ("checkpoint.txt", "response.tsr", "proof.json"))
_DER_INTEGER, _DER_OCTETS, _DER_OID, _DER_TIME, _DER_SEQUENCE, _DER_EXPLICIT = 0x02, 0x04, 0x06, 0x18, 0x30, 0xA0
_LONG_LENGTH = 0x80
_LENGTH_BYTES_MAX = 4
_TST_INFO = bytes.fromhex("2a864886f70d0109100104")
_SHA256 = bytes.fromhex("608648016503040201")
_INSTANT = re.compile(rb"(\d{14})(\.\d{1,9})?Z")


@dataclass(frozen=True)
class Stamped:
    """A stamped checkpoint as the file has it: the order's last event lies in it; `response` is the authority's."""

    checkpoint: Checkpoint
    note: bytes
    index: int
    hashes: tuple[bytes, ...]
    response: bytes
    claimed_at: str


def read_stamped(bag: Bag) -> Stamped | None:
    """The stamp of a case file, its signatures not yet verified; None where it has none. Raises Malformed or Failed."""
    if not any(path.startswith(STAMP_FOLDER) for path in bag.members):
        return None
    note, response = bag.read(STAMPED, 1 << 16), bag.read(RESPONSE, 1 << 16)
    wrong = Malformed(f"{STAMP_PROOF} ne se lit pas", f"{STAMP_PROOF} cannot be read")
    try:
        proof: Any = json.loads(bag.read(STAMP_PROOF, 1 << 16))
        index, hashes = proof["index"], tuple(unbase64(each) for each in proof["hashes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise wrong from None
    if type(index) is not int or any(len(each) != hashlib.sha256().digest_size for each in hashes):
        raise wrong
    imprint, claimed_at = read_response(response)
    if imprint != hashlib.sha256(note).digest():
        raise Failed("l’horodatage porte sur autre chose", "the time stamp is of something else")
    return Stamped(read_checkpoint(note), note, index, hashes, response, claimed_at)


def read_response(data: bytes) -> tuple[bytes, str]:
    """The SHA-256 that an authority's answer is of, and the time that it states (`…Z`). Raises Malformed."""
    try:
        (answer,) = _parts(data, _DER_SEQUENCE)
        status, token = _parts(answer, _DER_SEQUENCE, _DER_SEQUENCE)
        if next(_values(status)) != (_DER_INTEGER, b"\0"):
            raise ValueError("refused")
        _, content = _parts(token, _DER_OID, _DER_EXPLICIT)
        (signed,) = _parts(content, _DER_SEQUENCE)
        kind, wrapped = _parts(list(_values(signed))[2][1], _DER_OID, _DER_EXPLICIT)
        (octets,) = _parts(wrapped, _DER_OCTETS)
        (info,) = _parts(octets, _DER_SEQUENCE)
        _, _, (is_imprint, imprint), _, (is_time, instant), *_ = _values(info)
        algorithm, digest = _parts(imprint, _DER_SEQUENCE, _DER_OCTETS)
        time = _INSTANT.fullmatch(instant)
        if time is None or (is_imprint, is_time, kind) != (_DER_SEQUENCE, _DER_TIME, _TST_INFO):
            raise ValueError("not a stamp")
        if next(_values(algorithm)) != (_DER_OID, _SHA256):
            raise ValueError("another hash")
        at = datetime.strptime(time[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)  # noqa: UP017  (Python 3.9)
    except (ValueError, IndexError, StopIteration):
        raise Malformed("l’horodatage ne se lit pas", "the time stamp cannot be read") from None
    return digest, at.strftime("%Y-%m-%dT%H:%M:%S") + (time[2] or b"").decode() + "Z"


def _parts(data: bytes, *tags: int) -> list[bytes]:
    """The contents of the DER values that data is made of, which have exactly these tags; raises ValueError."""
    found = list(_values(data))
    if [tag for tag, _ in found] != list(tags):
        raise ValueError("other values")
    return [content for _, content in found]


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER value in turn; raises ValueError or IndexError."""
    place = 0
    while place < len(data):
        tag, length, start = data[place], data[place + 1], place + 2
        if length >= _LONG_LENGTH:
            more = length - _LONG_LENGTH
            if not 0 < more <= _LENGTH_BYTES_MAX:
                raise ValueError("not DER")
            length, start = int.from_bytes(data[start : start + more], "big"), start + more
        place = start + length
        if place > len(data):
            raise ValueError("cut")
        yield tag, data[start:place]
