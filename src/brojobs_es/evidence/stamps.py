"""Time stamps of RFC 3161: an authority outside signs that it has seen the SHA-256 of a signed checkpoint, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate, ObjectIdentifier, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    TimeStampTokenInfo,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

MAX_RESPONSE_BYTES: Final = 65_536
_SHA256: Final = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


class StampError(Exception):
    """A time stamp that is none, is of something else, or is not signed by an accepted authority; the message says which."""


def read_roots(path: Path) -> list[Certificate]:
    """The certificates of a PEM file. Raises OSError, or StampError for a file that has none."""
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise StampError(f"{path} holds no certificates in PEM") from error


def asked(note: str) -> tuple[bytes, int]:
    """The request for a stamp of a note, and the number that the answer has to repeat."""
    request = TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA256).build()
    assert request.nonce is not None
    return request.as_bytes(), request.nonce


def stamped_at(
    response: bytes, note: str, *, nonce: int | None = None, roots: Sequence[Certificate] | None = None
) -> datetime:
    """When the authority had the note before it, as it says itself. Raises StampError.

    Without `roots` nothing is known of who signed; with them the signature must lead to one of them.
    """
    stamp, info = _granted(response)
    digest = sha256(note.encode()).digest()
    if info.message_imprint.hash_algorithm != _SHA256 or info.message_imprint.message != digest:
        raise StampError("the stamp is of something else")
    if nonce is not None and info.nonce != nonce:
        raise StampError("the stamp answers another request")
    if roots is not None:
        try:
            VerifierBuilder(roots=list(roots)).build().verify(stamp, digest)
        except (VerificationError, ValueError) as error:
            why = str(error).partition(": ErrorStack")[0]
            raise StampError(f"the stamp is not signed by an accepted authority ({why})") from error
    return info.gen_time


def _granted(response: bytes) -> tuple[TimeStampResponse, TimeStampTokenInfo]:
    try:
        stamp = decode_timestamp_response(response)
        status = PKIStatus(stamp.status)
        if status is not PKIStatus.GRANTED:
            raise StampError(f"the authority refused: {', '.join(stamp.status_string) or status.name.lower()}")
        return stamp, stamp.tst_info
    except ValueError as error:
        raise StampError(f"this is no answer of a time stamping authority ({error})") from error
