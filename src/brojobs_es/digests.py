"""What an event's digest is made of: everything that is stored of it, in canonical form (RFC 8785).

The digest of an event stands for its place and its content: log, position, order, stream, version, name and state as
stored. The chain of an order links the digests of its events, so that one that is missing shows.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import UUID

START_OF_CHAIN: Final = bytes(32)

PREIMAGE: Final = (
    b'{"log":%d,"order_id":"%b","position":%d,"state":%b,"stream_id":"%b","stream_version":%d,"topic":"%b"}'
)
"""The canonical JSON of a stored event, to be filled in this order; `state` is stored in canonical form."""


def preimage(
    *,
    log: int,
    position: int,
    order_id: UUID | str,
    stream_id: UUID | str,
    stream_version: int,
    topic: str,
    state: bytes,
) -> bytes:
    """The canonical JSON of a stored event: PREIMAGE with everything in its place."""
    order, stream = str(order_id).encode(), str(stream_id).encode()
    return PREIMAGE % (log, order, position, state, stream, stream_version, topic.encode())


def event_digest(
    *,
    log: int,
    position: int,
    order_id: UUID | str,
    stream_id: UUID | str,
    stream_version: int,
    topic: str,
    state: bytes,
) -> bytes:
    """SHA-256 over the preimage: 32 bytes."""
    return sha256(
        preimage(
            log=log,
            position=position,
            order_id=order_id,
            stream_id=stream_id,
            stream_version=stream_version,
            topic=topic,
            state=state,
        )
    ).digest()


def chained(previous: bytes, digest: bytes) -> bytes:
    """The head of an order's chain after one more event: SHA-256 over the head before and the event's digest."""
    return sha256(previous + digest).digest()
