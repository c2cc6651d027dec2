from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests import kit
from tests.case.conftest import Verify
from tests.case.making import (
    DEPLOYMENT,
    ORIGIN,
    SIGNED_AT,
    STRANGER,
    WITNESS,
    MemoryLog,
    packed,
    public_pem,
    recorded,
    signer,
)

from brojobs_es.evidence import merkle
from brojobs_es.evidence.case.kernel.checking import _hash
from brojobs_es.evidence.case.kernel.notes import VerifyKey, read_checkpoint, read_key, read_note, signature_of
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed
from brojobs_es.evidence.case.kernel.tree import extends, includes, leaf_hash
from brojobs_es.evidence.case.kernel.words import WORDS_CONTEXT
from brojobs_es.evidence.notes import COSIGNATURE, PLAIN, Checkpoint, Note, Signer, signed_checkpoint
from brojobs_es.vault.words import COMMITMENT_CONTEXT


def key_of(signer: Signer, algorithm: int = PLAIN) -> VerifyKey:
    return read_key(str(signer.verifier(algorithm)).encode())


def code_and_words(report: object) -> tuple[int, str]:
    return report.exit_code, report.findings[0].en if report.findings else ""  # type: ignore[attr-defined]


# -- what the reader brings along


def test_a_key_in_either_form_anchors_the_file(case: bytes, check: Verify, tmp_path: Path) -> None:
    """PEM or a line of text: the facts say that the key came from the reader."""
    pem = read_key(public_pem(DEPLOYMENT, tmp_path).read_bytes())

    for key in (pem, key_of(DEPLOYMENT)):
        report = check(case, key=key)
        assert report.exit_code == 0
        assert report.facts["anchored"] is True


def test_another_key_fails_the_file(case: bytes, check: Verify, tmp_path: Path) -> None:
    """The same name with another key is somebody else."""
    for key in (read_key(public_pem(STRANGER, tmp_path).read_bytes()), key_of(STRANGER)):
        code, words = code_and_words(check(case, key=key))
        assert (code, words) == (1, "the checkpoint is not signed by the expected key")


def test_a_demanded_witness_must_have_signed(case: bytes, check: Verify) -> None:
    """A cosignature that is there satisfies; one that is not is a policy, not a forgery."""
    witness, other = key_of(WITNESS, COSIGNATURE), key_of(signer("other.example", 9), COSIGNATURE)

    assert check(case, witnesses=(witness,)).facts["cosigned_by"] == ["witness.example"]
    code, words = code_and_words(check(case, witnesses=(witness, other)))
    assert (code, words) == (3, "the witness other.example has not signed the checkpoint")


def test_the_same_checkpoint_seen_elsewhere_agrees(check: Verify) -> None:
    """A head of the same size must have the same root."""
    history = recorded(kit.completed())
    log = MemoryLog(history)
    case = packed(history, log)
    head = read_checkpoint(log.checkpoint().encode())
    forked = signed_checkpoint(Checkpoint(ORIGIN, head.size, bytes(32)), DEPLOYMENT, SIGNED_AT)
    foreign = signed_checkpoint(Checkpoint("elsewhere", head.size, head.root), DEPLOYMENT, SIGNED_AT)

    assert check(case, checkpoint=log.checkpoint().encode()).exit_code == 0
    assert code_and_words(check(case, checkpoint=forked.encode()))[0] == 1
    assert "contradict each other" in check(case, checkpoint=forked.encode()).findings[0].en
    assert "of another log (elsewhere)" in check(case, checkpoint=foreign.encode()).findings[0].en
    assert check(case, checkpoint=b"nonsense").exit_code == 2


@pytest.mark.parametrize("later", [True, False], ids=["a later one", "an older one"])
def test_a_checkpoint_of_another_size_takes_a_consistency_proof(check: Verify, later: bool) -> None:
    """Without it the policy is not met; with it a rewritten log shows."""
    history = recorded(kit.completed())
    log = MemoryLog(history)
    case, size = packed(history, log), len(log.leaves)
    if later:
        log.others(9)
    other = len(log.leaves) if later else size - 2
    first, second = min(size, other), max(size, other)
    note = log.checkpoint(other).encode()
    proof = {"from": first, "to": second, "hashes": [_text(each) for each in log.consistency(first, second)]}

    assert code_and_words(check(case, checkpoint=note))[0] == 3
    assert check(case, checkpoint=note, consistency=json.dumps(proof).encode()).exit_code == 0
    wrong = proof | {"hashes": [_text(bytes(32)), *proof["hashes"][1:]]}  # type: ignore[index]
    assert check(case, checkpoint=note, consistency=json.dumps(wrong).encode()).exit_code == 1
    assert check(case, checkpoint=note, consistency=json.dumps(proof | {"to": 1}).encode()).exit_code == 3
    assert check(case, checkpoint=note, consistency=b"[]").exit_code == 2


