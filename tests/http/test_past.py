"""Time travel: every view as of a version or an instant is what a reader saw then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from tests.http.world import NOWHERE, Told, World, code, euros, instant, wire

VIEWS: Final = (("buyer", ""), ("buyer", "actions"), ("seller", "actions"), ("auditor", "chat"), ("auditor", "escrow"))


def photograph(order: Told) -> dict[str, Any]:
    """All views as they are now."""
    shown = {f"{who} {view}": order.see(who, view) for who, view in VIEWS}
    if order.dispute_id:
        shown |= {view: order.see("auditor", view) for view in ("dispute", "dispute/thread")}
    return shown


def photograph_of_then(order: Told, at: str, *, disputed: bool) -> dict[str, Any]:
    shown = {f"{who} {view}": order.see(who, view, at=at) for who, view in VIEWS}
    if disputed:
        shown |= {view: order.see("auditor", view, at=at) for view in ("dispute", "dispute/thread")}
    return shown


def a_long_story(world: World) -> Any:
    """Steps of an order with nearly everything in it; between them the clock has moved."""
    order, now = world.placed(due_at=wire(world.now() + timedelta(days=4))), world.now()
    yield order
    world.advance(hours=1)
    order.operator("confirm-payment", payment_reference="p", amount=order.body["price"])
    order.buyer("post-message", text="Bonjour")
    yield order
    world.advance(hours=1)
    order.seller("propose-deadline", due_at=wire(now + timedelta(days=9)))
    order.buyer("request-cancellation", reason="delay")
    yield order
    world.at(now + timedelta(hours=20))
    order.seller("refuse-cancellation", reason="No.")
    yield order
    world.at(now + timedelta(days=5))
    order.seller("deliver", note="Late, sorry", files=[order.file()])
    yield order
    world.at(now + timedelta(days=9))  # a reminder of the validation clock has been sent
    order.buyer("request-revision", points=[{"text": "Darker"}])
    yield order
    world.advance(hours=71)
    order.seller("refuse-revision", reason="No.")
    order.buyer("propose-settlement", refund=euros(4000))
    yield order
    world.advance(hours=3)
    order.buyer("open-dispute", statement="Not the brief.", evidence=[{"description": "The brief"}])
    yield order
    world.advance(hours=49)  # the settlement proposal and the target of the assignment have passed
    order.mediator("dispute/assign")
    order.buyer("dispute/post-message", text="Point 1.")
    yield order
    world.advance(hours=30)
    order.mediator("dispute/decide", assignment=1, outcome="partial_refund", refund=euros(3333), reason="A third.")
    yield order
    world.advance(days=8)
    yield order


@pytest.mark.parametrize("timers", [True, False])
def test_the_past_is_what_was_seen_then(world: World, timers: bool) -> None:
    """Photographs of all views, taken as the story went on, equal what is shown for those instants at its end."""
    world.clock(run_timers=timers)
    album = []
    order: Told | None = None
    for order in a_long_story(world):
        album.append((wire(world.now()), order.dispute_id is not None, photograph(order)))
    assert order is not None
    assert len(album) == 11
    for at, disputed, then in album:
        now = photograph_of_then(order, at, disputed=disputed)
        # What a list of actions says of `turn` and of waiting is part of it: nothing may differ.
        assert now == then, at


def test_timers_that_were_recorded_late_are_shown_when_they_took_effect(world: World) -> None:
    """Nobody looked for a month: the order is completed as of the eighth day, though it was recorded later."""
    world.clock(run_timers=False)
    order = world.delivered()
    delivered_at = world.now()
    world.advance(days=30)
    order.see()
    for days, status in ((6, "delivered"), (7, "completed")):
        assert order.see(at=wire(delivered_at + timedelta(days=days)))["status"] == status
    chat = order.see("buyer", "chat", at=wire(delivered_at + timedelta(days=13, hours=23)))["lock"]
    assert (chat["buyer_can_write"], chat["until"]) == (True, wire(delivered_at + timedelta(days=14)))
    assert order.see("buyer", "chat", at=wire(delivered_at + timedelta(days=14)))["lock"]["code"] == "closed"


def test_every_version_is_what_its_command_answered(world: World) -> None:
    """`?version=` shows the order as that commit left it; versions inside a commit exist too."""
    order = world.placed()
    answers = [order.body]
    answers.append(order.operator("confirm-payment", payment_reference="p", amount=order.body["price"]))
    answers.append(order.buyer("request-cancellation", reason="delay"))
    answers.append(order.seller("refuse-cancellation", reason="No."))
    world.advance(days=2)
    answers.append(order.buyer("request-cancellation", reason="delay"))
    answers.append(order.seller("accept-cancellation"))
    for answer in answers:
        shown = world.get("buyer", order.path, version=answer["version"])
        assert shown.json() == answer
        assert shown.headers["etag"] == f'"{answer["version"]}"'
    assert [order.see(version=n)["version"] for n in range(1, answers[-1]["version"] + 1)]
    assert order.see(version=7)["status"] == "cancelled"


@pytest.mark.parametrize("version", ["0", "-1", "1.5", "x", "", "999999999999999999999999", "00"])
def test_a_version_that_is_no_number_is_invalid(world: World, version: str) -> None:
    """Only whole numbers from 1."""
    answer = world.get("buyer", world.placed().path, version=version)
    assert (answer.status_code, code(answer)) == (422, "invalid_request")


def test_what_never_was_is_not_found(world: World) -> None:
    """A version that does not exist yet, an instant before the placing, a dispute before its opening."""
    order = world.disputed()
    opened_at = instant(order.see("buyer", "dispute")["opened_at"])
    world.advance(days=1)
    assert world.get("buyer", order.path, version=99).status_code == 404
    before = wire(opened_at - timedelta(microseconds=1))
    for view in ("", "/actions", "/chat", "/escrow", "/events"):
        assert world.get("buyer", order.path + view, at=before).status_code == 404
    for view in ("", "/actions", "/thread"):
        assert world.get("buyer", f"/v1/disputes/{order.dispute_id}{view}", at=before).status_code == 404
        assert world.get("buyer", f"/v1/disputes/{NOWHERE}{view}").status_code == 404


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", ""]
)
def test_an_instant_that_cannot_be_used_is_invalid(world: World, at: str) -> None:
    """Not RFC 3339, without an offset, or in the future."""
    order = world.placed()
    for path in (order.path, f"{order.path}/chat", f"{order.path}/actions"):
        answer = world.get("buyer", path, at=at)
        assert (answer.status_code, code(answer)) == (422, "invalid_request")


def test_a_past_view_does_not_change_the_present(world: World) -> None:
    """Looking back records nothing that the present would not record."""
    order = world.delivered()
    world.advance(days=1)
    before = order.events()
    order.see(at=wire(world.now() - timedelta(hours=2)))
    assert order.events() == before


def test_a_stranger_finds_no_past_either(world: World) -> None:
    """404 with and without `at`; staff and parties are let in then as now."""
    order = world.paid()
    at = wire(world.now())
    assert world.get("stranger", order.path, at=at).status_code == 404
    assert world.get("seller", order.path, at=at).status_code == 200
