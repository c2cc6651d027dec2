"""The case file over HTTP and for the command line: everything of one order in one zip that anybody can verify."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.dispute_events import MediatorAssigned
from brojobs_es.api import render, render_dispute
from brojobs_es.api.custody import looked
from brojobs_es.api.files import Files
from brojobs_es.api.http import Edge, uuid_in_path
from brojobs_es.application.access import Viewer
from brojobs_es.application.history import History
from brojobs_es.application.records import FileRow, StoreUnavailable
from brojobs_es.application.sealing import key_of_row
from brojobs_es.bootstrap import Runtime
from brojobs_es.evidence.case.contents import Export, write_case
from brojobs_es.evidence.case.packing import ShortContent
from brojobs_es.evidence.case.proving import NotProven
from brojobs_es.evidence.case.sealed_log import SealedLog
from brojobs_es.evidence.sealer import SealingRefused
from brojobs_es.evidence.signing import KeyFileError
from brojobs_es.evidence.tree import TreeIncomplete
from brojobs_es.mapper import openings
from brojobs_es.store.custody import Look, looks_at
from brojobs_es.vault import Opening, Ring, wanted_in
from brojobs_es.vault.files import BrokenFile

Json = dict[str, Any]

_logger = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""So many case files are made at a time; each takes a core for a moment."""
UNFIT: Final = (BrokenFile, KeyFileError, NotProven, SealingRefused, ShortContent, TreeIncomplete)
"""Nothing that a caller could mend: evidence or files are not as they were stored. People have to look."""
_PROBLEM: Final = {"$ref": "#/components/responses/Problem"}
_DOCS: Final[Json] = {
    "responses": {
        "200": {"description": "A BagIt bag.", "content": {"application/zip": {"schema": {"type": "string"}}}},
        **dict.fromkeys(("401", "403", "404", "503"), _PROBLEM),
    },
    "security": [{"bearer": []}],
}
_BLOCK_BYTES: Final = 1 << 18
_LOOKS_MAX: Final = 100_000


class OpenedFiles:
    """The contents of an order's files, opened with their uploaders' keys."""

    def __init__(self, files: Files, ring: Ring) -> None:
        self._files = files
        self._ring = ring

    async def open(self, row: FileRow) -> AsyncIterator[bytes]:
        """Raises FileNotFoundError for what is erased or lost."""
        key = key_of_row(row, self._ring)
        if key is None:
            raise FileNotFoundError(row.file_id)
        return await self._files.open(row, key)


async def export_case(runtime: Runtime, files: Files, history: History, viewer: Viewer, target: BinaryIO) -> None:
    """Write the case file of a recorded history, with all that this viewer may see.

    Raises StoreUnavailable, and UNFIT where evidence or files are not as they were stored.
    """
    log = runtime.logs.log_of(history.order_id)
    rows = await runtime.service.shelf.of(history.order_id)
    words = wanted_in(entry.state for entry in history.entries if entry.state is not None)
    ring = await runtime.vault.to_read(words | {(row.uploaded_by, row.key) for row in rows})
    export = Export(
        history=history,
        log=log,
        views=await asyncio.to_thread(views, history, viewer, log),
        exported_at=runtime.clock.now(),
        words=await asyncio.to_thread(_openings, history, ring),
        files=rows,
        custody=await _custody(runtime, history),
    )
    await write_case(target, export, SealedLog(runtime.sealer), OpenedFiles(files, ring))


def views(history: History, viewer: Viewer, log: int) -> Json:
    """`data/order.json`: the order, its chat and money, each dispute with its thread, and every event, as the API shows them."""
    return {
        "exported_at": render.instant(history.now),
        "order": render.order(history),
        "chat": render.chat(history),
        "escrow": render.escrow(history),
        "disputes": [
            {
                **render_dispute.dispute(history, dispute.id),
                "thread": [
                    {**item, "private": item["kind"] == "note"}
                    for item in render_dispute.thread(history, dispute.id, viewer)
                ],
            }
            for dispute in history.case.disputes
        ],
        "events": [render.event(entry, history.order_id, log) for entry in history.entries],
    }


def _openings(history: History, ring: Ring) -> list[Opening]:
    return [
        opening
        for entry in history.entries
        for opening in openings(entry.state or b"", entry.event.originator_id, entry.event.originator_version, ring)
    ]


async def _custody(runtime: Runtime, history: History) -> list[Json]:
    """Who looked at the order so far, this export included."""
    placed_at = history.entries[0].event.timestamp
    mediators = [e.event.mediator_id for e in history.entries if isinstance(e.event, MediatorAssigned)]
    found = await looks_at(runtime.logs, history.order_id, mediators, placed_at, 0, _LOOKS_MAX)
    return [{"number": number, **_look(look)} for number, look in found]


def _look(look: Look) -> Json:
    return {
        "reader": {"role": look.reader_role, "id": look.reader_id},
        "what": look.what,
        "filters": dict(look.filters),
        "at": render.instant(look.at),
    }


def case_files(edge: Edge) -> APIRouter:
    """`/v1/orders/{id}/case-file`."""
    router = APIRouter(prefix="/v1/orders", tags=["evidence"])
    turn = asyncio.Semaphore(AT_ONCE)

    async def case_file(request: Request) -> Response:
        """Everything of the order in one zip that verifies offline, for a mediator or a court; private notes included."""
        runtime = edge.runtime
        caller = await edge.caller(request)
        history, viewer = await runtime.service.see(uuid_in_path(request.path_params["order_id"]), caller)
        viewer.must_be(Role.MEDIATOR, Role.AUDITOR)
        await looked(edge, viewer, history.order_id, "case-file")
        target = await asyncio.to_thread(_temporary, runtime.settings.data_dir)
        try:
            async with turn:
                await export_case(runtime, edge.files, history, viewer, target)
            size = target.tell()
        except UNFIT as error:
            target.close()
            _logger.exception("no case file of order %s can be made", history.order_id)
            raise StoreUnavailable(f"no case file can be made: {error}") from error
        except BaseException:
            target.close()
            raise
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="case-{history.order_id}.zip"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(_blocks(target), headers=headers, media_type="application/zip")

    router.add_api_route(
        "/{order_id}/case-file", case_file, methods=["GET"], summary="The case file", openapi_extra=_DOCS
    )
    return router


def _temporary(folder: Path) -> BinaryIO:
    """A file without a name beside the data: it is gone when it is closed, or when the process ends."""
    return tempfile.TemporaryFile("w+b", dir=folder)


async def _blocks(target: BinaryIO) -> AsyncIterator[bytes]:
    """The whole temporary file; it goes away with the last block, or with the client."""
    try:
        await asyncio.to_thread(target.seek, 0)
        while block := await asyncio.to_thread(target.read, _BLOCK_BYTES):
            yield block
    finally:
        target.close()
