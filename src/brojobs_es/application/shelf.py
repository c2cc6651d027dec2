"""The files of orders: what was uploaded to which order by whom, and which of them a command names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from brojobs_es.aggregates.base import FileRef, Words
from brojobs_es.aggregates.commands.bodies import Body
from brojobs_es.application.idempotency import KeyUse, must_be_the_same, record_of
from brojobs_es.application.kept import Kept
from brojobs_es.application.records import Append, EventLog, FileRow, KeyTaken
from brojobs_es.application.sealing import KeyVault, opened_rows, sealed, sealed_row
from brojobs_es.vault import PersonKey

KEPT_UPLOADS_MAX: Final = 10_000
"""How many files that were uploaded here are remembered for the command that names them."""


class Shelf:
    """Rows of files; their bytes are the edge's. Every method may raise StoreUnavailable."""

    def __init__(self, log: EventLog, vault: KeyVault) -> None:
        self._log = log
        self._vault = vault
        self._uploads: Kept[tuple[UUID, str, str], FileRow] = Kept(KEPT_UPLOADS_MAX)

    async def add(self, row: FileRow, key: PersonKey, content: bytes | None) -> FileRow:
        """Note a file under the uploader's key, with its sealed bytes where they are to lie in the row.

        The row that stands: a first upload keeps its name.
        """
        assert row.in_row == (content is not None)
        epoch, given = self._vault.epoch, sealed_row(row, key)
        kept = await self._log.add_file(given, content)
        if kept.name == given.name:  # sealed with a nonce of its own: it is this one
            kept = row
        else:
            (kept,) = await opened_rows(self._vault, [kept])
        self._uploads.keep((kept.order_id, kept.uploaded_by, kept.file_id), kept, epoch)
        return kept

    async def of(self, order_id: UUID, file_ids: Sequence[str] | None = None) -> list[FileRow]:
        """An order's files, all of them or those named, by time of upload; the names of erased ones are placeholders."""
        return await opened_rows(self._vault, await self._log.files(order_id, file_ids))

    async def named(self, order_id: UUID, body: Any, actor_id: str | None) -> Mapping[str, FileRef]:
        """The files that a body names; of a content that both parties uploaded, the actor's own. Erased ones are gone."""
        named = _file_ids(body)
        if not named:
            return {}
        rows = self._just_uploaded(order_id, named, actor_id)
        if rows is None:
            rows = sorted(await self.of(order_id, named), key=lambda row: row.uploaded_by == actor_id)
        return {
            r.file_id: FileRef(r.file_id, Words(r.uploaded_by, r.name), r.size, r.media_type)
            for r in rows
            if not r.erased
        }

    def _just_uploaded(self, order_id: UUID, named: Sequence[str], actor_id: str | None) -> list[FileRow] | None:
        """The actor's own files of these ids, if all of them were uploaded here a while ago: a file never changes."""
        epoch = self._vault.epoch
        rows = [self._uploads.get((order_id, actor_id or "", file_id), epoch) for file_id in named]
        found = [row for row in rows if row is not None]
        return found if len(found) == len(rows) else None

    async def used_before(self, caller: str, key: str, order_id: UUID, content: object, *before: object) -> bool:
        """Bind a caller's key to an upload; whether it already was. Another content is refused.

        `before` is the same content as older versions wrote it down: keys that they bound still hold.
        """
        use, *older = (KeyUse.of(caller, key, str(order_id), each) for each in (content, *before))
        kept = await self._log.find_key(caller, key) if self._log.count > 1 else None
        if kept is None:
            try:
                record = await sealed(self._vault, lambda ring: record_of(use, ring, order_id, b"{}"))
                await self._log.append(Append(order_id, (), record))
            except KeyTaken as taken:
                kept = taken.record
        if kept is None:
            return False
        await must_be_the_same(self._vault, kept, use, *older)
        return True


def _file_ids(value: Any) -> list[str]:
    """Every file id that a body names, wherever it stands in it."""
    if isinstance(value, Body):
        return [i for name, part in vars(value).items() for i in (part if name == "files" else _file_ids(part))]
    if isinstance(value, list):
        return [i for item in value for i in _file_ids(item)]
    return []
