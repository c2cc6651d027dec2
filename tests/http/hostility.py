"""Bodies that nobody should send, made from the service's own OpenAPI document: one wrong thing at a time."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Json = Any
Path = tuple[str | int, ...]

WHO_FIRST: Final = ("buyer", "seller", "mediator", "operator")

NOT_TEXT: Final[tuple[Json, ...]] = (7, 1.5, True, [], {}, ["x"])
NOT_A_NUMBER: Final[tuple[Json, ...]] = (
    1.0,
    1.5,
    "1",
    "x",
    True,
    False,
    [],
    {},
    2**53,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    1e3,
)
NOT_AN_INSTANT: Final[tuple[Json, ...]] = (
    0, 1767225600, 1.5, True, [], {}, "", "tomorrow", "2026-01-01", "2026-01-01T00:00:00", "0000-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-06-30T23:59:60Z",
    "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00+24:00", "9999-12-31T23:59:59.999999-23:59",
    "0001-01-01T00:00:00+23:59", "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "2026-W01-1T00:00:00Z",
    "2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00,5Z", "２０２６-01-01T00:00:00Z", " 2026-01-01T00:00:00Z",
)  # fmt: skip
NOT_MONEY: Final[tuple[Json, ...]] = (
    5, "5 EUR", [], True, {}, {"amount": 5}, {"currency": "EUR"}, {"amount": 5, "currency": "EUR", "scale": 2},
    {"amount": 5.0, "currency": "EUR"}, {"amount": "5", "currency": "EUR"}, {"amount": True, "currency": "EUR"},
    {"amount": 2**53, "currency": "EUR"}, {"amount": -(2**63), "currency": "EUR"}, {"amount": None, "currency": "EUR"},
    {"amount": 5, "currency": "eur"}, {"amount": 5, "currency": "EURO"}, {"amount": 5, "currency": "XXX"},
    {"amount": 5, "currency": "XAU"}, {"amount": 5, "currency": 978}, {"amount": 5, "currency": "978"},
    {"amount": 5, "currency": None}, {"amount": 5, "currency": ""}, {"amount": 5, "currency": "EUR "},
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    """A POST route that takes JSON: who may call it, a right body, and the schema of its body."""

    path: str
    who: str
    example: dict[str, Json]
    schema: dict[str, Json]


def routes(document: dict[str, Json]) -> Iterator[Route]:
    """Every POST route with a documented JSON body."""
    for path, operations in document["paths"].items():
        operation = operations.get("post", {})
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or "x-by" not in operation:
            continue
        who = next(role for role in WHO_FIRST if role in operation["x-by"])
        yield Route(path, who, content["example"], resolved(content["schema"], document))


def resolved(schema: Json, document: dict[str, Json]) -> Json:
    """The schema with what it refers to in place."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            return resolved(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
        return {name: resolved(part, document) for name, part in schema.items()}
    return [resolved(part, document) for part in schema] if isinstance(schema, list) else schema


def _plain(schema: dict[str, Json]) -> tuple[dict[str, Json], bool]:
    """The schema without its `null` alternative, and whether it had one."""
    options = schema.get("anyOf", [schema])
    rest = [option for option in options if option.get("type") != "null"]
    return {**schema, **rest[0]}, len(rest) < len(options)


