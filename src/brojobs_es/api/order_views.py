"""The views of one order: now, and as they were."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.base import Role
from brojobs_es.api import lists, render
from brojobs_es.api.answers import action_list
from brojobs_es.api.custody import looked
from brojobs_es.api.http import BadRequest, Edge, number, past_instant, uuid_in_path, versioned
from brojobs_es.api.openapi import view_docs
from brojobs_es.api.overview import summary
from brojobs_es.api.schemas import Actions, Chat, Escrow, EventList, Order, SupportSummary
from brojobs_es.application.access import NotFound, Viewer
from brojobs_es.application.history import History
from brojobs_es.language import LANGUAGES


class OrderViews:
    """Every view takes `?at=`: the order as it was at an instant."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def order(self, request: Request) -> Response:
        """The order now, as of a recorded version, or as of an instant."""
        history, _ = await self._now_or_then(request)
        version = number(request, "version", 1, 10**9)
        if version is not None and "at" in request.query_params:
            raise BadRequest("version", "either a version or an instant")
        past = history if version is None else history.at_version(version)
        if past is None:
            raise NotFound
        return versioned(render.order(past))

    async def actions(self, request: Request) -> Response:
        """Every command of the viewer's role, with why and until when it is (not) possible."""
        history, viewer = await self._now_or_then(request)
        viewer.must_be(Role.BUYER, Role.SELLER, Role.MEDIATOR, Role.OPERATOR)
        return action_list(self._edge, request, history, viewer)

    async def chat(self, request: Request) -> Response:
        """The chat lock and the messages, oldest first."""
        history, viewer = await self._now_or_then(request)
        await looked(self._edge, viewer, history.order_id, "chat")
        content = render.chat(history)
        content["messages"], content["next"] = lists.part(request, content["messages"])
        content["items"] = content["messages"]  # the name that every list has; both stand in the contract
        return JSONResponse(content)

    async def escrow(self, request: Request) -> Response:
        """The double-entry ledger of the order."""
        return JSONResponse(render.escrow((await self._now_or_then(request))[0]))

    async def events(self, request: Request) -> Response:
        """The order's events and its disputes', in recorded order."""
        history, viewer = await self._now_or_then(request)
        await looked(self._edge, viewer, history.order_id, "events")
        return lists.events(self._edge, request, history, viewer)

    async def support_summary(self, request: Request) -> Response:
        """What happened on the platform, in at most ten short lines; for the parties and support."""
        history, viewer = await self._now_or_then(request)
        viewer.must_be(Role.BUYER, Role.SELLER, Role.OPERATOR)
        language = request.query_params.get("lang", self._edge.language(request))
        if language not in LANGUAGES:
            raise BadRequest("lang", "fr or en")
        return JSONResponse(summary(history, language), headers={"Content-Language": language})

    async def _now_or_then(self, request: Request) -> tuple[History, Viewer]:
        order_id, caller = uuid_in_path(request.path_params["order_id"]), await self._edge.caller(request)
        history, viewer = await self._edge.runtime.service.see(order_id, caller)
        at = past_instant(request, history.now)
        past = history.at_instant(at) if at else history
        if past is None:
            raise NotFound
        return past, viewer


def add_views(router: APIRouter, edge: Edge) -> None:
    """The routes of the views."""
    views = OrderViews(edge)
    at = {"at": "The instant of the past to look at."}
    part = {"cursor": "Where the next part starts.", "limit": "1 to 1000."}
    for path, endpoint, docs in (
        ("", views.order, view_docs(Order, **at, version="The recorded version to look at.")),
        ("/actions", views.actions, view_docs(Actions, **at)),
        ("/chat", views.chat, view_docs(Chat, **at, **part)),
        ("/escrow", views.escrow, view_docs(Escrow, **at)),
        ("/events", views.events, view_docs(EventList, **at, **part)),
        ("/support-summary", views.support_summary, view_docs(SupportSummary, **at, lang="fr or en.")),
    ):
        router.add_api_route("/{order_id}" + path, endpoint, methods=["GET"], openapi_extra=docs)
