"""The command line `brojobs`. What went wrong with a setting or the database is one calm line and exit code 2."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from getpass import getuser
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

import psycopg
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from brojobs_es import bootstrap
from brojobs_es.aggregates.base import Role
from brojobs_es.application.history import History
from brojobs_es.application.records import StoreUnavailable
from brojobs_es.console import arguments
from brojobs_es.console.case_cli import case
from brojobs_es.console.evidence_cli import verify, witness
from brojobs_es.console.logs import log_to_stderr, show_from
from brojobs_es.console.replaying import NothingToShow, recorded_history, up_to
from brojobs_es.projections import VIEWS
from brojobs_es.settings import DataFolderError, Settings, SettingsError, prepare_data_dir
from brojobs_es.store import audit_table, embedded
from brojobs_es.store.embedded import EmbeddedPostgresError
from brojobs_es.store.migrate import MigrationError
from brojobs_es.store.migrate import migrate as migrate_database
from brojobs_es.vault import MasterKeyError

app = typer.Typer(
    name="brojobs",
    help="The life of an order as immutable events: escrow, deadlines, revisions, cancellations and disputes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(case, name="case")
app.command()(verify)
app.command()(witness)

ALL_VIEWS: Final = "all"
_VIEWS_OF_ORDERS: Final = [view.name for view in VIEWS]
VIEW_NAMES: Final = (*_VIEWS_OF_ORDERS, audit_table.VIEW)
_ROLES: Final = tuple(str(role) for role in Role if role is not Role.TIME)
Lang = Annotated[Literal["fr", "en"] | None, typer.Option(help="Language, instead of BROJOBS_LANGUAGE.")]
_out = Console(highlight=False)


class Trouble(Exception):
    """What the person at the terminal has to know; ends the program with code 2."""


_CALM: Final = (
    Trouble,
    SettingsError,
    DataFolderError,
    MigrationError,
    EmbeddedPostgresError,
    MasterKeyError,
    OSError,
)
"""Errors whose message is written for whoever runs the service."""


@contextlib.contextmanager
def calmly() -> Iterator[None]:
    """Turn what a deployment can get wrong into one line on standard error and exit code 2."""
    try:
        yield
    except NothingToShow as nothing:
        _say(str(nothing), code=1)
    except psycopg.Error as error:
        _say(f"the database cannot be used: {_first_line(error)}")
    except StoreUnavailable as error:
        _say(f"the database is not reached: {_first_line(error)}")
    except _CALM as error:
        _say(str(error))


def _say(message: str, code: int = 2) -> None:
    typer.echo(f"brojobs: {message}", err=True)
    raise typer.Exit(code)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _settings() -> Settings:
    log_to_stderr()
    settings = Settings.from_environment()
    show_from(settings.log_level)
    return settings


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(installed_version("brojobs-es"))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Settings come from the environment, BROJOBS_…; each command says what else it takes."""


# -- running


@app.command()
def serve(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Hand out tokens and a clock to anybody. For trying things out, only.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of BROJOBS_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port, instead of BROJOBS_PORT; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Processes that answer, beside one for the rest, instead of BROJOBS_WORKERS."),
    ] = None,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Leave due timers to `brojobs worker`, or to whoever looks.")
    ] = False,
) -> None:
    """Run the HTTP service until Ctrl-C, on an embedded PostgreSQL unless BROJOBS_DATABASE_URL is set."""
    from brojobs_es.console import serving

    with calmly():
        settings = _settings()
        host, port = host or settings.host, settings.port if port is None else port
        workers = workers or settings.workers
        if sandbox and workers is not None:
            raise Trouble("a sandbox has one clock, and so one process: leave --workers and BROJOBS_WORKERS out")
        try:
            sock = serving.listening(host, port)
        except OSError as error:
            raise Trouble(f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}") from None
        with sock:
            prepare_data_dir(settings.data_dir)  # files and the sandbox key lie there, whatever the database is
            changed = {"host": host, "port": sock.getsockname()[1], "workers": workers}
            settings = settings.model_copy(update=changed)
            with bootstrap.database(settings) as url:
                ready = partial(_tell_where, settings, sandbox=sandbox)
                if workers is not None:
                    serving.serve_together(settings, url, sock, ready, workers, scheduler=not no_scheduler)
                else:
                    uvloop.run(serving.serve(settings, url, sock, ready, sandbox=sandbox, scheduler=not no_scheduler))
        _out.print("stopped")


