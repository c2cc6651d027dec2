"""A refusal: the one way in which the domain says no. Clients switch on its `code`, which never changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Refusal(Exception):
    """Why a command is not possible, and when or by what it would be.

    A guard gives as `available_from` when it no longer refuses. A case asks all the others what they say then, and tells
    the instant from which the command is possible if nothing else happens, or none.
    `facts` are the typed values that the sentence for people may name (`limit`, `status`, `amount`, …).
    """

    code: str
    available_from: datetime | None = None
    available_until: datetime | None = None
    unlocked_by: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.code
