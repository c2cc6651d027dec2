"""Signed heads of the logs and proofs under them, for those who check instead of trusting."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from typing import Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.dispute_events import MediatorAssigned
from brojobs_es.api.http import BadRequest, Edge, number, read_body
from brojobs_es.api.multipart import FileTooLarge
from brojobs_es.api.schemas import Shape
from brojobs_es.application.access import Caller, NotFound
from brojobs_es.application.records import StoreUnavailable
from brojobs_es.errors import Refusal
from brojobs_es.evidence import witnessing
from brojobs_es.evidence.notes import MAX_NOTE_BYTES
from brojobs_es.evidence.sealer import SealingRefused
from brojobs_es.evidence.signing import KeyFileError
from brojobs_es.evidence.tree import TreeIncomplete
from brojobs_es.evidence.witnessing import CosignatureRefused, NotThere

T = TypeVar("T")

_CHECKERS: Final = (Role.AUDITOR, Role.OPERATOR)
_POSITION_MAX: Final = 10**17
_PROBLEM: Final = {
    "description": "A problem document (RFC 9457); switch on `code`.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class InclusionProof(Shape):
    """That an event lies in a signed tree: its digest, the head of its order's chain, and the path to the root."""

    log: int
    position: int
    order_id: UUID
    digest: str
    chain: str
    leaf_index: int
    size: int
    hashes: list[str]
    checkpoint: str


class ConsistencyProof(Shape):
    """That a larger tree goes on from a smaller one."""

    log: int
    first: int
    second: int
    hashes: list[str]


class Cosigned(Shape):
    """The checkpoint that a witness's signature was kept under."""

    log: int
    size: int


def checkpoints(edge: Edge) -> APIRouter:
    """`/v1/logs/{log}/…`."""
    router = APIRouter(prefix="/v1/logs/{log}", tags=["log"])
    routes = _Routes(edge)
    router.add_api_route(
        "/checkpoint",
        routes.checkpoint,
        methods=["GET"],
        summary="The newest signed head of a log",
        openapi_extra=_docs("text/plain", {"type": "string"}),
    )
    router.add_api_route(
        "/inclusion",
        routes.inclusion,
        methods=["GET"],
        summary="That an event lies in the log",
        openapi_extra=_docs("application/json", InclusionProof.model_json_schema(), position="Of the event."),
    )
    router.add_api_route(
        "/consistency",
        routes.consistency,
        methods=["GET"],
        summary="That a log only grew",
        openapi_extra=_docs(
            "application/json",
            ConsistencyProof.model_json_schema(),
            **{"from": "Size of the smaller tree.", "to": "Size of the larger tree."},
        ),
    )
    note = {"content": {"text/plain": {"schema": {"type": "string"}}}, "required": True}
    router.add_api_route(
        "/cosignatures",
        routes.cosign,
        methods=["POST"],
        summary="Hand in a witness's signature",
        openapi_extra={**_docs("application/json", Cosigned.model_json_schema()), "requestBody": note},
    )
    return router


class _Routes:
    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._sealer = edge.runtime.sealer

    async def checkpoint(self, request: Request) -> Response:
        """Origin, number of events, root; signed by the deployment, and by the witnesses that have seen it."""
        caller = await self._edge.caller(request)
        _must_be(caller, *_CHECKERS, Role.MEDIATOR)
        newest = await _sound(witnessing.checkpoint(self._sealer, self._log(request)))
        if newest is None:
            raise NotFound
        return PlainTextResponse(newest[1])

    async def inclusion(self, request: Request) -> Response:
        """Where an event stands in the tree, and the hashes that lead from it to the root of the checkpoint."""
        caller = await self._edge.caller(request)
        _must_be(caller, *_CHECKERS, Role.MEDIATOR)
        log, position = self._log(request), _needed(request, "position", _POSITION_MAX)
        found = await _sound(witnessing.inclusion(self._sealer, log, position))
        leaf = found.leaf
        if not any(role in caller.roles for role in _CHECKERS):
            await self._must_mediate(leaf.order_id, caller)
        content: dict[str, Any] = {
            "log": log,
            "position": leaf.position,
            "order_id": str(leaf.order_id),
            "digest": leaf.digest.hex(),
            "chain": leaf.chain.hex(),
            "leaf_index": leaf.index,
            "size": found.size,
            "hashes": [_text(each) for each in found.hashes],
            "checkpoint": found.note,
        }
        return JSONResponse(content)

    async def consistency(self, request: Request) -> Response:
        """The hashes that lead to the roots of both trees."""
        _must_be(await self._edge.caller(request), *_CHECKERS, Role.MEDIATOR)
        log = self._log(request)
        first, second = _needed(request, "from", _POSITION_MAX), _needed(request, "to", _POSITION_MAX)
        if first > second:
            raise BadRequest("from", "the smaller tree comes first")
        hashes = await _sound(witnessing.consistency(self._sealer, log, first, second))
        return JSONResponse({"log": log, "first": first, "second": second, "hashes": [_text(each) for each in hashes]})

    async def cosign(self, request: Request) -> Response:
        """Takes a checkpoint of this log with the signature of a witness that the deployment knows."""
        _must_be(await self._edge.caller(request), Role.OPERATOR)
        log = self._log(request)
        body = await read_body(request, MAX_NOTE_BYTES)
        if body is None:
            raise FileTooLarge(MAX_NOTE_BYTES)
        try:
            size, new = await _sound(witnessing.cosign(self._sealer, log, body))
        except CosignatureRefused as error:
            raise BadRequest("body", str(error)) from error
        return JSONResponse({"log": log, "size": size}, 201 if new else 200)

    def _log(self, request: Request) -> int:
        text = request.path_params["log"]
        count = self._edge.runtime.settings.logs
        found = next((log for log in range(count) if text == str(log)), None)
        if found is None:
            raise NotFound
        return found

    async def _must_mediate(self, order_id: UUID, caller: Caller) -> None:
        """Raises NotFound unless the caller is or was the mediator of the order: others' orders are not there."""
        history, _ = await self._edge.runtime.service.see(order_id, caller)
        mediators = (each.event.mediator_id for each in history.entries if isinstance(each.event, MediatorAssigned))
        if caller.sub not in mediators:
            raise NotFound


async def _sound(work: Awaitable[T]) -> T:
    """What evidence lacks, as the caller hears it: nothing there, or (for now) nothing that could be vouched for."""
    try:
        return await work
    except NotThere as error:
        raise NotFound from error
    except (SealingRefused, KeyFileError, TreeIncomplete) as error:
        raise StoreUnavailable(str(error)) from error


def _must_be(caller: Caller, *roles: Role) -> None:
    if not any(role in caller.roles for role in roles):
        raise Refusal("forbidden")


def _needed(request: Request, name: str, most: int) -> int:
    value = number(request, name, 1, most)
    if value is None:
        raise BadRequest(name, "needed")
    return value


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _docs(media_type: str, schema: dict[str, Any], **parameters: str) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": name, "in": "query", "required": True, "schema": {"type": "integer"}, "description": description}
            for name, description in parameters.items()
        ],
        "responses": {
            "200": {"description": "As asked.", "content": {media_type: {"schema": schema}}},
            **dict.fromkeys(("401", "403", "404", "422", "503"), _PROBLEM),
        },
        "security": [{"bearer": []}],
    }
