"""`brojobs case …`: verify a case file, and hand out the program that verifies it anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from brojobs_es.evidence.case.kernel.command import main
from brojobs_es.evidence.case.kernel.problems import Malformed
from brojobs_es.evidence.case.single_file import verifier_source
from brojobs_es.evidence.case.stamp_parts import stamp_checker
from brojobs_es.evidence.stamps import StampError, read_roots
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
    unanchored: Annotated[bool, typer.Option(help="Be content with the key that came with the file.")] = False,
    tsa_roots: Annotated[
        Path | None,
        typer.Option(help="PEM file of the time stamping authorities that are accepted: there must be a stamp by one."),
    ] = None,
    witness_key: Annotated[list[Path] | None, typer.Option(help="A witness that must have signed; repeatable.")] = None,
    lang: Annotated[Literal["fr", "en"] | None, typer.Option(help="Language, instead of BROJOBS_LANGUAGE.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Check a case file offline. Exit codes: 0 verified, 1 failed, 2 malformed, 3 policy not met.

    Needs no database and no network. Without --key the file is checked against the key that came with it, which is not
    enough unless --unanchored says that it is.
    """
    check_stamp = None
    if tsa_roots is not None:
        try:
            check_stamp = stamp_checker(read_roots(tsa_roots))
        except (StampError, OSError) as error:
            typer.echo(f"brojobs: {error}", err=True)
            raise typer.Exit(Malformed.exit_code) from None
    arguments = [str(file), "--lang", lang or _language()]
    for name, given in (("--key", key), ("--checkpoint", checkpoint), ("--consistency", consistency)):
        arguments += [name, str(given)] if given else []
    for witness in witness_key or ():
        arguments += ["--witness-key", str(witness)]
    arguments += ["--unanchored"] if unanchored else []
    raise typer.Exit(main([*arguments, "--json"] if as_json else arguments, check_stamp))


def _language() -> str:
    try:
        return Settings.from_environment().language
    except SettingsError:  # whoever verifies a file need not run a service
        return "fr"


@case.command()
def verifier() -> None:
    """Print verify.py, the program inside every case file, from a source that you trust: this one."""
    sys.stdout.write(verifier_source())
