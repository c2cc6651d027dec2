"""The sealer: takes committed events into the Merkle log and signs its head, beside the write path.

Any number of sealers may run; one at a time adds to a log. Everything but the signatures follows from the events, so one
that dies in the middle leaves nothing wrong, and whoever comes next goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brojobs_es.application.records import StoreUnavailable
from brojobs_es.digests import START_OF_CHAIN, chained
from brojobs_es.evidence.merkle import Frontier, Node, Range
from brojobs_es.evidence.notes import (
    PLAIN,
    BadSignature,
    Checkpoint,
    Note,
    NoteError,
    Signer,
    VerifierKey,
    signed_checkpoint,
)
from brojobs_es.evidence.signing import LastSigned
from brojobs_es.evidence.tree import TreeIncomplete, frontier, tree_root
from brojobs_es.settings import DataFolderError
from brojobs_es.store.sealing import EventRow, Sealed, Sealing, SealStore, SignedHead, packed

_logger = logging.getLogger(__name__)

SIGN_EVENTS: Final = 1_000
"""A checkpoint at least every so many events."""
SIGN_SECONDS: Final = 60.0
"""A checkpoint at least every so many seconds while there is anything new."""
BATCH: Final = 1_000
"""Events of one transaction; while there are more, up to BATCH_MAX."""
BATCH_MAX: Final = 8_000
SLICE: Final = 50
"""So many events are hashed before others of this process get their turn."""
PAUSE_SECONDS: Final = 1.0
REFUSED_PAUSE_SECONDS: Final = 60.0
_HEADS_MAX: Final = 200_000


class SealingRefused(Exception):
    """The stored evidence is not what this deployment signed before; nothing is signed until a person has looked."""


@dataclass(slots=True)
class _Edge:
    """Where a log's evidence ended when this process last added to it."""

    tree: Frontier
    last: Sealed | None
    heads: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """What one transaction adds."""

    rows: list[bytes] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    heads: list[tuple[int, bytes, str]] = field(default_factory=list)


