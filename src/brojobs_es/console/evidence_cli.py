"""`brojobs verify` and `brojobs witness`: for those who check instead of trusting."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import psycopg
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from brojobs_es import bootstrap
from brojobs_es.console.logs import log_to_stderr, show_from
from brojobs_es.evidence.notes import COSIGNATURE, Checkpoint, Note, NoteError, Signer, VerifierKey, public_key
from brojobs_es.evidence.signing import KEY_FILE, load_key, load_or_make_key, public_pem
from brojobs_es.evidence.sources import DatabaseLog, HttpLog, SourceError
from brojobs_es.evidence.stamper import accepted_roots
from brojobs_es.evidence.stamps import StampError, read_roots
from brojobs_es.evidence.verify.findings import LIMITS, Verdict
from brojobs_es.evidence.verify.heads import Trust
from brojobs_es.evidence.verify.verdict import Demands, Kept, Report
from brojobs_es.evidence.verify.verdict import verify as verify_database
from brojobs_es.evidence.witness import Memory, StateError, Witness, WitnessRefusal
from brojobs_es.evidence.witnessing import witnesses_of
from brojobs_es.language.formats import format_number
from brojobs_es.settings import DataFolderError, Settings, SettingsError
from brojobs_es.store.embedded import EmbeddedPostgresError
from brojobs_es.store.migrate import MigrationError
from brojobs_es.store.scanning import Snapshot, snapshot

Lang = Annotated[Literal["fr", "en"] | None, typer.Option(help="Language, instead of BROJOBS_LANGUAGE.")]
_out = Console(highlight=False)
_err = Console(highlight=False, stderr=True)

_CALM: Final = (
    SettingsError,
    DataFolderError,
    MigrationError,
    EmbeddedPostgresError,
    NoteError,
    StateError,
    SourceError,
    StampError,
    psycopg.Error,
    OSError,
)
_VERDICTS: Final = {
    Verdict.VERIFIED: {"fr": "vérifié", "en": "verified"},
    Verdict.FAILED: {"fr": "ÉCHEC", "en": "FAILED"},
    Verdict.MALFORMED: {"fr": "mal formé", "en": "malformed"},
    Verdict.POLICY: {"fr": "exigence non remplie", "en": "policy not met"},
}


@contextlib.contextmanager
def _calmly() -> Iterator[None]:
    """What cannot be read or reached is one line and exit code 2."""
    try:
        yield
    except _CALM as error:
        typer.echo(f"brojobs: {(str(error).strip() or type(error).__name__).splitlines()[0]}", err=True)
        raise typer.Exit(Verdict.MALFORMED) from None


def _settings() -> Settings:
    log_to_stderr()
    settings = Settings.from_environment()
    show_from(settings.log_level)
    return settings


# -- verify


def verify(
    key: Annotated[
        list[Path] | None, typer.Option(help="The deployment's public key, from elsewhere: PEM or name+id+base64.")
    ] = None,
    witness: Annotated[list[Path] | None, typer.Option(help="The file of a witness; repeatable.")] = None,
    witness_key: Annotated[
        list[str] | None, typer.Option(help="A witness's public key (name+id+base64), besides BROJOBS_WITNESSES.")
    ] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A checkpoint that was kept; repeatable.")] = None,
    tsa_roots: Annotated[
        Path | None, typer.Option(help="PEM file of accepted time stamping authorities, instead of BROJOBS_TSA_ROOTS.")
    ] = None,
    require_witnesses: Annotated[int, typer.Option(min=0, help="So many witnesses must have signed.")] = 0,
    max_age: Annotated[
        float | None, typer.Option(min=0, help="Seconds within which an event must be signed for (and witnessed).")
    ] = None,
    lang: Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check every event of the database, as its auditor, and name the first place that is wrong.

    Exit codes: 0 verified, 1 failed, 2 malformed or not reached, 3 policy not met.
    """
    with _calmly():
        settings = _settings()
        kept, trust = _kept(witness or (), checkpoint or ()), _trust(settings, key or (), witness_key or ())
        roots = read_roots(tsa_roots) if tsa_roots is not None else accepted_roots(settings)
        trust = Trust(trust.keys, (*trust.witnesses, *kept[1]), roots)
        demands = Demands(require_witnesses, max_age)
        began = time.monotonic()
        with bootstrap.database(settings) as url, snapshot(url) as moment:
            report = _verified(moment, settings.logs, trust, kept[0], demands)
        seconds = time.monotonic() - began
    language = lang or settings.language
    if as_json:
        json.dump(report.document(language), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        _tell(report, language, seconds, stamps_checked=roots is not None)
    raise typer.Exit(report.verdict)


def _trust(settings: Settings, keys: Sequence[Path], witness_keys: Sequence[str]) -> Trust:
    """What was given, or else the key of this deployment, where this machine has it."""
    public = [public_key(path.read_text(encoding="utf-8")) for path in keys]
    own = settings.signing_key or settings.data_dir / KEY_FILE
    if not keys and own.exists():
        public.append(public_key(public_pem(load_key(own)).decode()))
    return Trust(public, (*witnesses_of(settings), *(VerifierKey.parse(each) for each in witness_keys)))


def _kept(witnesses: Sequence[Path], checkpoints: Sequence[Path]) -> tuple[list[Kept], list[VerifierKey]]:
    """Heads that others kept, and the keys of the witnesses whose files were given."""
    memories = [Memory.parse(path.read_bytes()) for path in witnesses]
    kept = [
        Kept(note, head, f"{memory.witness.name} ({path.name})")
        for memory, path in zip(memories, witnesses, strict=True)
        for note, head in memory.notes
    ]
    for path in checkpoints:
        note = Note.parse(path.read_bytes())
        kept.append(Kept(note, Checkpoint.parse(note.text), path.name))
    return kept, [memory.witness for memory in memories]


def _verified(moment: Snapshot, logs: int, trust: Trust, kept: Sequence[Kept], demands: Demands) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as progress:
        bars = {log: progress.add_task(f"log {log}", total=moment.count(log)) for log in range(logs)}
        return verify_database(
            moment, logs, trust, kept, demands, lambda log, done: progress.update(bars[log], completed=done)
        )


def _tell(report: Report, language: str, seconds: float, *, stamps_checked: bool) -> None:
    french = language == "fr"
    for scan in report.scans:
        words = (
            f"journal {scan.log} : {scan.events} événements, {scan.sealed} scellés, {scan.signed} signés, "
            f"{scan.witnessed} vus par un témoin"
            if french
            else f"log {scan.log}: {scan.events} events, {scan.sealed} sealed, {scan.signed} signed, "
            f"{scan.witnessed} seen by a witness"
        )
        _out.print(words, soft_wrap=True)
        if scan.stamped_at is not None:
            _out.print(_stamp_words(scan.stamped, scan.stamped_at, french, stamps_checked), soft_wrap=True)
    for finding in report.findings:
        _out.print(f"  {finding.sentence(language)}", soft_wrap=True, markup=False)
    events = sum(scan.events for scan in report.scans)
    rate = f", {format_number(round(events / seconds), language)}/s" if seconds else ""
    took = f"{seconds:.2f}".replace(".", "," if french else ".")
    _out.print(f"{_VERDICTS[report.verdict][language]} ({took} s{rate})")
    _out.print("Ce que cela ne prouve pas\u00a0:" if french else "What this does not prove:")
    for line in LIMITS[language]:
        _out.print(f"  - {line}", soft_wrap=True)


def _stamp_words(size: int, at: datetime, french: bool, checked: bool) -> str:
    time = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if french:
        judged = "signature vérifiée" if checked else "signature non vérifiée : donnez --tsa-roots"
        return f"  {size} événements existaient le {time} d’après une autorité d’horodatage ({judged})"
    judged = "signature verified" if checked else "signature not verified: give --tsa-roots"
    return f"  {size} events existed at {time} according to a time stamping authority ({judged})"


# -- witness


def witness(
    state: Annotated[Path, typer.Option(help="The witness's file: what it has seen. Begun if it is missing.")],
    key: Annotated[Path, typer.Option(help="The witness's private key, Ed25519 in PEM. Made if it is missing.")],
    log_key: Annotated[Path, typer.Option(help="The deployment's public key: PEM or name+id+base64.")],
    url: Annotated[str | None, typer.Option(help="Address of the service.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A token for the service: an operator's, so that cosignatures can be handed in.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="Connection URI of the database, instead of a service.")] = None,
    name: Annotated[str, typer.Option(help="Name of the witness in its signatures.")] = "witness",
    logs: Annotated[int, typer.Option(min=1, help="How many logs the deployment has.")] = 1,
    every: Annotated[float | None, typer.Option(min=1, help="Look again after so many seconds, for ever.")] = None,
) -> None:
    """Look at the logs' signed heads, refuse what goes back or forks, sign what goes on, and remember it.

    Exit codes: 0 seen, 1 refused, 2 malformed or not reached. Give the printed key to the service (BROJOBS_WITNESSES).
    """
    with _calmly():
        signer = Signer(name, load_or_make_key(key))
        source = _source(url, token_file, database)
        looking = Witness(state, signer, public_key(log_key.read_text(encoding="utf-8")))
        _out.print(f"witness {signer.verifier(COSIGNATURE)}", soft_wrap=True)
    if every is None:
        with _calmly():
            _look(looking, source, logs)
        return
    while True:
        with contextlib.suppress(typer.Exit), _calmly():  # not reached is no reason to stop looking; a refusal is
            _look(looking, source, logs)
        time.sleep(every)


def _look(looking: Witness, source: HttpLog | DatabaseLog, logs: int) -> None:
    for log in range(logs):
        try:
            seen = looking.look(source, log)
        except WitnessRefusal as refusal:
            typer.echo(f"brojobs: REFUSED: {refusal}", err=True)
            sys.exit(Verdict.FAILED)
        if seen is not None:
            _out.print(f"log {log}: signed {seen.size} events, root {seen.root.hex()}", soft_wrap=True)


def _source(url: str | None, token_file: Path | None, database: str | None) -> HttpLog | DatabaseLog:
    if (url is None) == (database is None):
        raise SourceError("either --url or --database")
    if database is not None:
        return DatabaseLog(database)
    assert url is not None
    if token_file is None:
        raise SourceError("--url needs --token-file")
    return HttpLog(url, token_file.read_text(encoding="utf-8").strip())
