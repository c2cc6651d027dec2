"""The Merkle tree: against its definition, and against an independent implementation."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from brojobs_es.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    Node,
    ProofError,
    check_consistency,
    check_inclusion,
    complete_subtrees,
    consistency_ranges,
    folded,
    inclusion_ranges,
    joined,
    leaf_hash,
    range_root,
)

LARGEST = 700
HEADS = [sha256(b"head %d" % n).digest() for n in range(LARGEST)]
LEAVES = [leaf_hash(head) for head in HEADS]


@pytest.fixture(scope="module")
def oracle() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for head in HEADS:
        tree.append_entry(head)
    return tree


def subtree(height: int, index: int) -> bytes:
    return folded(LEAVES[index << height : (index + 1) << height])


def root_of(size: int) -> bytes:
    frontier = Frontier()
    for head in HEADS[:size]:
        frontier.append(head)
    return frontier.root()


def inclusion(index: int, size: int) -> list[bytes]:
    return [range_root(start, end, subtree) for start, end in inclusion_ranges(index, size)]


def consistency(first: int, second: int) -> list[bytes]:
    return [range_root(start, end, subtree) for start, end in consistency_ranges(first, second)]


def test_every_root_equals_that_of_the_independent_tree(oracle: InmemoryTree) -> None:
    """A frontier that grows leaf by leaf has, at every size, the root that the other implementation computes."""
    frontier = Frontier()
    for size, head in enumerate(HEADS, 1):
        frontier.append(head)
        assert frontier.root() == oracle.get_root(size)


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    """An empty tree has the root that the standard gives it."""
    assert Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_inclusion_proofs_are_those_of_the_independent_tree(oracle: InmemoryTree, data: st.DataObject) -> None:
    """For a random leaf and size the path is the same, and it verifies."""
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion(index, size)
    theirs = oracle.prove_inclusion(index + 1, size).serialize()["path"]
    assert [step.hex() for step in path] == theirs[1:]
    check_inclusion(HEADS[index], index, size, path, oracle.get_root(size))


def by_the_book(first: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, 2.1.2, word for word, over roots that the independent implementation computes."""
    if first == len(leaves):
        return [] if whole else [independent_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if first <= split:
        return [*by_the_book(first, leaves[:split], whole), independent_root(leaves[split:])]
    return [*by_the_book(first - split, leaves[split:], False), independent_root(leaves[:split])]


def independent_root(heads: list[bytes]) -> bytes:
    return bytes(InmemoryTree.init_from_entries(heads, algorithm="sha256").get_root())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_consistency_proofs_are_those_of_the_standard(oracle: InmemoryTree, data: st.DataObject) -> None:
    """For two random sizes the path is the one that the standard defines, and it leads between independent roots."""
    second = data.draw(st.integers(1, LARGEST))
    first = data.draw(st.integers(1, second))
    path = consistency(first, second)
    assert path == by_the_book(first, HEADS[:second], True)
    check_consistency(first, second, path, oracle.get_root(first), oracle.get_root(second))


def test_all_proofs_of_small_trees_verify_and_no_other_place_does() -> None:
    """Up to 20 leaves, each path proves its own leaf at its own index and size, and no other index."""
    for size in range(1, 21):
        root = root_of(size)
        for index in range(size):
            path = inclusion(index, size)
            check_inclusion(HEADS[index], index, size, path, root)
            for other in set(range(size)) - {index}:
                with pytest.raises(ProofError):
                    check_inclusion(HEADS[index], other, size, path, root)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_proof_with_any_bit_changed_is_refused(data: st.DataObject) -> None:
    """One flipped bit anywhere in a path, or a hash more or less, and nothing is proved."""
    size = data.draw(st.integers(2, 200))
    first = data.draw(st.integers(1, size - 1))
    one, two = inclusion(first, size), consistency(first, size)

    def included(path: list[bytes]) -> None:
        check_inclusion(HEADS[first], first, size, path, root_of(size))

    def consistent(path: list[bytes]) -> None:
        check_consistency(first, size, path, root_of(first), root_of(size))

    for path, check in ((one, included), (two, consistent)):
        check(path)
        place = data.draw(st.integers(0, len(path) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = bytearray(path[place])
        flipped[bit // 8] ^= 1 << bit % 8
        for wrong in (
            [*path[:place], bytes(flipped), *path[place + 1 :]],
            path[:-1],
            [*path, path[-1]],
            [*path[:place], path[place][:-1], *path[place + 1 :]],
        ):
            with pytest.raises(ProofError):
                check(wrong)


def test_an_older_tree_that_is_another_is_refused() -> None:
    """No path makes two different roots of one size agree, nor a larger tree the beginning of a smaller one."""
    with pytest.raises(ProofError):
        check_consistency(5, 5, [], root_of(5), root_of(6))
    with pytest.raises(ProofError):
        check_consistency(6, 5, [], root_of(6), root_of(5))
    with pytest.raises(ProofError):
        check_consistency(0, 5, [], root_of(1), root_of(5))
    check_consistency(0, 5, [], EMPTY_ROOT, root_of(5))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 699])
def test_a_frontier_goes_on_from_its_peaks(size: int) -> None:
    """The complete subtrees at a tree's edge are enough to go on from any size."""
    peaks = [subtree(height, index) for height, index in complete_subtrees(0, size)]
    again = Frontier(size, peaks)
    assert again.root() == joined(peaks) == root_of(size)
    again.append(HEADS[size])
    assert again.root() == root_of(size + 1)


def test_the_subtrees_to_keep_are_handed_out_once() -> None:
    """Those of 256 leaves, each when its last leaf comes."""
    frontier, kept = Frontier(), list[Node]()
    for size, head in enumerate(HEADS, 1):
        frontier.append(head, kept)
        assert kept == [(8, index, subtree(8, index)) for index in range(size // 256)]


def test_a_frontier_refuses_peaks_that_do_not_fit() -> None:
    """The number of peaks follows from the size."""
    with pytest.raises(ValueError, match="2 peaks"):
        Frontier(3, [HEADS[0]])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    """Neither made nor verified."""
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_ranges(index, size)
    with pytest.raises(ProofError, match="no leaf"):
        check_inclusion(HEADS[0], index, size, [], EMPTY_ROOT)
