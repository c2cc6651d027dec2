"""What stands in a case file, part by part, and the writing of the whole."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol

import brojobs_es
from brojobs_es.application.history import History
from brojobs_es.application.records import FileRow
from brojobs_es.evidence.case.event_parts import files_in
from brojobs_es.evidence.case.packing import CaseWriter
from brojobs_es.evidence.case.proving import Evidence, NotProven, Sealed, event_lines, heads_of, proofs
from brojobs_es.evidence.case.readme import README
from brojobs_es.evidence.case.single_file import verifier_source
from brojobs_es.evidence.case.stamp_parts import stamp_parts
from brojobs_es.evidence.case.timeline_page import page
from brojobs_es.language import LANGUAGES
from brojobs_es.mapper import canonical
from brojobs_es.projections.support_summary import support_summary
from brojobs_es.vault import Opening


class Files(Protocol):
    """Where the contents of files are."""

    async def open(self, row: FileRow) -> AsyncIterator[bytes]:
        """The bytes of a file in blocks. Raises FileNotFoundError at once where they are gone."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    """One order as it goes into a case file: its recorded history, the views of it as JSON, its files, who looked at it.

    `words` open what people wrote, for whoever has no keys.
    """

    history: History
    log: int
    views: Mapping[str, Any]
    exported_at: datetime
    words: Sequence[Opening] = ()
    files: Sequence[FileRow] = ()
    custody: Sequence[Mapping[str, Any]] | None = None


async def write_case(target: BinaryIO, export: Export, evidence: Evidence, files: Files) -> None:
    """Write the case file of an order. Memory holds the order's events and one block of one file, however large.

    Raises NotProven where the log's evidence and the events disagree, ShortContent for a file that was cut.
    """
    last = export.history.entries[-1].position
    if last is None:
        raise NotProven(f"order {export.history.order_id} has an event that is not recorded")
    sealed = await evidence.sealed(export.log, last)
    rows = _all_files(export)
    opened = await _opened(files, rows)
    there = set(opened)
    parts = await asyncio.to_thread(_parts, export, sealed, rows, there)
    sizes = {f"files/{row.file_id}": row.size for row in rows if row.file_id in there}
    writer = CaseWriter(target, str(export.history.order_id))
    for path in sorted([*parts, *sizes]):
        if path in parts:
            await asyncio.to_thread(writer.add, path, parts[path])
            continue
        with writer.entry(f"data/{path}", sizes[path]) as entry:
            async for block in opened[path.removeprefix("files/")]:
                await asyncio.to_thread(entry.write, block)
    info = {
        "Bag-Software-Agent": f"brojobs-es {brojobs_es.__version__}",
        "Bagging-Date": export.exported_at.date().isoformat(),
    }
    await asyncio.to_thread(writer.finish, verifier_source(), info, sealed.sign)


async def _opened(files: Files, rows: Sequence[FileRow]) -> dict[str, AsyncIterator[bytes]]:
    """The contents that are there, by file; one that two people uploaded may be gone for one of them only."""
    opened: dict[str, AsyncIterator[bytes]] = {}
    for row in rows:
        if row.file_id not in opened and not row.erased:
            with contextlib.suppress(FileNotFoundError):
                opened[row.file_id] = await files.open(row)
    return opened


def _all_files(export: Export) -> list[FileRow]:
    """The files that were uploaded, and any that an event names all the same."""
    order_id, known = export.history.order_id, {row.file_id for row in export.files}
    named = {
        ref.file_id: FileRow(
            order_id, ref.file_id, ref.name.text, ref.size, ref.media_type, ref.name.of, entry.event.effective_at
        )
        for entry in export.history.entries
        for ref in files_in(entry.event)
        if ref.file_id not in known
    }
    return [*export.files, *named.values()]


def _parts(export: Export, sealed: Sealed, rows: Sequence[FileRow], there: set[str]) -> dict[str, bytes]:
    """Everything but the contents of files, by path in the payload."""
    history = export.history
    lines = event_lines(history, export.log)
    events = [entry.event for entry in history.entries]
    summaries = {language: support_summary(history.case, events, language) for language in LANGUAGES}
    parts = {
        "README.txt": README.encode(),
        "checkpoint.txt": sealed.checkpoint.encode(),
        "events.ndjson": b"".join(line + b"\n" for line in lines),
        "files.json": _json({"files": [_listed(row, row.file_id in there) for row in rows]}),
        "keys.txt": sealed.keys,
        "order.json": _json(export.views),
        "proofs.json": proofs(history.order_id, export.log, heads_of(lines), sealed),
        "timeline.html": page(history, summaries),
        "words.ndjson": b"".join(_json(_shown(opening)) for opening in export.words),
    }
    parts |= {f"summary.{lang}.txt": "".join(f"{line}\n" for line in summaries[lang]).encode() for lang in LANGUAGES}
    if sealed.stamp is not None:
        parts |= stamp_parts(sealed.stamp, sealed.index)
    if export.custody is not None:
        parts["custody.ndjson"] = b"".join(map(_json, export.custody))
    return parts


def _json(value: Mapping[str, Any]) -> bytes:
    return canonical(value) + b"\n"


def _shown(opening: Opening) -> dict[str, str]:
    salt, commitment = (b64encode(raw).decode() for raw in (opening.salt, opening.commitment))
    return {"commitment": commitment, "of": opening.of, "salt": salt, "text": opening.text}


def _listed(row: FileRow, included: bool) -> dict[str, Any]:
    return {
        "file_id": row.file_id,
        "name": row.name,
        "size": row.size,
        "media_type": row.media_type,
        "uploaded_by": row.uploaded_by,
        "uploaded_at": row.uploaded_at.isoformat(),
        "included": included,
    }
