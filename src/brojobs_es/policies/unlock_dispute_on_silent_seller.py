"""A silence established after a delivery unlocks the dispute, where a refund can no longer be asked for."""

from __future__ import annotations

from collections.abc import Iterator

from brojobs_es.aggregates.base import Event
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.order import Order
from brojobs_es.aggregates.order_events import DisputeUnlocked, Ground, SellerSilenceEstablished


def unlock_dispute_on_silent_seller(
    event: SellerSilenceEstablished, order: Order, dispute: Dispute | None
) -> Iterator[Event]:
    if order.deliveries and not order.has_unlocked(Ground.SELLER_SILENT):
        yield DisputeUnlocked(ground=Ground.SELLER_SILENT, caused_by=(event.originator_version,))
