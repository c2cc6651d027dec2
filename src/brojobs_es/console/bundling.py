"""Writes an order's case file from the command line, from what is recorded; fires no timer."""

from __future__ import annotations

import getpass
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import psycopg
import uvloop

from brojobs_es import bootstrap
from brojobs_es.aggregates.base import Role
from brojobs_es.api.case_file import UNFIT, export_case
from brojobs_es.api.files import Files
from brojobs_es.application.access import Viewer
from brojobs_es.application.sealing import recorded
from brojobs_es.console.replaying import NothingToShow
from brojobs_es.console.words import label
from brojobs_es.settings import Settings
from brojobs_es.store.custody import Look, add_look


class NoCaseFile(Exception):
    """It cannot be written, or the order's evidence or files are not as they were stored; the message says what."""


def bundle(settings: Settings, database_url: str, stream_id: UUID, target: Path, lang: str) -> int:
    """Write the case file of an order (or of a dispute's order); its size in bytes.

    That it was exported, and by which user of this machine, is kept first. The file appears whole or not at all.
    Raises NothingToShow, NoCaseFile, StoreUnavailable, OSError, psycopg.Error.
    """
    with psycopg.connect(database_url) as connection:
        may = connection.execute("SELECT pg_has_role('brojobs_writer', 'MEMBER')").fetchone()
    if may != (True,):
        raise NoCaseFile("a case file is written with the service's login: this one may not act as brojobs_writer")
    try:
        handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=".case-")
    except OSError as error:
        raise NoCaseFile(f"cannot write {target}: {os.strerror(error.errno or 0)}") from None
    try:
        with os.fdopen(handle, "w+b") as file:
            uvloop.run(_write(settings, database_url, stream_id, file, lang))
            size = file.tell()
        Path(name).replace(target)
    except UNFIT as error:
        raise NoCaseFile(f"no case file can be made: {error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
    return size


async def _write(settings: Settings, database_url: str, stream_id: UUID, target: BinaryIO, lang: str) -> None:
    async with bootstrap.running(settings, database_url, background=False) as runtime:
        order_id = await runtime.logs.order_of_stream(stream_id)
        rows = await runtime.logs.load(order_id) if order_id else []
        history = await recorded(runtime.vault, rows, datetime.min.replace(tzinfo=UTC))
        if history is None:
            raise NothingToShow(label("unknown", lang, order=stream_id))
        who = Viewer(getpass.getuser(), (Role.AUDITOR,), frozenset())
        look = Look(history.order_id, who.id, str(who.role), "case-file", runtime.clock.now(), {"by": "command line"})
        await add_look(runtime.logs, look, [runtime.logs.log_of(history.order_id)])
        await export_case(runtime, Files.of(settings, runtime.logs), history, who, target)
