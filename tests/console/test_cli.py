from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jwt
import psycopg
import pytest
from tests import kit
from tests.console.helpers import store
from typer.main import get_command
from typer.testing import CliRunner

from brojobs_es.api.keys import DevelopmentKey
from brojobs_es.cli import app
from brojobs_es.projections import VIEWS

COMMANDS = {"demo", "migrate", "rebuild", "replay", "serve", "token", "worker"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data of its own for each test, and English."""
    monkeypatch.setenv("BROJOBS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BROJOBS_LANGUAGE", "en")


def test_every_command_and_option_says_what_it_is_for() -> None:
    """Nobody has to read the source to use the command line."""
    commands = get_command(app).commands  # type: ignore[attr-defined]

    assert set(commands) >= COMMANDS
    for command in commands.values():
        assert command.help, command.name
        for parameter in command.params:
            assert parameter.help, f"{command.name} {parameter.name}"


def test_no_option_can_be_set_by_the_environment() -> None:
    """The sandbox, above all, is asked for by name and by nothing else."""
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        assert all(parameter.envvar is None for parameter in command.params)
        assert command.context_settings.get("auto_envvar_prefix") is None


@pytest.mark.parametrize(
    "command", [["serve"], ["worker"], ["migrate"], ["rebuild", "all"], ["demo"], ["token", "a", "buyer"]]
)
def test_a_wrong_setting_is_one_calm_line(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Exit code 2, the name of the variable, no traceback."""
    monkeypatch.setenv("BROJOBS_PORT", "eighty")

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 2
    assert result.stderr.startswith("brojobs: BROJOBS_PORT: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["worker"], ["migrate"], ["rebuild", "all"], ["replay", str(kit.ORDER_ID)]])
def test_a_database_that_is_not_there_is_one_calm_line(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """The password of the URL is not in it."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", "postgresql://me:hush@127.0.0.1:1/none")

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 2
    assert result.stderr.startswith("brojobs: the database cannot be used: ")
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


def test_a_database_that_was_never_migrated_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, empty_database: Callable[[], str]
) -> None:
    """A given database is never changed without being asked to."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", empty_database())

    result = CliRunner().invoke(app, ["worker"])

    assert (result.exit_code, result.stderr) == (
        2, "brojobs: this database was never migrated: run `brojobs migrate`\n"
    )  # fmt: skip


def test_migrating_says_what_it_did_and_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, empty_database: Callable[[], str]
) -> None:
    """The second time there is nothing to do."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", empty_database())

    first, second = (CliRunner().invoke(app, ["migrate"]) for _ in range(2))

    assert first.stdout.startswith("applied 0001_roles.sql database\n")
    assert "applied 0002_log.sql log_0\n" in first.stdout
    assert (second.exit_code, second.stdout) == (0, "nothing to do: the database is at this version\n")


def test_rebuilding_fills_the_views_and_counts(
    monkeypatch: pytest.MonkeyPatch, clean_logs: str, log_count: int
) -> None:
    """Six events are folded into the views of orders in one pass, and into the audit log, and the rows are there afterwards."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs)
    store(clean_logs, log_count, kit.completed())

    result = CliRunner().invoke(app, ["rebuild", "all"])

    assert result.exit_code == 0, result.output
    assert f"{', '.join(view.name for view in VIEWS)}: 6 events folded in " in result.stdout
    assert "\naudit: 6 events folded in " in result.stdout
    with psycopg.connect(clean_logs) as connection:
        assert connection.execute("SELECT released FROM views.escrow").fetchall() == [(10_001,)]


def test_a_view_that_does_not_exist_is_answered_with_those_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 and the list, before any database is touched."""
    result = CliRunner().invoke(app, ["rebuild", "chats"])

    assert result.exit_code == 2
    assert result.stderr.startswith("brojobs: there is no view 'chats'; there are chat_lock, ")


def test_a_token_is_signed_with_the_folder_s_key(tmp_path: Path) -> None:
    """It names the user and the roles, and the service's own key proves it."""
    result = CliRunner().invoke(app, ["token", "ana", "buyer", "seller"])

    public = DevelopmentKey.in_folder(tmp_path / "data").public
    claims = jwt.decode(result.stdout.strip(), public.key, algorithms=["EdDSA"])
    assert claims == {"sub": "ana", "roles": ["buyer", "seller"]}


@pytest.mark.parametrize("arguments", [["ana", "king"], ["ana", "time"], ["", "buyer"], ["a" * 256, "buyer"]])
def test_a_token_for_nobody_or_nothing_is_refused(arguments: list[str]) -> None:
    """Only people have tokens, and only for roles that exist."""
    assert CliRunner().invoke(app, ["token", *arguments]).exit_code == 2


def test_somebody_else_s_data_folder_is_one_calm_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that is a file cannot hold data."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BROJOBS_DATA_DIR", str(tmp_path / "file"))

    result = CliRunner().invoke(app, ["token", "ana", "buyer"])

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
