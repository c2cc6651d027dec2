"""The scheduler only makes happen what would show anyhow: with it stopped every answer is the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
from tests.http.service import Service, service, worker
from tests.http.world import Told, World, euros, wire

DUE: Final = 50
PATIENCE_SECONDS: Final = 20.0
OF_ITS_OWN: Final = {"position", "cursor", "recorded_at", "command_id", "correlation_id", "digest", "log"}
VIEWS: Final = (
    ("buyer", ""), ("buyer", "actions"), ("seller", "actions"), ("operator", "actions"), ("buyer", "chat"),
    ("auditor", "escrow"),
)  # fmt: skip
DISPUTE_VIEWS: Final = (("mediator", "dispute"), ("mediator", "dispute/thread"), ("mediator", "dispute/actions"))


@pytest.fixture(scope="module")
def pair(new_database: Callable[[], str], data_folder: Path) -> Iterator[tuple[World, World]]:
    """Two services on databases of their own, with one clock between them; the second one's scheduler is stopped."""
    with ExitStack() as stack:
        first = stack.enter_context(service(new_database(), data_folder))
        second = stack.enter_context(service(new_database(), data_folder, scheduler=False))
        one = stack.enter_context(World(first.url))
        other = stack.enter_context(World(second.url, one.people))
        one.follow(other)
        yield one, other
        assert "Traceback" not in first.failures + second.failures


class Both:
    """The same order in both services: each step is taken twice, and then everything must look the same."""

    def __init__(self, pair: tuple[World, World], **changes: Any) -> None:
        pair[0].advance(days=1)
        body = {"order_id": str(uuid4())} | changes
        self.worlds, self.looking = pair, True
        self.orders = [world.placed(**body) for world in pair]
        self.paid_at = self.worlds[0].now()
        self.do("operator", "confirm-payment", payment_reference="p", amount=self.orders[0].body["price"])

    def at(self, **span: float) -> None:
        """The clocks show this long after the payment."""
        self.worlds[0].at(self.paid_at + timedelta(**span))
        self.look()

    def do(self, who: str, command: str, **body: Any) -> Any:
        first, second = (order.do(who, command, **body) for order in self.orders)
        assert plain(first) == plain(second)
        self.look()
        return first

    def file(self) -> str:
        first, second = (order.file() for order in self.orders)
        assert first == second
        return first

    def look(self) -> None:
        if self.looking:
            first, second = (photograph(order) for order in self.orders)
            assert first == second


def plain(value: Any) -> Any:
    """Without what is each service's own: positions in its log, when it recorded, ids of its commands."""
    if isinstance(value, dict):
        kept = {name: plain(part) for name, part in value.items() if name not in OF_ITS_OWN}
        if {"count", "needed", "events"} <= set(value):
            kept["events"] = len(value["events"])
        if {"debit", "credit", "event"} <= set(value):
            del kept["event"]
        return kept
    return [plain(part) for part in value] if isinstance(value, list) else value


def photograph(order: Told) -> Any:
    views = VIEWS + (DISPUTE_VIEWS if order.dispute_id else ())
    shown = {f"{who} {view}": plain(order.see(who, view)) for who, view in views}
    listed = order.world.see("buyer", "/v1/orders", limit=1000)["items"]
    shown["list"] = plain([item for item in listed if item["order_id"] == str(order.id)])
    shown["events"] = plain(order.events())
    return shown


def _silence(both: Both) -> None:
    both.do("buyer", "send-reminder", text="Are you there?")
    both.at(hours=72)
    both.do("buyer", "request-refund")
    both.at(hours=119, minutes=59)
    both.at(hours=120)
    both.at(days=13)


def _unanswered(both: Both) -> None:
    both.do("buyer", "request-cancellation", reason="no_response")
    both.do("seller", "propose-deadline", due_at=wire(both.paid_at + timedelta(days=9)))
    both.do("seller", "propose-settlement", refund=euros(77))
    both.at(hours=48)
    both.do("buyer", "open-dispute", statement="No answer.", evidence=[{"description": "The request"}])
    both.at(days=4)
    both.at(days=5)
    both.do("mediator", "dispute/assign")
    both.at(days=30)
    both.do("buyer", "dispute/withdraw")
    both.at(days=76)
    both.at(days=79)


def _revised(both: Both) -> None:
    both.at(days=2)
    both.do("seller", "deliver", note="x", files=[both.file()])
    both.at(days=5, hours=1)
    both.do("buyer", "request-revision", points=[{"text": "Darker"}])
    both.at(days=9)
    both.at(days=15, hours=2)
    both.at(days=16)
    both.at(days=40)


