"""A deployment in this process, without scheduler and without sockets, for machines that are not asynchronous."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
import uvloop

from brojobs_es.aggregates.commands.situation import Command
from brojobs_es.api import render, render_dispute
from brojobs_es.api.app import create_app
from brojobs_es.application.access import Caller
from brojobs_es.application.asking import Answer, Ask
from brojobs_es.application.explain import explain
from brojobs_es.application.history import History
from brojobs_es.bootstrap import Runtime, running
from brojobs_es.clock import SandboxClock
from brojobs_es.settings import Settings

T = TypeVar("T")
COMMISSION_BPS = 1_250


@dataclass(frozen=True)
class Person:
    """Somebody and the only role that they come in."""

    sub: str
    role: str

    @property
    def caller(self) -> Caller:
        return Caller(self.sub, frozenset({self.role}))


class Stage:
    """The real service over PostgreSQL; its clock is moved by hand."""

    def __init__(self, database_url: str, logs: int, folder: Path) -> None:
        self._loop = uvloop.new_event_loop()
        self._stack = AsyncExitStack()
        settings = Settings(database_url=database_url, logs=logs, data_dir=folder, commission_bps=COMMISSION_BPS)
        self._opening = running(settings, database_url, sandbox=True, background=False)

    def __enter__(self) -> Self:
        self.runtime: Runtime = self.run(self._stack.enter_async_context(self._opening))
        transport = httpx.ASGITransport(create_app(self.runtime))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://stage")
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.http.aclose())
        self.run(self._stack.aclose())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    # -- the clock

    def now(self) -> datetime:
        return self.runtime.clock.now()

    def at(self, now: datetime) -> None:
        assert isinstance(self.runtime.clock, SandboxClock)
        self.runtime.clock.move_to(now)

    def start(self) -> datetime:
        """An instant for a new story: later than everything before."""
        self.at(self.now() + timedelta(days=1))
        return self.now()

    # -- asking

    def place(self, person: Person, body: dict[str, Any]) -> Answer:
        return self.run(self.runtime.service.place(Ask(person.caller, lambda: body)))

    def give(
        self,
        person: Person,
        command: Command,
        order_id: UUID,
        body: object,
        key: str,
        dispute_id: UUID | None,
    ) -> Answer:
        """Raises the Refusal that the command deserves."""
        ask = Ask(person.caller, lambda: body, key=key)
        return self.run(self.runtime.service.execute(command, order_id, ask, dispute_id))

    def history(self, order_id: UUID) -> History:
        """The order now, loaded from its events; what is due is recorded."""
        return self.run(self.runtime.service.history(order_id))

    def recorded(self, order_id: UUID) -> int:
        """How many events the order has in the log, without looking at the order."""
        return len(self.run(self.runtime.logs.load(order_id)))

    def upload(self, person: Person, order_id: UUID, content: bytes) -> str:
        async def send() -> str:
            token = await self.http.post("/v1/sandbox/tokens", json={"sub": person.sub, "roles": [person.role]})
            answer = await self.http.post(
                f"/v1/orders/{order_id}/files",
                files={"file": ("v1.svg", content, "image/svg+xml")},
                headers={"Authorization": f"Bearer {token.json()['token']}"},
            )
            assert answer.status_code == 200, answer.text
            return str(answer.json()["file_id"])

        return self.run(send())


def shown(history: History, people: dict[str, Person]) -> dict[str, Any]:
    """All views of an order as JSON, for everybody who has one."""
    from brojobs_es.application.access import viewer_of

    views: dict[str, Any] = {
        "order": render.order(history), "chat": render.chat(history), "escrow": render.escrow(history),
    }  # fmt: skip
    for role in ("buyer", "seller", "operator"):
        verdicts = explain(history, viewer_of(history.case.order, people[role].caller))
        views[f"actions of {role}"] = [render.action(verdict, "fr", {}) for verdict in verdicts]
    for dispute in history.case.disputes:
        views[f"dispute {dispute.number}"] = render_dispute.dispute(history, dispute.id)
    return views
