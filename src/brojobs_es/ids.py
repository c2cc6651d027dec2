"""Identifiers that nobody has to hand out: each is derived from what it names, so a repeat gives the same one."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import UUID

_TAIL_BYTES: Final = 4
_OURS: Final = 8
"""The UUID version of every derived id (RFC 9562: made by the vendor's own rule). No client may bring one along."""


def _derived(*parts: str | bytes) -> UUID:
    made = bytearray(sha256(b"\x00".join(p if isinstance(p, bytes) else p.encode() for p in parts)).digest()[:16])
    made[6] = (made[6] & 0x0F) | (_OURS << 4)
    made[8] = (made[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(made))


def is_derived(offered: UUID) -> bool:
    """Whether an id looks like one of ours: whoever offers it could take the place of something that is to come."""
    return offered.version == _OURS


def order_id_for(caller: str, idempotency_key: str) -> UUID:
    """The id of the order that this caller places with this key."""
    return _derived("order", caller, idempotency_key)


def dispute_id_for(order_id: UUID, number: int) -> UUID:
    """The id of an order's dispute 1, 2, …; it ends like the order's, so both live in the same log."""
    made = _derived("dispute", order_id.bytes, str(number))
    tail = order_id.bytes[-_TAIL_BYTES:]
    return UUID(bytes=made.bytes[:-_TAIL_BYTES] + tail)


def part_id_for(stream_id: UUID, kind: str, version: int) -> UUID:
    """The id of a message, a proposal, a payment instruction, …: the kind and the event that made it."""
    return _derived("part", stream_id.bytes, kind, str(version))


def log_of(stream_id: UUID, logs: int) -> int:
    """Which of the deployment's logs an order, or a dispute of it, lives in."""
    return int.from_bytes(stream_id.bytes[-_TAIL_BYTES:]) % logs
