from __future__ import annotations

import os
import random
from itertools import pairwise

import pytest
from tests import kit
from tests.case.conftest import Verify
from tests.case.making import (
    DEPLOYMENT,
    STRANGER,
    MemoryLog,
    packed,
    rechained,
    recorded,
    repacked,
    unpacked,
)

from brojobs_es.evidence.case.kernel.notes import VerifyKey
from brojobs_es.evidence.notes import PLAIN, Signer

SOAK = "BROJOBS_TEST_SOAK" in os.environ
FLIPS = 10_000 if SOAK else 1_000
KEY = VerifyKey(DEPLOYMENT.name, DEPLOYMENT.verifier(PLAIN).public)


def lines_of(case: bytes) -> list[bytes]:
    return unpacked(case)["data/events.ndjson"].split(b"\n")[:-1]


def test_an_honest_file_verifies(case: bytes, check: Verify) -> None:
    """All the other tests of this module start from a file that is right."""
    report = check(case)

    assert report.exit_code == 0, [finding.en for finding in report.findings]
    assert report.facts["events"] == len(lines_of(case))
    assert report.facts["words_absent"] == 0


def test_every_flipped_bit_is_detected(case: bytes, check: Verify) -> None:
    """Wherever one bit of the file is different, the file is refused: content, headers, signatures, all of it."""
    dice = random.Random(20_260_301)
    undetected = []
    for _ in range(FLIPS):
        place, bit = dice.randrange(len(case)), 1 << dice.randrange(8)
        flipped = bytearray(case)
        flipped[place] ^= bit
        if check(bytes(flipped)).exit_code == 0:
            undetected.append((place, bit))
    assert undetected == []


