"""Every command of every role in every named state: complete, reviewed, and the same with and without a body."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.domain.states import STATES
from tests.domain.table import OTHER_MEDIATOR, PAGE, ROLES, Cell, cells, page
from tests.kit import Story

from brojobs_es.aggregates.base import EVENTS
from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.aggregates.order_parts import Status

WHO = {
    "buyer": (
        "post-message send-reminder cancel-overdue propose-deadline accept-deadline refuse-deadline withdraw-deadline "
        "request-refund request-cancellation withdraw-cancellation accept-delivery request-revision propose-settlement "
        "accept-settlement refuse-settlement withdraw-settlement open-dispute "
        "dispute/post-message dispute/submit-evidence dispute/withdraw"
    ),
    "seller": (
        "post-message propose-deadline accept-deadline refuse-deadline withdraw-deadline accept-cancellation "
        "refuse-cancellation deliver accept-revision refuse-revision propose-settlement accept-settlement "
        "refuse-settlement withdraw-settlement concede open-dispute "
        "dispute/post-message dispute/submit-evidence dispute/withdraw"
    ),
    "mediator": (
        "dispute/assign dispute/hand-over dispute/post-message dispute/add-note dispute/request-information dispute/decide"
    ),
    "operator": "confirm-payment open-dispute dispute/hand-over dispute/withdraw",
    "auditor": "",
}
"""Who may give which command, by hand; `open-dispute` of an operator is the one after the escrow alarm."""

BY_TIME_ONLY = {
    "PaymentExpired", "SellerSilenceEstablished", "RefundGrantedBySilence", "DeliveryOverdue", "DeadlineProposalExpired",
    "CancellationRequestExpired", "ValidationReminderSent", "DeliveryAutoAccepted", "RevisionRequestExpired",
    "RevisionOverdue", "SettlementProposalExpired", "EscrowAgeAlarmRaised", "ChatClosed", "MediatorAssignmentOverdue",
    "ResponseWindowClosed", "DecisionOverdue",
}  # fmt: skip
CODES_OF_RULES = {
    "not_paid", "already_paid", "order_closed", "order_frozen", "chat_locked", "chat_closed", "not_overdue",
    "already_delivered", "nothing_delivered", "not_in_progress", "not_delivered", "reminder_cooldown",
    "reminder_required", "seller_not_silent", "cancellation_pending", "no_cancellation_pending",
    "cancellation_cooldown", "request_expired", "proposal_pending", "proposal_void", "own_proposal",
    "not_own_proposal", "revision_pending", "no_revision_pending", "revision_already_refused", "dispute_locked",
    "dispute_open", "disputes_exhausted", "dispute_closed", "evidence_window", "already_assigned", "not_assigned",
    "stale_assignment", "outcome_not_available",
}  # fmt: skip
FROM_A_WRONG_BODY = {"already_paid", "stale_assignment"}
"""Rules that only another payment or an old assignment meets; the table gives right bodies."""


@pytest.fixture(scope="module")
def table() -> list[Cell]:
    return [cell for state in STATES for cell in cells(state)]


def all_commands(story: Story) -> Iterator[str]:
    yield from ORDER_COMMANDS
    if story.case.dispute:
        yield from (f"dispute/{name}" for name in DISPUTE_COMMANDS)


def test_the_page_is_what_the_code_does() -> None:
    """The reviewed copy is current; a new command or state without its row fails here."""
    assert PAGE.read_text(encoding="utf-8") == page(), "read what `python -m tests.domain.table` changes, then keep it"


def test_the_table_is_complete(table: list[Cell]) -> None:
    """Every state, command and role has its row, once; a decision one for each outcome."""
    rows = [(cell.state, cell.command, cell.role) for cell in table]
    assert len(rows) == len(set(rows))
    for state, (_, given) in STATES.items():
        for name in all_commands(given()):
            for role in ROLES:
                outcomes = {row[1] for row in rows if row[0] == state and row[2] == role and row[1].split()[0] == name}
                assert len(outcomes) == (4 if name == "dispute/decide" else 1), (state, name, role)


def test_every_status_has_a_state() -> None:
    """The named states cover all statuses of an order."""
    assert {given().order.status for _, given in STATES.values()} == set(Status)


def test_a_wrong_role_is_forbidden_everywhere_and_a_right_one_is_not(table: list[Cell]) -> None:
    """Only the withdrawal of a dispute also looks at who opened it."""
    for cell in table:
        name, role = cell.command.split()[0], cell.role.removeprefix("another ")
        if name not in WHO[role].split():
            assert cell.code == "forbidden", cell
        elif name != "dispute/withdraw":
            assert cell.code != "forbidden", cell


def test_every_command_is_possible_somewhere(table: list[Cell]) -> None:
    """For each role that it is for, there is a state in which it does something."""
    possible = {(cell.role, cell.command.split()[0]) for cell in table if cell.events}
    for role, commands in WHO.items():
        assert {name for name in commands.split() if (role, name) not in possible} == set()


def test_every_event_of_a_command_is_seen_in_the_table(table: list[Cell]) -> None:
    """Together with placing, erasing and what only time does, these are all events there are."""
    seen = {event for cell in table for event in cell.events}
    assert seen | BY_TIME_ONLY | {"OrderPlaced", "DisputeUnlockTakenBack", "PersonErased"} == {
        event.__name__ for event in EVENTS.values()
    }
    assert not seen & BY_TIME_ONLY


def test_every_rule_is_met_in_the_table(table: list[Cell]) -> None:
    """Every code of the rules refuses something there, and nothing else does but a role or a date out of range."""
    seen = {cell.code for cell in table if cell.code}
    assert seen == (CODES_OF_RULES - FROM_A_WRONG_BODY) | {"forbidden", "due_at_out_of_range"}


def test_a_refused_command_records_nothing_and_a_possible_one_something(table: list[Cell]) -> None:
    """Except for the two repetitions that are harmless."""
    for cell in table:
        assert bool(cell.events) != bool(cell.code) or cell.command in {"confirm-payment", "dispute/assign"}, cell


@pytest.mark.parametrize("state", STATES)
def test_the_list_of_actions_says_what_the_command_would(state: str) -> None:
    """Judged without a body, every command is possible or refused with the very code that a right body meets."""
    given = STATES[state][1]()
    with_body: dict[tuple[str, str], set[str | None]] = {}
    for cell in cells(state):
        with_body.setdefault((cell.command.split()[0], cell.role), set()).add(cell.code)
    for (name, role), codes in with_body.items():
        by = "max" if role == OTHER_MEDIATOR else None
        refusal = given.judge(role.removeprefix("another "), name, None, by)
        code = refusal.code if refusal else None
        if name == "confirm-payment" and None in codes:
            assert code in {None, "already_paid", "order_frozen", "order_closed"}
        else:
            assert code == (None if None in codes else next(iter(codes))), (name, role)


def test_judging_changes_nothing() -> None:
    """Asking all there is to ask leaves the case as it was."""
    for _, given in STATES.values():
        story = given()
        before, events = repr(sorted(vars(story.order).items())), len(story.case.new)
        for name in all_commands(story):
            for role in ROLES:
                story.judge(role, name, None)
        assert (repr(sorted(vars(story.order).items())), len(story.case.new)) == (before, events)
