"""Checkpoints as others see them: proofs under them, and the cosignatures of witnesses that they carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brojobs_es.evidence.merkle import Range, consistency_ranges, inclusion_ranges
from brojobs_es.evidence.notes import BadSignature, Checkpoint, Note, NoteError, VerifierKey
from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.tree import Fetch, range_roots
from brojobs_es.settings import Settings, SettingsError
from brojobs_es.store.sealing import Leaf, SealStore


def witnesses_of(settings: Settings) -> list[VerifierKey]:
    """The witnesses that a deployment knows; SettingsError where one is not well formed."""
    try:
        return [VerifierKey.parse(each) for each in settings.witnesses.split(",") if each.strip()]
    except NoteError as error:
        raise SettingsError(f"BROJOBS_WITNESSES: {error}") from None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an event lies in a signed tree."""

    leaf: Leaf
    size: int
    hashes: list[bytes]
    note: str


class NotThere(Exception):
    """There is no event at that position, or no tree of that size was signed."""


class CosignatureRefused(Exception):
    """What a witness sent is not a cosignature that is taken; the message says why."""


def stored_tree(store: SealStore, log: int) -> Fetch:
    """How to fetch the parts of a log's tree."""

    async def fetch(height: int, ranges: Sequence[Range]) -> dict[int, bytes]:
        return await (store.nodes(log, height, ranges) if height else store.chains(log, ranges))

    return fetch


async def checkpoint(sealer: Sealer, log: int) -> tuple[int, str] | None:
    """Size and note of the newest checkpoint, with the cosignatures it has; None while nothing was ever signed."""
    head = await sealer.store.newest_head(log)
    if head is None:
        return None
    return head.size, head.note + "".join(await sealer.store.cosignatures(log, head.size))


async def inclusion(sealer: Sealer, log: int, position: int) -> Inclusion:
    """The proof for the event at a position under the newest checkpoint, which is made if none covers it yet.

    Raises NotThere, and what `Sealer.catch_up` raises.
    """
    store = sealer.store
    if not await store.has_event(log, position):
        raise NotThere(position)
    leaf, newest = await store.leaf_at(log, position), await checkpoint(sealer, log)
    if leaf is None or newest is None or newest[0] <= leaf.index:
        await sealer.catch_up(log)
        leaf, newest = await store.leaf_at(log, position), await checkpoint(sealer, log)
    if leaf is None or newest is None or newest[0] <= leaf.index:
        raise NotThere(position)
    size, note = newest
    return Inclusion(leaf, size, await range_roots(inclusion_ranges(leaf.index, size), stored_tree(store, log)), note)


async def consistency(sealer: Sealer, log: int, first: int, second: int) -> list[bytes]:
    """The proof that the tree of `second` events goes on from that of `first`. Raises NotThere beyond what is signed."""
    newest = await sealer.store.newest_head(log)
    if newest is None or not 0 < first <= second <= newest.size:
        raise NotThere(second)
    return await range_roots(consistency_ranges(first, second), stored_tree(sealer.store, log))


async def cosign(sealer: Sealer, log: int, data: bytes) -> tuple[int, bool]:
    """Take the cosignatures of known witnesses under a checkpoint of ours: its size, and whether any was new.

    Raises CosignatureRefused, and NotThere for a size that was not signed.
    """
    try:
        note = Note.parse(data)
        sent = Checkpoint.parse(note.text)
    except NoteError as error:
        raise CosignatureRefused(str(error)) from error
    head = await sealer.store.head(log, sent.size)
    if head is None:
        raise NotThere(sent.size)
    if Note.parse(head.note).text != note.text:
        raise CosignatureRefused("this is not the checkpoint that was signed here for that size")
    known = [
        (key, line)
        for key in sealer.witnesses
        for line in note.signatures
        if (line.name, line.key_id) == (key.name, key.id)
    ]
    if not known:
        raise CosignatureRefused("no signature by a witness that is known here (BROJOBS_WITNESSES)")
    new = False
    for key, line in known:
        try:
            note.check(key)
        except BadSignature as error:
            raise CosignatureRefused(str(error)) from error
        new |= await sealer.store.add_cosignature(log, sent.size, str(key), line.line)
    return sent.size, new
