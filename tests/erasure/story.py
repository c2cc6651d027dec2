"""What the tests of erasure share: a full story with marked words, the command line, and erasing in this process."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from datetime import timedelta
from typing import Any, Final

import psycopg
import uvloop
from tests.http.service import ROOT, Service
from tests.http.world import Told, World

from brojobs_es.console import erase as console
from brojobs_es.settings import Settings
from brojobs_es.store.vault import CHECK_SECONDS

NO_TIME: Final = 0.0
"""How long these erasures wait for other processes, where a test does not look at them."""
SETTLE_SECONDS: Final = CHECK_SECONDS + 0.2


class Marked:
    """Texts that stand nowhere else: one a person and a run."""

    def __init__(self) -> None:
        run = secrets.token_hex(8)
        self.buyer, self.seller, self.mediator = (f"{name}PLAINTEXT{run}" for name in ("buyer", "seller", "mediator"))


def full_story(world: World, marked: Marked) -> Told:
    """An order with words of everybody in every place that takes words, decided by a mediator, and over."""
    b, s, m = marked.buyer, marked.seller, marked.mediator
    order = world.paid(title=f"title {b}", brief=f"brief {b}")
    order.buyer("post-message", text=f"hello {b}", files=[order.file("buyer", f"{b}.txt")])
    order.seller("post-message", text=f"hello {s}", files=[order.file("seller", f"{s}.txt")])
    order.buyer("send-reminder", text=f"reminder {b}")
    order.buyer("propose-deadline", due_at=later(world, 8), comment=f"deadline {b}")
    order.seller("propose-deadline", due_at=later(world, 9), comment=f"deadline {s}")
    order.buyer("request-cancellation", reason="other", comment=f"cancel {b}")
    order.seller("refuse-cancellation", reason=f"no {s}")
    order.seller("deliver", note=f"note {s}", files=[order.file("seller", f"v1-{s}.txt")])
    order.buyer("request-revision", points=[{"text": f"point {b}", "files": [order.file("buyer", f"point-{b}.txt")]}])
    order.seller("refuse-revision", reason=f"refused {s}")
    order.buyer("propose-settlement", refund={"amount": 1, "currency": "EUR"}, comment=f"settle {b}")
    evidence = [{"description": f"piece {b}", "files": [order.file("buyer", f"piece-{b}.txt")]}]
    order.buyer("open-dispute", statement=f"statement {b}", evidence=evidence)
    order.mediator("dispute/assign")
    order.mediator("dispute/add-note", text=f"note {m}")
    order.mediator("dispute/request-information", **{"from": "buyer", "question": f"question {m}"})
    order.buyer("dispute/post-message", text=f"thread {b}")
    order.seller("dispute/submit-evidence", kind="statement", description=f"evidence {s}")
    order.mediator("dispute/decide", assignment=1, outcome="full_refund", reason=f"decided {m}")
    return order


def later(world: World, days: float) -> str:
    return (world.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def brojobs(service: Service, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    ours = {
        "BROJOBS_DATABASE_URL": service.database_url,
        "BROJOBS_DATA_DIR": str(service.folder),
        "BROJOBS_LOGS": os.environ.get("BROJOBS_LOGS", "1"),
        "PYTHONPATH": str(ROOT / "src"),
        **settings,
    }
    command = [sys.executable, "-m", "brojobs_es.cli", *arguments]
    return subprocess.run(
        command, check=False, env=plain | ours, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


def settings_of(service: Service, retention_days: int = 0) -> Settings:
    return Settings(
        database_url=service.database_url,
        data_dir=service.folder,
        retention_days=retention_days,
        logs=int(os.environ.get("BROJOBS_LOGS", "1")),
    )


def erase(service: Service, person: str, settle_seconds: float = NO_TIME, retention_days: int = 0) -> int:
    """Erase in this process; how many orders that concerned."""
    made = settings_of(service, retention_days)
    erased, rewritten = uvloop.run(
        console.erase(made, service.database_url, person, "They asked for it", "ops", settle_seconds)
    )
    assert rewritten
    return erased.orders


def rows(service: Service, query: str, *params: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(service.database_url) as connection:
        return connection.execute(query.encode(), params).fetchall()
