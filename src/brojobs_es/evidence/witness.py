"""A witness: looks at a log's signed heads, remembers them elsewhere, and signs only one that goes on from the last.

What it has seen lies in a file that is only ever appended to: a line of JSON that names the format and the witness's key,
then a line for each checkpoint that it signed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from brojobs_es.evidence.merkle import ProofError, check_consistency
from brojobs_es.evidence.notes import (
    COSIGNATURE,
    PLAIN,
    BadSignature,
    Checkpoint,
    Note,
    NoteError,
    Signer,
    VerifierKey,
)

FORMAT: Final = "brojobs witness 1"


class StateError(ValueError):
    """The witness's file is not one, or not this witness's; the message says why."""


class WitnessRefusal(Exception):
    """The log did what a log must never do, or somebody else speaks in its name. The message is for people."""


class Log(Protocol):
    """A log as a witness asks it."""

    def checkpoint(self, log: int) -> str | None:
        """The newest signed head, or None while there is none."""
        ...

    def consistency(self, log: int, first: int, second: int) -> Sequence[bytes]:
        """The proof that the tree of `second` goes on from that of `first`."""
        ...

    def publish(self, log: int, note: str) -> None:
        """Hand the cosigned head in, where there is a place for it."""
        ...


@dataclass(slots=True)
class Memory:
    """What a witness has seen, oldest first."""

    witness: VerifierKey
    notes: list[tuple[Note, Checkpoint]] = field(default_factory=list)

    @classmethod
    def parse(cls, data: bytes) -> Memory:
        """From the content of a file; every signature of the witness is checked. Raises StateError.

        A last line without its line break is left out: the machine stopped while it was written, before it was published.
        """
        lines = data.split(b"\n")[:-1]
        try:
            head = _line(lines[0], {"format", "witness"}) if lines else {}
            if head.get("format") != FORMAT:
                raise StateError("this is not the file of a witness")
            memory = cls(VerifierKey.parse(head["witness"]))
            for line in lines[1:]:
                note = Note.parse(_line(line, {"note"})["note"])
                note.check(memory.witness)
                memory.notes.append((note, Checkpoint.parse(note.text)))
        except (NoteError, BadSignature) as error:
            raise StateError(f"the file of the witness is not as the witness wrote it: {error}") from error
        return memory

    def last(self, log: int) -> tuple[Note, Checkpoint] | None:
        """The newest head that was signed of a log, with the signatures that it had then."""
        return next((each for each in reversed(self.notes) if each[1].origin.endswith(f"/log-{log}")), None)


def _line(raw: bytes, names: set[str]) -> dict[str, str]:
    try:
        value: Any = json.loads(raw)
    except ValueError as error:
        raise StateError("a line of the file of the witness is no JSON") from error
    if not isinstance(value, dict) or value.keys() != names or not all(isinstance(v, str) for v in value.values()):
        raise StateError("a line of the file of the witness has other fields")
    return value


class Witness:
    """One witness with its key and its file."""

    def __init__(
        self, path: Path, signer: Signer, log_key: bytes, *, unix_seconds: Callable[[], float] = time.time
    ) -> None:
        """Reads the file, or begins it. `log_key` is the public key of the logs. Raises StateError or OSError."""
        self.key = signer.verifier(COSIGNATURE)
        self._path = path
        self._signer = signer
        self._log_key = log_key
        self._unix_seconds = unix_seconds
        if path.exists():
            data = path.read_bytes()
            self._memory = Memory.parse(data)
            if self._memory.witness != self.key:
                raise StateError(f"{path} belongs to the witness {self._memory.witness}")
            if not data.endswith(b"\n"):
                os.truncate(path, data.rfind(b"\n") + 1)
        else:
            self._memory = Memory(self.key)
            self._append({"format": FORMAT, "witness": str(self.key)})

    def look(self, source: Log, log: int) -> Checkpoint | None:
        """Look at a log once: the head that was signed now, or None where there was nothing new.

        A head that was signed before and is shown without this witness's signature is handed in again. Raises WitnessRefusal; the head that was refused is then kept beside the file, as anybody can check that two
        heads signed by one key contradict each other. Raises NoteError for what is no checkpoint.
        """
        text = source.checkpoint(log)
        before = self._memory.last(log)
        last = before[1] if before is not None else None
        if text is None:
            if last is not None:
                raise WitnessRefusal(f"log {log} has no checkpoint any more; one of {last.size} events was seen")
            return None
        note = Note.parse(text)
        seen = Checkpoint.parse(note.text)
        try:
            self._judge(source, log, note, seen, last)
        except WitnessRefusal:
            kept = self._path.with_name(f"{self._path.name}.refused-log-{log}-{seen.size}-{int(self._unix_seconds())}")
            kept.write_text(text, encoding="utf-8")
            raise
        if before is not None and before[1].size == seen.size:
            if all(line.key_id != self.key.id for line in note.signatures):
                self._hand_in(source, log, before[0])
            return None
        cosigned = Note.parse(f"{note}{self._signer.cosigned(note.text, int(self._unix_seconds()))}")
        self._append({"note": str(cosigned)})
        self._memory.notes.append((cosigned, seen))
        self._hand_in(source, log, cosigned)
        return seen

    def _hand_in(self, source: Log, log: int, note: Note) -> None:
        """Publish this witness's signature alone: beside one that is known, the log would not say that it is not taken."""
        own = tuple(line for line in note.signatures if line.key_id == self.key.id)
        source.publish(log, str(Note(note.text, own)))

    def _judge(self, source: Log, log: int, note: Note, seen: Checkpoint, last: Checkpoint | None) -> None:
        try:
            note.check(VerifierKey(seen.origin, PLAIN, self._log_key))
        except BadSignature as error:
            raise WitnessRefusal(f"log {log}: the checkpoint is not signed by the log's key: {error}") from error
        if not seen.origin.endswith(f"/log-{log}"):
            raise WitnessRefusal(f"log {log}: the checkpoint is one of {seen.origin}")
        if last is None:
            return
        if seen.origin != last.origin:
            raise WitnessRefusal(f"log {log}: the checkpoint is one of {seen.origin}, not of {last.origin}")
        if seen.size < last.size:
            raise WitnessRefusal(f"log {log} was rolled back: it has {seen.size} events, {last.size} were seen")
        try:
            path = source.consistency(log, last.size, seen.size) if seen.size > last.size else ()
            check_consistency(last.size, seen.size, path, last.root, seen.root)
        except ProofError as error:
            raise WitnessRefusal(
                f"log {log} was forked: its {seen.size} events do not go on from the {last.size} that were seen ({error})"
            ) from error

    def _append(self, line: dict[str, str]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
