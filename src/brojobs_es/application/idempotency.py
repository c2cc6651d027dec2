"""Keys of callers: which request a key stands for, and the answer that is kept for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from brojobs_es.application.records import IdempotencyRecord
from brojobs_es.application.sealing import KeyVault, is_digest_of, request_digest
from brojobs_es.case import Case
from brojobs_es.errors import Refusal
from brojobs_es.ids import id_text
from brojobs_es.mapper import canonical
from brojobs_es.vault import Ring, current_key


class KeyUse(Struct, frozen=True):
    """A caller's key and the request that it stands for, in canonical form: its target and what its body means."""

    caller: str
    key: str
    request: bytes

    @classmethod
    def of(cls, caller: str, key: str, target: str, content: object) -> KeyUse:
        return cls(caller, key, canonical({"target": target, "content": content}))


class FirstAnswer(Struct, frozen=True):
    """What makes the first answer again: the streams' versions after its commit, and the instant it was given at."""

    versions: Mapping[str, int]
    now: datetime

    @classmethod
    def after(cls, case: Case, now: datetime) -> FirstAnswer:
        """What the answer after the commit of a case's new events can be made from again."""
        return cls({id_text(it.id): it.version for it in (case.order, *case.disputes)}, now)

    def kept(self) -> bytes:
        """As it is stored."""
        return canonical({"now": self.now, "versions": self.versions})

    @classmethod
    def read(cls, record: IdempotencyRecord) -> FirstAnswer:
        """What `kept` made."""
        stored = json.loads(record.answer)
        return cls(stored["versions"], datetime.fromisoformat(stored["now"]))


def record_of(use: KeyUse, ring: Ring, order_id: UUID, answer: bytes) -> IdempotencyRecord:
    """What is stored of a key; raises KeysWanted where the ring has no current key of the caller."""
    digest = request_digest(use.request, current_key(ring, use.caller))
    return IdempotencyRecord(use.caller, use.key, digest, order_id, answer)


async def must_be_the_same(vault: KeyVault, kept: IdempotencyRecord, *uses: KeyUse | None) -> None:
    """Raise `idempotency_key_reused` unless the key was kept for this very request, in one of the ways it is written."""
    for use in uses:
        if use is not None and await is_digest_of(vault, kept.request_digest, use.request, use.caller):
            return
    raise Refusal("idempotency_key_reused")
