"""The peer: the same six commands on the plain `eventsourcing` library, as its documentation shows how to write them.

One application with one aggregate, the library's PostgreSQL persistence, synchronous FastAPI routes. Nothing else: no
callers, no idempotency keys, no files, no timers, no views, and only the rules that a state machine of four states needs.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

import uvicorn
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI
from pydantic import BaseModel


class Order(Aggregate):
    """One order; the decorated methods are its events."""

    @event("Placed")
    def __init__(
        self, buyer_id: str, seller_id: str, title: str, brief: str, due_at: datetime, amount: int, currency: str
    ) -> None:
        self.buyer_id = buyer_id
        self.seller_id = seller_id
        self.title = title
        self.brief = brief
        self.due_at = due_at
        self.amount = amount
        self.currency = currency
        self.status = "awaiting_payment"
        self.messages: list[dict[str, str]] = []
        self.deliveries: list[dict[str, Any]] = []

    @event("PaymentConfirmed")
    def confirm_payment(self, payment_reference: str, amount: int, currency: str) -> None:
        if (self.status, self.amount, self.currency) != ("awaiting_payment", amount, currency):
            raise ValueError("not awaiting this payment")
        self.payment_reference = payment_reference
        self.status = "in_progress"

    @event("MessagePosted")
    def post_message(self, by: str, text: str) -> None:
        if by not in {self.buyer_id, self.seller_id}:
            raise ValueError("not a party")
        self.messages.append({"by": by, "text": text})

    @event("Delivered")
    def deliver(self, note: str, files: list[str]) -> None:
        if self.status != "in_progress":
            raise ValueError("not in progress")
        self.deliveries.append({"note": note, "files": files})
        self.status = "delivered"

    @event("DeliveryAccepted")
    def accept_delivery(self) -> None:
        if self.status != "delivered":
            raise ValueError("not delivered")
        self.status = "completed"


class Orders(Application[UUID]):
    """Gets an order, tells it what to do, saves it."""

    def place(self, **fields: Any) -> Order:
        order = Order(**fields)
        self.save(order)
        return order

    def tell(self, order_id: UUID, command: str, **fields: Any) -> Order:
        order: Order = self.repository.get(order_id)
        getattr(order, command)(**fields)
        self.save(order)
        return order


class Placing(BaseModel):
    """Body of `place`."""

    buyer_id: str
    seller_id: str
    title: str
    brief: str
    due_at: datetime
    amount: int
    currency: str


class Payment(BaseModel):
    """Body of `confirm-payment`."""

    payment_reference: str
    amount: int
    currency: str


class Message(BaseModel):
    """Body of `post-message`."""

    by: str
    text: str


class Delivery(BaseModel):
    """Body of `deliver`."""

    note: str
    files: list[str]


class Shown(BaseModel):
    """The order after the command."""

    order_id: UUID
    version: int
    status: str
    buyer_id: str
    seller_id: str
    title: str
    brief: str
    due_at: datetime


def shown(order: Order) -> Shown:
    """An order as callers see it."""
    return Shown(order_id=order.id, **{name: getattr(order, name) for name in Shown.model_fields if name != "order_id"})


def create_app() -> FastAPI:
    """The service; the database is what the library's variables say (POSTGRES_DBNAME and so on)."""
    app, orders = FastAPI(), Orders()

    @app.post("/orders", status_code=201)
    def place(body: Placing) -> Shown:
        return shown(orders.place(**body.model_dump()))

    @app.post("/orders/{order_id}/confirm-payment")
    def confirm_payment(order_id: UUID, body: Payment) -> Shown:
        return shown(orders.tell(order_id, "confirm_payment", **body.model_dump()))

    @app.post("/orders/{order_id}/post-message")
    def post_message(order_id: UUID, body: Message) -> Shown:
        return shown(orders.tell(order_id, "post_message", **body.model_dump()))

    @app.post("/orders/{order_id}/deliver")
    def deliver(order_id: UUID, body: Delivery) -> Shown:
        return shown(orders.tell(order_id, "deliver", **body.model_dump()))

    @app.post("/orders/{order_id}/accept-delivery")
    def accept_delivery(order_id: UUID) -> Shown:
        return shown(orders.tell(order_id, "accept_delivery"))

    return app


def create_constant() -> FastAPI:
    """One route that answers a constant: what the framework and the server cost alone."""
    app = FastAPI()

    @app.get("/")
    async def constant() -> dict[str, str]:
        return {"answer": "constant"}

    return app


def main() -> None:
    """Serve `library` or `constant` until SIGTERM; prints the port once requests are taken."""
    app = {"library": create_app, "constant": create_constant}[sys.argv[1]]()
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as sock:
        print(sock.getsockname()[1], flush=True)  # who connects now waits in the backlog
        uvicorn.Server(config).run([sock])


if __name__ == "__main__":
    os.environ.setdefault("PERSISTENCE_MODULE", "eventsourcing.postgres")
    main()
