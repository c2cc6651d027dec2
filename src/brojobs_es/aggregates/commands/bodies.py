"""The types that command bodies are made of: strict, closed, and refusing what only looks right."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from brojobs_es.money import MAX_MINOR, Money, currency_digits

TEXT_CHARS_MAX: Final = 20_000
FILES_MAX: Final = 100
_NULL: Final = {"type": "null"}
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

OWN_CODES: Final = frozenset({"file_required", "reason_required", "summary_too_long"})
"""Error types of a body that answer with a code of their own; every other one is `invalid_request`."""


def coded(code: str, message: str) -> PydanticCustomError:
    """A body error that answers with its own code."""
    assert code in OWN_CODES
    return PydanticCustomError(code, message)


def parse_instant(value: object) -> datetime:
    """An RFC 3339 instant with its offset, as UTC with microseconds; ValueError for anything else."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("an RFC 3339 instant with its offset is needed, like 2026-03-01T12:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this instant is out of range") from error


def not_blank(value: str) -> str:
    """A text that says something; ValueError otherwise."""
    if not value.strip():
        raise ValueError("this text is blank")
    if "\x00" in value:
        raise ValueError("this text has a null character")
    return value


def _known_currency(value: str) -> str:
    if currency_digits(value) is None:
        raise ValueError("an ISO 4217 currency that money is counted in is needed, like EUR")
    return value


Text = Annotated[str, Field(max_length=TEXT_CHARS_MAX), AfterValidator(not_blank)]
UserId = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(not_blank)]
ShortText = Annotated[str, Field(max_length=255), AfterValidator(not_blank)]
Instant = Annotated[datetime, BeforeValidator(parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
FileIds = Annotated[list[Annotated[str, Field(max_length=255)]], Field(max_length=FILES_MAX)]
Positions = Annotated[list[Annotated[int, Field(ge=-MAX_MINOR, le=MAX_MINOR)]], Field(max_length=1000)]
Number = Annotated[int, Field(ge=-MAX_MINOR, le=MAX_MINOR)]


def _say_that_null_is_taken(schema: dict[str, Any]) -> None:
    """What need not be there may be null, and the OpenAPI document says so."""
    for name, member in schema.get("properties", {}).items():
        if name not in schema.get("required", ()) and _NULL not in member.get("anyOf", ()):
            kept = {key: member.pop(key) for key in ("title", "description", "default") if key in member}
            schema["properties"][name] = {"anyOf": [member, dict(_NULL)], **kept}


class Body(BaseModel):
    """A command's body: no field but its own, no type but the one it says; null where a field may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_say_that_null_is_taken)

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict) or None not in given.values():
            return given
        optional = {field.alias or name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in given.items() if value is not None or name not in optional}


class Empty(Body):
    """A command that needs nothing more."""


class MoneyBody(Body):
    """An amount in minor units of an ISO 4217 currency."""

    amount: Annotated[int, Field(ge=-MAX_MINOR, le=MAX_MINOR, description="Minor units: 10001 is EUR 100.01.")]
    currency: Annotated[str, AfterValidator(_known_currency), Field(examples=["EUR"])]

    def money(self) -> Money:
        return Money(self.amount, self.currency)


class Comment(Body):
    """A command with an optional word."""

    comment: Text | None = None


class Reason(Body):
    """A refusal has to say why, in words."""

    reason: Text


class ProposalId(Body):
    """Which pending proposal is meant."""

    proposal_id: ShortText
