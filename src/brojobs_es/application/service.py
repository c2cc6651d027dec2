"""Commands and reads: load, let time pass, judge, record; and the promises about races and retries.

A command is decided on the order as this process last saw it. What it records is refused by the log if somebody else
was faster, and a refusal is only believed after looking again; so nobody is ever told something that an older state
says. A key's first success is kept in the commit of its events and is answered again for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from msgspec import Struct

from brojobs_es.aggregates.base import Actor, Cause, Event, Role
from brojobs_es.aggregates.commands.ordering import Place, check_offer, place
from brojobs_es.aggregates.commands.situation import Command, Known, Situation
from brojobs_es.application.access import Caller, NotFound, Viewer, viewer_of
from brojobs_es.application.history import History, encode
from brojobs_es.application.idempotency import FirstAnswer, KeyUse, must_be_the_same, record_of
from brojobs_es.application.kept import Kept
from brojobs_es.application.records import (
    Append,
    EventLog,
    IdempotencyRecord,
    KeyTaken,
    NewEvent,
    RefusedCommand,
    StoreUnavailable,
    VersionConflict,
)
from brojobs_es.application.sealing import (
    KeyVault,
    decoded,
    recorded,
    ring_for,
    sealed,
)
from brojobs_es.application.shelf import Shelf
from brojobs_es.application.standing import Standing, Sure
from brojobs_es.application.turns import Turns
from brojobs_es.case import Case
from brojobs_es.clock import Clock
from brojobs_es.errors import Refusal
from brojobs_es.ids import id_text, order_id_for, uuid_of
from brojobs_es.terms import Terms
from brojobs_es.vault import Ring

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""How much memory the folded orders may take, about; those touched last are kept."""

ATTEMPTS: Final = 25
"""How often a command that loses races is judged again before it is told to try later."""


class Ask(Struct, frozen=True):
    """One request to do something. `content` gives the parsed body, raising what the edge raises for a bad one."""

    caller: Caller
    content: Callable[[], object]
    key: str | None = None
    if_match: frozenset[int] | None = None
    dry_run: bool = False


class Answer(Struct, frozen=True):
    """The order after the command, as the caller may see it; `would_record` is for a dry run."""

    standing: Standing
    viewer: Viewer
    replayed: bool = False
    would_record: Sequence[Event] | None = None
    dispute_id: UUID | None = None


class Attempt(Struct, frozen=True):
    """A command with all that judging it again needs."""

    command: Command
    viewer: Viewer
    actor: Actor
    cause: Cause
    body: Any
    ask: Ask
    use: KeyUse | None
    dispute_id: UUID | None


class _Outdated(Exception):
    """The order must be looked at again before this is said or done."""