def _overdue_revision(both: Both) -> None:
    both.do("seller", "deliver", note="x", files=[both.file()])
    both.do("buyer", "request-revision", points=[{"text": "Darker"}])
    both.do("seller", "accept-revision")
    both.at(days=3)
    both.do("buyer", "send-reminder", text="?")
    both.at(days=6)
    both.do("buyer", "open-dispute", statement="Nothing.", evidence=[{"description": "The date"}])
    both.at(days=9)
    both.do("mediator", "dispute/assign")
    due_at = wire(both.paid_at + timedelta(days=12))
    both.do("mediator", "dispute/decide", assignment=1, outcome="relaunch", due_at=due_at, reason="Go on.")
    both.at(days=12)
    both.at(days=20)


STORIES: Final = (_silence, _unanswered, _revised, _overdue_revision)


@pytest.mark.parametrize("looking", [True, False], ids=["looked at after each step", "looked at in the end"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__.strip("_"))
def test_a_stopped_scheduler_changes_no_answer(
    pair: tuple[World, World], story: Callable[[Both], None], looking: bool
) -> None:
    """Twin orders, one without a scheduler: every view, every list and every event is the same but for its recording."""
    both = Both(pair)
    both.looking = looking
    story(both)
    both.looking = True
    both.look()


def recorded(database_url: str, logs: int, kind: str) -> Counter[str]:
    """How often an event of this kind is recorded for each order; asking the database fires nothing."""
    found: Counter[str] = Counter()
    with psycopg.connect(database_url) as connection:
        for log in range(logs):
            query = f"SELECT order_id, count(*) FROM log_{log:d}.events WHERE topic = %s GROUP BY order_id"
            found.update({str(row[0]): row[1] for row in connection.execute(query.encode(), (f"order:{kind}",))})
    return found


def wait_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_several_schedulers_fire_each_timer_once(world: World, twin: World, running: Service, log_count: int) -> None:
    """Two processes see the same fifty due orders at the same instant; each timer is recorded exactly once."""
    orders = [world.delivered() for _ in range(DUE)]
    mine = {str(order.id) for order in orders}
    world.advance(days=7)

    def validated() -> Counter[str]:
        found = recorded(running.database_url, log_count, "DeliveryAutoAccepted")
        return Counter({order_id: times for order_id, times in found.items() if order_id in mine})

    assert wait_for(lambda: len(validated()) == DUE), f"{len(validated())} of {DUE}"
    assert set(validated().values()) == {1}
    reminders = recorded(running.database_url, log_count, "ValidationReminderSent")
    assert {reminders[order_id] for order_id in mine} == {2}
    world.advance(days=7)
    assert wait_for(lambda: mine <= set(recorded(running.database_url, log_count, "ChatClosed")))
    for order in orders[:5]:
        assert Counter(order.types()).most_common(1)[0] == ("ValidationReminderSent", 2)
        order.balanced()


def test_a_scheduler_that_starts_late_catches_up(world: World, running: Service, log_count: int) -> None:
    """Stopped while everything becomes due, then started: it records what had taken effect, when it took effect."""
    world.clock(run_timers=False)
    order = world.delivered()
    delivered_at = world.now()
    world.advance(days=30)
    time.sleep(0.7)
    assert recorded(running.database_url, log_count, "OrderCompleted")[str(order.id)] == 0
    world.clock(run_timers=True)
    assert wait_for(lambda: recorded(running.database_url, log_count, "ChatClosed")[str(order.id)] == 1)
    ends = {event["type"]: event["effective_at"] for event in order.events()}
    assert ends["OrderCompleted"] == wire(delivered_at + timedelta(days=7))
    assert ends["ChatClosed"] == wire(delivered_at + timedelta(days=14))


def test_a_worker_fires_what_nobody_looked_at(clean_logs: str, log_count: int, tmp_path: Path) -> None:
    """A process of its own, by the machine's clock, while the service has no scheduler and nobody asks it anything."""
    with service(clean_logs, tmp_path, scheduler=False) as process, World(process.url) as world:
        order = world.placed(due_at=wire(world.now() + timedelta(seconds=1)))
        time.sleep(1.5)
        assert recorded(clean_logs, log_count, "PaymentExpired")[str(order.id)] == 0
        with worker(clean_logs, tmp_path):
            assert wait_for(lambda: recorded(clean_logs, log_count, "PaymentExpired")[str(order.id)] == 1)
        shown = order.see()
        assert (shown["status"], shown["ending"], shown["ended_at"]) == (
            "cancelled",
            "payment_expired",
            shown["due_at"],
        )
