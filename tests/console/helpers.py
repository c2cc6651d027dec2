"""Stories of the domain's kit, as histories for the console and as rows of a database."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console, RenderableType
from tests.kit import Story

from brojobs_es.application.history import Entry, History
from brojobs_es.application.records import Append
from brojobs_es.application.sealing import encoded
from brojobs_es.store.log import Logs
from brojobs_es.store.vault import Vault


def history_of(story: Story) -> History:
    """The story as if it had been recorded, at positions 1, 2, …, and looked at when it ends."""
    entries = [Entry(event, position) for position, event in enumerate(story.case.new, 1)]
    history = History.of(entries, story.now)
    assert history is not None
    return history


def store(database_url: str, logs: int, story: Story) -> None:
    """Record the story's events in a database."""

    async def append() -> None:
        log = Logs(database_url, logs)
        await log.open()
        try:
            await log.append(Append(story.order.id, await encoded(Vault(log), story.case.new)))
        finally:
            await log.close()

    asyncio.run(append())


def printed(what: RenderableType, *, width: int = 80, terminal: bool = False) -> str:
    """What a reader gets: piped, or on a terminal with colours."""
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=terminal, highlight=False, _environ={}).print(what)
    return file.getvalue()
