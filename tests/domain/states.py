"""Named states of an order, each made by the commands and timers that lead to it. The table of outcomes asks all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests import kit
from tests.kit import DUE, T0, D, Given, H, Story

FAR: Final = T0 + 30 * D


def cancellation_requested() -> Story:
    return kit.paid().buyer("request-cancellation")


def refused_once() -> Story:
    return cancellation_requested().seller("refuse-cancellation")


def unanswered() -> Story:
    return cancellation_requested().after(48 * H)


def refund_requested() -> Story:
    return kit.silent().buyer("request-refund")


def silent_after_delivery() -> Story:
    story = kit.revision_requested().seller("accept-revision", due_at=T0 + 14 * D)
    return story.buyer("send-reminder").after(72 * H)


def relaunched_without_delivery() -> Story:
    story = kit.refused_twice(due_at=FAR).buyer("open-dispute").mediator("dispute/assign").after(72 * H)
    return story.mediator("dispute/decide", assignment=1, outcome="relaunch", due_at=story.now + 3 * D, reason="Go on.")


def second_dispute() -> Story:
    """The buyer's last, after a first one that was withdrawn; the mediator has it and both sides are heard."""
    story = kit.quarrelling().buyer("open-dispute").buyer("dispute/withdraw").buyer("open-dispute")
    return story.mediator("dispute/assign").seller("dispute/submit-evidence")


