"""The demo: a service of its own, two stories over HTTP, their replay from the events, and the checks that must hold."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from brojobs_es.aggregates.commands.chatting import ChatLock
from brojobs_es.api import render
from brojobs_es.application.history import History
from brojobs_es.console.client import SandboxClient
from brojobs_es.console.hanging import Hanging
from brojobs_es.console.replaying import recorded_history
from brojobs_es.console.steps import money_errors, steps_of
from brojobs_es.console.stories import WIDE, Stage, Unexpected, mediated, renegotiated
from brojobs_es.console.timeline import Shown, chat_words, timeline, until_words
from brojobs_es.language import Text as Bilingual
from brojobs_es.language import format_money
from brojobs_es.settings import Settings
from brojobs_es.store import embedded

START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 20.0
_HOST: Final = "127.0.0.1"
_COMMISSION_BPS: Final = "1000"

_WORDS: Final = {
    "starting": Bilingual("Démarrage du service en bac à sable…", "Starting the service as a sandbox…"),
    "first": Bilingual("Une commande en retard, renégociée, retouchée, validée",
                       "An order late, renegotiated, revised, accepted"),
    "second": Bilingual("Une retouche refusée, un litige, la décision d’un médiateur",
                        "A revision refused, a dispute, a mediator's decision"),
    "chat": Bilingual("Verrou de la conversation", "Chat lock"),
    "ledger": Bilingual("Livre de compte", "Ledger"),
    "replay": Bilingual("La même commande, rejouée depuis ses événements", "The same order, replayed from its events"),
    "checks": Bilingual("Vérifications", "Checks"),
    "balanced": Bilingual("après chacun des {n} événements : comptes à zéro, séquestre ≥ 0, rien de perdu",
                          "after each of {n} events: accounts sum to zero, escrow ≥ 0, nothing lost"),
    "order": Bilingual("la commande rejouée est celle que HTTP montre", "the replayed order is the one that HTTP shows"),
    "chat_same": Bilingual("la conversation aussi", "so is the chat"),
    "escrow_same": Bilingual("les comptes aussi", "so are the accounts"),
    "events_same": Bilingual("les événements aussi, dans le même ordre", "so are the events, in the same order"),
    "held": Bilingual("{n} commandes jouées en {s} s, tout tient", "{n} commands played in {s} s, everything holds"),
    "broken": Bilingual("quelque chose ne tient pas", "something does not hold"),
}  # fmt: skip


def play(console: Console, lang: str, settings: Settings, data_dir: Path | None = None) -> bool:
    """Whether both stories went as they should and everything that must hold, held.

    The service and its data are the demo's own: in `data_dir`, or in a folder that goes away. Of the settings only the
    number of logs is used.
    """
    began = time.monotonic()
    own = settings.model_copy(update={"database_url": None, "master_key": None})

    def say(name: str, **values: object) -> str:
        return _WORDS[name].of(lang).format(**values)

    with contextlib.ExitStack() as stack:
        folder = data_dir.absolute() if data_dir is not None else stack.enter_context(_temporary_folder())
        console.print(say("starting"))
        try:
            client = stack.enter_context(_service(folder, lang, own.logs))
            # A still clock from the first step on: the stories move it, the machine does not.
            client.move_to((client.now() + timedelta(days=1)).replace(hour=9, minute=0, second=0, microsecond=0))
            commands, held = 0, True
            for title, story in (("first", renegotiated), ("second", mediated)):
                console.print(Rule(say(title)))
                stage = Stage(client, console, lang)
                story(stage)
                commands += stage.commands
                held = _look_and_check(stage, console, say, _recorded(stage, folder, own, lang), lang) and held
        except Unexpected as error:
            console.print(Text(str(error), "red"))
            held, commands = False, 0
    seconds = f"{time.monotonic() - began:.0f}"
    console.print(Rule())
    console.print(Text(say("held", n=commands, s=seconds), "bold green") if held else Text(say("broken"), "bold red"))
    return held


def _recorded(stage: Stage, folder: Path, settings: Settings, lang: str) -> tuple[History, int]:
    """The story's order, read from the database past the service."""
    with embedded.start(folder) as server:
        return recorded_history(server.uri, settings, UUID(stage.order_id), lang)