class Sealer:
    """Seals the logs of one database with the deployment's key."""

    def __init__(
        self,
        store: SealStore,
        logs: int,
        name: str,
        key: Callable[[], Ed25519PrivateKey],
        memory: LastSigned,
        witnesses: Sequence[VerifierKey] = (),
        *,
        unix_seconds: Callable[[], float] = time.time,
    ) -> None:
        """`key` is asked for when it is first needed."""
        self.store = store
        self.witnesses = tuple(witnesses)
        """Whose cosignatures are taken."""
        self.trouble: str | None = None
        """Why nothing is sealed, for people; None while all is well."""
        self._logs = logs
        self._key = key
        self._name = name
        self._memory = memory
        self._unix_seconds = unix_seconds
        self._limit = BATCH
        self._signers: list[Signer] = []
        self._edges: dict[int, _Edge] = {}

    async def signer(self, log: int) -> Signer:
        """The key under the name of a log: `<deployment>/<database>/log-<n>`, which is also its checkpoints' origin."""
        if not self._signers:
            deployment, key = (await self.store.deployment_id()).hex[:12], self._key()
            self._signers = [Signer(f"{self._name}/{deployment}/log-{each}", key) for each in range(self._logs)]
        return self._signers[log]

    async def verifier(self, log: int) -> VerifierKey:
        """What a log's checkpoints are verified with."""
        return (await self.signer(log)).verifier(PLAIN)

    async def run(self) -> None:
        """Seal until cancelled. What fails is tried again; what must not be signed is left alone and logged."""
        while True:
            pause = PAUSE_SECONDS
            try:
                for log in range(self._logs):
                    while await self.step(log):
                        pass
                self.trouble = None
            except (StoreUnavailable, psycopg.Error) as error:
                _logger.warning("the sealer waits: %s", error)
            except (SealingRefused, OSError, DataFolderError, TreeIncomplete) as refusal:  # KeyFileError is an OSError
                self.trouble = str(refusal)
                _logger.error("nothing is sealed: %s", refusal)  # noqa: TRY400  (the sentence is for people)
                pause = REFUSED_PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def catch_up(self, log: int) -> None:
        """Seal everything that is there now, and have a checkpoint over all of it.

        Raises SealingRefused, KeyFileError, TreeIncomplete or StoreUnavailable.
        """
        while await self.step(log, sign=True):
            pass

    async def step(self, log: int, *, sign: bool = False) -> bool:
        """Seal one batch; whether there may be more. `sign` asks for a checkpoint over all of it, however few."""
        if not await self.store.behind(log):
            return False
        signer = await self.signer(log)
        async with self.store.sealing(log) as sealing:
            if sealing is None:
                self._edges.pop(log, None)
                await asyncio.sleep(0.01 if sign else 0)
                return sign  # somebody else is at it; who waits for a checkpoint looks again
            edge = await self._edge(log, sealing, signer)
            newest = await sealing.newest_head()
            limit = self._limit  # another log's step may change it meanwhile
            events = await sealing.events(edge.last.position if edge.last else 0, limit)
            self._edges.pop(log, None)  # until it is committed
            full = len(events) == limit
            batch = await self._batch(sealing, edge, events, newest, signer, sign=sign, full=full)
            await self._add(sealing, batch)
        self._edges[log] = edge
        if batch.heads:
            self._memory.write(signer.name, batch.heads[-1][2])
        self._limit = min(2 * limit, BATCH_MAX) if full else BATCH
        return full

    async def _edge(self, log: int, sealing: Sealing, signer: Signer) -> _Edge:
        """Where to go on: as this process left it, or, if others were here or it is new, as the database has it."""
        last = await sealing.last()
        edge = self._edges.get(log)
        if edge is not None and edge.last == last:
            return edge
        size = last.leaf_index + 1 if last is not None else 0

        async def fetch(height: int, ranges: Sequence[Range]) -> dict[int, bytes]:
            found: dict[int, bytes] = {}
            for start, end in ranges:
                found |= await (sealing.nodes(height, start, end) if height else sealing.chains(start, end))
            return found

        newest = await sealing.newest_head()
        if newest is not None:
            _must_be_ours(newest, signer)
            if newest.size > size or newest.root != await tree_root(newest.size, fetch):
                raise SealingRefused(f"the sealed events are not those of the checkpoint of {newest.size} events")
        before = self._memory.read(signer.name)
        if before is not None and (before.size > size or before.root != await tree_root(before.size, fetch)):
            raise SealingRefused(
                f"the database does not go on from the {before.size} events that were signed here: it is older, or "
                f"another one. If that is meant, remove {self._memory.path(signer.name)}."
            )
        return _Edge(await frontier(size, fetch), last)

    async def _batch(
        self,
        sealing: Sealing,
        edge: _Edge,
        events: Sequence[EventRow],
        newest: SignedHead | None,
        signer: Signer,
        *,
        sign: bool,
        full: bool,
    ) -> _Batch:
        """Move the edge over the events; nothing is stored yet."""
        batch = _Batch()
        if missing := {event[1] for event in events} - edge.heads.keys():
            if len(edge.heads) > _HEADS_MAX:
                edge.heads.clear()
                missing = {event[1] for event in events}
            edge.heads |= dict.fromkeys(missing, START_OF_CHAIN) | await sealing.heads(missing)
        signed, start = newest.size if newest is not None else 0, 0
        while start < len(events):
            end = start + min(SLICE, max(1, signed + SIGN_EVENTS - edge.tree.size))
            _take(events[start:end], edge, batch)
            if edge.tree.size - signed >= SIGN_EVENTS:
                batch.heads.append(self._signed(edge.tree, signer))
                signed = edge.tree.size
            start = end
            await asyncio.sleep(0)
        waited = newest is None or newest.age_seconds >= SIGN_SECONDS
        if edge.tree.size > signed and (waited or sign) and not full:
            batch.heads.append(self._signed(edge.tree, signer))
        return batch

    def _signed(self, tree: Frontier, signer: Signer) -> tuple[int, bytes, str]:
        root = tree.root()
        note = signed_checkpoint(Checkpoint(signer.name, tree.size, root), signer, int(self._unix_seconds()))
        return tree.size, root, note

    async def _add(self, sealing: Sealing, batch: _Batch) -> None:
        if batch.rows:
            await sealing.add(b"".join(batch.rows), batch.nodes)
        if batch.heads:
            await sealing.add_heads(batch.heads)
        else:
            await sealing.relax()


def _must_be_ours(newest: SignedHead, signer: Signer) -> None:
    """Refuse to put our signature behind somebody else's."""
    try:
        Note.parse(newest.note).check(signer.verifier(PLAIN))
    except (NoteError, BadSignature) as error:
        raise SealingRefused(
            f"the checkpoint of {newest.size} events is not by this deployment's key ({error}): "
            "processes of one deployment share a key (BROJOBS_SIGNING_KEY) and a name (BROJOBS_DEPLOYMENT)"
        ) from error


def _take(events: Sequence[EventRow], edge: _Edge, batch: _Batch) -> None:
    """Chain the events and make them leaves."""
    heads, tree, nodes, rows = edge.heads, edge.tree, batch.nodes, batch.rows
    for position, order, digest in events:
        chain = heads[order] = chained(heads[order], digest)
        rows.append(packed(position, order, tree.size, digest, chain))
        tree.append(chain, nodes)
    position, order, _ = events[-1]
    edge.last = Sealed(position, tree.size - 1, heads[order])
