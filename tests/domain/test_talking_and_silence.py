"""Rows O4–O8 and O30: the chat and its lock, reminders, an established silence and the refund that follows."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tests import kit
from tests.kit import DUE, PRICE, T0, TICK, D, H

from brojobs_es.aggregates.commands.chatting import still_takes_files, takes_files

OPEN_STATES = (kit.placed, kit.paid, kit.overdue, kit.revision_requested, kit.revision_accepted, kit.completed)
FAR = T0 + 20 * D


@pytest.mark.parametrize("state", OPEN_STATES)
def test_o4_both_sides_write_while_the_lock_is_open(state: kit.Given) -> None:
    """Before the payment, during the work, while a revision is asked for and after the end, both may write."""
    story = state()
    assert (story.lock.buyer_can_write, story.lock.seller_can_write, story.lock.code) == (True, True, None)
    story.buyer("post-message").expect("MessagePosted").seller("post-message").expect("MessagePosted")


def test_o4_a_message_keeps_its_words_and_files() -> None:
    """What was written stays with whose words it is, each file once."""
    message = kit.paid().seller("post-message", text="Look", files=[kit.FILE, kit.FILE]).last("MessagePosted")
    assert (message.text.of, message.text.text) == ("sam", "Look")
    assert [file.file_id for file in message.files] == [kit.FILE]


def test_o4_after_a_delivery_only_the_seller_writes() -> None:
    """The buyer validates, asks for a revision or opens a dispute instead of chatting."""
    story = kit.delivered()
    ways_out = ("accept-delivery", "request-revision", "open-dispute")
    assert (story.lock.buyer_can_write, story.lock.seller_can_write) == (False, True)
    assert (story.lock.code, story.lock.unlocked_by) == ("delivered", ways_out)
    story.buyer("post-message", refused="chat_locked").saying(unlocked_by=ways_out)
    story.seller("post-message").expect("MessagePosted")


def test_o4_nobody_writes_in_the_chat_of_a_disputed_order() -> None:
    """The dispute's own thread is the only place to talk."""
    story = kit.disputed()
    assert (story.lock.buyer_can_write, story.lock.seller_can_write, story.lock.code) == (False, False, "disputed")
    story.buyer("post-message", refused="chat_locked").seller("post-message", refused="chat_locked")
    story.buyer("dispute/post-message").expect("DisputeMessagePosted")


@pytest.mark.parametrize("state", [kit.completed, kit.cancelled])
def test_o30_the_chat_closes_seven_days_after_the_end(state: kit.Given) -> None:
    """One tick before both write, at exactly seven days nobody does."""
    story = state()
    closes_at = story.now + 7 * D
    assert story.lock.until == closes_at
    story.at(closes_at - TICK).expect().buyer("post-message").seller("post-message")
    story.at(closes_at).expect("ChatClosed")
    assert (story.lock.buyer_can_write, story.lock.seller_can_write, story.lock.code) == (False, False, "closed")
    story.buyer("post-message", refused="chat_closed").seller("post-message", refused="chat_closed")


def test_files_are_taken_for_as_long_again_as_the_chat_is_open() -> None:
    """One tick before fourteen days after the end they are, at fourteen days not; while an order goes on they always are."""
    story = kit.completed()
    limit = story.now + 14 * D
    assert [takes_files(story.order, now) for now in (limit - TICK, limit)] == [True, False]
    assert takes_files(kit.paid().order, FAR)


def test_an_order_that_was_seen_a_while_ago_surely_takes_files() -> None:
    """For fourteen days after it was seen: an end that is not known here lies no further back. Never after a known one."""
    order = kit.paid().order
    assert [still_takes_files(order, now, T0) for now in (T0 + 14 * D - TICK, T0 + 14 * D)] == [True, False]
    ended = kit.completed()
    limit = ended.now + 14 * D
    assert [still_takes_files(ended.order, now, limit - D) for now in (limit - TICK, limit)] == [True, False]


def test_o30_an_order_that_was_never_paid_closes_its_chat_too() -> None:
    """Seven days count from the deadline that cancelled it, not from when somebody looked."""
    story = kit.placed().at(T0 + D + 8 * D).expect("PaymentExpired", "OrderCancelled", "ChatClosed")
    assert story.last("ChatClosed").effective_at == T0 + D + 7 * D
    assert story.last("ChatClosed").timestamp == T0 + 9 * D


