"""An order's history: its recorded events, what they make now, and what they made at a version or an instant."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from brojobs_es.aggregates.base import Event
from brojobs_es.application.records import LoggedEvent, NewEvent, RecordedEvent
from brojobs_es.application.standing import Standing, folded_size, own_positions
from brojobs_es.case import Case
from brojobs_es.mapper import EventMapper
from brojobs_es.vault import Ring

_MAPPER = EventMapper()


def decode(recorded: RecordedEvent | LoggedEvent, ring: Ring | None = None) -> Event:
    """The event of a stored row; raises MapperDeserialisationError.

    The ring has the keys that `wanted_in` asks for; without a ring all words are left sealed, their texts empty.
    """
    return _MAPPER.read(recorded.topic, recorded.state, recorded.stream_id, recorded.stream_version, ring)


def encode(event: Event, ring: Ring) -> NewEvent:
    """The event as the store takes it, words sealed; raises KeysWanted."""
    state = _MAPPER.write(event, ring)
    return NewEvent(event.originator_id, event.originator_version, event.TOPIC, state)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, its position in its log and its stored state; None while it is not recorded."""

    event: Event
    position: int | None
    state: bytes | None = None

    def recorded_as(self, order_id: UUID, log: int) -> dict[str, Any] | None:
        """What `digests` makes the event's preimage and digest of; None while it is not recorded."""
        if self.position is None or self.state is None:
            return None
        return {
            "log": log,
            "position": self.position,
            "order_id": order_id,
            "stream_id": self.event.originator_id,
            "stream_version": self.event.originator_version,
            "topic": self.event.TOPIC,
            "state": self.state,
        }


@dataclass(slots=True)
class History(Standing):
    """An order as it stands, with the events of it and its disputes in recorded order."""

    entries: list[Entry]

    @classmethod
    def of(cls, entries: Sequence[Entry], now: datetime) -> Self | None:
        """None without any event."""
        case = Case.of(entry.event for entry in entries)
        return None if case is None else cls._with(entries, case, now)

    @classmethod
    def recorded_in(cls, rows: Iterable[RecordedEvent], now: datetime, ring: Ring | None = None) -> Self | None:
        """The history that is stored; `now` never lies before its last event. Words are opened as far as `ring` can."""
        entries = [Entry(decode(row, ring), row.position, row.state) for row in rows]
        return cls.of(entries, max(now, entries[-1].event.timestamp)) if entries else None

    @classmethod
    def _with(cls, entries: Sequence[Entry], case: Case, now: datetime) -> Self:
        recorded = [(entry.event, entry.position) for entry in entries if entry.position is not None]
        own = own_positions(case.order.id, recorded)
        size = sum(folded_size(entry.event.TOPIC, entry.state) for entry in entries if entry.state is not None)
        positions = array("q", (position for _, position in recorded))
        return cls(case.order.id, case, now, positions, own, size, list(entries))

    def standing(self) -> Standing:
        """The same without the events; it stands since the last of them."""
        since = self.entries[-1].event.timestamp
        return Standing(self.order_id, self.case, since, self.positions, self.own, self.folded_bytes)

    def elapsed(self, now: datetime) -> History:
        """The same history with every timer fired that is due; what that adds is in `case.new`, not recorded."""
        forked = self.forked(now)
        unrecorded = [Entry(event, None) for event in forked.case.new]
        return self._with(self.entries + unrecorded, forked.case, forked.now)

    def with_recorded(self, stored: Sequence[NewEvent], positions: Sequence[int]) -> History:
        """The same history when the case's new events, which stand at its end, were recorded."""
        new = self.case.new
        added = [Entry(event, position, row.state) for event, row, position in zip(new, stored, positions, strict=True)]
        return self._with(self.entries[: len(self.entries) - len(added)] + added, self.case, self.now)

    # -- the past

    def at_instant(self, at: datetime) -> History | None:
        """The history as it was at an instant, by what had taken effect then; None before the placing."""
        past = History.of([entry for entry in self.entries if entry.event.effective_at <= at], at)
        return past.elapsed(at) if past else None

    def at_version(self, version: int) -> History | None:
        """The history as recorded up to a version of the order; None if there is no such version."""
        until = next(
            (
                index
                for index, entry in enumerate(self.entries)
                if entry.event.originator_id == self.order_id and entry.event.originator_version == version
            ),
            None,
        )
        return None if until is None else History.of(self.entries[: until + 1], self.entries[until].event.timestamp)

    def at_versions(self, versions: Mapping[str, int], now: datetime) -> History:
        """The history with each stream up to a version of it (streams by id), looked at at `now`."""
        kept = [e for e in self.entries if e.event.originator_version <= versions.get(str(e.event.originator_id), 0)]
        history = History.of(kept, now)
        assert history is not None
        return history
