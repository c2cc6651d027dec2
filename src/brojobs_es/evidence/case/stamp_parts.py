"""The time stamp in a case file: what is packed of it, and the check that the file's own verifier cannot make."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.x509 import Certificate

from brojobs_es.evidence.case.kernel.checking import CheckStamp
from brojobs_es.evidence.case.kernel.problems import Failed
from brojobs_es.evidence.case.kernel.stamps import RESPONSE, STAMP_PROOF, STAMPED
from brojobs_es.evidence.stamps import StampError, stamped_at
from brojobs_es.mapper import canonical


@dataclass(frozen=True, slots=True)
class Stamp:
    """A stamped checkpoint over an event: the note, the hashes from the event's leaf to its root, the authority's answer."""

    note: str
    hashes: tuple[bytes, ...]
    response: bytes


def stamp_parts(stamp: Stamp, index: int) -> dict[str, bytes]:
    """`data/stamp/…`, by path in the payload; `index` is the leaf of the event."""
    proof = {"index": index, "hashes": [b64encode(each).decode() for each in stamp.hashes]}
    parts = {STAMPED: stamp.note.encode(), RESPONSE: stamp.response, STAMP_PROOF: canonical(proof) + b"\n"}
    return {path.removeprefix("data/"): content for path, content in parts.items()}


def stamp_checker(roots: Sequence[Certificate]) -> CheckStamp:
    """Accepts what leads to one of these certificates."""

    def check(response: bytes, note: bytes) -> None:
        try:
            stamped_at(response, note.decode(), roots=roots)
        except (StampError, UnicodeDecodeError) as error:
            raise Failed(
                f"l’horodatage n’est pas accepté : {error}", f"the time stamp is not accepted: {error}"
            ) from error

    return check
