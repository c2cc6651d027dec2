"""Disputes over HTTP: the case, its thread, and what is possible."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.base import Role
from brojobs_es.api import lists, render_dispute
from brojobs_es.api.answers import action_list
from brojobs_es.api.custody import looked
from brojobs_es.api.http import Edge, past_instant, uuid_in_path, versioned
from brojobs_es.api.openapi import view_docs
from brojobs_es.api.overview import overview
from brojobs_es.api.schemas import Actions, Dispute, DisputeList, Overview, Thread
from brojobs_es.application.access import NotFound, Viewer
from brojobs_es.application.history import History

READERS: Final = (Role.BUYER, Role.SELLER, Role.MEDIATOR, Role.AUDITOR)


def disputes(edge: Edge) -> APIRouter:
    """The routes under /v1/disputes."""
    router = APIRouter(prefix="/v1/disputes", tags=["disputes"])

    async def now_or_then(request: Request) -> tuple[History, Viewer, UUID]:
        caller = await edge.caller(request)
        dispute_id = uuid_in_path(request.path_params["dispute_id"])
        order_id = await edge.runtime.service.order_of_dispute(dispute_id)
        history, viewer = await edge.runtime.service.see(order_id, caller)
        at = past_instant(request, history.now)
        past = history.at_instant(at) if at else history
        if past is None or past.case.dispute_of(dispute_id) is None:
            raise NotFound
        return past, viewer, dispute_id

    async def list_disputes(request: Request) -> Response:
        """The docket: the oldest promise first, closed ones last."""
        return await lists.disputes(edge, request)

    async def read(request: Request) -> Response:
        """The dispute now, or as of an instant."""
        history, viewer, dispute_id = await now_or_then(request)
        viewer.must_be(*READERS)
        await looked(edge, viewer, history.order_id, "dispute")
        return versioned(render_dispute.dispute(history, dispute_id))

    async def thread(request: Request) -> Response:
        """What was said in the dispute; private notes only for mediators and auditors."""
        history, viewer, dispute_id = await now_or_then(request)
        viewer.must_be(*READERS)
        await looked(edge, viewer, history.order_id, "thread")
        return lists.page(request, render_dispute.thread(history, dispute_id, viewer))

    async def actions(request: Request) -> Response:
        """Every command of the viewer's role on this dispute, with why and until when it is (not) possible."""
        history, viewer, dispute_id = await now_or_then(request)
        viewer.must_be(Role.BUYER, Role.SELLER, Role.MEDIATOR, Role.OPERATOR)
        return action_list(edge, request, history, viewer, dispute_id)

    async def on_one_page(request: Request) -> Response:
        """The case on one page, for whoever has to decide it."""
        history, viewer, dispute_id = await now_or_then(request)
        viewer.must_be(Role.MEDIATOR, Role.AUDITOR)
        await looked(edge, viewer, history.order_id, "overview")
        return JSONResponse(overview(history, dispute_id))

    at, part = (
        {"at": "The instant of the past to look at."},
        {"cursor": "Where the next part starts.", "limit": "1 to 1000."},
    )
    filters = view_docs(
        DisputeList,
        status="open, unassigned, under_review, overdue or closed.",
        assigned_to="A user id, or me.",
        **part,
    )
    router.add_api_route("", list_disputes, methods=["GET"], summary="List disputes", openapi_extra=filters)
    for path, endpoint, docs in (
        ("", read, view_docs(Dispute, **at)),
        ("/thread", thread, view_docs(Thread, **at, **part)),
        ("/actions", actions, view_docs(Actions, **at)),
        ("/overview", on_one_page, view_docs(Overview, **at)),
    ):
        router.add_api_route("/{dispute_id}" + path, endpoint, methods=["GET"], openapi_extra=docs)
    return router
