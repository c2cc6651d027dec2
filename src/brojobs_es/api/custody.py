"""Custody: every look of the staff at what people did and said is kept before it is answered, and shown on request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.dispute_events import MediatorAssigned
from brojobs_es.api.audit_query import Cursor, only_known, order_in
from brojobs_es.api.http import Edge, limit
from brojobs_es.api.openapi import view_docs
from brojobs_es.api.render import instant
from brojobs_es.api.schemas import CustodyList
from brojobs_es.application.access import Caller, Viewer
from brojobs_es.store.custody import Look, add_look, looks_at

DEFAULT_LIMIT: Final = 100
PATHS_OF_LOOKS: Final = frozenset(
    {
        "/v1/orders/{order_id}/chat",
        "/v1/orders/{order_id}/events",
        "/v1/orders/{order_id}/files/{file_id}",
        "/v1/orders/{order_id}/case-file",
        "/v1/disputes/{dispute_id}",
        "/v1/disputes/{dispute_id}/thread",
        "/v1/disputes/{dispute_id}/overview",
        "/v1/events",
        "/v1/events.jsonl",
        "/v1/events/stream",
    }
)
"""Where looks are kept. HEAD is not answered there: it shows nothing, and nobody should be kept as having looked."""

_REMEMBERED_LOOKS: Final = 10_000
_SAME_LOOK_SECONDS: Final = 3600.0


async def looked(edge: Edge, viewer: Viewer, order_id: UUID, what: str, **filters: str) -> None:
    """Keep that staff is about to see an order's `what`; parties see their own. Raises StoreUnavailable."""
    if viewer.is_party:
        return
    logs = edge.runtime.logs
    look = Look(order_id, viewer.id, str(viewer.role), what, edge.runtime.clock.now(), filters)
    await add_look(logs, look, [logs.log_of(order_id)])


class LogReaders:
    """Keeps who reads whole logs. Turning pages is one look: the same question again is kept once an hour."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._kept: OrderedDict[tuple[Any, ...], float] = OrderedDict()

    async def looked(
        self,
        caller: Caller,
        role: Role,
        what: str,
        order_id: UUID | None,
        filters: Mapping[str, str],
        logs: Sequence[int],
    ) -> None:
        """Keep a look at some logs, or at the one order that the filters name. Raises StoreUnavailable."""
        runtime = self._edge.runtime
        look = Look(order_id, caller.sub, str(role), what, runtime.clock.now(), filters)
        if order_id is not None:
            await add_look(runtime.logs, look, [runtime.logs.log_of(order_id)])
            return
        question = (caller.sub, role, what, tuple(sorted(filters.items())), tuple(logs))
        if what == "events" and monotonic() < self._kept.get(question, 0.0):
            return
        await add_look(runtime.logs, look, logs)
        self._kept[question] = monotonic() + _SAME_LOOK_SECONDS
        self._kept.move_to_end(question)
        if len(self._kept) > _REMEMBERED_LOOKS:
            self._kept.popitem(last=False)


def custody(edge: Edge) -> APIRouter:
    """`/v1/orders/{id}/custody`."""
    router = APIRouter(prefix="/v1/orders", tags=["log"])

    async def who_looked(request: Request) -> Response:
        """Who of the staff looked at the order or took a copy of it, alone or with its whole log; oldest first."""
        runtime = edge.runtime
        order_id, caller = order_in(request), await edge.caller(request)
        history, viewer = await runtime.service.see(order_id, caller)
        viewer.must_be(Role.MEDIATOR, Role.AUDITOR)
        only_known(request, ("after", "limit"))
        log = runtime.logs.log_of(order_id)
        after = Cursor.read(request.query_params.get("after"), [log], runtime.logs.count).positions[log]
        most = limit(request, DEFAULT_LIMIT)
        mediators = [e.event.mediator_id for e in history.entries if isinstance(e.event, MediatorAssigned)]
        placed_at = history.entries[0].event.timestamp
        found = await looks_at(runtime.logs, order_id, mediators, placed_at, after, most + 1)
        items = [_shown(log, look_number, look) for look_number, look in found[:most]]
        following = items[-1]["cursor"] if len(found) > most else None
        return JSONResponse({"items": items, "next": following})

    docs = view_docs(CustodyList, after="The cursor of the last look that was read.", limit="1 to 1000.")
    router.add_api_route(
        "/{order_id}/custody", who_looked, methods=["GET"], summary="Who looked at an order", openapi_extra=docs
    )
    return router


def _shown(log: int, look_number: int, look: Look) -> dict[str, Any]:
    return {
        "cursor": f"{log}-{look_number}",
        "order_id": str(look.order_id) if look.order_id else None,
        "reader": {"role": look.reader_role, "id": look.reader_id},
        "what": look.what,
        "filters": dict(look.filters),
        "at": instant(look.at),
    }