def _look_and_check(
    stage: Stage, console: Console, say: Callable[..., str], recorded: tuple[History, int], lang: str
) -> bool:
    """Show lock, ledger and replay of the story's order, and check that what is recorded and what HTTP shows agree."""
    history, log = recorded
    chat, escrow = stage.sees("/chat"), stage.sees("/escrow")
    console.print(f"\n{say('chat')}")
    console.print(Text(f"  {lock_words(chat['lock'], lang)}"))
    console.print(f"\n{say('ledger')}")
    console.print(ledger_table(escrow, lang, 2 if console.width >= WIDE else 1))
    console.print(Rule(say("replay")))
    console.print(timeline(Shown(history), lang))
    console.print(f"\n{say('checks')}")
    now = History.of(history.entries, stage.client.now())
    assert now is not None
    events = [render.event(entry, now.order_id, log) for entry in now.entries]
    wrong = [f"#{step.entry.position}: {error}" for step in steps_of(now) for error in money_errors(step)]
    results = [
        (say("balanced", n=len(now.entries)), wrong),
        (say("order"), _differences(render.order(now), stage.sees())),
        (say("chat_same"), _differences(render.chat(now), chat)),
        (say("escrow_same"), _differences(render.escrow(now), escrow)),
        (say("events_same"), _differences({"items": events}, {"items": stage.sees("/events", limit="1000")["items"]})),
    ]
    for what, errors in results:
        mark, style = ("✗", "red") if errors else ("✓", "green")
        console.print(Hanging(Text(f"  {mark}", style), Text("\n".join([what, *errors]), style), 4))
    return not any(errors for _, errors in results)


def _differences(replayed: dict[str, Any], shown: dict[str, Any]) -> list[str]:
    """Members of the replayed document that HTTP shows differently, with both values."""
    mine = json.loads(json.dumps(replayed))
    return [f"{name}: {value} / {shown.get(name)}" for name, value in mine.items() if value != shown.get(name)]


def lock_words(lock: dict[str, Any], lang: str) -> str:
    """Who can write in the chat, why not, and until when, from the lock as HTTP shows it."""
    until = lock["until"] and datetime.fromisoformat(lock["until"])
    chat = ChatLock(lock["buyer_can_write"], lock["seller_can_write"], lock["code"], until=until)
    return chat_words(chat, lang) + until_words(chat, lang)


def ledger_table(escrow: dict[str, Any], lang: str, gap: int = 2) -> Table:
    """Every transfer, and the balances that they make, from the escrow as HTTP shows it; `gap` blanks between columns."""
    table = Table(show_footer=True, header_style="dim", box=None, padding=(0, gap, 0, 0))
    accounts = escrow["accounts"]
    table.add_column("", footer="=", overflow="fold")
    for name, balance in accounts.items():
        table.add_column(name, footer=format_money(balance, escrow["currency"], lang), justify="right", overflow="fold")
    for entry in escrow["entries"]:
        moved = {entry["debit"]: -entry["amount"], entry["credit"]: entry["amount"]}
        amounts = [format_money(moved[name], escrow["currency"], lang) if name in moved else "" for name in accounts]
        table.add_row(f"#{entry['event']} {entry['type']}", *amounts)
    return table


# -- a service of its own


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    # Open to everybody, below /var/tmp: run as root, the embedded database is another user and has to get there.
    folder = Path(tempfile.mkdtemp(prefix="brojobs-demo-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _service(folder: Path, lang: str, logs: int) -> Iterator[SandboxClient]:
    """`brojobs serve --sandbox` over this folder, never over a database that somebody has configured."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    own = {
        "BROJOBS_COMMISSION_BPS": _COMMISSION_BPS,
        "BROJOBS_DATA_DIR": str(folder),
        "BROJOBS_LANGUAGE": lang,
        "BROJOBS_LOGS": str(logs),
        "BROJOBS_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "brojobs_es.cli", "serve", "--sandbox", "--host", _HOST, "--port", str(port)]
    log = folder / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=kept | own, stdout=output, stderr=output)  # noqa: S603  (our own program)
    try:
        client = SandboxClient(_HOST, port, lang)
        if not _ready(client, process):
            raise Unexpected(f"the service did not start:\n{log.read_text(errors='replace')[-3000:]}")
        yield client
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(client: SandboxClient, process: subprocess.Popen[bytes]) -> bool:
    """True once the service says so; False when it ended or takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            if client.call("GET", "/readyz").status == 200:
                return True
        time.sleep(0.1)
    return False
