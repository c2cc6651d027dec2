"""`brojobs case …`: verify a case file, and hand out the program that verifies it anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from brojobs_es.evidence.case.kernel.command import main
from brojobs_es.evidence.case.single_file import verifier_source
from brojobs_es.settings import Settings, SettingsError

case = typer.Typer(help="Case files: everything of one order in a zip that verifies offline.", no_args_is_help=True)


@case.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The zip, or the folder that it was unpacked to.")],
    key: Annotated[
        Path | None, typer.Option(help="The deployment's public key, from elsewhere: PEM or name+id+base64.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint of the log, from elsewhere.")] = None,
    consistency: Annotated[
        Path | None, typer.Option(help="The consistency proof between that checkpoint and the file's.")
    ] = None,
    witness_key: Annotated[list[Path] | None, typer.Option(help="A witness that must have signed; repeatable.")] = None,
    lang: Annotated[Literal["fr", "en"] | None, typer.Option(help="Language, instead of BROJOBS_LANGUAGE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check a case file offline. Exit codes: 0 verified, 1 failed, 2 malformed, 3 policy not met.

    Needs no database and no network. Without --key the file is checked against the key that came with it.
    """
    arguments = [str(file), "--lang", lang or _language()]
    for name, given in (("--key", key), ("--checkpoint", checkpoint), ("--consistency", consistency)):
        arguments += [name, str(given)] if given else []
    for witness in witness_key or ():
        arguments += ["--witness-key", str(witness)]
    raise typer.Exit(main([*arguments, "--json"] if as_json else arguments))


def _language() -> str:
    try:
        return Settings.from_environment().language
    except SettingsError:  # whoever verifies a file need not run a service
        return "fr"


@case.command()
def verifier() -> None:
    """Print verify.py, the program inside every case file, from a source that you trust: this one."""
    sys.stdout.write(verifier_source())
