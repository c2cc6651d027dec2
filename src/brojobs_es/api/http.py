"""What every route needs of a request and of an answer: caller, body, preconditions, language, ETag."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from brojobs_es.aggregates.commands.bodies import parse_instant
from brojobs_es.api import strict_json
from brojobs_es.api.auth import Authenticator
from brojobs_es.api.files import Files
from brojobs_es.api.multipart import FileTooLarge
from brojobs_es.api.problems import language_of
from brojobs_es.application.access import Caller, NotFound
from brojobs_es.application.asking import Ask
from brojobs_es.bootstrap import Runtime

DRAIN_BYTES: Final = 32 * 1024 * 1024
"""How much of a body that is too large is read away, so that its sender gets to read the answer."""

LIMIT_MAX: Final = 1000
KEY_CHARS_MAX: Final = 255
_BY_NAME: Final = "brojobs_es.headers"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_written: Final = msgspec.json.Encoder().encode
_ETAG: Final = re.compile(r'\s*(?:"([^"]*)"|(W/"[^"]*"|\*))\s*(?:,|$)')


Header = tuple[bytes, bytes]
"""A header as servers take it: the name, in lower case, and the value."""

REPLAYED: Final[Header] = (b"idempotency-replayed", b"true")


class JsonAnswer(Response):
    """JSON values as UTF-8, complete when it is made: body and headers are written once, and nothing is derived later."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Iterable[Header] = ()) -> None:
        self.status_code = status_code
        self.background = None
        self.body = _written(content)
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
            *headers,
        ]


class BadRequest(Exception):
    """A header or a query parameter that cannot be used: `where` and `message` go to the caller."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.message = message


@dataclass(frozen=True, slots=True)
class Edge:
    """What the routes stand on."""

    runtime: Runtime
    authenticator: Authenticator
    files: Files

    @property
    def base_url(self) -> str:
        return self.runtime.settings.base_url

    def language(self, request: Request) -> str:
        return language_of(request.headers.get("accept-language"), self.runtime.settings.language)

    async def caller(self, request: Request) -> Caller:
        """Raises Unauthenticated or KeysUnavailable."""
        return await self.authenticator.caller(header(request, b"authorization"))

    async def ask(self, request: Request, caller: Caller) -> Ask:
        """The command that a request is; what cannot be used of it is only reported when its turn has come."""
        limit = self.runtime.settings.max_body_bytes
        body = await read_body(request, limit)
        unusable, key, dry_run = None, None, False
        try:
            key, dry_run = idempotency_key(request), flag(request, "dry_run")
        except BadRequest as error:
            unusable = error

        def content() -> object:
            if unusable is not None:
                raise unusable
            if body is None:
                raise FileTooLarge(limit)
            return strict_json.parse(body) if body.strip() else {}

        return Ask(caller, content, key, _if_match(header(request, b"if-match")), dry_run)


def header(request: Request, name: bytes) -> str | None:
    """The first header of this name (in lower case) as latin-1; None where there is none."""
    scope = request.scope
    headers: dict[bytes, bytes] | None = scope.get(_BY_NAME)
    if headers is None:  # once a request: a command looks at three of them
        headers = scope[_BY_NAME] = dict(reversed(scope["headers"]))
    value = headers.get(name)
    return value.decode("latin-1") if value is not None else None


async def read_body(request: Request, limit: int) -> bytes | None:
    """The body, or None if it is larger than `limit` bytes."""
    receive = request.receive
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= DRAIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("body", "the connection ended in the middle of the body")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks) if size <= limit else None


def idempotency_key(request: Request) -> str | None:
    """The caller's key, if any; raises BadRequest for one that is empty, too long or not text."""
    raw = header(request, b"idempotency-key")
    if raw is None:
        return None
    if not raw.isascii():
        with contextlib.suppress(UnicodeDecodeError):
            raw = raw.encode("latin-1").decode("utf-8")  # headers arrive as bytes; most clients mean UTF-8
    if not 1 <= len(raw) <= KEY_CHARS_MAX or "\x00" in raw:
        raise BadRequest("Idempotency-Key", "1 to 255 characters are needed")
    return raw


def _if_match(header: str | None) -> frozenset[int] | None:
    """The versions that a precondition allows; a tag that is no version of ours matches nothing."""
    if header is None:
        return None
    versions, position = set(), 0
    while position < len(header):
        found = _ETAG.match(header, position)
        if found is None:
            return frozenset()
        if found[2] == "*":
            return None
        if found[1] is not None and re.fullmatch(r"[1-9][0-9]{0,17}", found[1]):
            versions.add(int(found[1]))
        position = found.end()
    return frozenset(versions)


def flag(request: Request, name: str) -> bool:
    """A query parameter that is true or false; absent is false."""
    if not request.scope["query_string"]:
        return False
    value = request.query_params.get(name, "false").lower()
    if value not in {"true", "false"}:
        raise BadRequest(name, "true or false")
    return value == "true"


def number(request: Request, name: str, least: int, most: int) -> int | None:
    """A query parameter that is a whole number within bounds."""
    value = request.query_params.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", value) or not least <= int(value) <= most:
        raise BadRequest(name, f"a whole number from {least} to {most}")
    return int(value)


def limit(request: Request, default: int) -> int:
    """How many items a list shows at most."""
    return number(request, "limit", 1, LIMIT_MAX) or default


def past_instant(request: Request, now: datetime) -> datetime | None:
    """`?at=`: an instant that is not in the future."""
    value = request.query_params.get("at")
    if value is None:
        return None
    try:
        at = parse_instant(value.replace(" ", "+"))
    except ValueError as error:
        raise BadRequest("at", str(error)) from error
    if at > now:
        raise BadRequest("at", "this instant is in the future")
    return at


@lru_cache(maxsize=16_384)
def uuid_in_path(text: str) -> UUID:
    """An id in a path; what is no id is not there."""
    if not _UUID.fullmatch(text):
        raise NotFound
    return UUID(text)


def versioned(content: dict[str, Any], status: int = 200, headers: Iterable[Header] = ()) -> Response:
    """An order or a dispute with its version as a strong ETag."""
    return JsonAnswer(content, status, ((b"etag", b'"%d"' % content["version"]), *headers))
