"""Signed heads that the events must lead to: the database's own checkpoints, and what witnesses and others kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography.x509 import Certificate

from brojobs_es.evidence.notes import PLAIN, BadSignature, Checkpoint, Note, NoteError, VerifierKey
from brojobs_es.evidence.stamps import StampError, stamped_at
from brojobs_es.evidence.verify.findings import Finding
from brojobs_es.store.scanning import StoredHead


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verification starts from: public keys of the deployment, and of witnesses, and accepted time stamping roots.

    Without `stamp_roots`, whoever signed a time stamp is not checked.
    """

    keys: Sequence[bytes] = ()
    witnesses: Sequence[VerifierKey] = ()
    stamp_roots: Sequence[Certificate] | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """A root that the first `size` events must have, and who says so.

    `signed` and `cosigners` say whose signatures under it are good, `stamped_at` when an authority saw it; `problems` what
    is wrong with the note itself.
    """

    size: int
    root: bytes
    source: str
    signed: bool = False
    cosigners: frozenset[str] = frozenset()
    problems: tuple[Finding, ...] = field(default=())
    stamped_at: datetime | None = None


class Heads:
    """Judges the checkpoints of one log."""

    def __init__(self, log: int, trust: Trust) -> None:
        self._log = log
        self._trust = trust
        self._origin: str | None = None

    def stored(self, heads: Iterator[StoredHead]) -> Iterator[Expected]:
        """The database's checkpoints by size, each judged when it is asked for."""
        for head in heads:
            try:
                note = Note.parse(head.note)
                checkpoint = Checkpoint.parse(note.text)
                if (checkpoint.size, checkpoint.root) != (head.size, head.root):
                    raise NoteError("the note says other than its row")
                note = Note.parse(head.note + "".join(head.lines))
            except NoteError as error:
                problem = Finding("bad_checkpoint", self._log, facts={"size": head.size, "why": str(error)})
                yield Expected(head.size, head.root, "?", problems=(problem,))
                continue
            judged = self.judged(note, checkpoint)
            yield judged if head.stamp is None else self._stamped(judged, head, head.stamp)

    def _stamped(self, judged: Expected, head: StoredHead, response: bytes) -> Expected:
        """With what its time stamp is worth."""
        try:
            at = stamped_at(response, head.note, roots=self._trust.stamp_roots)
            if at != head.stamped_at:
                raise StampError("the stamp says another time than its row")
        except StampError as error:
            problem = Finding("bad_stamp", self._log, facts={"size": head.size, "why": str(error)})
            return replace(judged, problems=(*judged.problems, problem))
        return replace(judged, stamped_at=at)

    def judged(self, note: Note, checkpoint: Checkpoint) -> Expected:
        """A checkpoint with what its signatures are worth."""
        problems = []
        expected = self._origin or checkpoint.origin
        if checkpoint.origin != expected or not expected.endswith(f"/log-{self._log}"):
            facts = {"size": checkpoint.size, "origin": checkpoint.origin, "expected": expected}
            problems.append(Finding("other_origin", self._log, facts=facts))
        self._origin = expected
        why = self._why_unsigned(note, checkpoint.origin)
        if why is not None and self._trust.keys:
            problems.append(Finding("bad_signature", self._log, facts={"size": checkpoint.size, "why": why}))
        cosigners = set()
        for witness in self._trust.witnesses:
            if any(line.key_id == witness.id for line in note.signatures):
                try:
                    note.check(witness)
                    cosigners.add(str(witness))
                except BadSignature as error:
                    facts = {"size": checkpoint.size, "why": str(error)}
                    problems.append(Finding("bad_cosignature", self._log, facts=facts))
        return Expected(
            checkpoint.size, checkpoint.root, checkpoint.origin, why is None, frozenset(cosigners), tuple(problems)
        )

    def _why_unsigned(self, note: Note, origin: str) -> str | None:
        """None if one of the deployment's keys signed; otherwise what is wrong."""
        why = "no key was given"
        for key in self._trust.keys:
            try:
                note.check(VerifierKey(origin, PLAIN, key))
            except BadSignature as error:
                why = str(error)
            else:
                return None
        return why