def _tell_where(settings: Settings, *, sandbox: bool) -> None:
    kept = "the given PostgreSQL" if settings.database_url else f"{settings.data_dir}"
    typer.echo(f"brojobs serves {settings.base_url}" + (" as a sandbox" if sandbox else ""))
    for path, what in (("/docs", "every call, to read and to try"), ("/healthz", "alive"), ("/readyz", "ready")):
        typer.echo(f"  {settings.base_url}{path}  {what}")
    if sandbox:
        _out.print(
            "  anybody gets a token from POST /v1/sandbox/tokens and moves the clock: keep this machine's door shut"
        )
    elif settings.jwks is None:
        typer.echo("  BROJOBS_JWKS is not set: without keys to check tokens with, nobody gets in")
    typer.echo(f"  data in {kept}; Ctrl-C stops")


@app.command()
def worker() -> None:
    """Keep the views up to date and fire due timers, without HTTP. Any number may run at once."""
    from brojobs_es.console import serving

    with calmly():
        settings = _settings()
        with bootstrap.database(settings) as url:
            uvloop.run(serving.work(settings, url, lambda: _out.print("the worker is at work; Ctrl-C stops")))
        _out.print("stopped")


# -- the database


@app.command()
def migrate() -> None:
    """Bring the database to this version, and say what that took. Safe to repeat, and from several places at once."""
    with calmly():
        settings = _settings()
        if settings.database_url is not None:
            applied = migrate_database(settings.database_url, settings.logs)
        else:
            prepare_data_dir(settings.data_dir)
            with embedded.start(settings.data_dir) as server:
                applied = migrate_database(server.uri, settings.logs)
        for name in applied:
            _out.print(f"applied {name}")
        _out.print(f"{len(applied)} applied" if applied else "nothing to do: the database is at this version")


@app.command()
def rebuild(
    view: Annotated[str, typer.Argument(help=f"One of {', '.join(VIEW_NAMES)}, or {ALL_VIEWS}.")],
) -> None:
    """Fold a view again from the first event. Readers see the old rows until the new ones are there."""
    names = list(VIEW_NAMES)
    with calmly():
        if view not in (*names, ALL_VIEWS):
            raise Trouble(f"there is no view {view!r}; there are {', '.join(names)}, and {ALL_VIEWS} for all of them")
        settings = _settings()
        with bootstrap.database(settings) as url:
            passes = [_VIEWS_OF_ORDERS, [audit_table.VIEW]] if view == ALL_VIEWS else [[view]]
            uvloop.run(_rebuild(settings, url, passes))


async def _rebuild(settings: Settings, url: str, passes: list[list[str]]) -> None:
    """Views of one pass are folded together."""
    from brojobs_es.console import serving

    serving.collect_seldom()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    async with bootstrap.running(settings, url, background=False) as runtime:
        for names in passes:
            title = ", ".join(names)
            began = time.monotonic()
            with Progress(*columns, console=_out, transient=True, disable=not _out.is_terminal) as progress:
                bars = {log: progress.add_task(f"{title}, log {log}", total=None) for log in range(settings.logs)}
                taken = await runtime.projector.rebuild(
                    names, partial(_show_progress, progress, bars), processes=serving.cores()
                )
            seconds = time.monotonic() - began
            rate = f", {taken / seconds:,.0f} events/s" if taken else ""
            _out.print(f"{title}: {taken} events folded in {seconds:.2f} s{rate}", soft_wrap=True)


def _show_progress(progress: Progress, bars: Mapping[int, TaskID], log: int, done: int, last: int) -> None:
    progress.update(bars[log], completed=done, total=last)


