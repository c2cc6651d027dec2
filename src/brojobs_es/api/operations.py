"""Is the service alive, and is it ready?"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from brojobs_es.api.http import Edge
from brojobs_es.application.records import StoreUnavailable

BEHIND_MAX: Final = 10_000
"""How many events a view may be behind its log in a service that is ready."""


def operations(edge: Edge) -> APIRouter:
    """`/healthz` and `/readyz`."""
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
        ready = behind <= BEHIND_MAX
        content = {
            "status": "ready" if ready else "not_ready",
            "database": "reachable",
            "events_behind": behind,
            "scheduler": "running" if edge.runtime.scheduler.running else "stopped",
            "sealing": "refused, see the log" if edge.runtime.sealer.trouble else "in order",
        }
        return JSONResponse(content, 200 if ready else 503)

    router.add_api_route("/healthz", healthz, methods=["GET"])
    router.add_api_route("/readyz", readyz, methods=["GET"])
    return router
