"""Commands and reads: load, let time pass, judge, record; and the promises about races and retries.

A command that loses a race is judged again against what won, so its caller learns what happened and what is possible
now. A key's first success is kept in the commit of its events and is answered again for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from brojobs_es.aggregates.base import Actor, Cause, FileRef, Role, Words
from brojobs_es.aggregates.commands.ordering import Place, check_offer, place
from brojobs_es.aggregates.commands.situation import Command, Known, Situation
from brojobs_es.application.access import Caller, NotFound, Viewer, viewer_of
from brojobs_es.application.history import History
from brojobs_es.application.keys import KeysUnderWay
from brojobs_es.application.records import (
    Append,
    EventLog,
    FileRow,
    IdempotencyRecord,
    KeyTaken,
    RefusedCommand,
    VersionConflict,
)
from brojobs_es.application.sealing import (
    KeyVault,
    encoded,
    is_digest_of,
    key_of,
    opened_rows,
    recorded,
    request_digest,
    ring_for,
    sealed_row,
)
from brojobs_es.case import Case
from brojobs_es.clock import Clock
from brojobs_es.errors import Refusal
from brojobs_es.ids import order_id_for
from brojobs_es.mapper import canonical
from brojobs_es.terms import Terms
from brojobs_es.vault import PersonKey

ATTEMPTS: Final = 25
"""How often a command that loses races is judged again before it is told to try later."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to do something. `content` gives the parsed body, raising what the edge raises for a bad one."""

    caller: Caller
    content: Callable[[], object]
    key: str | None = None
    if_match: frozenset[int] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A caller's key and the request that it stands for, in canonical form."""

    caller: str
    key: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The history after the command, as the caller may see it; `first_new` is where the command's own events start."""

    history: History
    viewer: Viewer
    first_new: int
    replayed: bool = False
    dry_run: bool = False
    dispute_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A command with all that judging it again needs."""

    command: Command
    actor: Actor
    body: Any
    ask: Ask
    use: KeyUse | None
    dispute_id: UUID | None


class Service:
    """The orders of one deployment."""

    def __init__(self, log: EventLog, vault: KeyVault, clock: Clock, terms: Terms) -> None:
        self._log = log
        self._vault = vault
        self._clock = clock
        self._terms = terms
        self._under_way = KeysUnderWay()

    # -- reading

    async def history(self, order_id: UUID) -> History:
        """The order now. Timers that are due are recorded on the way; raises NotFound."""
        while True:
            stored = await self._stored(order_id)
            current = stored.elapsed(self._clock.now())
            if not current.case.new:
                return current
            try:
                return await self._record(stored, current.case, current.now, None)
            except VersionConflict:
                continue

    async def see(self, order_id: UUID, caller: Caller) -> tuple[History, Viewer]:
        """The order now, for a caller who may see it; raises NotFound or `forbidden`."""
        history = await self.history(order_id)
        return history, viewer_of(history.case.order, caller)

    async def order_of_dispute(self, dispute_id: UUID) -> UUID:
        """The order that a dispute is about; raises NotFound."""
        order_id = await self._log.order_of_stream(dispute_id)
        if order_id is None or order_id == dispute_id:
            raise NotFound
        return order_id

    async def histories(self, order_ids: list[UUID]) -> list[History]:
        """Several orders now, in the order of their ids; due timers show but are left to be recorded."""
        rows = await self._log.load_many(order_ids)
        ring = await ring_for(self._vault, (row for history in rows.values() for row in history))
        now = self._clock.now()
        found = (History.recorded(rows[order_id], now, ring) for order_id in order_ids if order_id in rows)
        return [history.elapsed(self._clock.now()) for history in found if history]

    async def _stored(self, order_id: UUID) -> History:
        history = await recorded(self._vault, await self._log.load(order_id), self._clock.now())
        if history is None:
            raise NotFound
        return history

    # -- placing

    async def place(self, ask: Ask) -> Answer:
        """Place an order; with a key or an id of the client's, a repeat finds the first one again."""
        caller = ask.caller
        if Role.BUYER not in caller.roles:
            raise Refusal("forbidden")
        content = ask.content()
        body = Place.model_validate(content)
        check_offer(body, caller.sub)
        use = _key_use(ask, "place", content)
        async with self._under_way.one_at_a_time(caller.sub, ask.key):
            if use and (kept := await self._log.find_key(use.caller, use.key)):
                return await self._replay(kept, use, caller)
            order_id = body.offered_id() or (order_id_for(use.caller, use.key) if use else uuid4())
            if body.offered_id() is not None and (rows := await self._log.load(order_id)):
                return self._placed_before(await recorded(self._vault, rows, self._clock.now()), body, caller)
            now = self._clock.now()
            case = Case.place(
                place(body, caller.sub, now, self._terms), order_id, now, _cause(Actor(Role.BUYER, caller.sub), "place")
            )
            nothing = History(order_id, [], case, now)
            viewer = viewer_of(case.order, caller)
            if ask.dry_run:
                return Answer(nothing.with_new(case, now), viewer, 0, dry_run=True)
            try:
                return Answer(await self._record(nothing, case, now, use), viewer, 0)
            except KeyTaken as taken:
                return await self._replay(taken.record, use, caller)
            except VersionConflict:
                return self._placed_before(await self._stored(order_id), body, caller)

    def _placed_before(self, history: History | None, body: Place, caller: Caller) -> Answer:
        """The same content by the same buyer is the same order; anything else is a mistake."""
        first = history.at_version(1) if history else None
        assert first is not None
        order = first.case.order
        same = (
            order.buyer_id == caller.sub
            and (order.seller_id, order.title.text, order.brief.text) == (body.seller_id, body.title, body.brief)
            and (order.price, order.due_at) == (body.price.money(), body.due_at)
        )
        if not same:
            raise Refusal("idempotency_key_reused")
        return Answer(first, viewer_of(order, caller), 0, replayed=True)

    # -- commands

    async def execute(self, command: Command, order_id: UUID, ask: Ask, dispute_id: UUID | None = None) -> Answer:
        """Judge and record a command on an order, or on a dispute of it."""
        stored = await self._stored(order_id)
        actor = viewer_of(stored.case.order, ask.caller).actor(command)
        self._may(command, stored, actor, dispute_id)
        content = ask.content()
        body = command.body.model_validate(content)
        use = _key_use(ask, f"{dispute_id or order_id} {command.name}", content)
        async with self._under_way.one_at_a_time(ask.caller.sub, ask.key):
            if use and (kept := await self._log.find_key(use.caller, use.key)):
                return await self._replay(kept, use, ask.caller, command, dispute_id)
            try:
                return await self._race(Attempt(command, actor, body, ask, use, dispute_id), stored)
            except KeyTaken as taken:
                return await self._replay(taken.record, use, ask.caller, command, dispute_id)

    async def _race(self, attempt: Attempt, stored: History) -> Answer:
        """Decide and record, again and again while others are faster."""
        order_id, ask = stored.order_id, attempt.ask
        cause = _cause(attempt.actor, attempt.command.name)
        for _ in range(ATTEMPTS):
            current = stored.elapsed(self._clock.now())
            first_new = len(current.entries)
            try:
                case = await self._decide(attempt, current, cause)
            except Refusal as refusal:
                if (use := attempt.use) and (kept := await self._log.find_key(use.caller, use.key)):
                    raise KeyTaken(kept) from None  # its twin in another process has succeeded meanwhile
                if not ask.dry_run:
                    await self._keep_refusal(order_id, cause, refusal, current.now)
                raise
            target = _target(attempt.command, case, attempt.dispute_id)
            viewer = viewer_of(case.order, ask.caller)
            if ask.dry_run:
                dry = stored.with_new(case, current.now)
                return Answer(dry, viewer, first_new, dry_run=True, dispute_id=target)
            try:
                history = await self._record(stored, case, current.now, attempt.use)
                return Answer(history, viewer, first_new, dispute_id=target)
            except VersionConflict:
                stored = await self._stored(order_id)
        raise Refusal("version_conflict", facts={"current_version": stored.case.order.version, "race": True})

    def _may(self, command: Command, stored: History, actor: Actor, dispute_id: UUID | None) -> None:
        dispute = stored.case.dispute_of(dispute_id) if dispute_id else stored.case.dispute
        refusal = command.may(Situation(stored.case.order, dispute, actor, stored.now))
        if refusal is not None:
            raise refusal

    async def _decide(self, attempt: Attempt, current: History, cause: Cause) -> Case:
        """The case after the command; raises the Refusal that it deserves."""
        case, dispute_id, if_match = current.case, attempt.dispute_id, attempt.ask.if_match
        dispute = case.dispute_of(dispute_id) if dispute_id else case.dispute
        version = dispute.version if dispute_id and dispute else case.order.version
        if if_match is not None and version not in if_match:
            raise Refusal("version_conflict", facts={"current_version": version})
        files = await self._named_files(current.order_id, attempt.body, attempt.actor.id)
        known = Known(files, current.positions())
        situation = Situation(case.order, dispute, attempt.actor, current.now, attempt.body, known)
        case.execute(attempt.command, situation, cause)
        return case

    async def _named_files(self, order_id: UUID, body: Any, actor_id: str | None) -> Mapping[str, FileRef]:
        """The files that a body names; of a content that both parties uploaded, the actor's own. Erased ones are gone."""
        named = _file_ids(body.model_dump())
        if not named:
            return {}
        rows = sorted(await self.files(order_id, named), key=lambda row: row.uploaded_by == actor_id)
        return {
            r.file_id: FileRef(r.file_id, Words(r.uploaded_by, r.name), r.size, r.media_type)
            for r in rows
            if not r.erased
        }

    async def _record(self, stored: History, case: Case, now: datetime, use: KeyUse | None) -> History:
        """Commit the case's new events, with the answer for its key; the history that now stands."""
        record = None
        if use:
            versions = {str(stream.id): stream.version for stream in (case.order, *case.disputes)}
            answer = canonical({"now": now.isoformat(), "versions": versions})
            digest = await self._digest(use)
            record = IdempotencyRecord(use.caller, use.key, digest, stored.order_id, answer)
        positions: list[int] = []
        new = await encoded(self._vault, case.new)
        if new or record:
            positions = await self._log.append(Append(stored.order_id, new, record))
        return stored.with_recorded(case, now, new, positions)

    async def _replay(
        self,
        kept: IdempotencyRecord,
        use: KeyUse | None,
        caller: Caller,
        command: Command | None = None,
        dispute_id: UUID | None = None,
    ) -> Answer:
        """The first answer to this key, made again from the very events that stood after its commit."""
        if use is None or not await is_digest_of(self._vault, kept.request_digest, use.request, use.caller):
            raise Refusal("idempotency_key_reused")
        first = json.loads(kept.answer)
        stored = await self._stored(kept.order_id)
        history = stored.at_versions(first["versions"], datetime.fromisoformat(first["now"]))
        viewer = viewer_of(history.case.order, caller)
        target = _target(command, history.case, dispute_id) if command else None
        return Answer(history, viewer, len(history.entries), replayed=True, dispute_id=target)

    async def _digest(self, use: KeyUse) -> bytes:
        return request_digest(use.request, await key_of(self._vault, use.caller))

    # -- files

    async def add_file(self, row: FileRow, key: PersonKey) -> FileRow:
        """Note a file that was stored under the uploader's key; the row that stands: a first upload keeps its name."""
        await self._log.add_file(sealed_row(row, key))
        rows = await self.files(row.order_id, [row.file_id])
        return next(kept for kept in rows if kept.uploaded_by == row.uploaded_by and kept.key == key.generation)

    async def files(self, order_id: UUID, file_ids: Sequence[str] | None = None) -> list[FileRow]:
        """An order's files, all of them or those named, by time of upload; the names of erased ones are placeholders."""
        return await opened_rows(self._vault, await self._log.files(order_id, file_ids))

    async def used_before(self, caller: Caller, key: str, order_id: UUID, content: str) -> bool:
        """Bind a key to something without events (an upload); whether it already was. Another content is refused."""
        use = KeyUse(caller.sub, key, canonical({"target": str(order_id), "content": content}))
        kept = await self._log.find_key(caller.sub, key)
        if kept is None:
            record = IdempotencyRecord(caller.sub, key, await self._digest(use), order_id, b"{}")
            try:
                await self._log.append(Append(order_id, (), record))
            except KeyTaken as taken:
                kept = taken.record
        if kept is None:
            return False
        if not await is_digest_of(self._vault, kept.request_digest, use.request, use.caller):
            raise Refusal("idempotency_key_reused")
        return True

    async def _keep_refusal(self, order_id: UUID, cause: Cause, refusal: Refusal, now: datetime) -> None:
        actor = cause.actor
        await self._log.add_refusal(
            RefusedCommand(
                order_id=order_id,
                actor_id=actor.id or "",
                actor_role=str(actor.role),
                command=cause.command or "",
                code=refusal.code,
                command_id=cause.command_id,
                at=now,
            )
        )


def _cause(actor: Actor, command: str) -> Cause:
    command_id = uuid4()
    return Cause(actor, command, command_id, correlation_id=command_id)


def _key_use(ask: Ask, target: str, content: object) -> KeyUse | None:
    """The key that this request uses; a dry run uses none. It is bound to its target and the body's meaning."""
    if ask.key is None or ask.dry_run:
        return None
    return KeyUse(ask.caller.sub, ask.key, canonical({"target": target, "content": content}))


def _target(command: Command, case: Case, dispute_id: UUID | None) -> UUID | None:
    """The dispute that an answer shows: the one that the command was about or has opened."""
    return case.dispute.id if command.name == "open-dispute" and case.dispute else dispute_id


def _file_ids(value: Any) -> list[str]:
    """Every file id that a body names, wherever it stands in it."""
    if isinstance(value, dict):
        named = list(value.get("files") or ())
        return named + [i for key, v in value.items() if key != "files" for i in _file_ids(v)]
    if isinstance(value, list):
        return [i for item in value for i in _file_ids(item)]
    return []
