"""The reference pages of commands and codes, made from the tables that the service itself runs on.

`python -m tests.console.reference` writes them; a test says when they are no longer current.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.bodies import Body
from brojobs_es.aggregates.commands.ordering import Place
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api.problems import status_of
from brojobs_es.language import CODES, detail, title

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
MADE: Final = "Made from the code by `make docs`, and compared on every test run."

COMMANDS_HEAD: Final = f"""# Commands

{MADE}
Every command is a `POST` with a JSON body: its own fields and no others. A field with a question mark may be left out.
Whether a command is possible in a given state is on the page of [outcomes](outcomes.md); the codes it may be refused
with are on the page of [codes](codes.md).
"""
CODES_HEAD: Final = f"""# Codes

{MADE}
A refusal is a problem document whose `code` clients switch on; a code never changes, its words may. The texts below are
what is said when no date or amount is known; where one is, the sentence names it.

| code | HTTP | in English | in French |
|---|---|---|---|
"""


def commands_page() -> str:
    """All commands, with who may give them, their fields and an example."""
    parts = [COMMANDS_HEAD, "\n## Placing an order\n\n", *_placing()]
    parts += ["## On an order\n\n`POST /v1/orders/{order_id}/COMMAND`\n"]
    parts += [line for command in ORDER_COMMANDS.values() for line in _command(command)]
    parts += ["\n## On a dispute\n\n`POST /v1/disputes/{dispute_id}/COMMAND`\n"]
    parts += [line for command in DISPUTE_COMMANDS.values() for line in _command(command)]
    return "".join(parts)


def codes_page() -> str:
    """All codes, by status and name."""
    rows = sorted((status_of(code), code) for code in CODES)
    return CODES_HEAD + "".join(
        f"| `{code}` | {_status(code)} | **{title(code, 'en')}.** {detail(code, 'en')} "
        f"| **{title(code, 'fr')}.** {detail(code, 'fr')} |\n"
        for _, code in rows
    )


def _status(code: str) -> str:
    return "412, 409 after a lost race" if code == "version_conflict" else str(status_of(code))


def _placing() -> Iterator[str]:
    yield "`POST /v1/orders`, for a buyer: 201 with the order and its `Location`.\n\n"
    yield from _fields(Place)


def _command(command: Command) -> Iterator[str]:
    by = ", ".join(str(role) for role in Role if role in command.by)
    yield f"\n### `{command.name}`\n\n{command.summary} For: {by}.\n\n"
    yield from _fields(command.body)
    yield f"```json\n{json.dumps(command.example, ensure_ascii=False)}\n```\n"


def _fields(body: type[Body]) -> Iterator[str]:
    schema = TypeAdapter(body).json_schema(by_alias=True)
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        mark = "" if name in required else "?"
        yield f"- `{name}{mark}`: {_kind(field, schema.get('$defs', {}))}\n"
    yield "\n" if schema.get("properties") else "No fields.\n\n"


def _kind(field: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in field:
        inner = named[field["$ref"].rpartition("/")[2]]
        if "properties" not in inner:
            return _kind(inner, named)
        members = ", ".join(name + ("" if name in inner.get("required", []) else "?") for name in inner["properties"])
        return f"{{{members}}}"
    if "anyOf" in field:
        return " or ".join(_kind(option, named) for option in field["anyOf"] if option.get("type") != "null")
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"a list, each {_kind(field['items'], named)}"
    if field.get("format") == "date-time":
        return "an instant"
    longest = f", at most {field['maxLength']:,} characters" if "maxLength" in field else ""
    return {"string": f"text{longest}", "integer": "a whole number"}[field["type"]]


PAGES: Final = {"commands.md": commands_page, "codes.md": codes_page}


def main() -> None:
    """Write both pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