class Service:
    """The orders of one deployment."""

    def __init__(self, log: EventLog, vault: KeyVault, clock: Clock, terms: Terms) -> None:
        self._log = log
        self._vault = vault
        self._clock = clock
        self._terms = terms
        self._standings: Kept[UUID, Standing] = Kept(KEPT_BYTES_MAX, lambda standing: standing.weight)
        self.shelf = Shelf(log, vault)
        self._orders = Turns(lambda: StoreUnavailable("other commands on this order take too long"))
        self._keys = Turns(lambda: Refusal("request_in_progress"))

    @property
    def orders_kept(self) -> int:
        """How many orders this process keeps in memory."""
        return len(self._standings)

    # -- reading

    async def history(self, order_id: UUID) -> History:
        """The order now, with its events. Timers that are due are recorded on the way; raises NotFound."""
        while True:
            current = (await self._history(order_id)).elapsed(self._clock.now())
            if not current.case.new:
                return current
            try:
                new, positions = await self._record(current, None)
            except VersionConflict:
                continue
            self._standings.drop(order_id)
            return current.with_recorded(new, positions)

    async def see(self, order_id: UUID, caller: Caller) -> tuple[History, Viewer]:
        """The order now, for a caller who may see it; raises NotFound or `forbidden`."""
        history = await self.history(order_id)
        return history, viewer_of(history.case.order, caller)

    async def stand(self, order_id: UUID, caller: Caller, sure: Sure | None = None) -> tuple[Standing, Viewer]:
        """The order now without its events, from memory where that is `sure`. Nothing is recorded; raises as `see`."""
        stored, is_current = await self._stands(order_id, None)
        current = stored.forked(self._clock.now())
        if not is_current and not (sure and sure(current, stored.now)):
            current = (await self._looked_again(stored)).forked(self._clock.now())
        return current, viewer_of(current.case.order, caller)

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
        found = (History.recorded_in(rows[order_id], now, ring) for order_id in order_ids if order_id in rows)
        return [history.elapsed(self._clock.now()) for history in found if history]

    async def _history(self, order_id: UUID) -> History:
        """The order as it is recorded; raises NotFound."""
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
        order_id = body.offered_id() or (order_id_for(use.caller, use.key) if use else uuid4())
        async with self._keys.of(use and (use.caller, use.key)):
            try:
                return await self._place(body, order_id, ask, use)
            except KeyTaken as taken:
                return await self._replay(taken.record, use, caller)
            except (Refusal, VersionConflict):  # a repeat may come when the same order could not be placed any more
                if use and (kept := await self._log.find_key(use.caller, use.key)):
                    return await self._replay(kept, use, caller)
                if rows := await self._log.load(order_id):
                    return self._placed_before(await recorded(self._vault, rows, self._clock.now()), body, caller)
                raise

    async def _place(self, body: Place, order_id: UUID, ask: Ask, use: KeyUse | None) -> Answer:
        await self._must_be_new(use)
        buyer = Actor(Role.BUYER, ask.caller.sub)
        now = self._clock.now()
        case = Case.place(place(body, ask.caller.sub, now, self._terms), order_id, now, _cause(buyer, "place"))
        placed, viewer = Standing.of_new(case, now), viewer_of(case.order, ask.caller)
        if not ask.dry_run:
            return Answer(await self._recorded(placed, use), viewer)
        if await self._log.load(order_id):
            raise VersionConflict
        return Answer(placed, viewer, would_record=case.new)

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
        return Answer(first, viewer_of(order, caller), replayed=True)

    # -- commands

    async def execute(self, command: Command, order_id: UUID, ask: Ask, dispute_id: UUID | None = None) -> Answer:
        """Judge and record a command on an order, or on a dispute of it."""
        async with self._orders.of(order_id):
            stored, is_current = await self._stands(order_id, dispute_id)
            viewer = viewer_of(stored.case.order, ask.caller, command)
            actor = viewer.actor(command)
            self._may(command, stored, actor, dispute_id)
            content = ask.content()
            body = command.body.model_validate(content)
            use = _key_use(ask, f"{id_text(dispute_id or order_id)} {command.name}", content)
            attempt = Attempt(command, viewer, actor, _cause(actor, command.name), body, ask, use, dispute_id)
            async with self._keys.of(use and (use.caller, use.key)):
                try:
                    await self._must_be_new(use)
                    return await self._race(attempt, stored, is_current=is_current)
                except KeyTaken as taken:
                    return await self._replay(taken.record, use, ask.caller, command, dispute_id)

    async def _race(self, attempt: Attempt, stored: Standing, *, is_current: bool) -> Answer:
        """Decide and record, again and again while others are faster."""
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(attempt, stored, is_current=is_current)
            except (_Outdated, VersionConflict):
                stored, is_current = await self._looked_again(stored), True
        raise Refusal("version_conflict", facts={"current_version": stored.case.order.version, "race": True})

    async def _attempt(self, attempt: Attempt, stored: Standing, *, is_current: bool) -> Answer:
        """One try. What the log itself does not check, a refusal or that nothing happens, needs a current state."""
        ask = attempt.ask
        current = stored.forked(self._clock.now())
        by_time = len(current.case.new)
        try:
            await self._decide(attempt, current)
        except Refusal as refusal:
            if not is_current:
                raise _Outdated from None
            await self._refused(attempt, refusal, current)
            raise
        by_command = current.case.new[by_time:]
        if not is_current and (ask.dry_run or not by_command):
            raise _Outdated
        target = _target(attempt.command, current.case, attempt.dispute_id)
        if ask.dry_run:
            return Answer(current, attempt.viewer, would_record=by_command, dispute_id=target)
        return Answer(await self._recorded(current, attempt.use), attempt.viewer, dispute_id=target)

    def _may(self, command: Command, stored: Standing, actor: Actor, dispute_id: UUID | None) -> None:
        dispute = stored.case.dispute_of(dispute_id) if dispute_id else stored.case.dispute
        refusal = command.may(Situation(stored.case.order, dispute, actor, stored.now))
        if refusal is not None:
            raise refusal

    async def _decide(self, attempt: Attempt, current: Standing) -> None:
        """Let the command happen to the case; raises the Refusal that it deserves."""
        case, dispute_id, if_match = current.case, attempt.dispute_id, attempt.ask.if_match
        dispute = case.dispute_of(dispute_id) if dispute_id else case.dispute
        version = dispute.version if dispute_id and dispute else case.order.version
        if if_match is not None and version not in if_match:
            raise Refusal("version_conflict", facts={"current_version": version})
        files = await self.shelf.named(current.order_id, attempt.body, attempt.actor.id)
        known = Known(files, current.positions)
        situation = Situation(case.order, dispute, attempt.actor, current.now, attempt.body, known)
        case.execute(attempt.command, situation, attempt.cause)

    async def _refused(self, attempt: Attempt, refusal: Refusal, current: Standing) -> None:
        """Keep a refusal; raises KeyTaken where the command's twin in another process has succeeded meanwhile."""
        if (use := attempt.use) and (kept := await self._log.find_key(use.caller, use.key)):
            raise KeyTaken(kept) from None
        if attempt.ask.dry_run:
            return
        cause = attempt.cause
        await self._log.add_refusal(
            RefusedCommand(
                order_id=current.order_id,
                actor_id=cause.actor.id or "",
                actor_role=str(cause.actor.role),
                command=cause.command or "",
                code=refusal.code,
                command_id=cause.command_id,
                at=current.now,
            )
        )

    # -- what stands

    async def _stands(self, order_id: UUID, dispute_id: UUID | None) -> tuple[Standing, bool]:
        """The order as this process knows it, and whether that was just read; raises NotFound.

        A case with a dispute is always read: what happens to the dispute alone would not stop a command on the order.
        """
        await self._vault.at_hand()
        kept = self._standings.get(order_id, self._vault.epoch)
        if kept is None:
            return await self._read(order_id), True
        if kept.case.disputes or dispute_id is not None:
            return await self._looked_again(kept), True
        return kept, False

    async def _looked_again(self, stored: Standing) -> Standing:
        """The order with what others have recorded since."""
        epoch = self._vault.epoch
        rows = await self._log.load(stored.order_id, after=stored.positions[-1])
        if not rows:
            return stored
        events = await decoded(self._vault, rows)
        if epoch != self._vault.epoch:  # somebody was erased: what was opened before must go
            return await self._read(stored.order_id)
        size = sum(len(row.state) for row in rows)
        return self._kept(stored.followed(events, [row.position for row in rows], size), epoch)

    async def _read(self, order_id: UUID) -> Standing:
        epoch = self._vault.epoch
        return self._kept((await self._history(order_id)).standing(), epoch)

    def _kept(self, standing: Standing, epoch: int) -> Standing:
        standing.case.new = []
        self._standings.keep(standing.order_id, standing, epoch)
        return standing

    # -- recording

    async def _must_be_new(self, use: KeyUse | None) -> None:
        """Raise KeyTaken where another log may have the key's answer; within one log storing it twice fails."""
        if use and self._log.count > 1 and (kept := await self._log.find_key(use.caller, use.key)):
            raise KeyTaken(kept)

    async def _recorded(self, current: Standing, use: KeyUse | None) -> Standing:
        """Commit the case's new events, with the answer for its key; the order as it now stands."""
        epoch = self._vault.epoch
        new, positions = await self._record(current, use)
        return self._kept(current.recorded(positions, sum([len(row.state) for row in new])), epoch)

    async def _record(self, current: Standing, use: KeyUse | None) -> tuple[Sequence[NewEvent], list[int]]:
        """The stored form and the positions of the case's new events, committed."""
        order_id, events = current.order_id, current.case.new
        first = _first_answer(current).kept() if use else b""

        def seal(ring: Ring) -> Append:
            record = record_of(use, ring, order_id, first) if use else None
            return Append(order_id, tuple([encode(event, ring) for event in events]), record)

        append = await sealed(self._vault, seal)
        if not append.events and append.idempotency is None:
            return (), []
        return append.events, await self._log.append(append)

    async def _replay(
        self,
        kept: IdempotencyRecord,
        use: KeyUse | None,
        caller: Caller,
        command: Command | None = None,
        dispute_id: UUID | None = None,
    ) -> Answer:
        """The first answer to this key, made again from the very events that stood after its commit."""
        await must_be_the_same(self._vault, kept, use)
        first = FirstAnswer.read(kept)
        history = (await self._history(kept.order_id)).at_versions(first.versions, first.now)
        viewer = viewer_of(history.case.order, caller)
        target = _target(command, history.case, dispute_id) if command else None
        return Answer(history, viewer, replayed=True, dispute_id=target)


def _cause(actor: Actor, command: str) -> Cause:
    command_id = uuid_of(os.urandom(16), 4)
    return Cause(actor, command, command_id, correlation_id=command_id)


def _first_answer(current: Standing) -> FirstAnswer:
    """What the answer after this commit can be made from again."""
    case = current.case
    return FirstAnswer({id_text(it.id): it.version for it in (case.order, *case.disputes)}, current.now)


def _key_use(ask: Ask, target: str, content: object) -> KeyUse | None:
    """The key that this request uses; a dry run uses none. It is bound to its target and the body's meaning."""
    if ask.key is None or ask.dry_run:
        return None
    return KeyUse.of(ask.caller.sub, ask.key, target, content)


def _target(command: Command, case: Case, dispute_id: UUID | None) -> UUID | None:
    """The dispute that an answer shows: the one that the command was about or has opened."""
    return case.dispute.id if command.name == "open-dispute" and case.dispute else dispute_id
