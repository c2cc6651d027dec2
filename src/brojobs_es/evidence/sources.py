"""Where a witness looks: the service over HTTP, or a database."""

from __future__ import annotations

import asyncio
import binascii
import json
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import psycopg

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.evidence.merkle import consistency_ranges
from brojobs_es.evidence.notes import MAX_NOTE_BYTES
from brojobs_es.evidence.tree import TreeIncomplete, range_roots
from brojobs_es.evidence.witnessing import stored_tree
from brojobs_es.store.sealing import SealStore

T = TypeVar("T")

_TIMEOUT_SECONDS: Final = 30.0
_PROOF_BYTES_MAX: Final = 65_536
_NOT_TAKEN: Final = "the service does not take this witness's signature: is its key in BROJOBS_WITNESSES?"


class SourceError(Exception):
    """The log could not be asked, or answered something else; the message says why."""


class HttpLog:
    """A log behind the service; `token` is a bearer token of an auditor (to look) or an operator (to publish too)."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise SourceError("the address of the service begins with http:// or https://")
        self._url = url.rstrip("/")
        self._token = token

    def checkpoint(self, log: int) -> str | None:
        """The newest signed head; None where the service has none."""
        found = self._ask(f"/v1/logs/{log}/checkpoint", MAX_NOTE_BYTES)
        return found.decode("utf-8", "surrogateescape") if found is not None else None

    def consistency(self, log: int, first: int, second: int) -> Sequence[bytes]:
        """Raises SourceError for what is no proof."""
        found = self._ask(f"/v1/logs/{log}/consistency?from={first}&to={second}", _PROOF_BYTES_MAX)
        try:
            answer: Any = json.loads(found or b"{}")
            return [b64decode(each, validate=True) for each in answer["hashes"]]
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise SourceError("the service answered no consistency proof") from error

    def publish(self, log: int, note: str) -> None:
        """Raises SourceError where the service does not take it."""
        self._ask(f"/v1/logs/{log}/cosignatures", _PROOF_BYTES_MAX, note.encode())

    def _ask(self, path: str, most: int, body: bytes | None = None) -> bytes | None:
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Content-Type": "text/plain"} if body else {})
        request = urllib.request.Request(self._url + path, body, headers)  # noqa: S310  (the scheme is checked above)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  (the same)
                found: bytes = answer.read(most + 1)
        except urllib.error.HTTPError as error:
            if error.code == 404 and body is None:
                return None
            if error.code == 422 and body is not None:
                raise SourceError(_NOT_TAKEN) from error
            raise SourceError(f"{path}: the service answered {error.code}") from error
        except OSError as error:
            raise SourceError(f"{path}: {error}") from error
        if len(found) > most:
            raise SourceError(f"{path}: the answer is larger than {most} bytes")
        return found


class DatabaseLog:
    """A log in a database, read with the rights of the auditor. Nothing is published there."""

    def __init__(self, url: str) -> None:
        self._url = url

    def checkpoint(self, log: int) -> str | None:
        """The newest signed head."""

        async def newest(store: SealStore) -> str | None:
            head = await store.newest_head(log)
            return head.note if head is not None else None

        return self._ask(newest)

    def consistency(self, log: int, first: int, second: int) -> Sequence[bytes]:
        """Made from the stored tree. Raises SourceError where a part of it is missing."""

        async def made(store: SealStore) -> list[bytes]:
            return await range_roots(consistency_ranges(first, second), stored_tree(store, log))

        return self._ask(made)

    def publish(self, log: int, note: str) -> None:
        """Nowhere: who reads a database only as its auditor adds nothing to it."""

    def _ask(self, question: Callable[[SealStore], Awaitable[T]]) -> T:
        async def asked() -> T:
            store = SealStore(self._url, role="brojobs_auditor")
            await store.open()
            try:
                return await question(store)
            finally:
                await store.close()

        try:
            return asyncio.run(asked())
        except (StoreUnavailable, TreeIncomplete, psycopg.Error) as error:
            raise SourceError(str(error).splitlines()[0]) from error
