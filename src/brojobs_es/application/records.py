"""What goes into the logs and what comes out, and what can go wrong. Plain values; no database here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct


class NewEvent(Struct, frozen=True):
    """An event to be stored: its stream (an order or a dispute of it), the version it makes there, its stored form."""

    stream_id: UUID
    stream_version: int
    topic: str
    state: bytes


class IdempotencyRecord(Struct, frozen=True):
    """The answer kept for a caller's key: a digest of the request that earned it, and the answer's bytes."""

    caller: str
    key: str
    request_digest: bytes
    order_id: UUID
    answer: bytes


class Append(Struct, frozen=True):
    """What one command records, all or nothing: events of one order's streams, and the answer kept for its key."""

    order_id: UUID
    events: tuple[NewEvent, ...]
    idempotency: IdempotencyRecord | None = None


class LoggedEvent(Struct, frozen=True):
    """What was stored of an event, and its position in its log; what folds read, by the million."""

    position: int
    order_id: UUID
    stream_id: UUID
    stream_version: int
    topic: str
    state: bytes


class RecordedEvent(Struct, frozen=True):
    """A stored event, and where it lies: log and position, in commit order."""

    log: int
    position: int
    order_id: UUID
    stream_id: UUID
    stream_version: int
    topic: str
    state: bytes


class FileRow(Struct, frozen=True):
    """A file of an order: its content's digest, the name it came with, its size in bytes, who uploaded it and when.

    `key` is the generation of the uploader's key that seals name and content. In the store `name` is sealed;
    where it cannot be opened any more, the row is read as `erased`. The sealed bytes lie with the row where it says
    `in_row`, otherwise in the folder of files.
    """

    order_id: UUID
    file_id: str
    name: str
    size: int
    media_type: str
    uploaded_by: str
    uploaded_at: datetime
    key: int = 0
    in_row: bool = False
    erased: bool = False


class RefusedCommand(Struct, frozen=True):
    """A command that was refused: whose, on which order (None where it never came to be), with which code, when."""

    order_id: UUID | None
    actor_id: str
    actor_role: str
    command: str
    code: str
    command_id: UUID | None
    at: datetime


class VersionConflict(Exception):
    """Somebody else has recorded an event of that stream and version; load again and judge again."""


class VersionGap(Exception):
    """The events do not follow what the stream holds: a mistake of the caller, never of a race."""


class KeyTaken(Exception):
    """The caller's key already has an answer: the record says which."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__(f"the key {record.key!r} already has an answer")
        self.record = record


class StoreUnavailable(Exception):
    """The database cannot be reached, or not in time; nothing is known to be stored, and trying again is right."""


class EventLog(Protocol):
    """What the application needs of the store; every method may raise StoreUnavailable."""

    count: int
    """How many logs there are. A caller's key is unique within one of them."""

    def log_of(self, stream_id: UUID) -> int: ...

    async def append(self, append: Append) -> list[int]:
        """Store all of it or nothing; the positions. Raises KeyTaken, VersionConflict."""
        ...

    async def load(self, order_id: UUID, after: int = 0) -> list[RecordedEvent]: ...

    async def load_many(self, order_ids: Sequence[UUID]) -> dict[UUID, list[RecordedEvent]]: ...

    async def order_of_stream(self, stream_id: UUID) -> UUID | None: ...

    async def find_key(self, caller: str, key: str) -> IdempotencyRecord | None: ...

    async def add_file(self, file: FileRow, content: bytes | None = None) -> FileRow:
        """Note a file of an order, with its sealed bytes if they are to lie in the row; the row that stands.

        That is an older one where the content was there already.
        """
        ...

    async def file_content(self, file: FileRow) -> bytes | None:
        """The sealed bytes that lie in a file's row; None where there are none."""
        ...

    async def files(self, order_id: UUID, file_ids: Sequence[str] | None = None) -> list[FileRow]: ...

    async def add_refusal(self, refused: RefusedCommand) -> None: ...
