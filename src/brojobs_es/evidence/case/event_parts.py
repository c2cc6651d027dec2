"""What an event holds: words, files and pieces of evidence, wherever they stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from brojobs_es.aggregates.base import Event, FileRef


def values_in(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every part that is a value of its own type, with the name of the field that holds it; a file counts as a whole."""
    if isinstance(value, tuple):
        for part in value:
            yield from values_in(part, name)
    elif is_dataclass(value) and not isinstance(value, type):
        yield name, value
        if not isinstance(value, FileRef):
            for each in fields(value):
                yield from values_in(getattr(value, each.name), each.name)


def files_in(event: Event) -> list[FileRef]:
    """The files that an event names."""
    return [value for _, value in values_in(event) if isinstance(value, FileRef)]
