"""The OpenAPI document: FastAPI's own, with the bodies of commands from the very models that validate them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.ordering import PLACE_EXAMPLE, Place
from brojobs_es.aggregates.commands.situation import Command

_REF = "#/components/schemas/{model}"
_HEADERS: list[dict[str, Any]] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key and request get the first answer again.",
    },
    {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The ETag that the caller has seen; 412 if it is no longer the current one.",
    },
    {
        "name": "dry_run",
        "in": "query",
        "required": False,
        "schema": {"type": "boolean", "default": False},
        "description": "Judge only: the answer shows the events that would be recorded.",
    },
]
_PROBLEM = {
    "description": "A problem document (RFC 9457); switch on `code`.",
    "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
}
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "available_from": {"type": "string", "format": "date-time"},
        "available_until": {"type": "string", "format": "date-time"},
        "unlocked_by": {"type": "array", "items": {"type": "string"}},
        "current_version": {"type": "integer"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"loc": {"type": "array"}, "msg": {"type": "string"}}},
        },
    },
}


def command_docs(command: Command) -> dict[str, Any]:
    """What OpenAPI says of a command: its body with an example, its headers, and who may give it."""
    return {
        **_body_docs(command.body.__name__, dict(command.example)),
        "x-by": sorted(str(role) for role in command.by),
    }


def place_docs() -> dict[str, Any]:
    """The same for placing an order."""
    return {**_body_docs(Place.__name__, PLACE_EXAMPLE), "x-by": ["buyer"]}


def _body_docs(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(model=schema)}, "example": example}}
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": _HEADERS,
        "responses": dict.fromkeys(("401", "403", "404", "409", "412", "422", "503"), _PROBLEM),
        "security": [{"bearer": []}],
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        bodies = {command.body for command in (*ORDER_COMMANDS.values(), *DISPUTE_COMMANDS.values())} | {Place}
        models = sorted(bodies, key=lambda model: model.__name__)
        _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
        components = made.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas.get("$defs", {}), Problem=_PROBLEM_SCHEMA)
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        app.openapi_schema = made
    return app.openapi_schema
