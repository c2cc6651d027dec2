"""Orders over HTTP: placing, commands, views of now and of the past, and their files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.commands import ORDER_COMMANDS
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api import lists, render, uploads
from brojobs_es.api.answers import action_list, dispute_answer, order_answer
from brojobs_es.api.http import BadRequest, Edge, number, past_instant, uuid_in_path, versioned
from brojobs_es.api.openapi import command_docs, place_docs
from brojobs_es.application.access import NotFound, Viewer
from brojobs_es.application.history import History

Endpoint = Callable[[Request], Awaitable[Response]]


def orders(edge: Edge) -> APIRouter:
    """The routes under /v1/orders."""
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    _add_collection(router, edge)
    _add_views(router, edge)
    uploads.add_routes(router, edge)
    for command in ORDER_COMMANDS.values():
        router.add_api_route(
            f"/{{order_id}}/{command.name}",
            _endpoint(edge, command),
            methods=["POST"],
            name=command.name,
            summary=command.name,
            description=command.summary,
            status_code=201 if command.name == "open-dispute" else 200,
            openapi_extra=command_docs(command),
        )
    return router


def _add_collection(router: APIRouter, edge: Edge) -> None:
    async def place(request: Request) -> Response:
        """Order a service. The order waits for its payment."""
        ask = await edge.ask(request, await edge.caller(request))
        answer = await edge.runtime.service.place(ask)
        location = {"Location": f"/v1/orders/{answer.history.order_id}"}
        return order_answer(edge, answer, *((200,) if ask.dry_run else (201, location)))

    async def list_orders(request: Request) -> Response:
        """One's own orders, for staff all of them, the newest first."""
        return await lists.orders(edge, request)

    router.add_api_route("", place, methods=["POST"], status_code=201, openapi_extra=place_docs(), summary="Place")
    router.add_api_route("", list_orders, methods=["GET"], summary="List orders")


def _add_views(router: APIRouter, edge: Edge) -> None:
    async def now_or_then(request: Request) -> tuple[History, Viewer]:
        order_id, caller = uuid_in_path(request.path_params["order_id"]), await edge.caller(request)
        history, viewer = await edge.runtime.service.see(order_id, caller)
        at = past_instant(request, history.now)
        past = history.at_instant(at) if at else history
        if past is None:
            raise NotFound
        return past, viewer

    async def read(request: Request) -> Response:
        """The order now, as of a recorded version, or as of an instant."""
        history, _ = await now_or_then(request)
        version = number(request, "version", 1, 10**9)
        if version is not None and "at" in request.query_params:
            raise BadRequest("version", "either a version or an instant")
        past = history if version is None else history.at_version(version)
        if past is None:
            raise NotFound
        return versioned(render.order(past))

    async def actions(request: Request) -> Response:
        """Every command of the viewer's role, with why and until when it is (not) possible."""
        history, viewer = await now_or_then(request)
        viewer.must_be(Role.BUYER, Role.SELLER, Role.MEDIATOR, Role.OPERATOR)
        return action_list(edge, request, history, viewer)

    async def chat(request: Request) -> Response:
        """The chat lock and the messages."""
        return JSONResponse(render.chat((await now_or_then(request))[0]))

    async def escrow(request: Request) -> Response:
        """The double-entry ledger of the order."""
        return JSONResponse(render.escrow((await now_or_then(request))[0]))

    async def events(request: Request) -> Response:
        """The order's events and its disputes', in recorded order."""
        history, viewer = await now_or_then(request)
        return lists.events(edge, request, history, viewer)

    views = {"": read, "/actions": actions, "/chat": chat, "/escrow": escrow, "/events": events}
    for path, endpoint in views.items():
        router.add_api_route("/{order_id}" + path, endpoint, methods=["GET"])


def _endpoint(edge: Edge, command: Command) -> Endpoint:
    """The route of one command; all of them are this."""

    async def endpoint(request: Request) -> Response:
        caller = await edge.caller(request)
        order_id = uuid_in_path(request.path_params["order_id"])
        ask = await edge.ask(request, caller)
        answer = await edge.runtime.service.execute(command, order_id, ask)
        if command.name == "open-dispute":
            return dispute_answer(edge, answer, opened=True, dry_run=ask.dry_run)
        return order_answer(edge, answer)

    return endpoint
