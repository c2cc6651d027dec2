"""What a case file needs of the log's evidence, and its proofs as they stand in the file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from brojobs_es.application.history import Entry, History
from brojobs_es.digests import START_OF_CHAIN, chained, preimage
from brojobs_es.evidence.case.kernel.checking import FORMAT
from brojobs_es.evidence.case.kernel.notes import read_checkpoint
from brojobs_es.evidence.case.kernel.tree import includes, leaf_hash
from brojobs_es.evidence.case.stamp_parts import Stamp
from brojobs_es.evidence.notes import PLAIN, Signer
from brojobs_es.mapper import canonical


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event's place in the signed log: its leaf (from 0), the hashes to the root, the whole note of the checkpoint.

    `signer` is the key of that checkpoint, `witnesses` are the public keys (a line each) of witnesses that are known,
    `stamp` is the newest time stamp over the event, if there is any.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    signer: Signer
    witnesses: tuple[str, ...] = ()
    stamp: Stamp | None = None

    def sign(self, text: str) -> bytes:
        """The text as a signed note."""
        return f"{text}\n{self.signer.signed(text)}".encode()

    @property
    def keys(self) -> bytes:
        """`data/keys.txt`: the deployment's public key, then those of the witnesses."""
        return "".join(f"{key}\n" for key in (self.signer.verifier(PLAIN), *self.witnesses)).encode()


class Evidence(Protocol):
    """The log's evidence as a case file uses it."""

    async def sealed(self, log: int, position: int) -> Sealed:
        """The place of the event at a position under a checkpoint that covers it; waits for the sealer if it must."""
        ...


class NotProven(Exception):
    """The log's evidence does not fit the order's events: nobody may get a case file that cannot be verified."""


def event_lines(history: History, log: int) -> list[bytes]:
    """Each recorded event as its digest is made of it. Raises NotProven for one that is not recorded."""
    return [_line(entry, history.order_id, log) for entry in history.entries]


def _line(entry: Entry, order_id: UUID, log: int) -> bytes:
    recorded = entry.recorded_as(order_id, log)
    if recorded is None:
        raise NotProven(f"order {order_id} has an event that is not recorded")
    return preimage(**recorded)


def heads_of(lines: Sequence[bytes]) -> list[bytes]:
    """The head of the order's chain after each event."""
    heads, head = [], START_OF_CHAIN
    for line in lines:
        head = chained(head, sha256(line).digest())
        heads.append(head)
    return heads


def proofs(order_id: UUID, log: int, heads: Sequence[bytes], sealed: Sealed) -> bytes:
    """`data/proofs.json`: `{format, log, order_id, inclusion: {index, size, hashes}, heads}`. Raises NotProven."""
    checkpoint = read_checkpoint(sealed.checkpoint.encode())
    if not includes(checkpoint.root, checkpoint.size, sealed.index, leaf_hash(heads[-1]), sealed.hashes):
        raise NotProven(f"order {order_id} does not lie in log {log} as its checkpoint of {checkpoint.size} says")
    value = {
        "format": FORMAT,
        "log": log,
        "order_id": str(order_id),
        "inclusion": {"index": sealed.index, "size": checkpoint.size, "hashes": list(map(_base64, sealed.hashes))},
        "heads": list(map(_base64, heads)),
    }
    return canonical(value) + b"\n"


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode()
