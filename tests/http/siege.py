"""Clients that live through a siege: they ask, and where no answer comes or it says `later`, they ask again.

Every request that they make is right, so that nothing but a success is an answer. Most have a key and are repeated until
they are answered; a message without one is sent once, whatever becomes of it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from tests.http.besieged import Town
from tests.http.world import euros, wire

Json = dict[str, Any]

PRICE: Final = 10_001
AGAIN_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 60.0
OPERATOR: Final = "payments"
ROLES: Final = ("buyer", "seller", "operator")


@dataclass
class Request:
    """One command, and what came back for it. `answer` is the first success; None as long as there is none."""

    who: str
    path: str
    body: Mapping[str, Any]
    key: str | None
    answer: httpx.Response | None = None
    lost: int = 0

    @property
    def command(self) -> str:
        name = self.path.rpartition("/")[2]
        return "place" if name == "orders" else name

    @property
    def order_id(self) -> str:
        """The order that a success was about."""
        assert self.answer is not None
        return str(self.answer.json()["order_id"])


@dataclass
class File:
    """A file that was acknowledged."""

    who: str
    path: str
    content: bytes


@dataclass
class Siege:
    """Everybody, what they have asked so far, and a gate that they all stop at while somebody looks."""

    town: Town
    http: httpx.AsyncClient
    requests: list[Request] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    answered: int = 0
    _tokens: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: int = 0

    # -- asking

    def headers(self, who: str, key: str | None = None) -> dict[str, str]:
        """Whoever it is, the role is what stands before the hyphen."""
        if who not in self._tokens:
            role = who.partition("-")[0]
            a_day = int(time.time()) + 86_400
            self._tokens[who] = self.town.key.mint(who, [role if role in ROLES else "operator"], a_day)
        bearer = {"Authorization": f"Bearer {self._tokens[who]}"}
        return bearer | ({"Idempotency-Key": key} if key is not None else {})

    async def once(self, request: Request) -> httpx.Response | None:
        """One try; None where nobody can know what became of it."""
        try:
            answer = await self.http.post(
                self.town.url + request.path, json=request.body, headers=self.headers(request.who, request.key)
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            assert answer.json()["code"] == "try_again", answer.text
            return None
        assert answer.status_code in {200, 201}, (
            f"a right request was refused: {request} {answer.status_code} {answer.text}"
        )
        return answer

    async def until_answered(self, request: Request) -> httpx.Response:
        """As often as it takes, under the same key."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (answer := await self.once(request)) is None:
                request.lost += 1
                await asyncio.sleep(AGAIN_SECONDS)
            return answer

    async def ask(self, who: str, path: str, body: Mapping[str, Any]) -> Json:
        """A command with a key, until it is answered."""
        await self._open.wait()
        self._busy += 1
        try:
            request = Request(who, path, body, key=f"key-{next(self._numbers)}")
            self.requests.append(request)
            request.answer = await self.until_answered(request)
            self.answered += 1
            told: Json = request.answer.json()
            return told
        finally:
            self._busy -= 1

    async def say(self, who: str, order_path: str) -> None:
        """A message without a key, once."""
        await self._open.wait()
        self._busy += 1
        try:
            number = next(self._numbers)
            request = Request(who, f"{order_path}/post-message", {"text": f"{number} without a key"}, key=None)
            self.requests.append(request)
            request.answer = await self.once(request)
            self.answered += request.answer is not None
        finally:
            self._busy -= 1

    async def upload(self, who: str, order_path: str) -> str:
        """A file until it is stored; its id."""
        await self._open.wait()
        self._busy += 1
        try:
            content = f"version {next(self._numbers)}".encode() * random.randint(
                1, 12_000
            )  # some in their rows, some in the folder
            while True:
                try:
                    answer = await self.http.post(
                        f"{self.town.url}{order_path}/files",
                        files={"file": ("v.txt", content, "text/plain")},
                        headers=self.headers(who),
                    )
                except httpx.TransportError:
                    answer = httpx.Response(503)
                if answer.status_code == 200:
                    file_id = str(answer.json()["file_id"])
                    self.files.append(File(who, f"{order_path}/files/{file_id}", content))
                    return file_id
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._busy -= 1

    # -- living

    async def place(self, buyer: str, seller: str) -> str:
        """A paid order; its path."""
        body = {
            "seller_id": seller, "title": "Logo", "brief": "Two colours.", "price": euros(PRICE),
            "due_at": wire(datetime.now(UTC) + timedelta(days=30)),
        }  # fmt: skip
        order_id = (await self.ask(buyer, "/v1/orders", body))["order_id"]
        order = f"/v1/orders/{order_id}"
        await self.ask(OPERATOR, f"{order}/confirm-payment", {"payment_reference": "t", "amount": euros(PRICE)})
        return order

    async def live(self, number: int, square: str) -> None:
        """One order after the other, each to its end, and a word on the order where everybody talks."""
        buyer, seller = f"buyer-{number}", f"seller-{number}"
        for turn in itertools.count(number):
            order = await self.place(buyer, seller)
            await self.say(buyer, order)
            await self.ask(seller, f"{order}/post-message", {"text": "Bonjour"})
            await self.ask("buyer-square", f"{square}/post-message", {"text": f"{order} is under way"})
            await self.say("seller-square", square)
            await (self._in_peace if turn % 2 else self._in_dispute)(order, buyer, seller)

    async def _in_peace(self, order: str, buyer: str, seller: str) -> None:
        told = await self.ask(seller, f"{order}/propose-settlement", {"refund": euros(100)})
        proposal = {"proposal_id": told["settlement_proposal"]["proposal_id"]}
        await self.ask(buyer, f"{order}/refuse-settlement", proposal)
        file_id = await self.upload(seller, order)
        await self.ask(seller, f"{order}/deliver", {"note": "Here", "files": [file_id]})
        await self.say(seller, order)
        await self.ask(buyer, f"{order}/accept-delivery", {})

    async def _in_dispute(self, order: str, buyer: str, seller: str) -> None:
        file_id = await self.upload(seller, order)
        await self.ask(seller, f"{order}/deliver", {"note": "Here", "files": [file_id]})
        await self.ask(buyer, f"{order}/request-revision", {"points": [{"text": "Darker"}]})
        await self.ask(seller, f"{order}/refuse-revision", {"reason": "As in the brief."})
        opening = {"statement": "Not the brief.", "evidence": [{"description": "The brief"}]}
        dispute = f"/v1/disputes/{(await self.ask(buyer, f'{order}/open-dispute', opening))['dispute_id']}"
        await self.ask(seller, f"{dispute}/post-message", {"text": "Look at point 1"})
        told = await self.ask(seller, f"{order}/propose-settlement", {"refund": euros(4000)})
        proposal = {"proposal_id": told["settlement_proposal"]["proposal_id"]}
        await self.ask(buyer, f"{order}/accept-settlement", proposal)

    # -- looking

    async def more(self, count: int, seconds: float = 60.0) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + count
        async with asyncio.timeout(seconds):
            while self.answered < wanted:  # noqa: ASYNC110  (eight clients count)
                await asyncio.sleep(0.002)

    @asynccontextmanager
    async def at_rest(self, seconds: float = 60.0) -> AsyncIterator[None]:
        """Inside, everybody has got an answer to what they asked, and nobody asks."""
        self._open.clear()
        async with asyncio.timeout(seconds):
            while self._busy:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield
        self._open.set()


@asynccontextmanager
async def siege(town: Town, clients: int = 8) -> AsyncIterator[Siege]:
    """Clients at work until the block ends; one that fails fails the test."""
    limits = httpx.Limits(max_connections=2 * clients)
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False) as http:
        made = Siege(town, http)
        made._open.set()
        square = await made.place("buyer-square", "seller-square")
        try:
            async with asyncio.TaskGroup() as living:
                tasks = [living.create_task(made.live(number, square)) for number in range(clients)]
                yield made
                for task in tasks:
                    task.cancel()
        finally:
            made._open.clear()
