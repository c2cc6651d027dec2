"""What the two aggregates share: who acts, why an event exists, words and files in events, and recording itself.

Everything in this module that an event holds is storage format: names and meanings here are for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from eventsourcing.domain import (
    Aggregate,
    CanInitAggregate,
    CanMutateAggregate,
    OriginatorIDError,
    OriginatorVersionError,
)
from eventsourcing.utils import register_topic, resolve_topic
from msgspec import Struct


class Role(StrEnum):
    """Who somebody is to an order. `TIME` is the actor of everything that a timer does."""

    BUYER = "buyer"
    SELLER = "seller"
    MEDIATOR = "mediator"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    TIME = "time"

    @property
    def other(self) -> Role:
        """The other party of an order."""
        return {Role.BUYER: Role.SELLER, Role.SELLER: Role.BUYER}[self]


PARTIES: Final = frozenset({Role.BUYER, Role.SELLER})


class Actor(Struct, frozen=True):
    """A person in a role, or time (without an id)."""

    role: Role
    id: str | None = None


class Cause(Struct, frozen=True):
    """Why an event exists: who did what with which command. Timers have no command of their own."""

    actor: Actor
    command: str | None = None
    command_id: UUID | None = None
    correlation_id: UUID | None = None
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What a person wrote, and whose words they are: the one type that can be sealed with that person's key."""

    of: str
    text: str


ERASED: Final = "[effacé · erased]"
"""The text of words whose key was destroyed. Whoever has no keys at all, such as a view, sees no text: an empty one."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file of the order as an event remembers it: `file_id` is the SHA-256 of its bytes in hex."""

    file_id: str
    name: Words
    size: int
    media_type: str


BY_TIME: Final = Cause(Actor(Role.TIME))
_UNSTAMPED_ID: Final = UUID(int=0)
_UNSTAMPED_AT: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Event(CanMutateAggregate[UUID]):
    """A fact. Decisions make it with its data alone; recording stamps the rest on a copy.

    `timestamp` is when it was recorded, `effective_at` when it took effect: for a timer, its deadline.
    """

    TOPIC: ClassVar[str]
    HANDLER: ClassVar[str]
    class_version: ClassVar[int] = 1

    originator_id: UUID = _UNSTAMPED_ID
    originator_version: int = 0
    timestamp: datetime = _UNSTAMPED_AT
    effective_at: datetime = _UNSTAMPED_AT
    cause: Cause = BY_TIME

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "TOPIC" in cls.__dict__:
            register_topic(cls.TOPIC, cls)
            EVENTS[cls.TOPIC] = cls
            cls.HANDLER = f"_on_{cls.TOPIC.partition(':')[2]}"

    @property
    def type(self) -> str:
        """The public name, `Delivered`; the topic is the same name behind its stream's: `order:Delivered`."""
        return self.TOPIC.partition(":")[2]

    def stamped(self, **stamp: Any) -> Self:
        """A copy of this fact with `originator_id`, `originator_version`, `timestamp`, `effective_at`, `cause` set."""
        event = object.__new__(type(self))
        event.__dict__.update(self.__dict__, **stamp)
        return event

    def mutate(self, aggregate: Any) -> Any:
        """What the library does, by the aggregate itself: histories are folded by the million."""
        aggregate.follow(self)
        return aggregate

    def apply(self, aggregate: Any) -> None:
        """Hand the event to the aggregate's own assignment for it."""
        aggregate.evolve(self)


class Begins(CanInitAggregate[UUID]):
    """The first event of a stream makes its aggregate."""

    def mutate(self, aggregate: Any) -> Any:
        """What the library does for an aggregate whose `__init__` takes nothing."""
        assert aggregate is None
        aggregate_class = resolve_topic(self.originator_topic)
        begun = aggregate_class.__new__(aggregate_class)
        begun.__base_init__(self.originator_id, self.originator_version, self.timestamp)
        begun.__init__()
        self.apply(begun)
        return begun


EVENTS: Final[dict[str, type[Event]]] = {}
"""Every event that may stand in the log, by topic. Nothing else is ever resolved from a stored name."""


class Moment(Struct, frozen=True):
    """When and why something is recorded."""

    effective_at: datetime
    recorded_at: datetime
    cause: Cause = BY_TIME


def begin(fact: Event, stream_id: UUID, moment: Moment) -> tuple[Any, Event]:
    """The aggregate that its first fact makes, and that fact as it is recorded."""
    event = fact.stamped(
        originator_id=stream_id,
        originator_version=1,
        timestamp=moment.recorded_at,
        effective_at=moment.effective_at,
        cause=moment.cause,
    )
    return event.mutate(None), event


class Recording(Aggregate):
    """An aggregate that applies facts as they are recorded. What is to be committed is kept by its case, for both streams."""

    def record(self, fact: Event, moment: Moment) -> Event:
        """Stamp a fact as the next of this stream and apply it."""
        event = fact.stamped(
            originator_id=self._id,
            originator_version=self._version + 1,
            timestamp=moment.recorded_at,
            effective_at=moment.effective_at,
            cause=moment.cause,
        )
        self.follow(event)
        return event

    def fork(self) -> Self:
        """An independent copy; cheap, since all nested values are immutable."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def follow(self, event: Event) -> None:
        """Take the next event of this stream; any other raises OriginatorIDError or OriginatorVersionError."""
        stream_id, version = event.originator_id, event.originator_version
        if stream_id is not self._id and stream_id != self._id:  # comparing UUIDs costs as much as many an assignment
            raise OriginatorIDError(stream_id, self._id)
        if version != self._version + 1:
            raise OriginatorVersionError(version, self._version + 1)
        self.evolve(event)
        self._version = version
        self._modified_on = event.timestamp

    def evolve(self, event: Event) -> None:
        """Assign what the event says; never judges, so that history stays readable."""
        getattr(self, event.HANDLER, _nothing)(event)


def _nothing(event: Event) -> None:
    """Some facts change nothing that decisions look at."""
