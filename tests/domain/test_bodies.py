"""Bodies of commands: null stands for a member that may be left out, and for nothing else."""

from __future__ import annotations

from typing import Any, Final

import pytest
from pydantic import ValidationError
from tests.http.hostility import resolved, right

from brojobs_es.aggregates.commands.bodies import Body
from brojobs_es.api import app  # noqa: F401  every body is imported by it, the sandbox's too

JsonObject = dict[str, Any]
NULL: Final = {"type": "null"}


def every(kind: type[Body]) -> list[type[Body]]:
    return [each for below in kind.__subclasses__() for each in (below, *every(below))]


def schema_of(body: type[Body]) -> JsonObject:
    schema = body.model_json_schema()
    made: JsonObject = resolved(schema, {"components": {"schemas": schema.get("$defs", {})}})
    return made


def outcome(body: type[Body], given: JsonObject) -> Any:
    """The body that is understood, or what is wrong with it and where."""
    try:
        return body.model_validate(given)
    except ValidationError as error:
        return [(each["type"], each["loc"]) for each in error.errors()]


@pytest.mark.parametrize("body", every(Body), ids=lambda body: body.__name__)
def test_null_means_absent_for_what_is_optional_and_nothing_for_the_rest(body: type[Body]) -> None:
    """For every member of every body; the schema says the same."""
    schema = schema_of(body)
    needed = schema.get("required", [])
    least = {name: right(schema["properties"][name]) for name in needed}
    for name, member in schema["properties"].items():
        if name in needed:
            assert outcome(body, {**least, name: None}) != outcome(body, least)
            assert isinstance(outcome(body, {**least, name: None}), list)
        else:
            assert outcome(body, {**least, name: None}) == outcome(body, least)
        assert (NULL in member.get("anyOf", [])) == (name not in needed)


def test_an_unknown_member_is_refused_even_as_null() -> None:
    """A typing error stays one, whatever it holds."""
    for body in every(Body):
        assert ("extra_forbidden", ("pionts",)) in outcome(body, {"pionts": None})
