"""The Merkle tree of RFC 9162 (the hashing of RFC 6962): roots, proofs, and their verification.

A leaf stands for the head of an order's chain after one event. Only the standard library is used, so that the same lines
can be handed to somebody who has nothing but Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
TILE_HEIGHT: Final = 8
"""Subtrees whose height is a multiple of this are kept, so that a proof needs at most 256 hashes of each level."""

Range = tuple[int, int]
Node = tuple[int, int, bytes]
"""Height, index and hash of a complete subtree: it covers the leaves from index << height on."""


def leaf_hash(chain_head: bytes) -> bytes:
    """The hash of a leaf: SHA-256 over 0x00 and the 32 bytes of the chain head."""
    return sha256(b"\x00" + chain_head).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring hashes of equal height; their number is a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[n], level[n + 1]) for n in range(0, len(level), 2)]
    return level[0]


class Frontier:
    """A growing tree, of which only the complete subtrees at its right edge are kept: at most one a height."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks` are the roots of the complete subtrees over the first `size` leaves, the largest first."""
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self._peaks = list(peaks)

    def append(self, chain_head: bytes, completed: list[Node] | None = None) -> None:
        """Add a leaf; `completed` receives the kept subtrees (see TILE_HEIGHT) that this leaf completes."""
        self.extend((chain_head,), completed)

    def extend(self, chain_heads: Iterable[bytes], completed: list[Node] | None = None) -> None:
        """Add leaves in turn, as `append` does."""
        peaks, size = self._peaks, self.size
        for chain_head in chain_heads:
            made = sha256(b"\x00" + chain_head).digest()
            rest, height = size, 0
            while rest & 1:
                made = sha256(b"\x01" + peaks.pop() + made).digest()
                rest >>= 1
                height += 1
                if completed is not None and height % TILE_HEIGHT == 0:
                    completed.append((height, rest, made))
            peaks.append(made)
            size += 1
        self.size = size

    def root(self) -> bytes:
        """The root of the tree as it is."""
        return joined(self._peaks)


def joined(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees of falling height, from left to right."""
    if not peaks:
        return EMPTY_ROOT
    made = peaks[-1]
    for peak in reversed(peaks[:-1]):
        made = node_hash(peak, made)
    return made


# -- what a proof is made of


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The leaf ranges whose roots prove that leaf `index` is in the tree of `size`, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    start, end = 0, size
    path: list[Range] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The leaf ranges whose roots prove that the tree of `second` begins with the tree of `first` leaves."""
    if not 0 < first <= second:
        raise ValueError(f"a tree of {second} does not go on from one of {first}")
    start, end, whole = 0, second, True
    path: list[Range] = []
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start, whole = middle, False
    return path[::-1] if whole else [(start, end), *path[::-1]]


def _split(width: int) -> int:
    """The largest power of two below a width of at least two."""
    return 1 << ((width - 1).bit_length() - 1)


def complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Height and index of the complete subtrees that make up a range of a tree, from left to right.

    The range is one that a proof asks for, or begins at 0: its start is aligned to its width rounded up.
    """
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def range_root(start: int, end: int, subtree: Callable[[int, int], bytes]) -> bytes:
    """The root over a range of leaves; `subtree` gives the hash of a complete subtree by height and index."""
    return joined([subtree(height, index) for height, index in complete_subtrees(start, end)])


# -- verification


class ProofError(Exception):
    """A proof that doesn't prove what it is said to; the message says why."""


def check_inclusion(chain_head: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the path leads from the leaf of this chain head to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    _check_lengths(chain_head, *path, root)
    made = leaf_hash(chain_head)
    for sibling, on_the_left in _climb(index, size - 1, path):
        made = node_hash(sibling, made) if on_the_left else node_hash(made, sibling)
    if made != root:
        raise ProofError("the inclusion proof leads to another root")


def check_consistency(first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """Raise ProofError unless the second tree begins with the first one (RFC 9162, 2.1.4.2). An empty one begins all."""
    if not 0 <= first <= second:
        raise ProofError(f"a tree of {second} does not go on from one of {first}")
    _check_lengths(*path, first_root, second_root)
    if first in {0, second}:
        _check_trivial(path, first_root, second_root if first else EMPTY_ROOT)
        return
    hashes = list(path) if first & (first - 1) else [first_root, *path]
    if not hashes:
        raise ProofError("the proof is too short")
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for sibling, on_the_left in _climb(place, last, hashes[1:]):
        if on_the_left:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if old != first_root:
        raise ProofError("the consistency proof leads to another first root")
    if new != second_root:
        raise ProofError("the consistency proof leads to another second root")


def _check_trivial(path: Sequence[bytes], root: bytes, expected: bytes) -> None:
    if path:
        raise ProofError("the proof is too long")
    if root != expected:
        raise ProofError("two trees of one size have different roots")


def _climb(place: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The path from a place up to the root, with whether each step's sibling lies on the left; ProofError at a bad length.

    `last` is the place of the last node of the same level.
    """
    for sibling in path:
        if last == 0:
            raise ProofError("the proof is too long")
        on_the_left = bool(place & 1) or place == last
        yield sibling, on_the_left
        while on_the_left and not place & 1 and place:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")


def _check_lengths(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofError(f"a hash of a proof has {HASH_BYTES} bytes")
