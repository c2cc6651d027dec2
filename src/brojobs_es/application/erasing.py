"""Erasing a person: what they wrote and uploaded becomes unreadable everywhere, and no event changes.

    begin     from now on nobody is given the person's keys; words that come later get a key of the next generation
    settle    until no process can still be using the old keys
    record    `PersonErased` on each of the person's orders
    destroy   the files, in the folder and in their rows, then the keys

Whatever is interrupted is finished by doing it again; in between, the words are already unreadable for the service.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID, uuid4

from brojobs_es.aggregates.base import Actor, Cause, Moment, Role, Words
from brojobs_es.aggregates.order_events import PersonErased
from brojobs_es.application.history import History
from brojobs_es.application.records import Append, EventLog, FileRow, VersionConflict
from brojobs_es.application.sealing import KeyVault, encoded
from brojobs_es.clock import Clock
from brojobs_es.errors import Refusal
from brojobs_es.vault import wanted_in

ATTEMPTS: Final = 25
_COMMAND: Final = "erase"


class NothingToErase(Exception):
    """No key of this person is left: nothing was written, or all of it is erased."""


class NeverSealed(Exception):
    """Words or files of this person were recorded before anything was sealed: no key can erase them."""


class Eraser(Protocol):
    """What erasing needs of the store; every method may raise StoreUnavailable."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Hold off every other erasure meanwhile."""
        ...

    async def keys(self, person: str) -> tuple[int, ...]:
        """The generations of the person's keys that are not destroyed, those whose erasure was begun included."""
        ...

    async def begun(self, person: str) -> tuple[int, ...]:
        """The generations whose erasure was begun and not finished."""
        ...

    async def begin(self, person: str, generations: Sequence[int]) -> None:
        """Hand these keys out no more."""
        ...

    async def fence(self) -> None:
        """Wait until whatever the logs were taking when this was asked is stored or refused."""
        ...

    async def take_back(self, person: str, generations: Sequence[int]) -> None:
        """Hand them out again."""
        ...

    async def finish(self, person: str, generations: Sequence[int]) -> None:
        """Destroy them."""
        ...

    async def empty_files(self, person: str, generations: Sequence[int]) -> int:
        """Remove the bytes of files that these keys seal from their rows; how many files there were."""
        ...

    async def orders_naming(self, person: str) -> list[UUID]:
        """All orders in whose events the person's id stands."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A person's part in an order: the role, and whether the keys to erase seal anything in it."""

    history: History
    role: Role
    touched: bool


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did: the person's orders, the files removed from the folder and from their rows."""

    orders: int
    files: int


class Erasing:
    """Erases people. `forget_files` removes what lies in the folder under a person and a generation, and counts it."""

    def __init__(
        self,
        log: EventLog,
        vault: KeyVault,
        eraser: Eraser,
        clock: Clock,
        *,
        forget_files: Callable[[str, int], Awaitable[int]],
        retention: timedelta,
        settle_seconds: float,
    ) -> None:
        self._log = log
        self._vault = vault
        self._eraser = eraser
        self._clock = clock
        self._forget_files = forget_files
        self._retention = retention
        self._settle_seconds = settle_seconds

    async def erase(self, person: str, reason: str, by: str) -> Erased:
        """Erase everything that the person wrote and uploaded so far, or finish what was begun.

        Raises a Refusal with `order_in_dispute` or `within_retention`, NothingToErase, NeverSealed.
        """
        async with self._eraser.alone():
            generations = await self._eraser.begun(person)
            if not generations:
                generations = await self._eraser.keys(person)
                if not generations:
                    raise NothingToErase(person)
                self._judge(await self._parts(person, generations))
                await self._eraser.begin(person, generations)
            await asyncio.sleep(self._settle_seconds)
            await self._eraser.fence()
            parts = await self._parts(person, generations)
            try:
                self._judge(part for part in parts if part.touched)
            except Refusal:  # something was recorded while the keys were being taken away
                await self._eraser.take_back(person, generations)
                raise
            done = [part for part in parts if part.touched or self._refusal(part.history) is None]
            for part in done:
                await self._record(
                    part, PersonErased(person=person, role=part.role, generations=generations, reason=Words(by, reason))
                )
            files = sum([await self._forget_files(person, generation) for generation in generations])
            files += await self._eraser.empty_files(person, generations)
            await self._eraser.finish(person, generations)
        return Erased(len(done), files)

    # -- who and where

    async def _parts(self, person: str, generations: Sequence[int]) -> list[Part]:
        """The person's part in every order, as it stands now."""
        found = []
        for order_id in await self._eraser.orders_naming(person):
            rows = await self._log.load(order_id)
            states = [row.state for row in rows]
            files = await self._log.files(order_id)
            if _never_sealed(states, files, person):
                raise NeverSealed(order_id)
            history = History.recorded_in(rows, self._clock.now())
            assert history is not None
            role = _role_in(history, person)
            if role is not None:
                wanted = wanted_in(states) | {(file.uploaded_by, file.key) for file in files}
                touched = any((person, generation) in wanted for generation in generations)
                found.append(Part(history.elapsed(self._clock.now()), role, touched))
        return found

    # -- whether

    def _judge(self, parts: Iterable[Part]) -> None:
        """Raise the gravest refusal: a dispute, an order that goes on, the one that must be kept longest."""
        refusals = [refusal for part in parts if (refusal := self._refusal(part.history))]
        if refusals:
            raise max(
                refusals, key=lambda r: (r.code == "order_in_dispute", r.available_from is None, r.available_from)
            )

    def _refusal(self, history: History) -> Refusal | None:
        order = history.case.order
        if order.frozen:
            return Refusal("order_in_dispute")
        if order.ended_at is None:
            return Refusal("within_retention")
        until = order.ended_at + self._retention
        return Refusal("within_retention", available_from=until) if history.now < until else None

    # -- recording

    async def _record(self, part: Part, fact: PersonErased) -> None:
        """Record the erasure on an order, unless it already is."""
        order_id = part.history.order_id
        for _ in range(ATTEMPTS):
            stored = History.recorded_in(await self._log.load(order_id), self._clock.now())
            assert stored is not None
            if any(_is_same(entry.event, fact) for entry in stored.entries):
                return
            current = stored.elapsed(self._clock.now())
            current.case.note(fact, _moment(current.now, fact.reason.of))
            try:
                await self._log.append(Append(order_id, await encoded(self._vault, current.case.new)))
                return
            except VersionConflict:
                continue
        raise Refusal("try_again")


def _moment(now: datetime, by: str) -> Moment:
    command_id = uuid4()
    return Moment(now, now, Cause(Actor(Role.OPERATOR, by), _COMMAND, command_id, correlation_id=command_id))


def _is_same(event: object, fact: PersonErased) -> bool:
    return isinstance(event, PersonErased) and (event.person, event.generations) == (fact.person, fact.generations)


def _role_in(history: History, person: str) -> Role | None:
    """The party that the person is, or the role in which they acted; None for somebody who is only mentioned."""
    party = history.case.order.role_of(person)
    actors = (entry.event.cause.actor for entry in history.entries)
    return party or next((actor.role for actor in actors if actor.id == person), None)


def _never_sealed(states: Iterable[bytes], files: Iterable[FileRow], person: str) -> bool:
    plain = b'{"of":%b,"text":' % json.dumps(person, ensure_ascii=False).encode()
    return any(plain in state for state in states) or any(
        file.key == 0 and file.uploaded_by == person for file in files
    )