def right(schema: dict[str, Json]) -> Json:
    """Some value that the schema allows, with every optional member."""
    schema, _ = _plain(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            return {name: right(part) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [right(schema["items"])]
        case "integer":
            return 1
        case _:
            if schema.get("pattern", "").startswith("^[0-9a-fA-F]{8}"):
                return "0b9c3a52-6a0e-4a57-9d3c-5f0e6a1b2c3d"
            if "pattern" not in schema and "EUR" in schema.get("examples", ()):
                return "EUR"
            return "2026-03-20T12:00:00Z" if schema.get("format") == "date-time" else "x"


def _wrong(schema: dict[str, Json]) -> Iterator[Json]:
    """Values that can never be right for a schema."""
    schema, nullable = _plain(schema)
    if not nullable:
        yield None
    members = schema.get("properties", {})
    if set(members) == {"amount", "currency"}:
        yield from NOT_MONEY
    elif schema.get("format") == "date-time":
        yield from NOT_AN_INSTANT
    elif schema.get("type") == "integer":
        yield from NOT_A_NUMBER
    elif schema.get("type") == "array":
        yield from (7, "x", True, {}, {"0": "x"}, [None], [right(schema["items"])] * (schema["maxItems"] + 1))
    elif schema.get("type") == "object":
        yield from (7, "x", True, [], {})
    else:
        yield from NOT_TEXT
        yield "x" * (schema.get("maxLength", 20_000) + 1)
        if "enum" in schema or "pattern" in schema:
            yield from ("", "nonsense", "x\n")


def _places(schema: dict[str, Json], at: Path = ()) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Every member of a body, also inside of objects and of the first item of lists."""
    plain, _ = _plain(schema)
    for name, part in plain.get("properties", {}).items():
        yield (*at, name), part
        inner, _ = _plain(part)
        if inner.get("type") == "array":
            yield (*at, name, 0), inner["items"]
            yield from _places(inner["items"], (*at, name, 0))
        elif inner.get("type") == "object":
            yield from _places(inner, (*at, name))


def _changed(body: Json, at: Path, value: Json) -> Json:
    body = copy.deepcopy(body)
    inside = body
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = value
    return body


def _filled(given: Json, whole: Json) -> Json:
    """What is given, with every member that it leaves out."""
    if isinstance(given, dict):
        return whole | {name: _filled(part, whole[name]) for name, part in given.items()}
    return [_filled(part, whole[0]) for part in given] or whole if isinstance(given, list) else given


def _belonging_together(body: dict[str, Json], at: Path) -> dict[str, Json]:
    """The body without the member that excludes the one at this place: a decision has a refund or a date."""
    if "outcome" not in body:
        return body
    other, outcome = ("refund", "relaunch") if at[0] == "due_at" else ("due_at", "partial_refund")
    return {name: part for name, part in body.items() if name != other} | {"outcome": outcome}


def wrong_members(route: Route) -> Iterator[tuple[str, bytes]]:
    """The right body with one member of a wrong type, out of range, missing, or with one too many."""
    whole = _filled(route.example, right(route.schema))
    for at, schema in _places(route.schema):
        body = _belonging_together(whole, at)
        for value in _wrong(schema):
            yield f"{at} = {str(value)[:40]!r}", json.dumps(_changed(body, at, value)).encode()
        for raw in (
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"1e999",
            b'"\\u0000"',
            b'"x\\ud800"',
            b"01",
            b"'x'",
            b"undefined",
        ):
            marked = json.dumps(_changed(body, at, "MARK")).encode()
            yield f"{at} = {raw!r}", marked.replace(b'"MARK"', raw)
    for name in route.schema.get("required", ()):
        yield f"without {name}", json.dumps({k: v for k, v in route.example.items() if k != name}).encode()
    for name in ("buyer_id", "role", "__proto__", "", "x" * 300, "\u202e"):
        yield f"with {name[:20]!r}", json.dumps({**route.example, name: 1}).encode()


def wrong_documents(route: Route) -> Iterator[tuple[str, bytes]]:
    """Bodies that are not one JSON object in UTF-8, once and without tricks."""
    example = json.dumps(route.example).encode()
    yield from (
        ("null", b"null"), ("list", b"[]"), ("list of the body", b"[" + example + b"]"), ("text", b'"x"'),
        ("number", b"7"), ("true", b"true"), ("half", example[:-1] or b"{"), ("two", example + example),
        ("comment", b"{/* */}"), ("trailing comma", b'{"a":1,}'), ("not UTF-8", b'{"a":"\xff\xfe"}'),
        ("utf-16", json.dumps(route.example).encode("utf-16")), ("BOM", b"\xef\xbb\xbf" + example),
        ("raw surrogate", b'{"a":"\xed\xa0\x80"}'), ("raw null", b'{"a":"\x00"}'), ("null key", b'{"\\u0000":1}'),
        ("surrogate key", b'{"\\ud800":1}'), ("duplicate keys", b'{"a":1,"a":1}'),
        ("gzip", gzip.compress(example)), ("binary", bytes(range(256))), ("form", b"text=x&files=y"),
        ("deep objects", b'{"a":' * 40_000 + b"1" + b"}" * 40_000), ("deep lists", b"[" * 100_000 + b"]" * 100_000),
        ("half deep", b"[" * 100_000), ("many digits", b'{"a":' + b"9" * 100_000 + b"}"),
    )  # fmt: skip
    if route.example:
        name, value = next(iter(route.example.items()))
        twice = b"{" + json.dumps(name).encode() + b":" + json.dumps(value).encode() + b"," + example[1:]
        yield "the first key twice", twice
