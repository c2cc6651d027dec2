"""Has new checkpoints stamped by an authority outside (RFC 3161), now and then, beside everything else."""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from http.client import HTTPException
from typing import Final

import psycopg
from cryptography.x509 import Certificate

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.evidence.stamps import MAX_RESPONSE_BYTES, StampError, asked, read_roots, stamped_at
from brojobs_es.settings import Settings, SettingsError
from brojobs_es.store.sealing import SealStore

_logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 10.0
FIRST_PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 900.0
ANSWER_SECONDS: Final = 15.0
"""So long an authority may take."""


class Stamper:
    """Asks one authority for stamps of the newest checkpoints. Nobody waits for it, and nothing stops where it fails."""

    def __init__(
        self, store: SealStore, logs: int, url: str, roots: Sequence[Certificate] | None, every_seconds: float
    ) -> None:
        """`roots` None means that whoever signs is accepted."""
        self._store = store
        self._logs = logs
        self._url = url
        self._roots = roots
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Stamp until cancelled; after a failure, pause longer each time."""
        pause = LOOK_SECONDS
        while True:
            try:
                for log in range(self._logs):
                    await self.step(log)
                pause = LOOK_SECONDS
            except (StampError, StoreUnavailable, psycopg.Error) as error:
                pause = min(max(2 * pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
                _logger.warning("no time stamp, the next try in %.0f s: %s", pause, error)
            await asyncio.sleep(pause)

    async def step(self, log: int) -> datetime | None:
        """Have the newest checkpoint stamped if it is time: what the authority says when it was. None if it is not time.

        Raises StampError for an authority that is not there or whose answer is not accepted; that is not kept.
        """
        head = await self._store.to_stamp(log, self._every_seconds)
        if head is None:
            return None
        request, nonce = asked(head.note)
        response = await asyncio.to_thread(_sent, self._url, request)
        at = stamped_at(response, head.note, nonce=nonce, roots=self._roots)
        await self._store.add_stamp(log, head.size, response, at)
        _logger.info("log %d: the checkpoint of %d events was stamped at %s", log, head.size, at.isoformat())
        return at


def stamper_of(settings: Settings, store: SealStore) -> Stamper | None:
    """The stamper that the settings ask for, if they do. Raises SettingsError for roots that cannot be read."""
    if settings.tsa_url is None:
        return None
    return Stamper(store, settings.logs, settings.tsa_url, accepted_roots(settings), 60.0 * settings.tsa_minutes)


def accepted_roots(settings: Settings) -> list[Certificate] | None:
    """The certificates of BROJOBS_TSA_ROOTS, None without it. Raises SettingsError."""
    if settings.tsa_roots is None:
        return None
    try:
        return read_roots(settings.tsa_roots)
    except (OSError, StampError) as error:
        raise SettingsError(f"BROJOBS_TSA_ROOTS: {error}") from None


def _sent(url: str, request: bytes) -> bytes:
    """The authority's answer, however slowly it comes, within ANSWER_SECONDS. Raises StampError."""
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    question = urllib.request.Request(url, request, headers)  # noqa: S310  (the settings take http and https only)
    until, found = time.monotonic() + ANSWER_SECONDS, b""
    try:
        with urllib.request.urlopen(question, timeout=ANSWER_SECONDS) as answer:  # noqa: S310  (the same)
            while block := answer.read1(MAX_RESPONSE_BYTES):
                found += block
                if len(found) > MAX_RESPONSE_BYTES or time.monotonic() > until:
                    raise StampError("the authority answers too much or too slowly")
    except (OSError, ValueError, HTTPException) as error:
        raise StampError(f"the authority was not reached: {error}") from error
    return found
