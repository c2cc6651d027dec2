from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from tests import kit
from tests.console.helpers import store
from tests.kit import Story
from typer.testing import CliRunner

from brojobs_es.cli import app

Replay = Callable[..., Any]
ORDER = str(kit.ORDER_ID)


@pytest.fixture
def replay(clean_logs: str, log_count: int, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """`brojobs replay` over a database that holds one story."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs)
    monkeypatch.setenv("BROJOBS_LANGUAGE", "en")

    def run(story: Story, *arguments: str) -> Any:
        store(clean_logs, log_count, story)
        return CliRunner().invoke(app, ["replay", *arguments])

    return run


def test_an_order_is_told_from_the_database(replay: Replay) -> None:
    """The recorded order appears, with its end."""
    result = replay(kit.completed(), ORDER)

    assert result.exit_code == 0, result.output
    assert "The buyer accepted delivery no. 1." in result.stdout
    assert "State       completed (delivery accepted by the buyer)" in result.stdout


def test_french_and_english_are_a_choice(replay: Replay) -> None:
    """--lang wins over the setting."""
    assert "L’acheteur a validé la livraison n°\u00a01." in replay(kit.completed(), ORDER, "--lang", "fr").stdout


def test_a_dispute_s_id_leads_to_its_order(replay: Replay) -> None:
    """A mediator knows the dispute and wants the whole history."""
    story = kit.disputed()

    result = replay(story, str(story.dispute.id))

    assert result.exit_code == 0, result.output
    assert f"Order {ORDER}" in result.stdout


def test_an_unknown_order_is_said_in_a_sentence(replay: Replay) -> None:
    """Exit code 1, one line, no traceback."""
    nobody = str(uuid.uuid4())

    result = replay(kit.placed(), nobody)

    assert result.exit_code == 1
    assert result.stderr == f"brojobs: There is no order {nobody} here.\n"


def test_an_instant_shows_what_had_taken_effect(replay: Replay) -> None:
    """The overdue timer counts from its deadline, though it was recorded days later."""
    result = replay(kit.paid().at(kit.DUE + 3 * kit.D), ORDER, "--at", "2026-03-06T12:00:00Z")

    assert "DeliveryOverdue" not in result.stdout
    assert "Overdue: the delivery" in result.stdout
    assert "not shown: 0" in result.stdout


def test_an_instant_and_a_version_exclude_each_other(replay: Replay) -> None:
    """One point in the past, not two."""
    result = replay(kit.paid(), ORDER, "--at", "2026-03-06T12:00:00Z", "--version", "1")

    assert result.exit_code == 2
    assert re.fullmatch(r"brojobs: .*--at\b.*--version\b.* not .*\n", result.stderr)


@pytest.mark.parametrize("instant", ["yesterday", "2026-03-06", "2026-03-06T12:00:00"])
def test_an_instant_needs_its_offset(replay: Replay, instant: str) -> None:
    """What could be meant in two ways is refused."""
    assert replay(kit.paid(), ORDER, "--at", instant).exit_code == 2


def test_json_is_one_document_with_what_stood_after_each_event(replay: Replay) -> None:
    """The events as the API shows them, each with state, chat and money."""
    document = json.loads(replay(kit.completed(), ORDER, "--json").stdout)

    assert [event["type"] for event in document["events"]] == kit.completed().types
    first, last = document["events"][0], document["events"][-1]
    assert first["actor"] == {"role": "buyer", "id": "ana"}
    assert first["effective_at"] == "2026-03-01T12:00:00.000000Z"
    assert first["after"]["state"] == "awaiting_payment"
    assert last["after"]["money"] == {
        "currency": "EUR", "funded": 10_001, "held": 0, "refunded": 0, "released": 10_001, "commission": 0,
        "accounts": {"buyer": -10_001, "escrow": 0, "seller": 10_001, "platform": 0},
    }  # fmt: skip
    assert document["state"] == "completed"
    assert document["chat"]["until"] == "2026-03-09T12:00:00.000000Z"
    assert document["next_timer"] == {"name": "chat_close", "at": "2026-03-09T12:00:00.000000Z"}


def test_a_replay_is_the_same_whenever_it_is_read(replay: Replay) -> None:
    """Nothing in it depends on the clock of the reader, though the order's timers are long due."""
    first = replay(kit.paid(), ORDER, "--json").stdout

    assert CliRunner().invoke(app, ["replay", ORDER, "--json"]).stdout == first


def test_reading_records_nothing(replay: Replay, clean_logs: str, log_count: int) -> None:
    """An order with due timers has the same events before and after."""
    replay(kit.paid(), ORDER)

    with psycopg.connect(clean_logs) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM log_{log}.events".encode()).fetchone() for log in range(log_count)
        ]
    assert sum(row[0] for row in counts if row) == 2


@pytest.fixture
def as_login(clean_logs: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Makes a login with these rights that the commands then use (the test server trusts who connects)."""

    def use(rights: str) -> None:
        login = f"login_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(clean_logs, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {login} LOGIN {rights}".encode())
        request.addfinalizer(lambda: _drop(clean_logs, login))
        superuser = urlsplit(clean_logs).username
        monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs.replace(f"//{superuser}@", f"//{login}@", 1))

    return use


def test_the_auditor_s_rights_are_enough(replay: Replay, as_login: Callable[[str], None]) -> None:
    """A login that may take the auditor's role, and no other, can replay."""
    as_login("IN ROLE brojobs_auditor")

    result = replay(kit.paid(), ORDER)

    assert result.exit_code == 0, result.output


def test_the_auditor_s_rights_make_no_case_file(
    replay: Replay, as_login: Callable[[str], None], tmp_path: Path
) -> None:
    """It is recorded and its events are sealed first: the sentence says whose login that needs, at once."""
    as_login("IN ROLE brojobs_auditor")

    result = replay(kit.paid(), ORDER, "--bundle", str(tmp_path / "case.zip"))

    assert result.exit_code == 2
    assert "written with the service's login" in result.stderr
    assert list(tmp_path.glob("*.zip")) == []


def test_a_login_without_any_role_is_told_so(as_login: Callable[[str], None]) -> None:
    """The service does not start, and says why."""
    as_login("")

    result = CliRunner().invoke(app, ["worker"])

    assert result.exit_code == 2
    assert "this login was not granted its roles" in result.stderr


@pytest.mark.parametrize(
    ("language", "arguments", "said"),
    [
        ("fr", ["pas-un-id"], "« pas-un-id » n’est pas l’identifiant"),
        ("en", ["no-id"], "'no-id' is not the id of an order"),
        ("fr", [ORDER, "--at", "hier"], "« hier » n’est pas un instant"),
        ("en", [ORDER, "--at", "yesterday"], "'yesterday' is not an instant"),
    ],
)
def test_what_is_typed_wrong_is_said_in_ones_language(
    monkeypatch: pytest.MonkeyPatch, language: str, arguments: list[str], said: str
) -> None:
    """Before anything is read."""
    monkeypatch.setenv("BROJOBS_LANGUAGE", language)

    result = CliRunner().invoke(app, ["replay", *arguments])

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def _drop(database_url: str, login: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {login}".encode())
