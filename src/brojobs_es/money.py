"""Money as integer minor units of an ISO 4217 currency. There is no float in this project's money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from iso4217 import Currency

MAX_MINOR: Final = 2**53 - 1
"""The largest amount in minor units: what JSON (RFC 8785) and JavaScript clients carry without loss."""

BASIS_POINTS: Final = 10_000


@lru_cache(maxsize=512)
def currency_digits(code: str) -> int | None:
    """Decimal digits of an ISO 4217 currency (EUR 2, JPY 0, BHD 3, CLF 4); None if there is no such money.

    Codes without a minor unit (gold, test codes, …) are not money that anybody can pay with.
    """
    try:
        digits: int | None = Currency(code).exponent
    except ValueError:
        return None
    return digits


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (10001 is EUR 100.01) and its currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Split:
    """How a held amount is divided, in minor units: the three parts sum to what was held."""

    refund_minor: int
    payout_minor: int
    commission_minor: int


def split(held_minor: int, refund_minor: int, commission_bps: int) -> Split:
    """Divide what is held into the buyer's refund, the seller's payout and the platform's commission.

    Commission is the floor of the seller's share times the rate, so the odd unit stays with the seller.
    """
    if not 0 <= refund_minor <= held_minor or not 0 <= commission_bps <= BASIS_POINTS:
        raise ValueError(f"cannot split {held_minor} into a refund of {refund_minor} at {commission_bps} bps")
    share = held_minor - refund_minor
    commission = share * commission_bps // BASIS_POINTS
    return Split(refund_minor=refund_minor, payout_minor=share - commission, commission_minor=commission)
