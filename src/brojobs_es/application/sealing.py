"""Between what is stored and what is read stand the keys of people: fetched first, then everything is done at once."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from typing import Final, Protocol, TypeVar

from msgspec.structs import replace

from brojobs_es.aggregates.base import ERASED, Event
from brojobs_es.application.history import History, decode, encode
from brojobs_es.application.records import FileRow, NewEvent, RecordedEvent
from brojobs_es.vault import KeysWanted, PersonKey, Ring, Wanted, current_key, open_text, seal_text, wanted_in

T = TypeVar("T")

_GENERATION_BYTES: Final = 8


class KeyVault(Protocol):
    """What the application needs of the vault; every method may raise StoreUnavailable."""

    @property
    def epoch(self) -> int:
        """Grows when somebody is erased: what was opened under an older epoch must be opened again."""
        ...

    async def at_hand(self) -> Ring:
        """A ring with whoever's keys are here already, to be used at once."""
        ...

    async def to_read(self, wanted: Set[Wanted]) -> Ring:
        """A ring with the keys of these people that were not erased, complete as far as these are wanted."""
        ...

    async def to_write(self, people: Set[str]) -> Ring:
        """A ring with a current key for each of these people, made now for those who have none."""
        ...


async def ring_for(vault: KeyVault, rows: Iterable[RecordedEvent]) -> Ring:
    """The keys that open all words of these events which anybody can still open."""
    return await vault.to_read(wanted_in(row.state for row in rows))


async def recorded(vault: KeyVault, rows: Sequence[RecordedEvent], now: datetime) -> History | None:
    """The history that is stored, words opened; None without any event."""
    try:
        return History.recorded_in(rows, now, await vault.at_hand())
    except KeysWanted:
        return History.recorded_in(rows, now, await ring_for(vault, rows))


async def decoded(vault: KeyVault, rows: Sequence[RecordedEvent]) -> list[Event]:
    """Stored events, words opened."""
    try:
        ring = await vault.at_hand()
        return [decode(row, ring) for row in rows]
    except KeysWanted:
        ring = await ring_for(vault, rows)
        return [decode(row, ring) for row in rows]


async def sealed(vault: KeyVault, seal: Callable[[Ring], T]) -> T:
    """What `seal` makes, with a ring that has all keys it wants: whoever has none gets one now."""
    ring = await vault.at_hand()
    people: set[str] = set()
    while True:
        try:
            return seal(ring)
        except KeysWanted as wanted:
            people |= wanted.people
            ring = await vault.to_write(people)


async def encoded(vault: KeyVault, events: Sequence[Event]) -> tuple[NewEvent, ...]:
    """Events as they are stored, words sealed with their authors' keys."""
    return await sealed(vault, lambda ring: tuple([encode(event, ring) for event in events]))


# -- names of files


async def key_of(vault: KeyVault, person: str) -> PersonKey:
    """The person's current key, made now if there is none."""
    return await sealed(vault, lambda ring: current_key(ring, person))


def sealed_row(row: FileRow, key: PersonKey) -> FileRow:
    """A file's row as it is stored: the name sealed with the uploader's key."""
    assert row.uploaded_by == key.person
    return replace(row, name=seal_text(row.name, key, _place(row)), key=key.generation)


async def opened_rows(vault: KeyVault, rows: Sequence[FileRow]) -> list[FileRow]:
    """Stored rows with their names opened; the name of an erased person's file is a placeholder."""
    ring = await vault.to_read({(row.uploaded_by, row.key) for row in rows if row.key})
    return [_opened(row, ring) for row in rows]


def key_of_row(row: FileRow, ring: Ring) -> PersonKey | None:
    """The key that a file was sealed with; None where it is erased."""
    keys = ring.get(row.uploaded_by)
    return keys.generations.get(row.key) if keys else None


def _opened(row: FileRow, ring: Ring) -> FileRow:
    key = key_of_row(row, ring)
    if row.key == 0:  # recorded before names were sealed
        return row
    return replace(row, name=open_text(row.name, key, _place(row))) if key else replace(row, name=ERASED, erased=True)


def _place(row: FileRow) -> bytes:
    return row.order_id.bytes + bytes.fromhex(row.file_id)


# -- digests of requests


def request_digest(content: bytes, key: PersonKey) -> bytes:
    """What is kept of a request for its idempotency key: no one can try guesses of its text on it without the key."""
    return key.generation.to_bytes(_GENERATION_BYTES) + key.digest(content)


async def is_digest_of(vault: KeyVault, digest: bytes, content: bytes, person: str) -> bool:
    """Whether a request of this person has that digest; False where the key is erased, as nobody can know any more."""
    generation = int.from_bytes(digest[:_GENERATION_BYTES])
    keys = (await vault.to_read({(person, generation)})).get(person)
    key = keys.generations.get(generation) if keys else None
    return key is not None and hmac.compare_digest(digest, request_digest(content, key))
