"""The escrow view: a double-entry ledger over buyer, escrow, seller and platform, in minor units.

After every event the accounts of an order sum to zero, escrow is never negative, and what was funded is held,
released, refunded or commission.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event


class Account(StrEnum):
    BUYER = "buyer"
    ESCROW = "escrow"
    SELLER = "seller"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Entry:
    """One transfer: `amount_minor` leaves the account `debit` and arrives on `credit`."""

    version: int
    type: str
    effective_at: datetime
    debit: Account
    credit: Account
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every transfer of an order; balances and totals are sums over them."""

    currency: str
    entries: tuple[Entry, ...] = ()

    def balance(self, account: Account) -> int:
        return self.moved(credit=account) - sum(x.amount_minor for x in self.entries if x.debit is account)

    def moved(self, *, credit: Account, debit: Account | None = None) -> int:
        """How much arrived on an account, from everywhere or from one account."""
        return sum(x.amount_minor for x in self.entries if x.credit is credit and debit in (None, x.debit))

    @property
    def funded(self) -> int:
        return self.moved(credit=Account.ESCROW)

    @property
    def held(self) -> int:
        return self.balance(Account.ESCROW)

    @property
    def refunded(self) -> int:
        return self.moved(credit=Account.BUYER, debit=Account.ESCROW)

    @property
    def released(self) -> int:
        return self.moved(credit=Account.SELLER)

    @property
    def commission(self) -> int:
        return self.moved(credit=Account.PLATFORM)

    def accounts(self) -> dict[str, int]:
        return {str(account): self.balance(account) for account in Account}

    def totals(self) -> dict[str, str | int]:
        return {
            "currency": self.currency,
            "funded": self.funded,
            "held": self.held,
            "refunded": self.refunded,
            "released": self.released,
            "commission": self.commission,
        }

    def with_transfers(self, event: Event, debit: Account, *parts: tuple[Account, int]) -> Ledger:
        """The ledger with one entry for each part that is not nothing."""
        made = tuple(
            Entry(event.originator_version, event.type, event.effective_at, debit, credit, amount)
            for credit, amount in parts
            if amount
        )
        return Ledger(self.currency, self.entries + made)


class EscrowView:
    """The view `escrow`."""

    name: ClassVar[str] = "escrow"
    columns: ClassVar[Mapping[str, str]] = {
        "currency": "text",
        "funded": "bigint",
        "held": "bigint",
        "refunded": "bigint",
        "released": "bigint",
        "commission": "bigint",
    }

    @property
    def takes(self) -> frozenset[type[Event]]:
        return frozenset({e.OrderPlaced, *_TRANSFERS})

    def fold(self, state: Ledger | None, event: Event) -> Ledger | None:
        if isinstance(event, e.OrderPlaced):
            return Ledger(event.price.currency)
        entered = _TRANSFERS.get(type(event))
        return entered(state, event) if state is not None and entered is not None else state

    def row(self, state: Ledger) -> dict[str, object]:
        return {**state.totals()}


def _funded(ledger: Ledger, event: e.EscrowFunded) -> Ledger:
    return ledger.with_transfers(event, Account.BUYER, (Account.ESCROW, event.amount_minor))


def _refunded(ledger: Ledger, event: e.EscrowRefunded) -> Ledger:
    return ledger.with_transfers(event, Account.ESCROW, (Account.BUYER, event.refund_minor))


def _released(ledger: Ledger, event: e.EscrowReleased) -> Ledger:
    to_seller, to_platform = (Account.SELLER, event.payout_minor), (Account.PLATFORM, event.commission_minor)
    return ledger.with_transfers(event, Account.ESCROW, to_seller, to_platform)


def _split(ledger: Ledger, event: e.EscrowSplit) -> Ledger:
    to_buyer = (Account.BUYER, event.refund_minor)
    to_seller, to_platform = (Account.SELLER, event.payout_minor), (Account.PLATFORM, event.commission_minor)
    return ledger.with_transfers(event, Account.ESCROW, to_buyer, to_seller, to_platform)


_TRANSFERS: Final[Mapping[type[Event], Callable[[Ledger, Any], Ledger]]] = {
    e.EscrowFunded: _funded,
    e.EscrowRefunded: _refunded,
    e.EscrowReleased: _released,
    e.EscrowSplit: _split,
}
