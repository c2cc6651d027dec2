"""What goes into the logs and what comes out, under the names that the application gives them."""

from brojobs_es.application.records import (
    Append,
    FileRow,
    IdempotencyRecord,
    KeyTaken,
    NewEvent,
    RecordedEvent,
    RefusedCommand,
    StoreUnavailable,
    VersionConflict,
    VersionGap,
)

__all__ = [
    "Append",
    "FileRow",
    "IdempotencyRecord",
    "KeyTaken",
    "NewEvent",
    "RecordedEvent",
    "RefusedCommand",
    "StoreUnavailable",
    "VersionConflict",
    "VersionGap",
]
