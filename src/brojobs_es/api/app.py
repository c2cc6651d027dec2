"""The HTTP service: its routes, and the one place where errors become problem documents."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp

import brojobs_es
from brojobs_es.api import problems
from brojobs_es.api.audit import audit
from brojobs_es.api.auth import Authenticator, Unauthenticated
from brojobs_es.api.case_file import case_files
from brojobs_es.api.checkpoints import checkpoints
from brojobs_es.api.commands import CommandsFirst, command_routes
from brojobs_es.api.custody import PATHS_OF_LOOKS, custody
from brojobs_es.api.disputes import disputes
from brojobs_es.api.files import Files
from brojobs_es.api.http import BadRequest, Edge
from brojobs_es.api.keys import DevelopmentKey, KeyRing, KeysUnavailable
from brojobs_es.api.metrics import Metrics
from brojobs_es.api.multipart import BadUpload, FileTooLarge
from brojobs_es.api.openapi import document
from brojobs_es.api.operations import operations
from brojobs_es.api.orders import orders
from brojobs_es.api.sandbox import sandbox
from brojobs_es.api.strict_json import BadJson
from brojobs_es.application.access import NotFound
from brojobs_es.application.records import StoreUnavailable
from brojobs_es.bootstrap import Runtime
from brojobs_es.clock import SandboxClock
from brojobs_es.errors import Refusal
from brojobs_es.vault.files import BrokenFile

_logger = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Awaitable[Response]]


def create_app(runtime: Runtime) -> ASGIApp:
    """The application of a running deployment; with a sandbox clock it has the sandbox's routes and key."""
    settings, clock = runtime.settings, runtime.clock
    key = DevelopmentKey.in_folder(settings.data_dir) if isinstance(clock, SandboxClock) else None
    ring = KeyRing(settings.jwks, key)
    authenticator = Authenticator(ring, issuer=settings.jwt_issuer, audience=settings.jwt_audience)
    edge = Edge(runtime, authenticator, Files.of(settings, runtime.logs))
    metrics = Metrics(edge)
    app = FastAPI(
        title="BroJobs orders",
        version=brojobs_es.__version__,
        description="The life of an order: escrow, deadlines, revisions, cancellations and disputes.",
        redirect_slashes=False,
    )
    routers = [make(edge) for make in (orders, disputes, audit, custody, checkpoints, case_files)]
    routers.append(operations(edge, metrics))
    if key is not None and isinstance(clock, SandboxClock):
        routers.append(sandbox(edge, key, clock))
    for router in routers:
        app.include_router(router)
        _answer_head(app, router)
    commands = list(command_routes(edge))
    for route in commands:
        app.add_api_route(route.path, route.endpoint, methods=["POST"], **route.docs)
    handlers = _handlers(edge)
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]

    async def error_answer(request: Request, error: Exception) -> Response:
        handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
        return await handler(request, error)

    return CommandsFirst(app, commands, error_answer, metrics)


def _answer_head(app: FastAPI, router: APIRouter) -> None:
    """Let HEAD answer what GET answers; the server leaves the body out."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path not in PATHS_OF_LOOKS:
            app.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)


def _allowed(request: Request) -> str:
    """Every method that the path takes: its routes may be several, and a 405 comes from the first of them."""
    here = {name: request.scope.get(name, "") for name in ("type", "path", "root_path")}

    def is_taken(method: str) -> bool:
        return any(route.matches({**here, "method": method})[0] is Match.FULL for route in request.app.routes)

    return ", ".join(method for method in HTTPMethod if is_taken(method))


def _handlers(edge: Edge) -> dict[type[Exception], Handler]:
    def nothing_more(_: Exception) -> dict[str, Any]:
        return {}

    def simple(code: str, facts: Callable[[Any], dict[str, Any]] = nothing_more) -> Handler:
        async def handler(request: Request, error: Any) -> JSONResponse:
            return problems.problem(code, edge.language(request), edge.base_url, **facts(error))

        return handler

    async def refusal(request: Request, error: Refusal) -> JSONResponse:
        return problems.of_refusal(error, edge.language(request), edge.base_url)

    async def invalid_body(request: Request, error: ValidationError) -> JSONResponse:
        return problems.of_invalid_body(error, edge.language(request), edge.base_url)

    async def unknown_path_or_method(request: Request, error: HTTPException) -> JSONResponse:
        # No code of the contract is about methods. The request is at fault whatever is there, and a client that reads
        # `not_found` might take the order itself for gone.
        wrong_method = error.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        code = "invalid_request" if wrong_method else "not_found"
        answer = problems.problem(code, edge.language(request), edge.base_url, status=error.status_code)
        answer.headers.update(error.headers or {})
        if wrong_method:
            answer.headers["Allow"] = _allowed(request)
        return answer

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problems.problem("try_again", edge.language(request), edge.base_url, status=500)

    return {
        Refusal: refusal,
        NotFound: simple("not_found"),
        FileNotFoundError: simple("not_found"),
        Unauthenticated: simple("unauthenticated"),
        KeysUnavailable: simple("try_again"),
        StoreUnavailable: simple("try_again"),
        FileTooLarge: simple("file_too_large", lambda e: {"facts": {"limit": e.limit}}),
        BadUpload: simple("invalid_request", lambda e: {"errors": [{"loc": ["body"], "msg": e.message}]}),
        BadJson: simple("invalid_request", lambda e: {"errors": [{"loc": ["body"], "msg": e.message}]}),
        BadRequest: simple("invalid_request", lambda e: {"errors": [{"loc": [e.where], "msg": e.message}]}),
        ValidationError: invalid_body,
        RequestValidationError: simple("invalid_request", lambda e: {"errors": problems.shown_errors(e.errors())}),
        HTTPException: unknown_path_or_method,
        BrokenFile: unexpected,  # named, so that the connection stays: the next answer has nothing to do with it
        Exception: unexpected,
    }