def test_o5_a_reminder_is_sent_while_the_work_is_awaited() -> None:
    """In progress, also overdue and also while an accepted revision is awaited."""
    for story in (kit.paid(), kit.overdue(), kit.revision_accepted()):
        story.buyer("send-reminder").expect("SellerReminded")


@pytest.mark.parametrize("state", [kit.delivered, kit.revision_requested])
def test_o5_no_reminder_when_no_work_is_awaited(state: kit.Given) -> None:
    """A delivered order or one whose revision is being considered is not in progress."""
    state().buyer("send-reminder", refused="not_in_progress")


@pytest.mark.parametrize("kind", ["deadline", "settlement"])
def test_o5_who_must_answer_cannot_remind(kind: str) -> None:
    """A proposal of the seller that waits for the buyer's answer comes first; the buyer's own does not matter."""
    story = kit.paid().seller(f"propose-{kind}").buyer("send-reminder", refused="proposal_pending")
    story.saying(available_from=T0 + 48 * H, unlocked_by=(f"accept-{kind}", f"refuse-{kind}"))
    story.at(T0 + 48 * H - TICK).buyer("send-reminder", refused="proposal_pending")
    story.at(T0 + 48 * H).buyer("send-reminder").expect("SellerReminded")
    kit.paid().buyer(f"propose-{kind}").buyer("send-reminder").expect("SellerReminded")


def test_o5_a_day_lies_between_two_reminders() -> None:
    """At exactly 24 hours the next one is possible."""
    story = kit.paid().buyer("send-reminder").at(T0 + 24 * H - TICK)
    story.buyer("send-reminder", refused="reminder_cooldown").saying(available_from=T0 + 24 * H)
    story.at(T0 + 24 * H).buyer("send-reminder").expect("SellerReminded")


def test_o6_silence_is_established_at_72_hours_after_the_first_reminder() -> None:
    """A later reminder does not restart the clock."""
    story = kit.paid(due_at=FAR).buyer("send-reminder").at(T0 + 24 * H).buyer("send-reminder")
    story.at(T0 + 72 * H - TICK).expect().is_(silence_established=False)
    story.at(T0 + 72 * H).expect("SellerSilenceEstablished").is_(silence_established=True, unlocks=())
    story.buyer("send-reminder").expect("SellerReminded").is_(silence_established=True)


SIGNS_OF_LIFE = ["post-message", "propose-deadline", "propose-settlement"]


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
def test_o6_a_sign_of_life_stops_the_clock_and_the_next_reminder_starts_it_anew(sign: str) -> None:
    """A message or an accepted command of the seller counts; the 72 hours begin again with the next reminder."""
    story = kit.paid(due_at=FAR).buyer("send-reminder").at(T0 + 72 * H - TICK).seller(sign)
    story.at(T0 + 72 * H).expect().at(T0 + 6 * D).buyer("send-reminder").at(T0 + 9 * D - TICK).expect()
    story.at(T0 + 9 * D).expect("SellerSilenceEstablished")


@pytest.mark.parametrize("sign", SIGNS_OF_LIFE)
def test_o6_a_sign_of_life_ends_an_established_silence(sign: str) -> None:
    """After it a refund needs a new reminder and a new silence."""
    story = kit.silent(due_at=FAR).seller(sign).buyer("request-refund", refused="seller_not_silent")
    story.saying(available_from=None, unlocked_by=("send-reminder",))


def test_o6_a_refused_command_is_no_sign_of_life() -> None:
    """Only what was accepted counts."""
    story = kit.silent(due_at=FAR).seller("accept-cancellation", refused="no_cancellation_pending")
    story.buyer("request-refund").expect("RefundRequested")


def test_o6_a_message_of_the_buyer_does_not_stop_the_clock() -> None:
    """Only the seller's own life counts."""
    kit.paid(due_at=FAR).buyer("send-reminder").buyer("post-message").at(T0 + 72 * H).expect("SellerSilenceEstablished")


