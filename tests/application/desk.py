"""Service processes in one: each with connections, keys and memory of its own, over the same database and clock."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tests.http.world import PRICE, euros, wire

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.application.access import Caller
from brojobs_es.application.asking import Answer, Ask
from brojobs_es.application.service import Service
from brojobs_es.clock import Clock, SandboxClock
from brojobs_es.store.log import Logs
from brojobs_es.store.vault import Vault
from brojobs_es.terms import DEFAULT_TERMS

PEOPLE: Final = {
    role: Caller(name, frozenset({role}))
    for role, name in {"buyer": "ana", "seller": "sam", "operator": "ops", "mediator": "mia"}.items()
}
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Desk:
    """One process."""

    service: Service
    logs: Logs
    vault: Vault

    async def place(self, who: str = "buyer", **options: Any) -> UUID:
        """An order that nobody has paid."""
        body = {
            "seller_id": "sam", "title": "Logo", "brief": "Two colours.", "price": euros(PRICE),
            "due_at": wire(NOW + timedelta(days=30)),
        }  # fmt: skip
        answer = await self.service.place(Ask(PEOPLE[who], lambda: body, **options))
        return answer.standing.order_id

    async def paid(self) -> UUID:
        """An order in progress, of which this process knows."""
        order_id = await self.place()
        await self.pay(order_id)
        return order_id

    async def pay(self, order_id: UUID) -> Answer:
        return await self.do("operator", order_id, "confirm-payment", payment_reference="t", amount=euros(PRICE))

    async def do(self, who: str, order_id: UUID, name: str, **body: Any) -> Answer:
        """A command with its body; raises the Refusal that it deserves."""
        return await self.ask(who, order_id, name, body)

    async def ask(
        self,
        who: str,
        order_id: UUID,
        name: str,
        body: Mapping[str, Any],
        *,
        dispute: UUID | None = None,
        **options: Any,
    ) -> Answer:
        """The same on a dispute, with a key, with a precondition or as a dry run."""
        command = (DISPUTE_COMMANDS if dispute else ORDER_COMMANDS)[name]
        return await self.service.execute(command, order_id, Ask(PEOPLE[who], lambda: dict(body), **options), dispute)

    async def version(self, order_id: UUID) -> int:
        return (await self.service.stand(order_id, PEOPLE["buyer"]))[0].case.order.version

    @property
    def remembered(self) -> int:
        """Of how many orders this process keeps the state."""
        return len(self.service._standings)


@contextlib.asynccontextmanager
async def desk(url: str, logs: int, clock: Clock | None = None, check_seconds: float = 2.0) -> AsyncIterator[Desk]:
    """One process, with nothing in its memory."""
    log = Logs(url, logs)
    await log.open()
    try:
        vault = Vault(log, check_seconds=check_seconds)
        yield Desk(Service(log, vault, clock or standing_clock(), DEFAULT_TERMS), log, vault)
    finally:
        await log.close()


def standing_clock() -> SandboxClock:
    """It shows `NOW` until it is moved."""
    clock = SandboxClock()
    clock._set = NOW
    return clock
