"""The OpenAPI document: FastAPI's own, with the bodies of commands from the very models that validate them."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.ordering import PLACE_EXAMPLE, Place
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api.schemas import SHAPES, Order, Shape

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


def command_docs(command: Command, shape: type[Shape]) -> dict[str, Any]:
    """What OpenAPI says of a command: body and example, headers, answer, and who may give it."""
    status = "201" if command.name == "open-dispute" else "200"
    return {
        **_body_docs(command.body.__name__, dict(command.example), {status: _answer(shape)}),
        "x-by": sorted(str(role) for role in command.by),
    }


def place_docs() -> dict[str, Any]:
    """The same for placing an order."""
    return {**_body_docs(Place.__name__, PLACE_EXAMPLE, {"201": _answer(Order)}), "x-by": ["buyer"]}


def view_docs(shape: type[Shape], **parameters: str) -> dict[str, Any]:
    """What OpenAPI says of something to read: query parameters with their description, and the answer."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": description}
            for name, description in parameters.items()
        ],
        "responses": {"200": _answer(shape), **dict.fromkeys(("401", "403", "404", "422", "503"), _PROBLEM)},
        "security": [{"bearer": []}],
    }


def _answer(shape: type[Shape]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(model=shape.__name__)}}}
    return {"description": (shape.__doc__ or shape.__name__).strip(), "content": content}


def _body_docs(schema: str, example: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(model=schema)}, "example": example}}
    problems = dict.fromkeys(("401", "403", "404", "409", "412", "413", "422", "503"), _PROBLEM)
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": _HEADERS,
        "responses": {**answer, **problems},
        "security": [{"bearer": []}],
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        bodies = {command.body for command in (*ORDER_COMMANDS.values(), *DISPUTE_COMMANDS.values())} | {Place}
        models: list[type[BaseModel]] = sorted((*bodies, *SHAPES), key=lambda model: model.__name__)
        _, schemas = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
        components = made.setdefault("components", {})
        components.setdefault("schemas", {}).update(schemas.get("$defs", {}), Problem=_PROBLEM_SCHEMA)
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        for path, item in made["paths"].items():
            for operation in item.values():
                operation["parameters"] = [*_in_path(path), *operation.get("parameters", [])]
        app.openapi_schema = made
    return app.openapi_schema


def _in_path(path: str) -> list[dict[str, Any]]:
    """The placeholders of a path; the routes read them from the request themselves."""
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]
