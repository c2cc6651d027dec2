"""Memory that is bounded, and emptied when somebody is erased."""

from __future__ import annotations

from brojobs_es.application.kept import Kept


def test_the_least_recently_used_go_first() -> None:
    """Looking at a value keeps it; keeping a value anew does as well."""
    kept = Kept[str, str](3)
    for name in "abc":
        kept.keep(name, name.upper(), 0)
    assert kept.get("a", 0) == "A"
    kept.keep("b", "again", 0)
    kept.keep("d", "D", 0)
    assert [kept.get(name, 0) for name in "abcd"] == ["A", "again", None, "D"]
    assert len(kept) == 3


def test_the_weights_together_stay_within_the_bound() -> None:
    """Whatever grows, shrinks, goes and comes back: the sum is that of what is there."""
    kept = Kept[int, bytes](100, len)
    for number in range(1000):
        kept.keep(number % 17, bytes(number * 7 % 50), 0)
        if number % 5 == 0:
            kept.drop(number % 13)
        there = [value for name in range(17) if (value := kept.get(name, 0)) is not None]
        assert sum(map(len, there)) <= 100
        assert len(there) == len(kept)
    assert len(kept) > 1
    for name in range(17):
        kept.drop(name)
    kept.keep(1, bytes(100), 0)
    assert kept.get(1, 0) == bytes(100)


def test_what_is_too_heavy_is_not_kept() -> None:
    """Nor does an older value stay in its place."""
    kept = Kept[str, bytes](10, len)
    kept.keep("a", b"small", 0)
    kept.keep("a", bytes(11), 0)
    assert kept.get("a", 0) is None


def test_what_is_heavier_than_all_pushes_nobody_out() -> None:
    """One order that grew without measure costs the others nothing; what just fits is kept alone."""
    kept = Kept[str, bytes](10, len)
    for name in "abc":
        kept.keep(name, b"xyz", 0)
    kept.keep("heavy", bytes(11), 0)
    assert [kept.get(name, 0) for name in ("a", "b", "c", "heavy")] == [b"xyz"] * 3 + [None]
    kept.keep("whole", bytes(10), 0)
    assert [kept.get(name, 0) for name in ("a", "b", "c", "whole")] == [None] * 3 + [bytes(10)]


def test_a_new_epoch_empties_it() -> None:
    """By whoever it is noticed; what was opened under the old one is neither found nor kept any more."""
    kept = Kept[str, str](3)
    kept.keep("a", "A", 1)
    assert kept.get("a", 1) == "A"
    assert kept.get("a", 2) is None
    assert len(kept) == 0
    kept.keep("a", "old", 1)
    assert kept.get("a", 2) is None
    kept.keep("b", "B", 2)
    kept.keep("c", "C", 3)
    assert [kept.get(name, 3) for name in "bc"] == [None, "C"]


def test_a_late_look_under_an_old_epoch_brings_nothing_back() -> None:
    """Somebody who began before the erasure finds nothing of before it."""
    kept = Kept[str, str](3)
    kept.keep("a", "A", 1)
    kept.keep("b", "B", 2)
    assert kept.get("a", 1) is None
