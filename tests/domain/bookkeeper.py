"""An independent book-keeper: status, dates, money and chat lock of one order, from the accepted commands alone.

It knows nothing of events, aggregates or guards. It is told what was accepted and when, runs clocks of its own, and
says what must be true. Numbers are written out again on purpose: a changed default must show here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

H: Final = timedelta(hours=1)
D: Final = timedelta(days=1)

CLOCKS: Final = (
    "payment", "silence", "refund", "delivery", "deadline", "cancellation", "validation", "revision_answer",
    "revision_due", "settlement", "chat",
)  # fmt: skip
ENDED: Final = ("completed", "cancelled")
ALWAYS: Final = {"post-message", "confirm-payment"}
IN_DISPUTES: Final = {
    "propose-settlement", "accept-settlement", "refuse-settlement", "withdraw-settlement", "concede",
}  # fmt: skip


@dataclass
class Bookkeeper:
    """Minor units and instants in, the truth out."""

    price: int
    commission_bps: int
    placed_at: datetime
    due_at: datetime
    status: str = "awaiting_payment"
    held: int = 0
    refunded: int = 0
    released: int = 0
    commission: int = 0
    funded: int = 0
    clocks: dict[str, datetime] = field(default_factory=dict)
    stood: dict[str, timedelta] = field(default_factory=dict)
    request: str | None = None
    refusals: int = 0
    unlocks: list[str] = field(default_factory=list)
    deliveries: int = 0
    revision: str | None = None
    silent: bool = False
    deadline: tuple[str, datetime] | None = None
    settlement: tuple[str, int] | None = None
    before: str = ""
    opener: str | None = None
    seller_spoke: bool = False
    chat_closed: bool = False

    def __post_init__(self) -> None:
        self.clocks["payment"] = min(self.placed_at + D, self.due_at)

    # -- what must be true

    @property
    def accounts(self) -> dict[str, int]:
        """Buyer, escrow, seller, platform: they sum to zero."""
        return {
            "buyer": self.refunded - self.funded, "escrow": self.held, "seller": self.released, "platform": self.commission,
        }  # fmt: skip

    @property
    def lock(self) -> tuple[bool, bool, str | None]:
        """Whether the buyer and the seller may write, and why not."""
        if self.status == "delivered":
            return False, True, "delivered"
        if self.status == "disputed":
            return False, False, "disputed"
        return (False, False, "closed") if self.chat_closed else (True, True, None)

    def overdue(self, now: datetime) -> bool:
        return self.status == "in_progress" and now >= self.due_at

    def forbids(self, command: str) -> bool:
        """Commands that the status alone rules out."""
        if command.startswith("dispute/"):
            return self.opener is None
        if self.status in ENDED:
            return command not in ALWAYS
        if self.status == "awaiting_payment":
            return command not in ALWAYS
        return self.status == "disputed" and command not in ALWAYS | IN_DISPUTES

    def next_instant(self) -> datetime | None:
        return min(self.clocks.values(), default=None)

    # -- time

    def tick(self, now: datetime) -> None:
        """Every clock that has run out by now does what it does, the earliest first."""
        while self.clocks and min(self.clocks.values()) <= now:
            name = min(self.clocks, key=lambda clock: (self.clocks[clock], CLOCKS.index(clock)))
            at = self.clocks.pop(name)
            getattr(self, f"_time_{name}", lambda at: None)(at)

    def _time_payment(self, at: datetime) -> None:
        self._end("cancelled", at)

    def _time_silence(self, at: datetime) -> None:
        self.silent = True
        if self.deliveries:
            self._unlock("seller_silent", at)

    def _time_refund(self, at: datetime) -> None:
        self._refund(at)

    def _time_delivery(self, at: datetime) -> None:
        if self.deliveries:
            self._unlock("revision_overdue", at)

    def _time_deadline(self, at: datetime) -> None:
        self.deadline = None

    def _time_settlement(self, at: datetime) -> None:
        self.settlement = None

    def _time_cancellation(self, at: datetime) -> None:
        self._answered(at)
        self._refused(at)
        self._unlock("cancellation_unanswered", at)

    def _time_validation(self, at: datetime) -> None:
        self._pay_out(0, at)

    def _time_revision_answer(self, at: datetime) -> None:
        self._denied(at, "revision_unanswered")

    def _time_revision_due(self, at: datetime) -> None:
        self._unlock("revision_overdue", at)

    def _time_chat(self, at: datetime) -> None:
        self.chat_closed = True

    # -- what people did

    def accepted(self, role: str, command: str, body: Mapping[str, Any], now: datetime) -> None:
        """A command of this role was accepted at this instant."""
        name = command.removeprefix("dispute/").replace("-", "_")
        act: Callable[..., None] | None = getattr(self, f"_{'in_' if '/' in command else ''}{name}", None)
        if act is not None:
            act(role=role, body=body, now=now)
        if role == "seller" and "/" not in command:
            self._sign_of_life()

    def _sign_of_life(self) -> None:
        self.silent = False
        self._stop("silence")

    def _confirm_payment(self, now: datetime, **_: Any) -> None:
        if self.status != "awaiting_payment":
            return
        self.status = "in_progress"
        self.funded = self.held = self.price
        self.clocks = {"delivery": self.due_at}

    def _send_reminder(self, now: datetime, **_: Any) -> None:
        if not self.silent:
            self.clocks.setdefault("silence", now + 72 * H)

    def _request_refund(self, now: datetime, **_: Any) -> None:
        self.request, self.clocks["refund"] = "refund", now + 48 * H

    def _request_cancellation(self, now: datetime, **_: Any) -> None:
        self.request, self.clocks["cancellation"] = "cancellation", now + 48 * H
        if "validation" in self.clocks:
            self.stood["validation"] = self.clocks.pop("validation") - now

    def _accept_cancellation(self, now: datetime, **_: Any) -> None:
        self._refund(now)

    def _refuse_cancellation(self, now: datetime, **_: Any) -> None:
        self._answered(now)
        self._refused(now)

    def _withdraw_cancellation(self, now: datetime, **_: Any) -> None:
        self._answered(now)

    def _cancel_overdue(self, now: datetime, **_: Any) -> None:
        self._refund(now)

    def _concede(self, now: datetime, **_: Any) -> None:
        self._refund(now)

    def _propose_deadline(self, role: str, body: Mapping[str, Any], now: datetime) -> None:
        self.deadline = (role, body["due_at"])
        self.clocks["deadline"] = min(now + 48 * H, body["due_at"])

    def _accept_deadline(self, now: datetime, **_: Any) -> None:
        assert self.deadline is not None
        self.due_at = self.deadline[1]
        self.clocks["revision_due" if self.revision == "accepted" else "delivery"] = self.due_at
        self._no_deadline()
        self.unlocks = [ground for ground in self.unlocks if ground != "revision_overdue"]

    def _no_deadline(self, **_: Any) -> None:
        self.deadline = None
        self._stop("deadline")

    _refuse_deadline = _withdraw_deadline = _no_deadline

    def _propose_settlement(self, role: str, body: Mapping[str, Any], now: datetime) -> None:
        self.settlement = (role, body["refund"]["amount"])
        self.clocks["settlement"] = now + 48 * H

    def _accept_settlement(self, now: datetime, **_: Any) -> None:
        assert self.settlement is not None
        self._pay_out(self.settlement[1], now)

    def _no_settlement(self, **_: Any) -> None:
        self.settlement = None
        self._stop("settlement")

    _refuse_settlement = _withdraw_settlement = _no_settlement

    def _deliver(self, now: datetime, **_: Any) -> None:
        answers_revision = self.revision in {"pending", "accepted"}
        self.deliveries += 1
        self.status = "delivered"
        self.revision = "answered" if answers_revision else self.revision
        self._stop("delivery", "revision_due", "revision_answer")
        self._no_deadline()
        self._start_validation(now)
        if self.request:
            self._answered(now)
            self._refused(now)
        if answers_revision:
            self._unlock("revision_insufficient", now)

    def _accept_delivery(self, now: datetime, **_: Any) -> None:
        self._pay_out(0, now)

    def _request_revision(self, now: datetime, **_: Any) -> None:
        self.status, self.revision = "revision_requested", "pending"
        self._stop("validation")
        self.clocks["revision_answer"] = now + 72 * H

    def _accept_revision(self, body: Mapping[str, Any], now: datetime, **_: Any) -> None:
        self.status, self.revision = "in_progress", "accepted"
        self._stop("revision_answer")
        self.due_at = self.clocks["revision_due"] = body.get("due_at") or now + 3 * D

    def _refuse_revision(self, now: datetime, **_: Any) -> None:
        self._denied(now, "revision_refused")

    # -- disputes

    def _open_dispute(self, role: str, body: Mapping[str, Any], now: datetime) -> None:
        ground = body.get("ground") or (self.unlocks[-1] if self.unlocks else None)
        if role == "buyer" and ground in self.unlocks:
            self.unlocks.remove(str(ground))
            self.refusals = 0 if ground == "cancellation_refused_twice" else self.refusals
        if self.request:
            self._answered(now)
            if role == "seller":
                self._refused(now)
        self._no_deadline()
        self.before, self.status, self.opener, self.seller_spoke = self.status, "disputed", role, False
        for clock in [name for name in self.clocks if name != "settlement"]:
            self.stood[clock] = self.clocks.pop(clock) - now

    def _in_post_message(self, role: str, **_: Any) -> None:
        self.seller_spoke = self.seller_spoke or role == "seller"

    _in_submit_evidence = _in_post_message

    def _in_withdraw(self, role: str, now: datetime, **_: Any) -> None:
        self.status = self.before
        for clock, left in self.stood.items():
            self.clocks[clock] = now + max(left, 24 * H)
        self.stood = {}
        if self.seller_spoke or role == "seller":
            self._sign_of_life()
        self.due_at = self.clocks.get("delivery", self.clocks.get("revision_due", self.due_at))

    def _in_decide(self, body: Mapping[str, Any], now: datetime, **_: Any) -> None:
        match body["outcome"]:
            case "full_refund":
                self._refund(now)
            case "partial_refund":
                self._pay_out(body["refund"]["amount"], now)
            case "validate_delivery":
                self._pay_out(0, now)
            case "relaunch":
                self.status, self.due_at = "in_progress", body["due_at"]
                self.clocks, self.stood = {"delivery": self.due_at}, {}
                self.request = self.settlement = self.deadline = None
                self.revision = None if self.revision in {"pending", "accepted"} else self.revision
                self.silent, self.refusals, self.unlocks = False, 0, []

    # -- what follows

    def _stop(self, *names: str) -> None:
        for name in names:
            self.clocks.pop(name, None)
            self.stood.pop(name, None)

    def _start_validation(self, at: datetime) -> None:
        self._stop("validation")
        if self.request:
            self.stood["validation"] = 7 * D
        else:
            self.clocks["validation"] = at + 7 * D

    def _answered(self, at: datetime) -> None:
        self.request = None
        self._stop("refund", "cancellation")
        if "validation" in self.stood:
            self.clocks["validation"] = at + self.stood.pop("validation")

    def _refused(self, at: datetime) -> None:
        self.refusals += 1
        if self.refusals >= 2:
            self._unlock("cancellation_refused_twice", at)

    def _denied(self, at: datetime, ground: str) -> None:
        self.status, self.revision = "delivered", "denied"
        self._stop("revision_answer")
        self._start_validation(at)
        self._unlock(ground, at)

    def _unlock(self, ground: str, at: datetime) -> None:
        if ground in self.unlocks:
            return
        self.unlocks.append(ground)
        if "validation" in self.clocks:
            self.clocks["validation"] = max(self.clocks["validation"], at + 24 * H)

    def _refund(self, at: datetime) -> None:
        self.refunded, self.held = self.held, 0
        self._end("cancelled", at)

    def _pay_out(self, refund: int, at: datetime) -> None:
        share = self.held - refund
        self.commission = share * self.commission_bps // 10_000
        self.refunded, self.released, self.held = refund, share - self.commission, 0
        self._end("completed", at)

    def _end(self, status: str, at: datetime) -> None:
        self.status = status
        self.clocks, self.stood = {"chat": at + 7 * D}, {}
        self.request = self.deadline = self.settlement = None
        self.unlocks = []
