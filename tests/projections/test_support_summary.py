"""What the first lines of the support summary say while a dispute is open, and after each way in which it closes."""

from __future__ import annotations

import pytest
from tests import kit
from tests.kit import D

from brojobs_es.projections.support_summary import support_summary


def lines(story: kit.Story, language: str = "en") -> list[str]:
    return support_summary(story.case, story.case.new, language)


def decided(outcome: str, **more: object) -> kit.Story:
    story = kit.under_review()
    return story.mediator("dispute/decide", assignment=1, outcome=outcome, reason="The brief is clear.", **more)


def settled() -> kit.Story:
    return kit.disputed().seller("propose-settlement").buyer("accept-settlement")


def test_while_a_dispute_is_open_the_status_before_it_is_told() -> None:
    """In both languages, beside the status."""
    assert lines(kit.disputed())[0] == (
        "Order: in dispute; price EUR 100.01; escrow EUR 100.01 (before the dispute: delivered)"
    )
    assert lines(kit.disputed(), "fr")[0].endswith(" (avant le litige : livrée)")


@pytest.mark.parametrize(
    ("ended", "first"),
    [
        (lambda: decided("full_refund"), "Order: cancelled; price EUR 100.01; escrow EUR 0.00"),
        (lambda: decided("validate_delivery"), "Order: completed; price EUR 100.01; escrow EUR 0.00"),
        (settled, "Order: completed; price EUR 100.01; escrow EUR 0.00"),
        (lambda: kit.disputed().seller("concede"), "Order: cancelled; price EUR 100.01; escrow EUR 0.00"),
    ],
)
def test_an_order_that_a_dispute_ended_is_told_as_ended(ended: kit.Given, first: str) -> None:
    """What it was before is past; the dispute still tells the status that it found."""
    story = ended()
    told = lines(story)
    assert told[0] == first
    assert told[1].startswith("End: ")
    assert told[2].startswith("Dispute 1: ")
    assert story.dispute.order_status_before == "delivered"


def test_an_order_that_goes_on_has_no_status_before_a_dispute() -> None:
    """Withdrawn or relaunched, it is in the status that it shows."""
    withdrawn = kit.disputed().buyer("dispute/withdraw")
    relaunched = decided("relaunch", due_at=kit.T0 + 10 * D)
    assert lines(withdrawn)[0] == "Order: delivered; price EUR 100.01; escrow EUR 100.01"
    assert lines(relaunched)[0] == "Order: in progress; price EUR 100.01; escrow EUR 100.01"
