"""From a row that does not fit to the place and the field that were changed, as far as digests can tell."""

from __future__ import annotations

from uuid import UUID

from brojobs_es.aggregates.base import EVENTS
from brojobs_es.digests import event_digest
from brojobs_es.evidence.verify.findings import Finding
from brojobs_es.store.scanning import Event, Snapshot
from brojobs_es.store.sealing import unpacked

_NEAR = 1000


def mismatch(snapshot: Snapshot, log: int, event: Event, leaf_index: int, row: bytes, previous: int) -> Finding:
    """Why a sealed row is not the one that this event gives. `previous` is the position before, which was as sealed."""
    try:
        sealed_at, order, index, digest, _ = unpacked(row)
    except ValueError:
        return _finding("digest_row", log, event, "digest")
    position = event[0]
    if sealed_at < position:
        return Finding("event_missing", log, sealed_at, order_id=UUID(bytes=order), field="position")
    if sealed_at > position:
        moved = _moved(snapshot, log, event)
        return moved or _finding("event_inserted", log, event, "position")
    if digest_as(log, event) == digest:
        if order != event[1]:
            return _finding("digest_row", log, event, "order_id")
        if index != leaf_index:
            return Finding("sealed_missing", log, position, previous, UUID(bytes=order), "leaf_index")
        return _finding("digest_forged", log, event, "chain")
    return _changed(snapshot, log, event, order, digest)


def _changed(snapshot: Snapshot, log: int, event: Event, sealed_order: bytes, digest: bytes) -> Finding:
    """Which single field, put back, gives the sealed digest. If none does, it was the content."""
    if sealed_order != event[1] and digest_as(log, event, order=sealed_order) == digest:
        return _finding("event_changed", log, event, "order_id", order=sealed_order)
    for topic in EVENTS:
        if digest_as(log, event, topic=topic.encode()) == digest:
            return _finding("event_changed", log, event, "topic")
    for version in range(max(0, event[3] - _NEAR), event[3] + _NEAR):
        if digest_as(log, event, version=version) == digest:
            return _finding("event_changed", log, event, "stream_version")
    if digest_as(log, event, stream=event[1]) == digest:
        return _finding("event_changed", log, event, "stream_id")
    if moved := _moved(snapshot, log, event):
        return moved
    for position in range(max(1, event[0] - _NEAR), event[0] + _NEAR):
        if digest_as(log, event, position=position) == digest:
            return Finding("event_moved", log, event[0], None, UUID(bytes=event[1]), "position", {"was": position})
    return _finding("event_changed", log, event, "state", order=sealed_order)


def _moved(snapshot: Snapshot, log: int, event: Event) -> Finding | None:
    """Whether this event was sealed at another position of its order."""
    for was, digest in snapshot.sealed_of(log, UUID(bytes=event[1])).items():
        if digest_as(log, event, position=was) == digest:
            return Finding("event_moved", log, event[0], None, UUID(bytes=event[1]), "position", {"was": was})
    return None


def digest_as(
    log: int,
    event: Event,
    *,
    position: int | None = None,
    order: bytes | None = None,
    stream: bytes | None = None,
    version: int | None = None,
    topic: bytes | None = None,
) -> bytes:
    """The digest of an event, with some fields as given."""
    return event_digest(
        log=log,
        position=event[0] if position is None else position,
        order_id=UUID(bytes=order or event[1]),
        stream_id=UUID(bytes=stream or event[2]),
        stream_version=event[3] if version is None else version,
        topic=(topic or event[4]).decode("utf-8", "replace"),
        state=event[5],
    )


def _finding(code: str, log: int, event: Event, field: str, order: bytes | None = None) -> Finding:
    return Finding(code, log, event[0], order_id=UUID(bytes=order or event[1]), field=field)
