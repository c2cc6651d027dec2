"""The verifier as a program: what it is asked, and how it answers people and scripts."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brojobs_es.evidence.case.kernel.checking import CheckStamp, Report, Trust, verify
from brojobs_es.evidence.case.kernel.notes import read_key
from brojobs_es.evidence.case.kernel.problems import PolicyNotMet, Problem

RESULTS = {0: "verified", 1: "failed", 2: "malformed", 3: "policy_not_met"}
NOT_PROVEN = (
    (
        "que rien n’a été enregistré pour cette commande après le dernier événement du dossier ;",
        "that nothing was recorded for this order after the last event of the file;",
    ),
    (
        "que ce qui a été écrit est vrai, ni qui était devant le clavier : seulement que cela a été enregistré ainsi ;",
        "that what was written is true, nor who sat at the keyboard: only that it was recorded like this;",
    ),
    (
        "les pages à lire (order.json, timeline.html…) : elles sont signées, mais ce sont les événements qui font foi.",
        "the pages for reading (order.json, timeline.html…): they are signed, but the events are the evidence.",
    ),
)
_NOT_ANCHORED = (
    "La clé vient du dossier lui-même : comparez son empreinte à celle que publie le service, ou donnez --key.",
    "The key came with the file itself: compare its fingerprint with the one that the service publishes, or give --key.",
)


def main(arguments: Sequence[str] | None = None, check_stamp: CheckStamp | None = None) -> int:
    """Verify the case file that the command line names; the exit code.

    `check_stamp` is for a caller who can judge the signature of a time stamp; this program alone cannot.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show é must not stop a verification
    asked = _parser().parse_args(arguments)
    try:
        report = verify(asked.file, trust_of(asked, check_stamp))
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 2
    except Problem as problem:  # a key that the reader brought along
        report = Report([problem])
    sys.stdout.write(as_json(report) if asked.json else as_text(report, asked.lang))
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    french = not os.environ.get("LC_ALL", os.environ.get("LANG", "")).startswith("en")
    parser = argparse.ArgumentParser(
        description="Vérifie un dossier de commande sans réseau. Verifies a case file offline. "
        "Exit codes: 0 verified, 1 failed, 2 malformed, 3 policy not met."
    )
    here = Path(__file__).resolve().parent
    unpacked = {"nargs": "?", "default": str(here)} if (here / "manifest.sig").exists() else {}
    parser.add_argument("file", help="case.zip, or the folder that it was unpacked to", **unpacked)  # type: ignore[arg-type]
    parser.add_argument("--key", help="the deployment's public key, from elsewhere (PEM or name+id+base64)")
    parser.add_argument("--unanchored", action="store_true", help="be content with the key that came with the file")
    parser.add_argument("--checkpoint", help="a checkpoint of the log, from elsewhere")
    parser.add_argument("--consistency", help="the consistency proof between that checkpoint and the file's")
    parser.add_argument("--witness-key", action="append", default=[], help="a witness that must have signed")
    parser.add_argument("--lang", choices=("fr", "en"), default="fr" if french else "en")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    return parser


def trust_of(asked: argparse.Namespace, check_stamp: CheckStamp | None = None) -> Trust:
    """What the reader brings along, out of named files. Raises OSError, or Malformed for what is no key."""
    return Trust(
        key=read_key(Path(asked.key).read_bytes()) if asked.key else None,
        needs_key=not asked.unanchored,
        check_stamp=check_stamp,
        checkpoint=Path(asked.checkpoint).read_bytes() if asked.checkpoint else None,
        consistency=Path(asked.consistency).read_bytes() if asked.consistency else None,
        witnesses=tuple(read_key(Path(witness).read_bytes()) for witness in asked.witness_key),
    )


def as_json(report: Report) -> str:
    """The report for scripts: `{result, findings: [{fr, en}], …, does_not_prove}`."""
    shown = {
        "result": RESULTS[report.exit_code],
        "findings": [{"fr": finding.fr, "en": finding.en} for finding in report.findings],
        **report.facts,
        "does_not_prove": [{"fr": fr, "en": en} for fr, en in NOT_PROVEN],
    }
    return json.dumps(shown, ensure_ascii=False, indent=2) + "\n"


def as_text(report: Report, lang: str) -> str:
    """The report for people, in `fr` or `en`."""
    french = lang == "fr"
    facts = report.facts
    lines = [
        f"{finding.word_fr}\u00a0: {finding.fr}" if french else f"{finding.word_en}: {finding.en}"
        for finding in report.findings
    ]
    if any(not isinstance(finding, PolicyNotMet) for finding in report.findings) or "order_id" not in facts:
        return "\n".join(lines) + "\n"
    rows = [
        ("Commande" if french else "Order", facts["order_id"]),
        ("Événements" if french else "Events", f"{facts['events']} → {facts['position']} (log {facts['log']})"),
        ("Textes" if french else "Words", _count(facts["words"], facts["words_absent"], french)),
        ("Fichiers" if french else "Files", _count(facts["files"], len(facts["files_absent"]), french)),
        ("Journal" if french else "Log", f"{facts['origin']}, {facts['size']} → {facts['root']}"),
        ("Clé" if french else "Key", f"SHA-256 {facts['key_sha256']}"),
        ("Témoins" if french else "Witnesses", ", ".join(facts["cosigned_by"]) or "—"),
        ("Horodatage" if french else "Time stamp", _stamp(facts["stamp"], french)),
    ]
    width = max(len(name) for name, _ in rows) + 2
    lines = lines or ["VÉRIFIÉ" if french else "VERIFIED"]
    lines += [f"  {name:<{width}}{value}" for name, value in rows]
    if not facts["anchored"] and not report.findings:
        lines.append("! " + _NOT_ANCHORED[0 if french else 1])
    lines.append("Ce que cela ne prouve pas\u00a0:" if french else "What this does not prove:")
    lines += [f"  - {said[0 if french else 1]}" for said in NOT_PROVEN]
    return "\n".join(lines) + "\n"


def _count(there: int, absent: int, french: bool) -> str:
    gone = f" (+ {absent} {'absents, effacés' if french else 'not there, erased'})" if absent else ""
    return f"{there}{gone}"


def _stamp(stamp: Any, french: bool) -> str:
    if stamp is None:
        return "—"
    if french:
        judged = (
            "signature vérifiée" if stamp["signature_checked"] else "la signature de l’autorité n’est pas vérifiée ici"
        )
        return f"{stamp['claimed_at']} ({judged})"
    judged = "signature verified" if stamp["signature_checked"] else "the authority’s signature is not verified here"
    return f"{stamp['claimed_at']} ({judged})"
