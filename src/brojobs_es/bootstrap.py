"""Puts the parts of a deployment together: database, logs, views, service, scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from brojobs_es.application.history import decode
from brojobs_es.application.service import Service
from brojobs_es.clock import Clock, MachineClock, SandboxClock
from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.signing import signing_with
from brojobs_es.evidence.stamper import stamper_of
from brojobs_es.evidence.witnessing import witnesses_of
from brojobs_es.projections import VIEWS
from brojobs_es.settings import Settings, prepare_data_dir
from brojobs_es.store import embedded
from brojobs_es.store.audit_table import AuditTable
from brojobs_es.store.log import Logs
from brojobs_es.store.migrate import check, migrate
from brojobs_es.store.projector import Projector
from brojobs_es.store.sealing import SealStore
from brojobs_es.store.vault import Vault
from brojobs_es.terms import DEFAULT_TERMS
from brojobs_es.vault import MasterKey
from brojobs_es.worker import Scheduler

_logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""How long work that failed rests before it is started again."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running deployment, as the edges use it."""

    settings: Settings
    database_url: str
    clock: Clock
    logs: Logs
    vault: Vault
    service: Service
    projector: Projector
    scheduler: Scheduler
    sealer: Sealer


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URI of the deployment's database, ready for use.

    A given database is checked, never changed; the embedded one is started and migrated here.
    """
    if settings.database_url is not None:
        check(settings.database_url, settings.logs)
        yield settings.database_url
        return
    prepare_data_dir(settings.data_dir)
    with embedded.start(settings.data_dir) as server:
        migrate(server.uri, settings.logs)
        yield server.uri


@asynccontextmanager
async def running(
    settings: Settings, database_url: str, *, sandbox: bool = False, background: bool = True
) -> AsyncIterator[Runtime]:
    """A deployment with its connections open and, unless `background` is false, its views and scheduler at work."""
    clock: Clock = SandboxClock() if sandbox else MachineClock()
    logs = Logs(database_url, settings.logs)
    vault = Vault(logs, MasterKey.from_file(settings.master_key) if settings.master_key else None)
    service = Service(logs, vault, clock, replace(DEFAULT_TERMS, commission_bps=settings.commission_bps))
    projector = Projector(database_url, settings.logs, VIEWS, decode, tables=[AuditTable()])
    scheduler = Scheduler(logs, service, clock)
    seals = SealStore(database_url)
    sealer = Sealer(seals, settings.logs, settings.deployment, *signing_with(settings), witnesses_of(settings))
    async with contextlib.AsyncExitStack() as stack:
        await logs.open()
        stack.push_async_callback(logs.close)
        await vault.check()
        await projector.open()
        stack.push_async_callback(projector.close)
        await seals.open()
        stack.push_async_callback(seals.close)
        if background:
            stamper = stamper_of(settings, seals)
            stamping = [stamper.run] if stamper is not None else []
            for work in (projector.run, scheduler.run, sealer.run, *stamping):
                stack.push_async_callback(_stop, asyncio.create_task(kept_going(work)))
        yield Runtime(settings, database_url, clock, logs, vault, service, projector, scheduler, sealer)


async def kept_going(work: Callable[[], Awaitable[None]]) -> None:
    """Start work again that failed by a mistake of ours: nothing of it may stop for good while the rest goes on."""
    while True:
        try:
            return await work()
        except Exception:
            _logger.exception("%s failed and is started again", work.__qualname__)
            await asyncio.sleep(AGAIN_SECONDS)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
