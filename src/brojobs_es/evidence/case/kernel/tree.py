"""Merkle trees as RFC 9162 (and RFC 6962) hashes them: whether a leaf, or an older tree, lies in a tree."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether leaf number `index` (from 0) of the tree with this size and root has this hash (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, made = index, size - 1, leaf
    for hashed in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            made = node_hash(hashed, made)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            made = node_hash(made, hashed)
        number, last = number >> 1, last >> 1
    return last == 0 and made == root


def extends(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the larger tree starts with all leaves of the older one (RFC 9162, 2.1.4.2)."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    if not path:
        return False
    number, last = old_size - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_made = made = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old_made, made = node_hash(hashed, old_made), node_hash(hashed, made)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            made = node_hash(made, hashed)
        number, last = number >> 1, last >> 1
    return last == 0 and old_made == old_root and made == root
