"""What the questions to the log have in common: who may ask, filters, and cursors that hold a position in every log."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from fastapi import Request

from brojobs_es.aggregates.base import EVENTS, Role
from brojobs_es.aggregates.commands.bodies import parse_instant
from brojobs_es.api.http import BadRequest, number
from brojobs_es.application.access import Caller, NotFound
from brojobs_es.errors import Refusal
from brojobs_es.store.audit import EventFilter
from brojobs_es.store.log import Logs
from brojobs_es.store.refusals import RefusalFilter

EVENT_FILTERS: Final = ("type", "order_id", "actor_id", "from", "to")
REFUSAL_FILTERS: Final = ("order_id", "actor_id", "code", "from", "to")
TEXT_CHARS_MAX: Final = 255
_READERS: Final = (Role.AUDITOR, Role.OPERATOR, Role.MEDIATOR)
_TYPES: Final = frozenset(topic.partition(":")[2] for topic in EVENTS)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CURSOR: Final = re.compile(r"[0-9]{1,2}-[0-9]{1,18}(\.[0-9]{1,2}-[0-9]{1,18}){0,63}")


@dataclass(slots=True)
class Cursor:
    """How far a reader is in each log that it reads: `0-17`, or with several logs `0-17.1-4.2-0`."""

    positions: dict[int, int]

    @classmethod
    def read(cls, text: str | None, logs: Sequence[int], count: int, where: str = "after") -> Self:
        """The cursor of a reader of these logs out of `count`; None is the beginning. Raises BadRequest."""
        found: dict[int, int] = {}
        if text is not None:
            if not _CURSOR.fullmatch(text):
                raise BadRequest(where, "this cursor is not one of ours")
            pairs = [part.split("-") for part in text.split(".")]
            found = {int(log): int(position) for log, position in pairs}
            if len(found) < len(pairs) or max(found) >= count:
                raise BadRequest(where, "this cursor is not one of ours")
            if not found.keys() & set(logs):
                raise BadRequest(where, "this cursor belongs to another log")
        return cls({log: found.get(log, 0) for log in logs})

    def reached(self, log: int, position: int) -> str:
        """Note the last position taken, and write the cursor down."""
        self.positions[log] = position
        return str(self)

    async def must_exist(self, logs: Logs) -> None:
        """Raises BadRequest for a position that lies beyond its log: its reader would silently miss what comes."""
        for log, position in self.positions.items():
            if position and position > await logs.last_position(log):
                raise BadRequest(
                    "after", f"log {log} ends before this cursor: it is of another database, or of its past"
                )

    def __str__(self) -> str:
        return ".".join(f"{log}-{position}" for log, position in self.positions.items())


def reader_role(caller: Caller) -> Role:
    """The role in which somebody reads the log, the one that sees most; raises `forbidden`."""
    role = next((role for role in _READERS if role in caller.roles), None)
    if role is None:
        raise Refusal("forbidden")
    return role


def only_known(request: Request, known: Iterable[str]) -> None:
    """Raises BadRequest for a parameter that nobody looks at, or that is given twice: it would filter nothing."""
    allowed = set(known)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in allowed:
            raise BadRequest(name[:TEXT_CHARS_MAX], f"not a parameter; there are {', '.join(sorted(allowed))}")
        if name in seen:
            raise BadRequest(name, "given twice")
        seen.add(name)


def given(request: Request, names: Collection[str]) -> dict[str, str]:
    """The filters of a request as they were given."""
    return {name: request.query_params[name] for name in names if name in request.query_params}


def asked_logs(request: Request, count: int) -> Sequence[int]:
    """The log that `log=` names, or all of them."""
    log = number(request, "log", 0, count - 1)
    return range(count) if log is None else [log]


def event_filter(request: Request, caller: Caller) -> EventFilter:
    """The events that a request asks for, as far as the caller may see them."""
    role = reader_role(caller)
    since, until = _interval(request)
    return EventFilter(
        reader=caller.sub,
        sees_notes=Role.AUDITOR in caller.roles or Role.MEDIATOR in caller.roles,
        own_orders_only=role is Role.MEDIATOR,
        type=_type(request),
        order_id=_uuid(request, "order_id"),
        actor_id=_text(request, "actor_id"),
        since=since,
        until=until,
    )


def refusal_filter(request: Request, caller: Caller) -> RefusalFilter:
    """The refusals that a request asks for, as far as the caller may see them."""
    role = reader_role(caller)
    since, until = _interval(request)
    return RefusalFilter(
        own_orders_of=caller.sub if role is Role.MEDIATOR else None,
        order_id=_uuid(request, "order_id"),
        actor_id=_text(request, "actor_id"),
        code=_text(request, "code"),
        since=since,
        until=until,
    )


def order_in(request: Request) -> UUID:
    """The order of a path; what is no id is not there."""
    text = request.path_params["order_id"]
    if not _UUID.fullmatch(text):
        raise NotFound
    return UUID(text)


def _type(request: Request) -> str | None:
    value = request.query_params.get("type")
    if value is not None and value not in _TYPES:
        raise BadRequest("type", "not the name of an event")
    return value


def _text(request: Request, name: str) -> str | None:
    value = request.query_params.get(name)
    if value is not None and (not 1 <= len(value) <= TEXT_CHARS_MAX or "\x00" in value):
        raise BadRequest(name, f"1 to {TEXT_CHARS_MAX} characters, none of them null")
    return value


def _uuid(request: Request, name: str) -> UUID | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not _UUID.fullmatch(value):
        raise BadRequest(name, "an id is needed")
    return UUID(value)


def _interval(request: Request) -> tuple[datetime | None, datetime | None]:
    since, until = _instant(request, "from"), _instant(request, "to")
    if since is not None and until is not None and since >= until:
        raise BadRequest("to", "an interval ends after it begins")
    return since, until


def _instant(request: Request, name: str) -> datetime | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    try:
        return parse_instant(value.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest(name, str(error)) from error
