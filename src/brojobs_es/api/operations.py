"""Is the service alive, is it ready, and how is it doing?"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import JSONResponse, PlainTextResponse, Response

from brojobs_es.api.http import Edge
from brojobs_es.api.metrics import Metrics
from brojobs_es.application.records import StoreUnavailable

BEHIND_MAX: Final = 10_000
"""How many events a view may be behind its log in a service that is ready."""


def operations(edge: Edge, metrics: Metrics) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`: for whoever asks, without a token."""
    router = APIRouter(tags=["operations"])

    async def healthz() -> Response:
        """The process is alive."""
        return JSONResponse({"status": "alive"})

    async def readyz() -> Response:
        """The database is reachable and the views are not far behind."""
        try:
            await edge.runtime.logs.ping()
            lags = await edge.runtime.projector.lag()
        except StoreUnavailable:
            return JSONResponse({"status": "not_ready", "database": "unreachable"}, 503, {"Retry-After": "1"})
        behind = max((lag.behind for lag in lags), default=0)
        late = edge.runtime.projector.lag_seconds()
        if late is None:  # another process keeps the views
            late = max((lag.seconds for lag in lags), default=0.0)
        ready = behind <= BEHIND_MAX
        content = {
            "status": "ready" if ready else "not_ready",
            "database": "reachable",
            "events_behind": behind,
            "views_behind_seconds": round(late, 3),
            "scheduler": "running" if edge.runtime.scheduler.running else "stopped",
            "sealing": "refused, see the log" if edge.runtime.sealer.trouble else "in order",
        }
        return JSONResponse(content, 200 if ready else 503)

    async def shown() -> Response:
        """Counters and gauges of this process, as Prometheus reads them."""
        # Several processes share a port: on a connection that stays open, it would always be the same one's turn.
        headers = {"Connection": "close"}
        return Response(await metrics.page(), headers=headers, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    router.add_api_route("/healthz", healthz, methods=["GET"])
    router.add_api_route("/readyz", readyz, methods=["GET"])
    router.add_api_route("/metrics", shown, methods=["GET"], name="metrics", response_class=PlainTextResponse)
    return router
