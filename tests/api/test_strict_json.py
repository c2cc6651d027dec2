from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brojobs_es.api.strict_json import MAX_DEPTH, BadJson, _any, _plain, parse

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"{} {}", "Extra data"),
        (b"{'a': 1}", "Expecting property name"),
        (b'{"a": 1,}', "Expecting property name"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (b"9" * 5000, "too large"),
        (b'{"a": 1, "a": 1}', "stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "stands twice"),
        (b'[{"b": {"a": 1, "c": 2, "a": 3}}]', "stands twice"),
        (b'"\x00"', "Invalid control character"),
        (b'"a\nb"', "Invalid control character"),
        (b'"\\u0000"', "null character"),
        (b'{"\\u0000": 1}', "null character"),
        (b'[[{"a": ["x\\u0000y"]}]]', "null character"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'[{"a": "\\udc00\\ud800"}]', "surrogate"),
    ],
)
def test_refused(body: bytes, why: str) -> None:
    """What another reader, the database or a person could read differently is refused with a reason."""
    with pytest.raises(BadJson, match=why):
        parse(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 2.5, true, null, "\xc3\xa9"]} \n', {"a": [1, 2.5, True, None, "é"]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\u0000"', "\\u0000"),
        (b"9223372036854775808", 2**63),
        (b"1.0", 1.0),
        (b"9" * 4000, int("9" * 4000)),
    ],
)
def test_taken(body: bytes, value: object) -> None:
    """Valid JSON keeps its value, and a float stays one, so that a schema can tell it from an integer."""
    parsed = parse(body)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'{"\\u0061":[', b"]}")])
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    """Exactly 64 levels are taken, one more is not, whatever lies inside."""
    each = opening.count(b"[") + opening.count(b"{")
    fits = MAX_DEPTH // each
    for inside in (b"1", b'"x"', b"[]" if each == 2 else b"1"):
        if inside != b"[]":
            parse(opening * fits + inside + closing * fits)
        with pytest.raises(BadJson, match="64 levels"):
            parse(opening * fits + b"[" + inside + b"]" + closing * fits)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000])
def test_a_hundred_thousand_levels_cost_nothing(body: bytes) -> None:
    """Absurd depth is refused at once and crashes nothing."""
    started = time.perf_counter()
    with pytest.raises(BadJson):
        parse(body)
    assert time.perf_counter() - started < 0.5


def test_width_is_not_depth() -> None:
    """A long flat document is taken however many brackets it has."""
    assert parse(b"[" + b"[]," * 10_000 + b"[]]") == [[]] * 10_001


@given(DOCUMENTS)
def test_round_trip(document: object) -> None:
    """Whatever was dumped reads back the same, escaped or not, with or without spaces."""
    for ascii_only in (True, False):
        for separators in ((", ", ": "), (",", ":")):
            dumped = json.dumps(document, ensure_ascii=ascii_only, separators=separators)
            assert repr(parse(dumped.encode())) == repr(document)


BODIES = st.binary(max_size=60) | st.text(alphabet='{}[]":,\\u0d8aeE+-.1 \n', max_size=40).map(str.encode)


@given(BODIES | DOCUMENTS.map(lambda document: json.dumps(document, separators=(",", ":")).encode()))
def test_both_readers_say_the_same(body: bytes) -> None:
    """What the quick reader takes, the careful one takes as well, and for the same value."""
    value = _plain(body)
    if value is not None:
        assert repr(_any(body)) == repr(value)


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'{"a":1,"\\u0061":1}', b"[1e400]", b"[1E5]", b"[-0]", b"[1.00]"])
def test_what_has_another_reading_is_read_with_care(body: bytes) -> None:
    """Whatever is not written again as it came."""
    assert _plain(body) is None


@given(BODIES)
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    """No bytes raise anything but BadJson, and what is taken can be stored as UTF-8 text."""
    try:
        value = parse(body)
    except BadJson:
        return
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode("utf-8")


def test_a_usual_body_is_read_in_microseconds() -> None:
    """300 bytes take below 15 µs on the development machine; here ten times that, since tests share their cores."""
    body = json.dumps(
        {"title": "Logo", "brief": "dark blue " * 20, "price": {"amount": 10001, "currency": "EUR"}}
    ).encode()
    best = min(_seconds(body) for _ in range(5))
    assert best / 1000 < 150e-6


def _seconds(body: bytes) -> float:
    started = time.perf_counter()
    for _ in range(1000):
        parse(body)
    return time.perf_counter() - started
