"""Clients of the service as tests need them: people with tokens, an order that one speaks about, a clock.

`world.paid()` is such an order: `order.seller("deliver", note="Here it is.", files=[order.file()])` must succeed, and
`order.buyer("cancel-overdue", refused=(409, "already_delivered"))` must be refused just so.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import httpx

JsonObject = dict[str, Any]

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "buyer": ("buyer",),
    "seller": ("seller",),
    "mediator": ("mediator",),
    "mediator2": ("mediator",),
    "auditor": ("auditor",),
    "operator": ("operator",),
    "stranger": ("buyer", "seller"),
}
PRICE: Final = 10_001
DUE_IN: Final = timedelta(days=5)
NOWHERE: Final = "00000000-0000-4000-8000-000000000000"
SHA: Final = "0" * 64
KEEP_ALIVE_SECONDS: Final = 2.0
"""Less than a server waits for the next request, so that no request goes to a connection that is being closed."""
CREATES: Final = ("place", "open-dispute")


def euros(amount: int, currency: str = "EUR") -> JsonObject:
    return {"amount": amount, "currency": currency}


def wire(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def code(answer: httpx.Response) -> str | None:
    """The code of a problem document; None for anything else."""
    kind = answer.headers.get("content-type", "")
    return str(answer.json()["code"]) if kind.startswith("application/problem+json") else None


class World:
    """The service as several people see it. Their ids are fresh, so that no other test's orders are theirs."""

    def __init__(self, url: str, people: Mapping[str, str] | None = None) -> None:
        run = secrets.token_hex(4)
        self.url = url
        self.people = dict(people or {name: f"{name}-{run}" for name in ROLES})
        limits = httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS)
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False, limits=limits)
        self._tokens: dict[str, str] = {}
        self._followers: list[World] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    # -- people

    def token(self, who: str) -> str:
        if who not in self._tokens:
            self._tokens[who] = self.mint(self.people[who], *ROLES[who])
        return self._tokens[who]

    def mint(self, sub: str, *roles: str) -> str:
        answer = self.http.post("/v1/sandbox/tokens", json={"sub": sub, "roles": list(roles)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def headers(self, who: str | None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.token(who)}"} if who else {}
        return {**bearer, "Accept-Language": "en", **(extra or {})}

    # -- asking

    def get(self, who: str | None, path: str, headers: Any = None, **query: Any) -> httpx.Response:
        return self.http.get(path, headers=self.headers(who, headers), params=query or None)

    def post(
        self, who: str | None, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        more = {"Content-Type": "application/json", **(headers or {})}
        return self.http.post(path, content=content, headers=self.headers(who, more), params=query or None)

    def see(self, who: str, path: str, **query: Any) -> Any:
        answer = self.get(who, path, **query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    # -- the clock

    def clock(self, **change: Any) -> datetime:
        """Move the clock, here and for the worlds that follow; the instant that it shows now."""
        answer = self.http.post("/v1/sandbox/clock", json=change)
        assert answer.status_code == 200, answer.text
        for follower in self._followers:
            follower.clock(now=answer.json()["now"])
        return instant(answer.json()["now"])

    def now(self) -> datetime:
        return instant(self.http.get("/v1/sandbox/clock").json()["now"])

    def at(self, when: datetime) -> datetime:
        return self.clock(now=wire(when))

    def advance(self, **span: float) -> datetime:
        return self.at(self.now() + timedelta(**span))

    def follow(self, other: World) -> None:
        """Whenever this clock moves, the other one moves to the same instant."""
        latest = max(self.now(), other.now()) + timedelta(hours=1)  # a clock that was never set runs on
        self._followers.append(other)
        self.at(latest)

    def unfollow(self) -> None:
        self._followers.clear()

    # -- orders

    def place_body(self, **changes: Any) -> JsonObject:
        body = {
            "seller_id": self.people["seller"],
            "title": "Logo",
            "brief": "Two colours.",
            "price": euros(PRICE),
            "due_at": wire(self.now() + DUE_IN),
        }
        return body | changes

    def placed(self, **changes: Any) -> Told:
        answer = self.post("buyer", "/v1/orders", self.place_body(**changes))
        assert answer.status_code == 201, answer.text
        return Told(self, UUID(answer.json()["order_id"]), answer.json())

    def paid(self, **changes: Any) -> Told:
        order = self.placed(**changes)
        order.operator("confirm-payment", payment_reference="transfer-1", amount=order.body["price"])
        return order

    def delivered(self, **changes: Any) -> Told:
        order = self.paid(**changes)
        order.seller("deliver", note="First version", files=[order.file()])
        return order

    def revision_refused(self, **changes: Any) -> Told:
        order = self.delivered(**changes)
        order.buyer("request-revision", points=[{"text": "Darker blue"}, {"text": "Bigger letters"}])
        order.seller("refuse-revision", reason="It is what the brief says.")
        return order

    def disputed(self, **changes: Any) -> Told:
        """The buyer's dispute about a refused revision."""
        order = self.revision_refused(**changes)
        order.buyer("open-dispute", statement="Not the brief.", evidence=[{"description": "The brief"}])
        return order

    def under_review(self, **changes: Any) -> Told:
        """Both sides heard, the mediator has assignment 1."""
        order = self.disputed(**changes)
        order.mediator("dispute/assign")
        order.seller("dispute/submit-evidence", kind="statement", description="Section 2.")
        return order


class Told:
    """One order, and commands on it that must succeed unless a refusal is expected."""

    def __init__(self, world: World, order_id: UUID, body: JsonObject) -> None:
        self.world, self.id, self.body = world, order_id, body
        self.dispute_id: str | None = None

    @property
    def path(self) -> str:
        return f"/v1/orders/{self.id}"

    def through(self, other: World) -> Told:
        """The same order, asked of another process."""
        same = Told(other, self.id, self.body)
        same.dispute_id = self.dispute_id
        return same

    def command_path(self, command: str) -> str:
        if command.startswith("dispute/"):
            return f"/v1/disputes/{self.dispute_id}/{command.removeprefix('dispute/')}"
        return f"{self.path}/{command}"

    def send(self, who: str, command: str, body: Any = None, headers: Any = None, **query: Any) -> httpx.Response:
        """Whatever comes back; for what must succeed or must be refused there is `do`."""
        return self.world.post(who, self.command_path(command), body, headers, **query)

    def do(self, who: str, command: str, refused: tuple[int, str] | None = None, **body: Any) -> JsonObject:
        answer = self.send(who, command, body)
        told: JsonObject = answer.json()
        if refused is not None:
            assert (answer.status_code, code(answer)) == refused, answer.text
            return told
        assert answer.status_code == (201 if command in CREATES else 200), f"{command}: {answer.text}"
        if "dispute_id" in told and "order_id" in told and "ground" in told:
            self.dispute_id = told["dispute_id"]
        else:
            self.body = told
        return told

    def buyer(self, command: str, **body: Any) -> JsonObject:
        return self.do("buyer", command, **body)

    def seller(self, command: str, **body: Any) -> JsonObject:
        return self.do("seller", command, **body)

    def operator(self, command: str, **body: Any) -> JsonObject:
        return self.do("operator", command, **body)

    def mediator(self, command: str, **body: Any) -> JsonObject:
        return self.do("mediator", command, **body)

    def see(self, who: str = "buyer", view: str = "", **query: Any) -> Any:
        """The order, or one of its views (`chat`, `escrow`, `events`, `actions`, `dispute`, `dispute/thread`)."""
        if view.startswith("dispute"):
            return self.world.see(who, f"/v1/disputes/{self.dispute_id}{view.removeprefix('dispute')}", **query)
        return self.world.see(who, f"{self.path}/{view}" if view else self.path, **query)

    def events(self) -> list[JsonObject]:
        """Every recorded event as the auditor sees it; looking fires what is due."""
        items: list[JsonObject] = self.see("auditor", "events")["items"]
        return items

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def action(self, who: str, command: str) -> JsonObject:
        view = "dispute/actions" if command.startswith("dispute/") else "actions"
        items: list[JsonObject] = self.see(who, view)["items"]
        return next(item for item in items if item["command"] == command.removeprefix("dispute/"))

    def upload(
        self, who: str, name: str = "v1.txt", content: bytes | None = None, kind: str = "text/plain", **headers: str
    ) -> httpx.Response:
        part = (name, content if content is not None else f"{name} of {self.id}".encode(), kind)
        return self.world.http.post(
            f"{self.path}/files", files={"file": part}, headers=self.world.headers(who, headers)
        )

    def file(self, who: str = "seller", name: str = "v1.txt") -> str:
        answer = self.upload(who, name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["file_id"])

    def balanced(self) -> JsonObject:
        """The ledger, after checking that it adds up."""
        view: JsonObject = self.see("auditor", "escrow")
        assert sum(view["accounts"].values()) == 0, view
        assert view["accounts"]["escrow"] == view["held"] >= 0, view
        assert view["funded"] == view["held"] + view["released"] + view["refunded"] + view["commission"], view
        return view