def test_o6_a_sign_of_life_in_the_dispute_thread_counts() -> None:
    """A silence clock that stood during a dispute does not resume when the seller spoke in its thread."""
    story = kit.quarrelling(due_at=FAR).buyer("request-revision").seller("accept-revision").buyer("send-reminder")
    quiet = story.fork().buyer("open-dispute").buyer("dispute/withdraw")
    assert "silence" in quiet.order.timers
    spoke = story.buyer("open-dispute").seller("dispute/post-message").buyer("dispute/withdraw")
    assert "silence" not in spoke.order.timers
    assert "silence" not in spoke.last("OrderUnfrozen").resumed


def test_o6_the_silence_clock_stands_during_a_dispute() -> None:
    """Its rest runs after the withdrawal."""
    story = kit.quarrelling(due_at=FAR).buyer("request-revision")
    story.seller("accept-revision", due_at=story.now + 10 * D).buyer("send-reminder")
    story.after(12 * H).buyer("open-dispute").after(10 * D)
    assert "SellerSilenceEstablished" not in story.types
    story.buyer("dispute/withdraw").after(60 * H - TICK).expect().after(TICK)
    story.expect("SellerSilenceEstablished", "DisputeUnlocked")


def test_o6_where_something_was_delivered_silence_unlocks_the_dispute_instead() -> None:
    """A refund by clock never takes work away; the buyer gets a ground."""
    story = kit.revision_accepted(due_at=FAR).seller("propose-deadline", due_at=T0 + 10 * D)
    story.buyer("accept-deadline").buyer("send-reminder").at(T0 + D + 72 * H)
    story.expect("SellerSilenceEstablished", "DisputeUnlocked")
    assert [unlock.ground for unlock in story.order.unlocks] == ["seller_silent"]
    silence = story.last("SellerSilenceEstablished").originator_version
    assert story.last("DisputeUnlocked").caused_by == (silence,)
    story.buyer("request-refund", refused="already_delivered")


def test_o7_after_an_established_silence_the_buyer_asks_for_the_money_back() -> None:
    """The request names until when the seller may answer."""
    story = kit.silent().buyer("request-refund", comment="Nothing.").expect("RefundRequested")
    assert story.last("RefundRequested").answer_by == T0 + 72 * H + 48 * H
    assert story.order.request is not None
    assert (story.order.request.kind, story.order.request.answer_by) == ("refund", T0 + 120 * H)


def test_o7_without_a_reminder_or_while_its_clock_runs_there_is_no_refund() -> None:
    """Never reminded, then not yet silent, with the instant at which it will be."""
    kit.paid().buyer("request-refund", refused="reminder_required").saying(unlocked_by=("send-reminder",))
    story = kit.paid().buyer("send-reminder").at(T0 + 72 * H - TICK)
    story.buyer("request-refund", refused="seller_not_silent").saying(available_from=T0 + 72 * H)


def test_o7_one_request_at_a_time() -> None:
    """A pending cancellation or refund request is answered first, in either order."""
    kit.silent().buyer("request-cancellation").buyer("request-refund", refused="cancellation_pending")
    kit.silent().buyer("request-refund").buyer("request-refund", refused="cancellation_pending")
    story = kit.silent().buyer("request-refund").buyer("request-cancellation", refused="cancellation_pending")
    story.saying(available_from=None)


def test_o7_the_instant_named_beside_a_pending_request_is_one_at_which_a_refund_can_be_asked_for() -> None:
    """The end of the request where the silence stands by then, the silence where it takes longer, and none without a clock."""
    story = kit.silent().buyer("request-cancellation").buyer("request-refund", refused="cancellation_pending")
    story.saying(available_from=T0 + 120 * H).at(T0 + 120 * H).buyer("request-refund").expect("RefundRequested")
    story = kit.paid().buyer("send-reminder").buyer("request-cancellation")
    story.buyer("request-refund", refused="cancellation_pending").saying(available_from=T0 + 72 * H)
    story.at(T0 + 72 * H).buyer("request-refund").expect("RefundRequested")
    story = kit.paid().buyer("request-cancellation").buyer("request-refund", refused="cancellation_pending")
    story.saying(available_from=None).at(T0 + 48 * H).buyer("request-refund", refused="reminder_required")
    story = kit.silent(due_at=FAR).seller("post-message").buyer("request-cancellation")
    story.buyer("request-refund", refused="cancellation_pending").saying(available_from=None)
    story.after(48 * H).buyer("request-refund", refused="seller_not_silent")


