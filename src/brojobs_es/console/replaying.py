"""From an id and a point of view to what a replay shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from brojobs_es.application.history import History
from brojobs_es.console.reading import recorded_events
from brojobs_es.console.steps import until_instant
from brojobs_es.console.timeline import Shown, moment
from brojobs_es.console.words import label
from brojobs_es.ids import log_of
from brojobs_es.settings import Settings
from brojobs_es.store.vault import read_ring
from brojobs_es.vault import MasterKey

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)  # so that a history is looked at from its own last event


class NothingToShow(Exception):
    """There is no such order, or it had no history at that point; the message is for the reader."""


def recorded_history(database_url: str, settings: Settings, stream_id: UUID, lang: str) -> tuple[History, int]:
    """All that is recorded of an order, named by its id or a dispute's, and the log it lies in.

    It is looked at from its last event, so nothing in it depends on when it is read. What people wrote is opened as far
    as their keys are left. Raises NothingToShow, psycopg.Error, MasterKeyError.
    """
    rows = recorded_events(database_url, settings.logs, stream_id)
    if not rows:
        raise NothingToShow(label("unknown", lang, order=stream_id))
    master = MasterKey.from_file(settings.master_key) if settings.master_key else None
    history = History.recorded_in(rows, _LONG_AGO, read_ring(database_url, (row.state for row in rows), master))
    assert history is not None
    return history, log_of(stream_id, settings.logs)


def up_to(history: History, lang: str, *, at: datetime | None = None, version: int | None = None) -> Shown:
    """The history up to an instant (by when things took effect) or a version (by recorded order); raises NothingToShow."""
    if at is not None:
        past, point = until_instant(history, at), label("as_of", lang, point=moment(at))
        missing = label("not_yet", lang, point=moment(at))
    elif version is not None:
        past, point = history.at_version(version), label("as_of_version", lang, point=version)
        missing = label("no_version", lang, point=version, last=history.case.order.version)
    else:
        return Shown(history)
    if past is None:
        raise NothingToShow(missing)
    return Shown(past, len(history.entries) - len(past.entries), point)
