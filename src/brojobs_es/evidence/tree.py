"""Hashes of the stored tree, fetched together: what proofs are made of, and what a sealer goes on from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from brojobs_es.evidence.merkle import TILE_HEIGHT, Frontier, Range, complete_subtrees, folded, leaf_hash, range_root

Fetch = Callable[[int, Sequence[Range]], Awaitable[dict[int, bytes]]]
"""From a height (0 or a kept one) and ranges of indices to stored values by index: chain heads at height 0, else hashes."""

Subtree = tuple[int, int]


class TreeIncomplete(Exception):
    """The database lacks a part of the tree that it should have."""


async def range_roots(ranges: Sequence[Range], fetch: Fetch) -> list[bytes]:
    """The roots over ranges of leaves (see `merkle`), with one query for each kept height."""
    wanted = {subtree for start, end in ranges for subtree in complete_subtrees(start, end)}
    hashes = await _hashes(wanted, fetch)
    return [range_root(start, end, lambda height, index: hashes[height, index]) for start, end in ranges]


async def tree_root(size: int, fetch: Fetch) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return (await range_roots([(0, size)], fetch))[0]


async def frontier(size: int, fetch: Fetch) -> Frontier:
    """The edge of the tree over the first `size` leaves, ready to grow."""
    peaks = list(complete_subtrees(0, size))
    hashes = await _hashes(peaks, fetch)
    return Frontier(size, [hashes[peak] for peak in peaks])


async def _hashes(wanted: Iterable[Subtree], fetch: Fetch) -> dict[Subtree, bytes]:
    by_kept: dict[int, list[Subtree]] = {}
    for height, index in wanted:
        by_kept.setdefault(height - height % TILE_HEIGHT, []).append((height, index))
    found: dict[Subtree, bytes] = {}
    for kept, subtrees in by_kept.items():
        ranges = {subtree: _below(*subtree, kept) for subtree in subtrees}
        stored = await fetch(kept, list(ranges.values()))
        for subtree, (start, end) in ranges.items():
            try:
                values = [stored[index] for index in range(start, end)]
            except KeyError as missing:
                raise TreeIncomplete(f"the tree has no node {missing} at height {kept}") from None
            found[subtree] = folded(values if kept else [leaf_hash(head) for head in values])
    return found


def _below(height: int, index: int, kept: int) -> Range:
    """The nodes of a lower height that a subtree covers."""
    rise = height - kept
    return index << rise, (index + 1) << rise
