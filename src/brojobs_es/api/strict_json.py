"""JSON as this service takes it: one meaning per document, and nothing that the database or a reader would choke on.

Python's parser is lenient where money and evidence cannot be: it takes the last of two equal keys, NaN, and halves of
surrogate pairs that no database stores. So a body is first read by a quicker one and written again: where that gives the
very same bytes, it has one meaning. Any other is read with care, and the extra checks hide in hooks.
"""

from __future__ import annotations

import json
import math
from typing import Final

import msgspec

MAX_DEPTH: Final = 64
"""How many objects and lists may lie inside one another."""

_NULL: Final = "\x00"


class BadJson(ValueError):
    """The body is not JSON that this service takes; `message` says why, for the person who sent it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadJson(f"the key {ascii(twice)[:80]} stands twice in one object")
    return made


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BadJson("a number is too large")
    return number


def _no_constant(name: str) -> object:
    raise BadJson(f"{name} is not JSON")


_read: Final = msgspec.json.Decoder().decode
_written: Final = msgspec.json.Encoder().encode
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)


def parse(body: bytes) -> object:
    """The value of a JSON document in UTF-8: dict, list, str, int, float, bool or None.

    Raises BadJson for anything else, and for duplicate keys, NaN and Infinity, numbers too large to read, null
    characters, lone surrogates and more than 64 levels. Floats stay floats: refusing them is up to the schema.
    """
    value = _plain(body)
    if value is None:
        value = _any(body)
    # Only an escape can bring in a null character or half a pair: the raw bytes are refused by the parsers.
    if b"\\u" in body or body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _inspect(value)
    return value


def _plain(body: bytes) -> object:
    """The value of a body that is written again as the very same bytes, as most programs write it; None for any other.

    Nothing stands twice in such a body, and no number in it was rounded: JSON in its shortest form has one reading.
    """
    try:
        value: object = _read(body)
        return value if _written(value) == body else None
    except (ValueError, RecursionError):
        return None


def _any(body: bytes) -> object:
    """The value of any body; what is wrong with it is said in words."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson("the body is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise BadJson("the body starts with a byte order mark")
    try:
        value: object = _DECODER.decode(text)
    except BadJson:
        raise
    except json.JSONDecodeError as error:
        raise BadJson(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise BadJson(f"more than {MAX_DEPTH} levels") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise BadJson("a number is too large") from error
    return value


def _inspect(document: object) -> None:
    """Walk a document level by level, without recursion, and raise BadJson for what no hook sees."""
    level: list[object] = [document]
    depth = 0
    while level:
        below: list[object] = []
        for value in level:
            if isinstance(value, str):
                check_text(value)
            elif isinstance(value, dict | list):
                if depth == MAX_DEPTH:
                    raise BadJson(f"more than {MAX_DEPTH} levels")
                below.extend(value)  # the keys of an object, the items of a list
                if isinstance(value, dict):
                    below.extend(value.values())
        level = below
        depth += 1


def check_text(text: str) -> None:
    """Raise BadJson for text that PostgreSQL, or anything that reads UTF-8, would refuse."""
    if _NULL in text:
        raise BadJson("a null character (\\u0000) is not taken")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson("half of a surrogate pair is not a character") from error