def test_every_flipped_bit_is_detected_without_checksums(case: bytes, check: Verify) -> None:
    """With the zip's checksums and the manifests made to fit the flipped bit, the signature still does not."""
    dice, files = random.Random(4), unpacked(case)
    payload = sorted(path for path in files if path.startswith("data/"))
    for _ in range(FLIPS // 5):
        path = dice.choice(payload)
        flipped = bytearray(files[path])
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
        assert check(repacked(files | {path: bytes(flipped)})).exit_code != 0, path


def test_every_flipped_bit_of_the_events_fails_the_log(case: bytes, check: Verify) -> None:
    """Signed anew by the service's own key, and still refused: the chain and the signed log don't have that event."""
    dice, files = random.Random(5), unpacked(case)
    for _ in range(FLIPS // 5):
        flipped = bytearray(files["data/events.ndjson"])
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
        changed = rechained(files, bytes(flipped).split(b"\n")[:-1])
        assert check(repacked(changed, DEPLOYMENT)).exit_code != 0


def test_every_flipped_bit_of_what_is_not_listed_is_detected(case: bytes, check: Verify) -> None:
    """The signature and the end of the zip are in no manifest; a bit of any of their bytes counts all the same."""
    content = unpacked(case)
    start = case.index(content["manifest.sig"])
    places = [*range(start - 100, start + len(content["manifest.sig"])), *range(len(case) - 60, len(case))]
    dice = random.Random(1)
    for place in places:
        for bit in range(8) if SOAK else [dice.randrange(8)]:
            flipped = bytearray(case)
            flipped[place] ^= 1 << bit
            assert check(bytes(flipped)).exit_code != 0, (place, bit)


@pytest.mark.parametrize("key", [None, DEPLOYMENT], ids=["old signature", "signed anew by the service itself"])
def test_leaving_out_any_one_event_is_detected(case: bytes, check: Verify, key: Signer | None) -> None:
    """Even where manifests, chain and signature are made to fit: the signed log does not have such a history."""
    lines = lines_of(case)
    for left_out in range(len(lines)):
        shorter = rechained(unpacked(case), lines[:left_out] + lines[left_out + 1 :])
        assert check(repacked(shorter, key)).exit_code != 0, left_out


def test_reordered_events_are_detected(case: bytes, check: Verify) -> None:
    """Two neighbours that change places are named, whoever signs."""
    lines = lines_of(case)
    for first, second in pairwise(range(len(lines))):
        swapped = list(lines)
        swapped[first], swapped[second] = lines[second], lines[first]
        report = check(repacked(rechained(unpacked(case), swapped), DEPLOYMENT))
        assert report.exit_code == 1
        assert f"line {first + 1}" in report.findings[0].en or f"line {second + 1}" in report.findings[0].en


def test_another_order_s_event_is_detected(case: bytes, check: Verify) -> None:
    """An event that is genuine but of another order is named, with the order it belongs to."""
    other = "11111111-1111-4111-8111-111111111111"
    lines = lines_of(case)
    lines[3] = lines[3].replace(str(kit.ORDER_ID).encode(), other.encode())

    report = check(repacked(rechained(unpacked(case), lines), DEPLOYMENT))

    assert report.exit_code == 1
    assert f"line 4 (position 28, order:RevisionRequested): the event is of order {other}" in report.findings[0].en


def test_a_changed_event_is_named_by_the_chain(case: bytes, check: Verify) -> None:
    """Recomputed manifests don't help: the first event that is not the one of the chain is named."""
    files = unpacked(case)
    files["data/events.ndjson"] = files["data/events.ndjson"].replace(b'"amount":10001', b'"amount":10002')

    report = check(repacked(files))

    assert report.exit_code == 1
    assert "line 1 (position 7, order:OrderPlaced): the event is not the one" in report.findings[0].en
    assert any("manifest.sig does not sign these files" in finding.en for finding in report.findings)


def test_an_added_file_is_refused_whether_listed_or_not(case: bytes, check: Verify) -> None:
    """A file that nobody signed for is found in the zip; where it is listed, the signature no longer fits."""
    files = unpacked(case)

    assert check(repacked(files | {"data/extra.txt": b"hello\n"})).exit_code == 1
    assert check(repacked(files | {"data/files/" + "0" * 64: b"hello\n"}, DEPLOYMENT)).exit_code == 1


def test_a_left_out_file_is_named(case: bytes, check: Verify) -> None:
    """A file that an event names cannot silently be missing."""
    files = unpacked(case)
    file_id = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    del files[f"data/files/{file_id}"]

    report = check(repacked(files, DEPLOYMENT))

    assert file_id in report.findings[0].en


def test_changed_words_are_named(case: bytes, check: Verify) -> None:
    """What a person wrote is proven by the events, not by who signs the file."""
    files = unpacked(case)
    files["data/words.ndjson"] = files["data/words.ndjson"].replace(b"Two colours.", b"Ten colours.")

    report = check(repacked(files, DEPLOYMENT))

    assert report.exit_code == 1
    assert report.findings[0].en == "data/words.ndjson, line 1: these are not the words that were recorded"


def test_words_of_another_person_are_refused(case: bytes, check: Verify) -> None:
    """An opening says whose words they are, and that is checked as well."""
    files = unpacked(case)
    files["data/words.ndjson"] = files["data/words.ndjson"].replace(b'"of":"ana"', b'"of":"sam"', 1)

    assert check(repacked(files, DEPLOYMENT)).exit_code == 1


def test_a_log_of_the_forger_s_own_needs_the_forger_s_key(check: Verify) -> None:
    """A whole history can be invented and signed; who brings the service's key along is not deceived."""
    history = recorded(kit.completed())
    forged = packed(history, MemoryLog(history, STRANGER))

    alone = check(forged)
    assert alone.exit_code == 0
    assert alone.facts["anchored"] is False

    report = check(forged, key=KEY)
    assert report.exit_code == 1
    assert "not signed by the expected key" in report.findings[0].en


def test_a_forger_cannot_keep_the_real_checkpoint(case: bytes, check: Verify) -> None:
    """Other events under the genuine signed head: the last event is not in that log."""
    lines = lines_of(case)
    lines[0] = lines[0].replace(b'"amount":10001', b'"amount":10002')

    report = check(repacked(rechained(unpacked(case), lines), DEPLOYMENT))

    assert report.exit_code == 1
    assert "is not in the signed log" in report.findings[0].en


def test_an_empty_history_is_no_case(case: bytes, check: Verify) -> None:
    """No events and no heads do not verify as nothing wrong."""
    assert check(repacked(rechained(unpacked(case), []), DEPLOYMENT)).exit_code != 0


def test_a_file_without_keys_or_checkpoint_does_not_verify(case: bytes, check: Verify) -> None:
    """What is missing is never taken for right."""
    for path in ("keys.txt", "checkpoint.txt", "proofs.json", "words.ndjson", "files.json", "events.ndjson"):
        files = unpacked(case)
        del files[f"data/{path}"]
        assert check(repacked(files, DEPLOYMENT)).exit_code != 0, path
        if path != "words.ndjson":  # where all of it is erased, nothing is left to open
            assert check(repacked(files | {f"data/{path}": b""}, DEPLOYMENT)).exit_code != 0, path