def test_a_refund_that_will_be_granted_leaves_nothing_to_wait_for() -> None:
    """Neither another reminder nor the date that comes after the end of the order is named."""
    story = kit.silent(due_at=FAR).buyer("request-refund").after(30 * H).buyer("send-reminder")
    story.buyer("send-reminder", refused="reminder_cooldown").saying(available_from=None)
    story.buyer("cancel-overdue", refused="not_overdue").saying(available_from=None)
    story.at(T0 + 120 * H).is_(status="cancelled")


@pytest.mark.parametrize(
    ("role", "command", "events"),
    [
        ("seller", "accept-cancellation", ("CancellationAccepted", "OrderCancelled", "EscrowRefunded")),
        ("seller", "refuse-cancellation", ("CancelRefused",)),
        ("buyer", "withdraw-cancellation", ("CancellationWithdrawn",)),
        ("seller", "deliver", ("Delivered", "CancelRefused")),
    ],
)
def test_o7_a_refund_request_is_answered_like_a_cancellation(role: str, command: str, events: tuple[str, ...]) -> None:
    """Accepting, refusing, delivering or taking it back ends it; nothing is refunded later by the clock."""
    story = kit.silent(due_at=FAR).buyer("request-refund").at(T0 + 120 * H - TICK).act(role, command).expect(*events)
    story.is_(request=None).at(T0 + 121 * H)
    assert "RefundGrantedBySilence" not in story.types


def test_o7_a_message_does_not_answer_a_refund_request() -> None:
    """The seller who only writes still loses the order when the time is up."""
    story = kit.silent(due_at=FAR).buyer("request-refund").seller("post-message")
    story.at(T0 + 120 * H).expect("RefundGrantedBySilence", "OrderCancelled", "EscrowRefunded")


def test_o7_a_refused_refund_counts_like_a_refused_cancellation() -> None:
    """A refused refund and a refused cancellation are two refusals, and unlock the dispute."""
    story = kit.silent(due_at=FAR).buyer("request-refund").seller("refuse-cancellation").expect("CancelRefused")
    story.buyer("request-cancellation").seller("refuse-cancellation").expect("CancelRefused", "DisputeUnlocked")
    assert [unlock.ground for unlock in story.order.unlocks] == ["cancellation_refused_twice"]


def test_o8_an_unanswered_refund_request_is_granted_by_silence_at_48_hours() -> None:
    """One tick before the seller may still answer; at the instant the money is back."""
    story = kit.silent(due_at=FAR).buyer("request-refund").at(T0 + 120 * H - TICK).expect()
    story.at(T0 + 120 * H).expect("RefundGrantedBySilence", "OrderCancelled", "EscrowRefunded")
    story.is_(status="cancelled", ending="refund_granted_by_silence", refunded_minor=PRICE, held_minor=0)
    story.seller("refuse-cancellation", refused="order_closed")


def _blank_bodies() -> list[tuple[str, dict[str, object]]]:
    return [
        ("post-message", {"text": " \n"}),
        ("post-message", {"text": "a\x00"}),
        ("post-message", {}),
        ("send-reminder", {"text": ""}),
        ("request-refund", {"comment": " "}),
        ("request-refund", {"reason": "unknown field"}),
    ]


@pytest.mark.parametrize(("command", "body"), _blank_bodies())
def test_words_are_needed_where_words_are_asked_for(command: str, body: dict[str, object]) -> None:
    """Blank and missing texts, null characters and unknown fields are seen in the body alone."""
    with pytest.raises(ValidationError):
        kit.command_of(command).body.model_validate(body)


def test_unknown_files_are_refused_after_the_rules() -> None:
    """What only the order shows about a body comes last: a locked chat is told first."""
    kit.paid().buyer("post-message", text="x", files=["nope"], refused="unknown_file")
    kit.delivered().buyer("post-message", text="x", files=["nope"], refused="chat_locked")


def test_silence_and_the_delivery_date_may_fall_together() -> None:
    """At the same instant silence is established first, then the order is overdue."""
    story = kit.paid().at(DUE - 72 * H).buyer("send-reminder").at(DUE)
    story.expect("SellerSilenceEstablished", "DeliveryOverdue")
