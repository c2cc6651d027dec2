"""Orders over HTTP: placing, commands, views of now and of the past, and their files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from starlette.responses import Response

from brojobs_es.aggregates.commands import ORDER_COMMANDS
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api import lists, uploads
from brojobs_es.api.answers import dispute_answer, order_answer
from brojobs_es.api.http import Edge, uuid_in_path
from brojobs_es.api.openapi import command_docs, place_docs, view_docs
from brojobs_es.api.order_views import add_views
from brojobs_es.api.schemas import Dispute, Order, OrderList

Endpoint = Callable[[Request], Awaitable[Response]]


def orders(edge: Edge) -> APIRouter:
    """The routes under /v1/orders."""
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    _add_collection(router, edge)
    add_views(router, edge)
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
            openapi_extra=command_docs(command, Dispute if command.name == "open-dispute" else Order),
        )
    return router


def _add_collection(router: APIRouter, edge: Edge) -> None:
    async def place(request: Request) -> Response:
        """Order a service. The order waits for its payment."""
        ask = await edge.ask(request, await edge.caller(request))
        answer = await edge.runtime.service.place(ask)
        location = {"Location": f"/v1/orders/{answer.standing.order_id}"}
        return order_answer(edge, answer, *((200,) if ask.dry_run else (201, location)))

    async def list_orders(request: Request) -> Response:
        """One's own orders, for staff all of them, the newest first."""
        return await lists.orders(edge, request)

    router.add_api_route("", place, methods=["POST"], status_code=201, openapi_extra=place_docs(), summary="Place")
    filters = view_docs(
        OrderList,
        status="Only orders with this status.",
        role="Only one's own orders as buyer or seller.",
        overdue="true or false.",
        cursor="Where the next part starts.",
        limit="1 to 1000.",
    )
    router.add_api_route("", list_orders, methods=["GET"], summary="List orders", openapi_extra=filters)


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
