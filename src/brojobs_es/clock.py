"""The clock is read once, at the edge; everything below takes `now` as an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is: an aware UTC instant."""

    def now(self) -> datetime: ...


class MachineClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SandboxClock:
    """The machine's clock until it is set; from then on it stands still and only moves forward by hand."""

    def __init__(self) -> None:
        self._set: datetime | None = None

    def now(self) -> datetime:
        return self._set if self._set is not None else datetime.now(UTC)

    def move_to(self, instant: datetime) -> datetime:
        """Set the clock; the same instant is accepted, an earlier one raises ValueError."""
        if instant < self.now():
            raise ValueError(f"the clock only moves forward: it is {self.now().isoformat()}")
        self._set = instant
        return instant

    def advance(self, by: timedelta) -> datetime:
        """Move the clock forward by a span (0 or more) from what it shows now."""
        return self.move_to(self.now() + by)
