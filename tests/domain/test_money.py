"""Dividing an amount: for every currency with 0, 2, 3 or 4 digits, every commission, every refund."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency
from tests import kit
from tests.kit import euros

from brojobs_es.money import MAX_MINOR, Split, currency_digits, split
from brojobs_es.terms import Terms

DIGITS = {"EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "XOF": 0, "BHD": 3, "TND": 3, "KWD": 3, "CLF": 4, "UYW": 4, "MGA": 2}
CURRENCIES = sorted(currency.code for currency in Currency if currency.exponent is not None)

amounts = st.integers(1, MAX_MINOR) | st.integers(1, 10_000)
rates = st.integers(0, 10_000)


@pytest.mark.parametrize(("code", "digits"), DIGITS.items())
def test_digits_are_those_of_the_standard(code: str, digits: int) -> None:
    """A few of each kind, by hand; every currency that money is counted in has 0, 2, 3 or 4."""
    assert currency_digits(code) == digits
    assert {currency_digits(currency) for currency in CURRENCIES} == {0, 2, 3, 4}


@pytest.mark.parametrize("code", ["XAU", "XXX", "XTS", "EUX", "eur", "", "€"])
def test_what_nobody_can_pay_with_is_no_currency(code: str) -> None:
    """Metals, codes for tests, unknown codes and wrong case."""
    assert currency_digits(code) is None


@given(held=amounts, data=st.data(), bps=rates)
def test_a_split_loses_nothing(held: int, data: st.DataObject, bps: int) -> None:
    """The parts are whole, none is negative, and they sum to what was held."""
    refund = data.draw(st.integers(0, held))
    parts = split(held, refund, bps)
    assert parts.refund_minor + parts.payout_minor + parts.commission_minor == held
    assert parts.refund_minor == refund
    assert min(parts.payout_minor, parts.commission_minor) >= 0
    assert {type(value) for value in (parts.refund_minor, parts.payout_minor, parts.commission_minor)} == {int}


@given(held=amounts, data=st.data(), bps=rates)
def test_commission_is_the_floor_of_the_exact_share(held: int, data: st.DataObject, bps: int) -> None:
    """Compared with exact fractions, on the seller's share alone; the odd unit is the seller's."""
    refund = data.draw(st.integers(0, held))
    exact = Fraction((held - refund) * bps, 10_000)
    commission = split(held, refund, bps).commission_minor
    assert commission <= exact < commission + 1


@given(held=amounts, bps=rates)
def test_a_full_refund_returns_everything(held: int, bps: int) -> None:
    """Nobody earns on an order that is given back."""
    assert split(held, held, bps) == Split(refund_minor=held, payout_minor=0, commission_minor=0)


@given(held=amounts, data=st.data(), bps=rates)
def test_a_larger_refund_never_pays_the_seller_more(held: int, data: st.DataObject, bps: int) -> None:
    """Payout and commission fall, or stay, as the refund grows."""
    smaller, larger = sorted((data.draw(st.integers(0, held)), data.draw(st.integers(0, held))))
    one, other = split(held, smaller, bps), split(held, larger, bps)
    assert one.payout_minor >= other.payout_minor
    assert one.commission_minor >= other.commission_minor


@pytest.mark.parametrize(("held", "refund", "bps"), [(10, 11, 0), (10, -1, 0), (10, 5, -1), (10, 5, 10_001)])
def test_an_impossible_split_is_an_error(held: int, refund: int, bps: int) -> None:
    """More than is held, less than nothing, and rates beyond the whole."""
    with pytest.raises(ValueError, match="cannot split"):
        split(held, refund, bps)


@pytest.mark.parametrize(
    ("held", "refund", "bps", "expected"),
    [
        (10_001, 3_333, 1_000, Split(3_333, 6_002, 666)),
        (10_001, 3_333, 0, Split(3_333, 6_668, 0)),
        (1, 0, 9_999, Split(0, 1, 0)),
        (1, 0, 10_000, Split(0, 0, 1)),
        (3, 1, 5_000, Split(1, 1, 1)),
        (2**53 - 1, 1, 1, Split(1, 9_006_298_534_815_516, 900_719_925_474)),
    ],
)
def test_worked_examples(held: int, refund: int, bps: int, expected: Split) -> None:
    """Reckoned by hand; the last one is beyond what a float could carry."""
    assert split(held, refund, bps) == expected


@pytest.mark.parametrize("currency", CURRENCIES)
def test_a_settlement_in_every_currency(currency: str) -> None:
    """One order is placed, paid and settled in each: minor units in, minor units out, whatever the digits."""
    story = kit.paid(price=euros(10_001, currency), terms=Terms(commission_bps=1_000))
    story.buyer("propose-settlement", refund=euros(3_333, currency)).seller("accept-settlement")
    story.is_(refunded_minor=3_333, released_minor=6_002, commission_minor=666, held_minor=0)
    assert story.order.price.currency == currency


def test_instructions_have_stable_ids() -> None:
    """The payment system can tell a repetition: the ids follow from the order alone, and differ by kind."""
    one, other = (kit.paid().buyer("propose-settlement").seller("accept-settlement") for _ in range(2))
    split_once, split_again = one.last("EscrowSplit"), other.last("EscrowSplit")
    assert split_once.refund_instruction_id == split_again.refund_instruction_id
    assert split_once.payout_instruction_id == split_again.payout_instruction_id
    assert split_once.refund_instruction_id != split_once.payout_instruction_id
    assert kit.cancelled().last("EscrowRefunded").refund_instruction_id == split_once.refund_instruction_id
