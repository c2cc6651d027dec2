"""An order as it stands, without the events that made it so."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute_events import DisputeMessagePosted, MediatorNoteAdded
from brojobs_es.aggregates.order_events import MessagePosted, SellerReminded
from brojobs_es.case import Case

_ORDER_BYTES: Final = 4096
_POSITION_BYTES: Final = 16
_NOT_FOLDED: Final = frozenset(
    {MessagePosted.TOPIC, SellerReminded.TOPIC, DisputeMessagePosted.TOPIC, MediatorNoteAdded.TOPIC}
)
"""Events whose words nothing is decided on: there may be thousands, and an order holds none of them."""


@dataclass(slots=True)
class Standing:
    """The case of an order at `now` (timers due by then have fired), and where its recorded events lie in their log.

    `positions` are those of all events of the case, `own` those of the order's own stream, version by version.
    `folded_bytes` is what the events take in the log that stay in the fold.
    """

    order_id: UUID
    case: Case
    now: datetime
    positions: array[int]
    own: array[int]
    folded_bytes: int

    @classmethod
    def of_new(cls, case: Case, now: datetime) -> Standing:
        """A case of which nothing is recorded yet."""
        return cls(case.order.id, case, now, array("q"), array("q"), 0)

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes: no more than what it was folded from, and the order itself."""
        return _ORDER_BYTES + self.folded_bytes + _POSITION_BYTES * len(self.positions)

    def position_of(self, version: int) -> int | None:
        """The position of a version of the order's own stream; None while it is not recorded."""
        return self.own[version - 1] if 0 < version <= len(self.own) else None

    def forked(self, now: datetime) -> Standing:
        """A copy to decide on, at `now` or when its last event was recorded, with every timer fired that is due.

        What that adds is in `case.new`, not recorded.
        """
        now = max(now, self.now)
        case = self.case.fork()
        case.elapse(now)
        return Standing(self.order_id, case, now, self.positions, self.own, self.folded_bytes)

    def recorded(self, positions: Sequence[int], folded_bytes: int) -> Standing:
        """The same, with the case's new events recorded at these positions."""
        return self._grown(self.case, self.case.new, positions, folded_bytes)

    def followed(self, events: Sequence[Event], positions: Sequence[int], folded_bytes: int) -> Standing:
        """A copy that others' recorded events were added to."""
        case = self.case.fork()
        for event in events:
            case.apply(event)
        return self._grown(case, events, positions, folded_bytes)

    def _grown(self, case: Case, events: Sequence[Event], positions: Sequence[int], folded_bytes: int) -> Standing:
        if not events:
            return Standing(self.order_id, case, self.now, self.positions, self.own, self.folded_bytes)
        added = array("q", positions)
        own = own_positions(self.order_id, zip(events, positions, strict=True)) if case.disputes else added
        return Standing(
            self.order_id,
            case,
            max(self.now, events[-1].timestamp),
            self.positions + added,
            self.own + own,
            self.folded_bytes + folded_bytes,
        )


Sure = Callable[[Standing, datetime], bool]
"""Whether an order as it stands now, from what was seen of it at that instant, is enough whatever was recorded since."""


def folded_size(topic: str, state: bytes) -> int:
    """The bytes of a stored event that stay in the fold."""
    return 0 if topic in _NOT_FOLDED else len(state)


def own_positions(order_id: UUID, events: Iterable[tuple[Event, int]]) -> array[int]:
    """Positions of the order's own events among those of its case."""
    return array("q", (position for event, position in events if event.originator_id == order_id))