def _text(raw: bytes) -> str:
    from base64 import b64encode

    return b64encode(raw).decode()


# -- the small verifier agrees with the service's own code


def test_proofs_are_judged_as_the_log_judges_them() -> None:
    """For random trees, what the log proves is accepted, and with any hash changed it is not."""
    dice = random.Random(7)
    for _ in range(60):
        history = recorded(kit.placed())
        log = MemoryLog(history, after=dice.randrange(1, 70))
        size = len(log.leaves)
        index, first = dice.randrange(size), dice.randrange(1, size + 1)
        path = [log.root(*part) for part in merkle.inclusion_ranges(index, size)]
        root = log.root(0, size)
        assert includes(root, size, index, leaf_hash(log.leaves[index]), path)
        assert not includes(root, size, index, leaf_hash(bytes(32)), path)
        assert not includes(root, size, index, leaf_hash(log.leaves[index]), [*path, bytes(32)])
        assert not includes(root, size, size, leaf_hash(log.leaves[index]), path)
        proof = log.consistency(first, size)
        assert extends(first, log.root(0, first), size, root, proof)
        assert not extends(first, bytes(32), size, root, proof)
        for n in range(len(proof)):
            assert not extends(first, log.root(0, first), size, root, [*proof[:n], bytes(32), *proof[n + 1 :]])


def test_notes_are_read_as_the_log_writes_them() -> None:
    """Both signatures of the log and that of the witness are found; a note that the log's reader refuses is refused."""
    text = MemoryLog(recorded(kit.placed())).checkpoint()
    note = read_note(text.encode())

    assert len(note.signatures) == len(Note.parse(text).signatures) == 3
    assert signature_of(note, key_of(DEPLOYMENT)) is not None
    assert signature_of(note, key_of(WITNESS, COSIGNATURE)) is not None
    assert signature_of(note, key_of(STRANGER)) is None
    with pytest.raises(Failed):
        signature_of(read_note(text.replace(f"\n{SIZE}\n", "\n10\n").encode()), key_of(DEPLOYMENT))


SIZE = 9


@pytest.mark.parametrize(
    "text",
    ["", "x", "x\n\n", "a\n\n— b AA\n", "a\n\n- b AAAAAAAAAA==\n", "a\n\n— b AAAAAAA=\n— c\n", "a\t\n\n— b AAAAAAA=\n"],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    """One spelling, or malformed."""
    with pytest.raises(Malformed):
        read_note(text.encode())


@pytest.mark.parametrize("size", ["+5", "1_0", "05", "-1", "٣", "5 ", ""])
def test_sizes_have_one_spelling(size: str) -> None:
    """A checkpoint's size is a plain decimal number."""
    head = f"origin\n{size}\n{_text(bytes(32))}\n"
    with pytest.raises(Malformed):
        read_checkpoint((head + "\n" + DEPLOYMENT.signed(head)).encode())


@pytest.mark.parametrize(
    "key", [b"", b"abc", b"a+00000000+AQ==", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_key_is_refused(key: bytes) -> None:
    """A key is an Ed25519 key in one of two forms."""
    with pytest.raises(Malformed):
        read_key(key)


def test_words_are_opened_with_the_context_that_sealed_them() -> None:
    """The verifier stands alone, so the one value that both need is written twice, and compared here."""
    assert WORDS_CONTEXT == COMMITMENT_CONTEXT


def test_hashes_have_32_bytes() -> None:
    """Anything else in a proof is malformed."""
    with pytest.raises(Malformed):
        _hash(_text(bytes(31)))
    with pytest.raises(Malformed):
        _hash(5)
    assert _hash(_text(bytes(32))) == bytes(32)
