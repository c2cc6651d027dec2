"""The evidence of a running deployment's logs, as a case file takes it: witnessed where that is possible."""

from __future__ import annotations

from brojobs_es.evidence.case.proving import NotProven, Sealed
from brojobs_es.evidence.case.stamp_parts import Stamp
from brojobs_es.evidence.merkle import inclusion_ranges
from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.tree import range_roots
from brojobs_es.evidence.witnessing import stored_tree
from brojobs_es.store.sealing import Leaf, SignedHead


class SealedLog:
    """Finds, for an event, the best checkpoint over it: the newest that a witness has signed, else the newest."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def sealed(self, log: int, position: int) -> Sealed:
        """Seals what is not sealed yet. Raises what the sealer raises, and NotProven for a position without an event."""
        found = await self._covering(log, position)
        if found is None:
            await self._sealer.catch_up(log)
            found = await self._covering(log, position)
        if found is None:
            raise NotProven(f"log {log} has no sealed event at position {position}")
        leaf, head = found
        store, signer = self._sealer.store, await self._sealer.signer(log)
        hashes = await self._path(log, leaf, head.size)
        note = head.note + "".join(await store.cosignatures(log, head.size))
        witnesses = tuple(map(str, self._sealer.witnesses))
        return Sealed(leaf.index, hashes, note, signer, witnesses, await self._stamp(log, leaf))

    async def _stamp(self, log: int, leaf: Leaf) -> Stamp | None:
        found = await self._sealer.store.stamp_over(log, leaf.index)
        return Stamp(found.note, await self._path(log, leaf, found.size), found.response) if found is not None else None

    async def _path(self, log: int, leaf: Leaf, size: int) -> tuple[bytes, ...]:
        return tuple(await range_roots(inclusion_ranges(leaf.index, size), stored_tree(self._sealer.store, log)))

    async def _covering(self, log: int, position: int) -> tuple[Leaf, SignedHead] | None:
        store = self._sealer.store
        leaf = await store.leaf_at(log, position)
        if leaf is None:
            return None
        head = await store.witnessed_head(log, leaf.index) or await store.newest_head(log)
        return (leaf, head) if head is not None and head.size > leaf.index else None
