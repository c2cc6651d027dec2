"""Identifiers that nobody has to hand out: each is derived from what it names, so a repeat gives the same one."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID, SafeUUID

_TAIL_BYTES: Final = 4
_TAIL: Final = (1 << 8 * _TAIL_BYTES) - 1
_OURS: Final = 8
"""The UUID version of every derived id (RFC 9562: made by the vendor's own rule). No client may bring one along."""


_VERSION_AND_VARIANT: Final = 0xF << 76 | 0x3 << 62
_VARIANT: Final = 0x2 << 62
_UNKNOWN: Final = SafeUUID.unknown
_set: Final = object.__setattr__


def uuid_of(content: bytes, version: int) -> UUID:
    """16 bytes under a version's marks. `UUID` itself looks at its six ways to be made, and takes four times as long."""
    made = object.__new__(UUID)
    _set(made, "int", int.from_bytes(content) & ~_VERSION_AND_VARIANT | version << 76 | _VARIANT)
    _set(made, "is_safe", _UNKNOWN)
    return made


@lru_cache(maxsize=16_384)
def id_text(value: UUID) -> str:
    """The id as people and JSON write it. An order's is written in each of its answers."""
    return str(value)


def _derived(*parts: bytes) -> UUID:
    return uuid_of(sha256(b"\x00".join(parts)).digest()[:16], _OURS)


def is_derived(offered: UUID) -> bool:
    """Whether an id looks like one of ours: whoever offers it could take the place of something that is to come."""
    return offered.version == _OURS


def order_id_for(caller: str, idempotency_key: str) -> UUID:
    """The id of the order that this caller places with this key."""
    return _derived(b"order", caller.encode(), idempotency_key.encode())


def dispute_id_for(order_id: UUID, number: int) -> UUID:
    """The id of an order's dispute 1, 2, …; it ends like the order's, so both live in the same log."""
    made = _derived(b"dispute", order_id.bytes, b"%d" % number)
    tail = order_id.bytes[-_TAIL_BYTES:]
    return UUID(bytes=made.bytes[:-_TAIL_BYTES] + tail)


def part_id_for(stream_id: UUID, kind: str, version: int) -> UUID:
    """The id of a message, a proposal, a payment instruction, …: the kind and the event that made it."""
    return _derived(b"part", stream_id.bytes, kind.encode(), b"%d" % version)


def log_of(stream_id: UUID, logs: int) -> int:
    """Which of the deployment's logs an order, or a dispute of it, lives in."""
    return (stream_id.int & _TAIL) % logs
