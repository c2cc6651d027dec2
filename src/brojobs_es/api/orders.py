"""Orders over HTTP: lists, views of now and of the past, and their files."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from brojobs_es.api import lists, uploads
from brojobs_es.api.http import Edge
from brojobs_es.api.openapi import view_docs
from brojobs_es.api.order_views import add_views
from brojobs_es.api.schemas import OrderList


def orders(edge: Edge) -> APIRouter:
    """The routes under /v1/orders."""
    router = APIRouter(prefix="/v1/orders", tags=["orders"])
    _add_collection(router, edge)
    add_views(router, edge)
    uploads.add_downloads(router, edge)
    return router


def _add_collection(router: APIRouter, edge: Edge) -> None:
    async def list_orders(request: Request) -> Response:
        """One's own orders, for staff all of them, the newest first."""
        return await lists.orders(edge, request)

    filters = view_docs(
        OrderList,
        status="Only orders with this status.",
        role="Only one's own orders as buyer or seller.",
        overdue="true or false.",
        cursor="Where the next part starts.",
        limit="1 to 1000.",
    )
    router.add_api_route("", list_orders, methods=["GET"], summary="List orders", openapi_extra=filters)
