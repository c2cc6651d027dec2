"""A request to do something, as the service takes it, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from brojobs_es.aggregates.base import Actor, Cause, Event
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.application.access import Caller, Viewer
from brojobs_es.application.idempotency import KeyUse
from brojobs_es.application.standing import Standing


class Ask(Struct, frozen=True):
    """One request to do something. `content` gives the parsed body, raising what the edge raises for a bad one."""

    caller: Caller
    content: Callable[[], object]
    key: str | None = None
    if_match: frozenset[int] | None = None
    dry_run: bool = False

    def use_of_key(self, target: str, content: object) -> KeyUse | None:
        """The key that this request uses; a dry run uses none. It is bound to its target and the body's meaning."""
        if self.key is None or self.dry_run:
            return None
        return KeyUse.of(self.caller.sub, self.key, target, content)


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
