"""The sandbox: tokens for whoever asks and a clock that is moved by hand. Only mounted when asked for by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self

from fastapi import APIRouter, Request
from pydantic import Field, model_validator
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.commands.bodies import Body, Instant, UserId
from brojobs_es.api import render, strict_json
from brojobs_es.api.http import BadRequest, Edge, read_body
from brojobs_es.api.keys import DevelopmentKey
from brojobs_es.api.multipart import FileTooLarge
from brojobs_es.clock import SandboxClock

LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)


class TokenRequest(Body):
    """A user and the roles that the token grants."""

    sub: UserId
    roles: list[Literal["buyer", "seller", "mediator", "auditor", "operator"]]


class ClockRequest(Body):
    """Move the clock to an instant or by a number of seconds, stop or start the scheduler."""

    now: Instant | None = None
    advance_seconds: Annotated[int | float, Field(ge=0, le=10**10, allow_inf_nan=False)] | None = None
    run_timers: bool | None = None

    @model_validator(mode="after")
    def _one_move(self) -> Self:
        if self.now is not None and self.advance_seconds is not None:
            raise ValueError("either now or advance_seconds")
        if self.now is None and self.advance_seconds is None and self.run_timers is None:
            raise ValueError("one of now, advance_seconds, run_timers")
        return self


def sandbox(edge: Edge, key: DevelopmentKey, clock: SandboxClock) -> APIRouter:
    """The routes under /v1/sandbox."""
    router = APIRouter(prefix="/v1/sandbox", tags=["sandbox"])
    scheduler = edge.runtime.scheduler

    async def content(request: Request) -> object:
        maximum = edge.runtime.settings.max_body_bytes
        body = await read_body(request, maximum)
        if body is None:
            raise FileTooLarge(maximum)
        return strict_json.parse(body)

    def shown() -> Response:
        return JSONResponse({"now": render.instant(clock.now()), "run_timers": scheduler.running})

    async def tokens(request: Request) -> Response:
        """A token that never expires."""
        wanted = TokenRequest.model_validate(await content(request))
        return JSONResponse({"token": key.mint(wanted.sub, list(wanted.roles))})

    async def read_clock() -> Response:
        """What time it is."""
        return shown()

    async def set_clock(request: Request) -> Response:
        """Move the clock forward; from then on it stands still until it is moved again."""
        wanted = ClockRequest.model_validate(await content(request))
        target = wanted.now
        if wanted.advance_seconds is not None:
            target = min(clock.now() + timedelta(seconds=wanted.advance_seconds), LAST)
        if target is not None:
            if target > LAST:
                raise BadRequest("now", "the sandbox ends in the year 9000")
            try:
                clock.move_to(target)
            except ValueError as error:
                raise BadRequest("now", str(error)) from error
        if wanted.run_timers is not None:
            scheduler.running = wanted.run_timers
        scheduler.look()
        return shown()

    router.add_api_route("/tokens", tokens, methods=["POST"], summary="Mint a token")
    router.add_api_route("/clock", read_clock, methods=["GET"], summary="Read the clock")
    router.add_api_route("/clock", set_clock, methods=["POST"], summary="Move the clock")
    return router
