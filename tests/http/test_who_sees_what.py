"""Who may read what of an order in dispute: every view with every kind of reader, none missing."""

from __future__ import annotations

from typing import Final

import pytest
from tests.http.world import Told, World

READERS: Final = ("nobody", "stranger", "buyer", "seller", "mediator", "mediator2", "auditor", "operator")

# 200 seen, 401 no token, 403 not this role, 404 nothing to do with it; in the order of READERS.
VIEWS: Final = {
    "":                 (401, 404, 200, 200, 200, 200, 200, 200),
    "actions":          (401, 404, 200, 200, 200, 200, 403, 200),
    "chat":             (401, 404, 200, 200, 200, 200, 200, 200),
    "escrow":           (401, 404, 200, 200, 200, 200, 200, 200),
    "events":           (401, 404, 200, 200, 200, 200, 200, 200),
    "support-summary":  (401, 404, 200, 200, 403, 403, 403, 200),
    "files":            (401, 404, 200, 200, 200, 200, 200, 403),
    "case-file":        (401, 404, 403, 403, 200, 200, 200, 403),
    "custody":          (401, 404, 403, 403, 200, 200, 200, 403),
    "dispute":          (401, 404, 200, 200, 200, 200, 200, 403),
    "dispute/thread":   (401, 404, 200, 200, 200, 200, 200, 403),
    "dispute/actions":  (401, 404, 200, 200, 200, 200, 403, 200),
    "dispute/overview": (401, 404, 403, 403, 200, 200, 200, 403),
}  # fmt: skip
DOCKET: Final = (401, 403, 403, 403, 200, 200, 200, 200)

SECRET: Final = "Between us: the brief is clear."
SEES_NOTES: Final = {"mediator", "mediator2", "auditor"}


def in_dispute(world: World) -> tuple[Told, str]:
    """An order under review with a private note, and a file of the seller's."""
    order = world.under_review()
    order.mediator("dispute/add-note", text=SECRET)
    order.mediator("dispute/post-message", text="I have the case.")
    return order, order.body["deliveries"][0]["files"][0]["file_id"]


def path(order: Told, view: str, file_id: str) -> str:
    if view.startswith("dispute"):
        return f"/v1/disputes/{order.dispute_id}{view.removeprefix('dispute')}"
    return f"{order.path}/files/{file_id}" if view == "files" else f"{order.path}/{view}".rstrip("/")


@pytest.mark.parametrize("view", VIEWS)
def test_every_reader_of_every_view(world: World, view: str) -> None:
    """The whole row of the table, reader by reader."""
    order, file_id = in_dispute(world)
    told = [world.get(None if who == "nobody" else who, path(order, view, file_id)) for who in READERS]
    assert tuple(answer.status_code for answer in told) == VIEWS[view]


def test_mediators_find_the_support_summary_in_the_overview(world: World) -> None:
    """The same lines that a party and an operator read."""
    order, _ = in_dispute(world)
    overview = world.see("mediator", f"/v1/disputes/{order.dispute_id}/overview")
    for language in ("fr", "en"):
        lines = world.see("operator", f"{order.path}/support-summary", lang=language)["lines"]
        assert overview["summary"][language] == lines != []


def test_who_may_see_the_docket(world: World) -> None:
    """Mediators, auditors and operators; a party has its own order for that."""
    told = [world.get(None if who == "nobody" else who, "/v1/disputes") for who in READERS]
    assert tuple(answer.status_code for answer in told) == DOCKET


@pytest.mark.parametrize("who", [who for who in READERS if who not in {"nobody", "stranger"}])
def test_private_notes_are_seen_by_mediators_and_auditors_only(world: World, who: str) -> None:
    """In no view at all does anybody else find the words of a note, or that there is one."""
    order, file_id = in_dispute(world)
    seen = {view: world.get(who, path(order, view, file_id)) for view in VIEWS if view != "case-file"}
    with_words = {view for view, answer in seen.items() if SECRET in answer.text}
    with_traces = {view for view, answer in seen.items() if "MediatorNoteAdded" in answer.text}
    if who in SEES_NOTES:
        assert with_words >= {"events", "dispute/thread"}
    else:
        assert (with_words, with_traces) == (set(), set())
