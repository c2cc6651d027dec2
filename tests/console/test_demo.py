from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console
from tests.console.helpers import printed
from typer.testing import CliRunner

from brojobs_es.cli import app
from brojobs_es.console.client import SandboxClient
from brojobs_es.console.demo import ledger_table, lock_words
from brojobs_es.console.stories import Stage, Unexpected


def test_the_demo_plays_both_stories_and_checks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, every check passed, and a database that somebody has configured is left alone."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    result = CliRunner().invoke(app, ["demo", "--lang", "en"])

    assert result.exit_code == 0, result.output
    assert "✗" not in result.stdout
    assert result.stdout.count("✓ the replayed order is the one that HTTP shows") == 2
    played = re.search(r"(\d+) commands played in \d+ s, everything holds", result.stdout)
    assert played
    assert int(played[1]) >= 24


class Liar(BaseHTTPRequestHandler):
    """A service that accepts everything: the demo has to notice."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"token": "x", "order_id": "1"})

    def do_GET(self) -> None:
        self._answer({"version": 1, "status": "in_progress", "overdue": False, "now": "2030-01-07T09:00:00Z"})

    def _answer(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar() -> Iterator[SandboxClient]:
    with HTTPServer(("127.0.0.1", 0), Liar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SandboxClient("127.0.0.1", server.server_port, "en")
        server.shutdown()
        thread.join()


def test_a_command_that_should_be_refused_and_is_not_ends_the_demo(liar: SandboxClient) -> None:
    """The story says what must happen; anything else is a failure, named."""
    stage = Stage(liar, Console(quiet=True), "en")
    stage.does("buyer", "place")

    with pytest.raises(Unexpected, match="cancel-overdue by the buyer: expected not_overdue, got 200"):
        stage.does("buyer", "cancel-overdue", refused="not_overdue")


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (60, ["   1  buyer      place", "      200  v1   in progress"]),
        (80, ["   1  buyer      place                       200  v1   in progress"]),
    ],
)
def test_a_step_fits_the_terminal(liar: SandboxClient, width: int, lines: list[str]) -> None:
    """What became of the order stands beside the command, or below it where there is no room."""
    file = io.StringIO()

    Stage(liar, Console(file=file, width=width, highlight=False, _environ={}), "en").does("buyer", "place")

    assert file.getvalue().splitlines() == lines


def test_a_step_that_needs_two_lines_stays_in_its_column(liar: SandboxClient) -> None:
    """A pause too long for the terminal goes on below its own words."""
    file = io.StringIO()
    stage = Stage(liar, Console(file=file, width=40, highlight=False, _environ={}), "en")

    stage.at(stage.client.now() + timedelta(days=5, hours=1))

    assert file.getvalue().splitlines() == ["      ── 5 days and 1 hour later,", "         2030-01-12 10:00:00 UTC"]


def test_the_ledger_shows_each_transfer_and_the_balances() -> None:
    """What leaves one account arrives on another, and the last line is what each holds."""
    escrow = {
        "currency": "EUR",
        "accounts": {"buyer": -100, "escrow": 100, "seller": 0, "platform": 0},
        "entries": [{"event": 2, "type": "EscrowFunded", "debit": "buyer", "credit": "escrow", "amount": 100}],
    }

    lines = [line.split() for line in printed(ledger_table(escrow, "en")).splitlines()]

    assert lines == [
        ["buyer", "escrow", "seller", "platform"],
        ["#2", "EscrowFunded", "EUR", "-1.00", "EUR", "1.00"],
        ["=", "EUR", "-1.00", "EUR", "1.00", "EUR", "0.00", "EUR", "0.00"],
    ]


def test_the_lock_is_told_with_its_reason_and_its_end() -> None:
    """Both sides, one side or nobody; why; until when."""
    free = {"buyer_can_write": True, "seller_can_write": True, "code": None, "until": "2026-03-01T12:00:00.000000Z"}
    closed = {"buyer_can_write": False, "seller_can_write": False, "code": "closed", "until": None}

    assert lock_words(free, "en") == "chat open, until 2026-03-01 12:00:00 UTC"
    assert lock_words(closed, "en") == "chat locked (chat closed)"


def test_a_narrow_ledger_folds_and_cuts_nothing() -> None:
    """Names stay whole at 60 columns, and every letter is there at 40."""
    escrow = {
        "currency": "EUR",
        "accounts": {"buyer": -25_000, "escrow": 0, "seller": 22_500, "platform": 2_500},
        "entries": [{"event": 23, "type": "EscrowReleased", "debit": "escrow", "credit": "seller", "amount": 22_500}],
    }

    assert "EscrowReleased" in printed(ledger_table(escrow, "en", 1), width=60)
    assert "…" not in printed(ledger_table(escrow, "en", 1), width=40)
