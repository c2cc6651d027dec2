"""The witness: what it signs, what it refuses, and that its file survives."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.evidence.stage import KEY, OTHER_KEY, WITNESS, WITNESS_KEY, Stage, raw

from brojobs_es.evidence.notes import Checkpoint, Note, NoteError, Signer, signed_checkpoint
from brojobs_es.evidence.sources import DatabaseLog, SourceError
from brojobs_es.evidence.witness import Memory, StateError, Witness, WitnessRefusal


def test_it_signs_what_goes_on(stage: Stage) -> None:
    """Each new head once, with a signature that others can check; the same head again is nothing new."""
    stage.grow(5)
    stage.seal()
    stage.look()
    stage.look()
    stage.grow(300)
    stage.seal()
    stage.look()
    memory = Memory.parse(stage.witness_file.read_bytes())
    assert [head.size for _, head in memory.notes] == [5, 305]
    assert all(note.check(WITNESS) for note, _ in memory.notes)


def test_before_the_first_checkpoint_there_is_nothing_to_see(stage: Stage) -> None:
    """And afterwards, that there is none is a refusal."""
    witness = stage.witness()
    assert witness.look(DatabaseLog(stage.url), 0) is None
    stage.grow(1)
    stage.seal()
    stage.look()
    stage.attack("TRUNCATE log_0.checkpoints, log_0.cosignatures, log_0.stamps")
    with pytest.raises(WitnessRefusal, match="no checkpoint any more"):
        stage.look()


def test_a_torn_last_line_is_cut_off(stage: Stage) -> None:
    """The machine stopped while a line was written: it was never published, and the file goes on."""
    stage.grow(5)
    stage.seal()
    stage.look()
    whole = stage.witness_file.read_bytes()
    stage.witness_file.write_bytes(whole + b'{"note": "bro')
    stage.grow(5)
    stage.seal()
    stage.look()
    after = stage.witness_file.read_bytes()
    assert after.startswith(whole)
    assert [head.size for _, head in Memory.parse(after).notes] == [5, 10]


def test_a_changed_file_is_not_believed(stage: Stage) -> None:
    """Its lines carry the witness's own signature."""
    stage.grow(5)
    stage.seal()
    stage.look()
    good = stage.witness_file.read_bytes()
    for bad in (
        good.replace(b"log-0", b"log-1"),
        good.replace(b"\\n5\\n", b"\\n6\\n"),
        b"",
        b"{}\n",
        good[good.index(b"\n") + 1 :],
    ):
        assert bad != good
        with pytest.raises(StateError):
            Memory.parse(bad)


def test_another_witness_keeps_its_own_file(stage: Stage) -> None:
    """Two witnesses over one file would forget for each other."""
    stage.witness()
    with pytest.raises(StateError, match="belongs to the witness"):
        Witness(stage.witness_file, Signer("another", WITNESS_KEY), raw(KEY))


class Told:
    """A log that says what it is told to say."""

    def __init__(self, note: str, proof: Sequence[bytes] = ()) -> None:
        self.note = note
        self.proof = proof
        self.published: list[str] = []

    def checkpoint(self, log: int) -> str | None:
        return self.note

    def consistency(self, log: int, first: int, second: int) -> Sequence[bytes]:
        return self.proof

    def publish(self, log: int, note: str) -> None:
        self.published.append(note)


def head(size: int, root: bytes = bytes(32), origin: str = "test/a/log-0", key: object = KEY) -> str:
    signer = Signer(origin, OTHER_KEY if key is OTHER_KEY else KEY)
    return signed_checkpoint(Checkpoint(origin, size, root), signer, 1)


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (head(4), "rolled back"),
        (head(5, b"x" * 32), "forked"),
        (head(6), "forked"),
        (head(6, origin="test/b/log-0"), "not of test/a/log-0"),
        (head(6, origin="test/a/log-1"), "is one of test/a/log-1"),
        (head(6, key=OTHER_KEY), "not signed by the log's key"),
        (head(5).split("\n\n")[0] + "\n\n— x AAAAAAAA\n", "not signed by the log's key"),
    ],
)
def test_what_it_refuses(stage: Stage, note: str, why: str) -> None:
    """A smaller log, another of the same size, one that does not go on, another's, another key's. Nothing is published."""
    witness = stage.witness()
    assert witness.look(Told(head(5)), 0) is not None
    source = Told(note)
    with pytest.raises(WitnessRefusal, match=why):
        witness.look(source, 0)
    assert not source.published
    assert len(Memory.parse(stage.witness_file.read_bytes()).notes) == 1


def test_it_publishes_what_it_signed(stage: Stage) -> None:
    """The head with its own line under it."""
    source = Told(head(5))
    stage.witness().look(source, 0)
    assert Note.parse(source.published[0]).check(WITNESS)


def test_it_hands_in_again_what_was_not_taken(stage: Stage) -> None:
    """As long as the log shows the head without its signature, and not afterwards; it signs it once."""
    witness = stage.witness()
    source = Told(head(5))
    witness.look(source, 0)
    assert witness.look(source, 0) is None
    assert stage.witness().look(source, 0) is None, "after a restart as well"
    first, *others = source.published
    assert others == [first, first]
    source.note = f"{source.note}{Note.parse(first).signatures[0].line}"
    witness.look(source, 0)
    assert len(source.published) == 3
    assert len(Memory.parse(stage.witness_file.read_bytes()).notes) == 1


def test_what_is_no_checkpoint_is_malformed_not_refused(stage: Stage) -> None:
    """A proxy's error page accuses nobody."""
    with pytest.raises(NoteError):
        stage.witness().look(Told("<html>"), 0)


def test_a_database_that_is_not_there(stage: Stage) -> None:
    """Is said calmly."""
    with pytest.raises(SourceError):
        DatabaseLog(stage.url.replace("/test_", "/nowhere_")).checkpoint(0)
