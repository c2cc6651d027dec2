"""Verifies a whole database against what the auditor brings along: keys, witnesses, heads kept elsewhere, demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from brojobs_es.evidence.notes import Checkpoint, Note
from brojobs_es.evidence.verify.findings import LIMITS, Finding, Verdict
from brojobs_es.evidence.verify.heads import Expected, Heads, Trust
from brojobs_es.evidence.verify.scan import LogScan, Progress, Scan
from brojobs_es.store.scanning import Snapshot


@dataclass(frozen=True, slots=True)
class Kept:
    """A head that somebody kept outside the database, and who that is."""

    note: Note
    checkpoint: Checkpoint
    keeper: str


@dataclass(frozen=True, slots=True)
class Demands:
    """What has to hold beyond the mathematics: how many witnesses, and how soon an event must be signed for."""

    witnesses: int = 0
    max_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found; `findings` begins with the first place that is wrong, if any is."""

    scans: list[Scan]
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if any(not finding.is_policy for finding in self.findings):
            return Verdict.FAILED
        return Verdict.POLICY if self.findings else Verdict.VERIFIED

    def document(self, language: str) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "verdict": self.verdict.name.lower(),
            "findings": [finding.document(language) for finding in self.findings],
            "logs": [
                {
                    "log": scan.log,
                    "events": scan.events,
                    "sealed": scan.sealed,
                    "signed": scan.signed,
                    "witnessed": scan.witnessed,
                    "witnesses": sorted(scan.cosigners),
                    "stamped": scan.stamped,
                    "stamped_at": scan.stamped_at.isoformat() if scan.stamped_at is not None else None,
                    "root": scan.root.hex(),
                }
                for scan in self.scans
            ],
            "does_not_prove": list(LIMITS[language]),
        }


def verify(
    snapshot: Snapshot,
    logs: int,
    trust: Trust,
    kept: Sequence[Kept] = (),
    demands: Demands | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read every log once and judge it."""
    wanted = demands or Demands()
    scans, findings = [], []
    for log in range(logs):
        outside = [_expected(each, log, trust) for each in kept if each.checkpoint.origin.endswith(f"/log-{log}")]
        scan = LogScan(snapshot, log, trust, outside, progress).run()
        scans.append(scan)
        findings += scan.findings
        if not any(finding.names_a_place for finding in scan.findings):
            findings += _policy(snapshot, scan, wanted, has_key=bool(trust.keys))
    if not trust.keys:
        findings.append(Finding("no_key", 0))
    findings.sort(key=lambda finding: (finding.is_policy, not finding.names_a_place))  # stable: the first place leads
    return Report(scans, findings)


def _expected(kept: Kept, log: int, trust: Trust) -> Expected:
    """A head from outside. What counts of it is its keeper's word, so only the signatures of witnesses are judged."""
    judged = Heads(log, Trust((), trust.witnesses)).judged(kept.note, kept.checkpoint)
    return Expected(
        judged.size, judged.root, kept.keeper, signed=False, cosigners=judged.cosigners, problems=judged.problems
    )


def _policy(snapshot: Snapshot, scan: Scan, demands: Demands, *, has_key: bool) -> list[Finding]:
    found = []
    if has_key and scan.events and not scan.signed and not scan.findings:
        found.append(Finding("nothing_signed", scan.log))
    if scan.events and len(scan.cosigners) < demands.witnesses:
        facts: dict[str, Any] = {"found": len(scan.cosigners), "needed": demands.witnesses}
        found.append(Finding("too_few_witnesses", scan.log, facts=facts))
    code, first = "unsigned_too_long", scan.first_unsigned
    if demands.witnesses:
        code, first = "unwitnessed_too_long", scan.first_unwitnessed
    if demands.max_age_seconds is not None and first is not None:
        waited = snapshot.seconds_since(scan.log, first)
        if waited > demands.max_age_seconds:
            found.append(Finding(code, scan.log, facts={"place": first, "seconds": int(waited)}))
    return found
