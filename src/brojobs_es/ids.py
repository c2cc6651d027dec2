"""Identifiers that nobody has to hand out: each is derived from what it names, so a repeat gives the same one."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("6f0d2a5e-7c8b-5f34-9a51-b20b0c0e5e01")
_TAIL_BYTES: Final = 4


def order_id_for(caller: str, idempotency_key: str) -> UUID:
    """The id of the order that this caller places with this key."""
    return uuid5(_NAMESPACE, f"order\x00{caller}\x00{idempotency_key}")


def dispute_id_for(order_id: UUID, number: int) -> UUID:
    """The id of an order's dispute 1, 2, …; it ends like the order's, so both live in the same log."""
    made = uuid5(order_id, f"dispute {number}")
    tail = order_id.bytes[-_TAIL_BYTES:]
    return UUID(bytes=made.bytes[:-_TAIL_BYTES] + tail)


def part_id_for(stream_id: UUID, kind: str, version: int) -> UUID:
    """The id of a message, a proposal, a payment instruction, …: the kind and the event that made it."""
    return uuid5(stream_id, f"{kind} {version}")


def log_of(stream_id: UUID, logs: int) -> int:
    """Which of the deployment's logs an order, or a dispute of it, lives in."""
    return int.from_bytes(stream_id.bytes[-_TAIL_BYTES:]) % logs
