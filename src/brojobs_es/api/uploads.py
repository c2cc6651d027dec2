"""Files of an order: uploaded until the chat is closed, stored by content, read by whoever reads the order."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from brojobs_es.aggregates.base import Role
from brojobs_es.aggregates.commands.chatting import still_takes_files, takes_files
from brojobs_es.api.custody import looked
from brojobs_es.api.http import REPLAYED, Edge, JsonAnswer, header, idempotency_key, uuid_in_path
from brojobs_es.application.access import NotFound
from brojobs_es.application.records import FileRow
from brojobs_es.application.sealing import key_of, key_of_row
from brojobs_es.application.standing import Standing
from brojobs_es.errors import Refusal

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
UPLOAD_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}


def upload_endpoint(edge: Edge) -> Callable[[Request], Awaitable[Response]]:
    """What takes a file for an order."""
    service, vault = edge.runtime.service, edge.runtime.vault

    async def upload(request: Request) -> Response:
        """Upload one file, in the part `file`; commands refer to its `file_id`."""
        caller = await edge.caller(request)
        order, viewer = await service.stand(uuid_in_path(request.path_params["order_id"]), caller, _surely_takes_files)
        viewer.must_be(Role.BUYER, Role.SELLER)
        key = idempotency_key(request)
        if not takes_files(order.case.order, order.now):
            raise Refusal("chat_closed")
        own = partial(key_of, vault, viewer.id)
        arrived = await edge.files.receive(header(request, b"content-type"), request.stream(), own)
        row = FileRow(
            order_id=order.order_id,
            file_id=arrived.sha256,
            name=arrived.name,
            size=arrived.size,
            media_type=arrived.media_type,
            uploaded_by=viewer.id,
            uploaded_at=order.now,
            key=arrived.key.generation,
            in_row=arrived.sealed is not None,
        )
        kept = await service.shelf.add(row, arrived.key, arrived.sealed)
        await edge.files.settle(arrived, kept)
        content = {"file": arrived.sha256, "name": arrived.name, "media_type": arrived.media_type}
        again = key is not None and await service.shelf.used_before(
            caller.sub, key, order.order_id, content, f"file {arrived.sha256}"
        )
        return JsonAnswer(_shown(kept), headers=[REPLAYED] if again else [])

    return upload


def add_downloads(router: APIRouter, edge: Edge) -> None:
    """Reading the files of an order."""
    service, vault = edge.runtime.service, edge.runtime.vault

    async def download(request: Request) -> Response:
        """The bytes of a file."""
        history, viewer = await service.see(uuid_in_path(request.path_params["order_id"]), await edge.caller(request))
        viewer.must_be(Role.BUYER, Role.SELLER, Role.MEDIATOR, Role.AUDITOR)
        file_id = request.path_params["file_id"]
        rows = await service.shelf.of(history.order_id, [file_id]) if _SHA256.fullmatch(file_id) else []
        row = next((row for row in sorted(rows, key=lambda row: row.uploaded_by != viewer.id) if not row.erased), None)
        if row is None:
            raise NotFound
        ring = await vault.to_read({(row.uploaded_by, row.key)})
        key = key_of_row(row, ring)
        if key is None:
            raise NotFound
        await looked(edge, viewer, history.order_id, "file", file_id=file_id)
        headers = {
            "Content-Length": str(row.size),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "ETag": f'"{row.file_id}"',
        }
        content = await _begun(await edge.files.open(row, key))
        return StreamingResponse(content, headers=headers, media_type=row.media_type)

    router.add_api_route("/{order_id}/files/{file_id}", download, methods=["GET"], summary="Download a file")


async def _begun(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same blocks, the first one fetched: what is lost or spoilt from its beginning can still be told as that."""
    first = await anext(blocks)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for block in blocks:
            yield block

    return all_of_them()


def _surely_takes_files(order: Standing, seen_at: datetime) -> bool:
    return still_takes_files(order.case.order, order.now, seen_at)


def _shown(row: FileRow) -> dict[str, Any]:
    return {
        "file_id": row.file_id,
        "name": row.name,
        "size": row.size,
        "media_type": row.media_type,
        "sha256": row.file_id,
    }
