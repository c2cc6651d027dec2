"""Commands over HTTP: one route for each row of the tables of commands, all of them the same function.

Commands are what users wait for, and what the framework does around a route (matching a hundred patterns, resolving
dependencies, five layers of middleware) costs more than judging and recording one. So these routes stand in FastAPI,
which documents them, and are answered in front of it by `CommandsFirst`. Nothing else is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api.answers import dispute_answer, order_answer
from brojobs_es.api.http import Edge, uuid_in_path
from brojobs_es.api.metrics import ACCEPTED, Metrics, outcome_of
from brojobs_es.api.openapi import command_docs, place_docs
from brojobs_es.api.schemas import Dispute, Order
from brojobs_es.api.uploads import UPLOAD_DOCS, upload_endpoint

Endpoint = Callable[[Request], Awaitable[Response]]
ErrorAnswer = Callable[[Request, Exception], Awaitable[Response]]

ORDERS: Final = "/v1/orders"
DISPUTES: Final = "/v1/disputes"


@dataclass(frozen=True, slots=True)
class CommandRoute:
    """A POST, what answers it, and what FastAPI is told about it. Its path may have an id in the last place but one."""

    collection: str
    endpoint: Endpoint
    name: str | None = None
    docs: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        id_name = "order_id" if self.collection == ORDERS else "dispute_id"
        return f"{self.collection}/{{{id_name}}}/{self.name}" if self.name else self.collection

    @property
    def counted_as(self) -> str:
        """Its name among all commands: some can be given both to an order and to a dispute."""
        return f"dispute-{self.name}" if self.collection == DISPUTES else self.name or "place"


def command_routes(edge: Edge) -> Iterator[CommandRoute]:
    """Placing, uploading, every command on an order, every command on a dispute."""
    yield CommandRoute(
        ORDERS,
        _placing(edge),
        docs={"summary": "Place", "status_code": 201, "tags": ["orders"], "openapi_extra": place_docs()},
    )
    docs = {"summary": "Upload a file", "tags": ["orders"], "openapi_extra": UPLOAD_DOCS}
    yield CommandRoute(ORDERS, upload_endpoint(edge), "files", docs)
    for command in ORDER_COMMANDS.values():
        opens = command.name == "open-dispute"
        docs = _docs(command, "orders", Dispute if opens else Order) | {"status_code": 201 if opens else 200}
        yield CommandRoute(ORDERS, _on_order(edge, command), command.name, docs)
    for command in DISPUTE_COMMANDS.values():
        docs = _docs(command, "disputes", Dispute) | {"name": f"dispute-{command.name}"}
        yield CommandRoute(DISPUTES, _on_dispute(edge, command), command.name, docs)


def _docs(command: Command, tag: str, shape: type[Order] | type[Dispute]) -> dict[str, Any]:
    return {
        "name": command.name,
        "summary": command.name,
        "description": command.summary,
        "tags": [tag],
        "openapi_extra": command_docs(command, shape),
    }


def _placing(edge: Edge) -> Endpoint:
    async def place(request: Request) -> Response:
        """Order a service. The order waits for its payment."""
        ask = await edge.ask(request, await edge.caller(request))
        answer = await edge.runtime.service.place(ask)
        if ask.dry_run:
            return order_answer(edge, answer)
        location = f"{ORDERS}/{answer.standing.order_id}".encode()
        return order_answer(edge, answer, 201, [(b"location", location)])

    return place


def _on_order(edge: Edge, command: Command) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        caller = await edge.caller(request)
        order_id = uuid_in_path(request.path_params["order_id"])
        ask = await edge.ask(request, caller)
        answer = await edge.runtime.service.execute(command, order_id, ask)
        if command.name == "open-dispute":
            return dispute_answer(edge, answer, opened=True, dry_run=ask.dry_run)
        return order_answer(edge, answer)

    return endpoint


def _on_dispute(edge: Edge, command: Command) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        caller = await edge.caller(request)
        dispute_id = uuid_in_path(request.path_params["dispute_id"])
        ask = await edge.ask(request, caller)
        order_id = await edge.runtime.service.order_of_dispute(dispute_id)
        return dispute_answer(edge, await edge.runtime.service.execute(command, order_id, ask, dispute_id))

    return endpoint


class CommandsFirst:
    """An ASGI application in front of another: it answers commands itself and hands everything else on."""

    def __init__(
        self, app: ASGIApp, routes: Sequence[CommandRoute], error_answer: ErrorAnswer, metrics: Metrics
    ) -> None:
        self._app = app
        self._error_answer = error_answer
        self._metrics = metrics
        self._routes = {(route.collection, route.name): (route.endpoint, route.counted_as) for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._found(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, command = found
        began, outcome = perf_counter(), ACCEPTED
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except Exception as error:  # noqa: BLE001  (what becomes of each kind of error is said in one place)
            response = await self._error_answer(request, error)
            outcome = outcome_of(error, response.status_code)
        self._metrics.answered(command, outcome, perf_counter() - began)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[Endpoint, str] | None:
        """What answers the path, and the command's name; the path's id is put where a router would put it."""
        path: str = scope["path"]
        if path == ORDERS:
            return self._routes[ORDERS, None]
        head, _, name = path.rpartition("/")
        collection, _, id_text = head.rpartition("/")
        scope["path_params"] = {"order_id" if collection == ORDERS else "dispute_id": id_text}
        return self._routes.get((collection, name))
