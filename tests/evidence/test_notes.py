"""Signed notes and checkpoints: published examples, one spelling each, and nothing else taken."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence.stage import KEY, OTHER_KEY, WITNESS_KEY

from brojobs_es.evidence.notes import (
    COSIGNATURE,
    PLAIN,
    BadSignature,
    Checkpoint,
    Note,
    NoteError,
    Signer,
    VerifierKey,
    signed_checkpoint,
)

SIGNER = Signer("example.com/log-0", KEY)
HEAD = Checkpoint("example.com/log-0", 15368405, bytes(range(32)))
NOTE = signed_checkpoint(HEAD, SIGNER, 1_700_000_000)

# The example of the Go module golang.org/x/mod/sumdb/note, which defined the format.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_published_example_verifies() -> None:
    """A note and a key from the reference implementation."""
    key = VerifierKey.parse(GO_KEY)
    assert str(key) == GO_KEY
    note = Note.parse(GO_NOTE)
    assert note.check(key) is None
    assert str(note) == GO_NOTE
    with pytest.raises(BadSignature):
        Note(note.text.replace("know", "knew"), note.signatures).check(key)


def test_a_checkpoint_goes_there_and_back() -> None:
    """What is signed is read as it was, with the time that it states."""
    note = Note.parse(NOTE)
    assert str(note) == NOTE
    assert Checkpoint.parse(note.text) == HEAD
    assert note.check(SIGNER.verifier(PLAIN)) is None
    assert note.check(SIGNER.verifier(COSIGNATURE)) == 1_700_000_000


def test_somebody_elses_signature_is_no_signature() -> None:
    """Another key under the same name, the same key under another name, and a witness that did not sign."""
    note = Note.parse(NOTE)
    for key in (
        Signer("example.com/log-0", OTHER_KEY).verifier(PLAIN),
        Signer("example.com/log-1", KEY).verifier(PLAIN),
        Signer("witness", WITNESS_KEY).verifier(COSIGNATURE),
    ):
        with pytest.raises(BadSignature, match="no signature by"):
            note.check(key)


@given(st.integers(0, 64 * 8 - 1), st.sampled_from([0, 1]))
def test_any_changed_bit_of_a_signature_is_seen(bit: int, which: int) -> None:
    """Of the plain one and of the one with the time."""
    note = Note.parse(NOTE)
    line = note.signatures[which]
    content = bytearray(line.content)
    content[bit // 8] ^= 1 << bit % 8
    lines = list(note.signatures)
    lines[which] = type(line)(line.name, line.key_id, bytes(content))
    with pytest.raises(BadSignature):
        Note(note.text, tuple(lines)).check(SIGNER.verifier((PLAIN, COSIGNATURE)[which]))


@pytest.mark.parametrize("size", ["+5", "1_0", "05", "-1", " 5", "5 ", "", "５", "1e3", "9" * 19])
def test_a_size_has_one_spelling(size: str) -> None:
    """Python would read most of these as numbers."""
    with pytest.raises(NoteError, match="size"):
        Checkpoint.parse(f"example.com/log-0\n{size}\n{b64encode(bytes(32)).decode()}\n")


@pytest.mark.parametrize(
    "root", ["", "AAAA", b64encode(bytes(31)).decode(), "A" * 42 + "B=", b64encode(bytes(32)).decode().rstrip("="), "é"]
)
def test_a_root_has_one_spelling(root: str) -> None:
    """32 bytes in canonical base64: no stray bits, no missing padding."""
    with pytest.raises(NoteError, match="root"):
        Checkpoint.parse(f"example.com/log-0\n5\n{root}\n")


@pytest.mark.parametrize(
    "text", ["", "a\n", "a\n1\n", HEAD.text[:-1], HEAD.text + "more\n", "a b" + HEAD.text, "\n" + HEAD.text]
)
def test_a_checkpoint_is_three_lines(text: str) -> None:
    """No more, no fewer, and an origin without spaces."""
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "text\n",
        "text\n\n",
        "\n\n— a AAAAAAAA\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("\n\n", "\r\n\r\n"),
        NOTE.replace("example", "exa\x00mple"),
        NOTE.replace("— example", "—  example"),
        NOTE.encode() + b"\xff\n",
        NOTE + "— a AAAA\n",
        NOTE + "x" * 70_000,
        NOTE + "— a AAAAAAAA\n" * 100,
        "\udcff",
    ],
)
def test_what_is_no_note_is_refused(data: str | bytes) -> None:
    """With one kind of error, whatever is wrong with it."""
    with pytest.raises(NoteError):
        Note.parse(data)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_nothing_else_is_ever_raised(data: bytes) -> None:
    """Whatever comes over the network."""
    for parse in (
        Note.parse,
        lambda d: Checkpoint.parse(d.decode("latin-1")),
        lambda d: VerifierKey.parse(d.decode("latin-1")),
    ):
        try:
            parse(data)
        except NoteError:
            continue


@pytest.mark.parametrize(
    "key",
    ["", "a+b", "name+00000000+" + GO_KEY.split("+")[2], GO_KEY + "A", GO_KEY.replace("+AR", "+BR"), GO_KEY.upper()],
)
def test_a_key_that_does_not_fit_itself_is_refused(key: str) -> None:
    """The id belongs to name and key."""
    with pytest.raises(NoteError):
        VerifierKey.parse(key)
