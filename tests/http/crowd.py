"""Many clients at once: asynchronous requests over one or several processes, and races whose outcome is checked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
from tests.http.world import KEEP_ALIVE_SECONDS, Told, World

SOAK: Final = bool(os.environ.get("BROJOBS_TEST_SOAK"))
ENDS: Final = {"OrderCompleted", "OrderCancelled"}
MOVES: Final = {"EscrowReleased", "EscrowRefunded", "EscrowSplit"}


@dataclass(frozen=True)
class Racer:
    """Somebody's command, with its headers."""

    who: str
    command: str
    body: Mapping[str, Any]
    key: str | None = None


class Crowd:
    """The people of some worlds (processes), asking without waiting for each other."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = worlds
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64, keepalive_expiry=KEEP_ALIVE_SECONDS)
        self._clients = [
            httpx.AsyncClient(base_url=world.url, timeout=60, limits=limits, trust_env=False) for world in worlds
        ]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()

    async def send(self, order: Told, racer: Racer, process: int = 0) -> httpx.Response:
        headers = self.worlds[0].headers(racer.who, {"Idempotency-Key": racer.key} if racer.key else None)
        path = order.command_path(racer.command)
        return await self._clients[process % len(self._clients)].post(path, json=dict(racer.body), headers=headers)

    async def race(self, order: Told, racers: Sequence[Racer]) -> list[httpx.Response]:
        """All at once, spread over the processes; the answers in the order of the racers."""
        return await asyncio.gather(*(self.send(order, racer, n) for n, racer in enumerate(racers)))

    async def each(self, order: Told, *racers: Racer) -> dict[str, Any]:
        """One after the other, each must succeed; the last answer."""
        told: dict[str, Any] = {}
        for racer in racers:
            answer = await self.send(order, racer)
            assert answer.status_code in (200, 201), f"{racer}: {answer.text}"
            told = answer.json()
            if "ground" in told:
                order.dispute_id = told["dispute_id"]
        return told