@app.command()
def erase(
    person: Annotated[str, typer.Argument(help="The user's id.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded on each of the person's orders.")],
    by: Annotated[str | None, typer.Option(help="Who orders it; by default the user of this machine.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    lang: Lang = None,
) -> None:
    """Destroy what a person wrote and uploaded, for ever, without touching an event. Safe to repeat when interrupted.

    Refused while an order of theirs is in dispute, goes on, or must be kept (BROJOBS_RETENTION_DAYS).
    """
    from brojobs_es.console import erase as erasure

    with calmly():
        settings = _settings()
        language = lang or settings.language
        if not 1 <= len(person) <= 255 or not reason.strip() or not (by is None or 1 <= len(by) <= 255):
            raise Trouble("a person and a reason are needed; ids have 1 to 255 characters")
        if sys.stdin.isatty() and not yes:
            typer.confirm(erasure.question(person, language), abort=True)
        prepare_data_dir(settings.data_dir)
        with bootstrap.database(settings) as url:
            told, code = uvloop.run(erasure.told(settings, url, person, reason.strip(), by or getuser(), language))
        typer.echo(told, err=code != 0)
    raise typer.Exit(code)


# -- looking


@app.command()
def replay(
    order_id: Annotated[
        UUID,
        typer.Argument(parser=arguments.order_id, metavar="ID", help="The id of the order, or of one of its disputes."),
    ],
    lang: Lang = None,
    at: Annotated[
        datetime | None,
        typer.Option(parser=arguments.instant, help="Only what had taken effect then: 2026-03-01T12:00:00Z."),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Only what was recorded up to this version.")] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="What changed between two instants or versions.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Write the case file, a zip that verifies offline.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a timeline.")] = False,
) -> None:
    """Tell an order's whole history from its events: who, when, and where order, chat and money stood after each.

    Reads with the rights of the auditor (--bundle needs those of the service) and fires no timer.
    """
    with calmly():
        if sum(each is not None for each in (at, version, diff, bundle)) > 1:
            raise Trouble("one of --at, --version, --diff and --bundle, not several")
        settings = _settings()
        language = lang or settings.language
        with bootstrap.database(settings) as url:
            if bundle is not None:
                _bundle(settings, url, order_id, bundle, language)
                return
            history, log = recorded_history(url, settings, order_id, language)
        if diff is not None:
            _show_changes(history, diff, language, as_json=as_json)
            return
        shown = up_to(history, language, at=at, version=version)
    if as_json:
        from brojobs_es.console.document import document

        json.dump(document(shown, log, language), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        from brojobs_es.console.timeline import timeline

        _out.print(timeline(shown, language))


def _bundle(settings: Settings, url: str, order_id: UUID, target: Path, language: str) -> None:
    from brojobs_es.console.bundling import NoCaseFile, bundle

    try:
        size = bundle(settings, url, order_id, target, language)
    except NoCaseFile as error:
        raise Trouble(str(error)) from error
    written = f"{size:,} octets".replace(",", "\N{NO-BREAK SPACE}") if language == "fr" else f"{size:,} bytes"
    _out.print(f"{target}: {written}; brojobs case verify {target} --key signing-key.pub", soft_wrap=True)


def _show_changes(history: History, points: tuple[str, str], language: str, *, as_json: bool) -> None:
    from brojobs_es.console import changes
    from brojobs_es.console.changes_table import table

    first, second = (int(point) if re.fullmatch(r"[0-9]{1,9}", point) else arguments.instant(point) for point in points)
    found = changes.difference(history, first, second, language)
    if as_json:
        json.dump(changes.document(found, first, second, language), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        _out.print(table(found, language))


# -- trying out


@app.command()
def token(
    sub: Annotated[str, typer.Argument(help="The user's id, 1 to 255 characters.")],
    roles: Annotated[list[str], typer.Argument(help=f"Some of {', '.join(_ROLES)}.")],
) -> None:
    """Print a sandbox token for a user, signed with the development key of the data folder."""
    from brojobs_es.api.keys import DevelopmentKey

    with calmly():
        if unknown := [role for role in roles if role not in _ROLES]:
            raise Trouble(f"{unknown[0]!r} is not a role; roles are {', '.join(_ROLES)}")
        if not 1 <= len(sub) <= 255:
            raise Trouble("a user id has 1 to 255 characters")
        folder = prepare_data_dir(_settings().data_dir)
        typer.echo(DevelopmentKey.in_folder(folder).mint(sub, roles))


@app.command()
def demo(
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here; without it, it goes away with the demo.")
    ] = None,
    lang: Lang = None,
) -> None:
    """Play an order's life over HTTP on a database of its own, replay it from its events, and check what must hold."""
    from brojobs_es.console import demo as stage

    with calmly():
        settings = _settings()
        language = lang or settings.language
        held = stage.play(_out, language, settings, data_dir)
    raise typer.Exit(0 if held else 1)


if __name__ == "__main__":
    app()
