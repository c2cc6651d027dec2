"""Placing an order and paying it into escrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event, Words
from brojobs_es.aggregates.commands.bodies import Body, Instant, MoneyBody, ShortText, Text, UserId
from brojobs_es.aggregates.commands.situation import (
    OPERATOR,
    Command,
    Situation,
    not_ended,
    not_frozen,
    timer,
)
from brojobs_es.aggregates.order_parts import Status
from brojobs_es.errors import Refusal
from brojobs_es.ids import is_derived
from brojobs_es.money import MAX_MINOR
from brojobs_es.terms import Terms


class Place(Body):
    """Order a service from a seller. A client may bring its own `order_id`, so that a repeat places nothing new."""

    seller_id: UserId
    title: Annotated[Text, Field(max_length=500)]
    brief: Text
    price: MoneyBody
    due_at: Instant
    order_id: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")] | None = None

    def offered_id(self) -> UUID | None:
        return UUID(self.order_id) if self.order_id is not None else None


PLACE_EXAMPLE: Final = {
    "seller_id": "seller-7",
    "title": "Logo",
    "brief": "A logo in two colours.",
    "price": {"amount": 10001, "currency": "EUR"},
    "due_at": "2026-03-15T12:00:00Z",
}


def check_offer(body: Place, buyer_id: str) -> None:
    """Nobody orders from themselves, or under an id that this service gives to something else."""
    if body.seller_id == buyer_id:
        raise Refusal("invalid_request", facts={"field": "seller_id", "message": "buyer and seller are the same"})
    offered = body.offered_id()
    if offered is not None and is_derived(offered):
        message = "an id of version 8 is the service's to give: offer one of version 4 or 7"
        raise Refusal("invalid_request", facts={"field": "order_id", "message": message})


def place(body: Place, buyer_id: str, now: datetime, terms: Terms) -> e.OrderPlaced:
    """The first fact of an order; raises the Refusal that the content deserves."""
    check_offer(body, buyer_id)
    if not 0 < body.price.amount <= MAX_MINOR:
        raise Refusal("amount_out_of_range")
    if not now < body.due_at <= now + terms.deadline_horizon:
        raise Refusal("due_at_out_of_range", available_until=now + terms.deadline_horizon)
    return e.OrderPlaced(
        buyer_id=buyer_id,
        seller_id=body.seller_id,
        title=Words(buyer_id, body.title),
        brief=Words(buyer_id, body.brief),
        price=body.price.money(),
        due_at=body.due_at,
        terms=terms,
    )


class ConfirmPayment(Body):
    """The payment system says that the whole price has arrived."""

    payment_reference: ShortText
    amount: MoneyBody


def _same_payment_again(s: Situation) -> bool:
    """The same reference with the same amount: a retry of what was already recorded."""
    return (
        s.body is not None
        and s.order.payment_reference is not None
        and s.body.payment_reference == s.order.payment_reference
        and s.body.amount.money() == s.order.price
    )


def _not_yet_paid(s: Situation) -> Refusal | None:
    return None if s.order.status is Status.AWAITING_PAYMENT else Refusal("already_paid")


def _the_whole_price(s: Situation) -> Refusal | None:
    if s.body is None or s.body.amount.money() == s.order.price:
        return None
    return Refusal("amount_mismatch", facts={"amount": s.order.price})


def _confirm_payment(s: Situation) -> Iterator[Event]:
    yield e.EscrowFunded(payment_reference=s.body.payment_reference, amount_minor=s.order.price.amount)


COMMANDS: Final = (
    Command(
        name="confirm-payment",
        by=OPERATOR,
        body=ConfirmPayment,
        guards=(not_ended, not_frozen, _not_yet_paid),
        checks=(_the_whole_price,),
        decide=_confirm_payment,
        until=timer("payment"),
        changes_nothing=_same_payment_again,
        example={"payment_reference": "pay-1", "amount": {"amount": 10001, "currency": "EUR"}},
        summary="The price has arrived in escrow; the seller can start.",
    ),
)