STATES: Final[Mapping[str, tuple[str, Given]]] = {
    "awaiting_payment": ("Ordered, not paid yet.", kit.placed),
    "in_progress": ("Paid; the work is awaited.", kit.paid),
    "in_progress, reminded": ("The silence clock runs.", lambda: kit.paid().buyer("send-reminder")),
    "in_progress, reminded a day ago": ("The clock runs on.", lambda: kit.paid().buyer("send-reminder").after(D)),
    "in_progress, seller silent": ("Nothing for 72 hours after a reminder.", kit.silent),
    "in_progress, silence broken": ("The seller wrote again.", lambda: kit.silent().seller("post-message")),
    "in_progress, overdue": ("The delivery date has come.", kit.overdue),
    "in_progress, cancellation requested": ("The buyer asked to cancel.", cancellation_requested),
    "in_progress, overdue, cancellation requested": (
        "Asked after the date had come.",
        lambda: kit.overdue().buyer("request-cancellation"),
    ),
    "in_progress, cancellation withdrawn": (
        "Taken back; the pause between two requests runs.",
        lambda: cancellation_requested().buyer("withdraw-cancellation"),
    ),
    "in_progress, refused once": ("One refusal; the pause between two requests runs.", refused_once),
    "in_progress, refused twice": ("Two refusals unlocked the dispute.", kit.refused_twice),
    "in_progress, cancellation unanswered": ("48 hours of silence unlocked the dispute.", unanswered),
    "in_progress, refund requested": ("Asked for after an established silence.", refund_requested),
    "in_progress, deadline proposed by the buyer": (
        "Another date waits for the seller.",
        lambda: kit.paid().buyer("propose-deadline"),
    ),
    "in_progress, deadline proposed by the seller": (
        "Another date waits for the buyer.",
        lambda: kit.paid().seller("propose-deadline"),
    ),
    "in_progress, overdue, new deadline agreed": (
        "Agreed after the old date: not overdue any more.",
        lambda: kit.overdue().seller("propose-deadline").buyer("accept-deadline"),
    ),
    "in_progress, settlement proposed by the buyer": (
        "A partial refund waits for the seller.",
        lambda: kit.paid().buyer("propose-settlement"),
    ),
    "in_progress, settlement proposed by the seller": (
        "A partial refund waits for the buyer.",
        lambda: kit.paid().seller("propose-settlement"),
    ),
    "in_progress, alarm raised": ("Held for 75 days.", lambda: kit.paid().after(75 * D)),
    "in_progress, horizon past": ("No new date can be agreed any more.", lambda: kit.paid().after(80 * D)),
    "delivered": ("The work waits for the buyer's word.", kit.delivered),
    "delivered, cancellation requested": (
        "The validation clock stands.",
        lambda: kit.delivered().buyer("request-cancellation"),
    ),
    "delivered, settlement proposed by the seller": (
        "A partial refund waits for the buyer.",
        lambda: kit.delivered().seller("propose-settlement"),
    ),
    "delivered, revision refused": ("The buyer may open a dispute.", kit.revision_refused),
    "delivered, revision unanswered": (
        "72 hours without an answer; the buyer may open a dispute.",
        lambda: kit.revision_requested().after(72 * H),
    ),
    "delivered, revision answered": (
        "The buyer may claim that it is insufficient.",
        lambda: kit.revision_requested().seller("deliver"),
    ),
    "delivered, conflict persists": ("Refused, and talked about for two days.", kit.quarrelling),
    "revision_requested": ("The buyer named points to change.", kit.revision_requested),
    "revision_requested, cancellation requested": (
        "Two answers are awaited.",
        lambda: kit.revision_requested().buyer("request-cancellation"),
    ),
    "revision_requested, dispute unlocked": (
        "With two earlier refusals.",
        lambda: kit.refused_twice().seller("deliver").buyer("request-revision"),
    ),
    "revision accepted": ("In progress again, on the points.", kit.revision_accepted),
    "revision accepted, overdue": ("Its date has come.", lambda: kit.revision_accepted().after(3 * D)),
    "revision accepted, deadline proposed by the seller": (
        "Another date for the revision waits for the buyer.",
        lambda: kit.revision_accepted().seller("propose-deadline"),
    ),
    "revision accepted, seller silent": ("Work exists, so the dispute is unlocked instead.", silent_after_delivery),
    "relaunched, never delivered": ("A mediator set a new date.", relaunched_without_delivery),
    "relaunched, never delivered, overdue": ("It has come.", lambda: relaunched_without_delivery().after(3 * D)),
    "relaunched": ("A mediator set a new date; an older delivery exists.", kit.relaunched),
    "relaunched, overdue": ("It has come; the dispute is unlocked instead.", lambda: kit.relaunched().after(2 * D)),
    "disputed by the buyer": ("Nobody is assigned, the seller not heard.", kit.disputed),
    "disputed by the seller": ("On a persistent conflict.", lambda: kit.quarrelling().seller("open-dispute")),
    "disputed by an operator": (
        "After the alarm; nobody was heard.",
        lambda: kit.paid().after(75 * D).operator("open-dispute"),
    ),
    "disputed, nobody assigned in time": ("The response window is over too.", lambda: kit.disputed().after(72 * H)),
    "disputed over a pending revision": (
        "Its clock is suspended.",
        lambda: kit.refused_twice().seller("deliver").buyer("request-revision").buyer("open-dispute"),
    ),
    "disputed, settlement proposed by the buyer": (
        "A partial refund waits for the seller.",
        lambda: kit.disputed().buyer("propose-settlement"),
    ),
    "disputed, settlement proposed by the seller": (
        "A partial refund waits for the buyer.",
        lambda: kit.disputed().seller("propose-settlement"),
    ),
    "under review, the seller not heard": (
        "Within the response window.",
        lambda: kit.disputed().mediator("dispute/assign"),
    ),
    "under review, both heard": ("Ready to be decided.", kit.under_review),
    "under review, one-sided": (
        "The response window is over.",
        lambda: kit.disputed().mediator("dispute/assign").after(72 * H),
    ),
    "under review, never delivered": (
        "Both heard; there is no delivery to validate.",
        lambda: kit.refused_twice().buyer("open-dispute").mediator("dispute/assign").seller("dispute/submit-evidence"),
    ),
    "under review, the opener's last": ("It ends the order.", second_dispute),
    "under review, relaunched before": (
        "There is no second relaunch.",
        lambda: (
            kit.relaunched()
            .after(2 * D)
            .buyer("open-dispute")
            .mediator("dispute/assign")
            .seller("dispute/submit-evidence")
        ),
    ),
    "under review, opened by an operator": (
        "Nobody was heard, the response window is over.",
        lambda: kit.paid().after(75 * D).operator("open-dispute").mediator("dispute/assign").after(72 * H),
    ),
    "delivered, dispute withdrawn": ("The unlock is spent.", lambda: kit.disputed().buyer("dispute/withdraw")),
    "completed": ("Accepted by the buyer; the chat is open for a week.", kit.completed),
    "completed, chat closed": ("A week later.", lambda: kit.completed().after(7 * D)),
    "completed by a settlement in a dispute": (
        "The dispute closed with it.",
        lambda: kit.disputed().buyer("propose-settlement").seller("accept-settlement"),
    ),
    "cancelled": ("The seller gave everything back; the chat is open for a week.", kit.cancelled),
    "cancelled, chat closed": ("A week later.", lambda: kit.cancelled().after(7 * D)),
    "cancelled, never paid": ("The payment window closed.", lambda: kit.placed().after(D)),
    "cancelled as overdue": ("By the buyer alone.", lambda: kit.paid().at(DUE).buyer("cancel-overdue")),
    "cancelled by a mediator": ("With a full refund.", lambda: kit.under_review().mediator("dispute/decide")),
}
