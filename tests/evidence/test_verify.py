"""Verification where nothing was attacked, or only the evidence itself; demands; the command's exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.evidence.stage import KEY, OTHER_KEY, WITNESS, Copies, Stage, raw
from typer.testing import CliRunner, Result

from brojobs_es.cli import app
from brojobs_es.evidence.signing import public_pem
from brojobs_es.evidence.verify.findings import _SENTENCES, Verdict
from brojobs_es.evidence.verify.heads import Trust
from brojobs_es.evidence.verify.verdict import Demands, verify
from brojobs_es.store.migrate import migrate
from brojobs_es.store.scanning import snapshot


@pytest.fixture
def stage(sealed_once: Stage, copied: Copies, tmp_path: Path) -> Stage:
    """1300 events, sealed and signed."""
    return sealed_once.copy(copied(sealed_once.url), tmp_path)


def test_an_empty_log_is_verified(new_database: Callable[[], str], tmp_path: Path) -> None:
    """Nothing is what it says it is."""
    report = Stage(new_database(), tmp_path).verify()
    assert (report.verdict, report.scans[0].events) == (Verdict.VERIFIED, 0)


def test_events_after_the_last_checkpoint_are_counted_and_not_claimed(stage: Stage) -> None:
    """They are there, not sealed, not signed; the report says how many."""
    stage.grow(20)
    scan = stage.verify().scans[0]
    assert (scan.events, scan.sealed, scan.signed, scan.first_unsigned) == (1320, 1300, 1300, 1301)


@pytest.mark.parametrize(
    ("statement", "code", "position"),
    [
        ("UPDATE log_0.digests SET digest = sha256('x') WHERE position = 700", "event_changed", 700),
        ("UPDATE log_0.digests SET digest = 'short' WHERE position = 700", "digest_row", 700),
        ("UPDATE log_0.digests SET chain = sha256('x') WHERE position = 700", "digest_forged", 700),
        ("UPDATE log_0.digests SET order_id = gen_random_uuid() WHERE position = 700", "digest_row", 700),
        ("UPDATE log_0.digests SET leaf_index = 5000 WHERE position = 700", "sealed_missing", 700),
        ("DELETE FROM log_0.digests WHERE position = 700", "event_inserted", 700),
        ("DELETE FROM log_0.digests WHERE position > 700", "digests_missing", 701),
        ("INSERT INTO log_0.digests VALUES (5000, gen_random_uuid(), 1300, '', '')", "digest_row", 1300),
        ("UPDATE log_0.nodes SET hash = sha256('x') WHERE index = 2", "node_differs", 768),
        ("DELETE FROM log_0.nodes WHERE index = 2", "node_differs", 768),
        ("INSERT INTO log_0.nodes VALUES (8, 77, '')", "node_differs", 1300),
        ("UPDATE log_0.checkpoints SET root = sha256('x') WHERE size = 1000", "root_differs", 1000),
        ("UPDATE log_0.events SET state = '' WHERE position = 1", "event_changed", 1),
        ("UPDATE log_0.events SET topic = '' WHERE position = 1", "event_changed", 1),
    ],
)
def test_changed_evidence_is_found(stage: Stage, statement: str, code: str, position: int) -> None:
    """The evidence tables protect each other: whatever is changed in one does not fit the others."""
    stage.attack(statement)
    found = stage.first_bad()
    assert (found.code, found.position) == (code, position)
    for language in ("fr", "en"):
        assert str(position) in found.sentence(language)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE log_0.checkpoints SET note = 'x' WHERE size = 1000", "bad_checkpoint"),
        ("UPDATE log_0.checkpoints SET note = replace(note, 'test/', 'tset/') WHERE size = 1000", "bad_signature"),
        (
            "UPDATE log_0.checkpoints SET note = (SELECT note FROM log_0.checkpoints WHERE size = 1300)",
            "bad_checkpoint",
        ),
        ("UPDATE log_0.checkpoints SET note = replace(note, '/log-0', '/log-1')", "other_origin"),
        ("INSERT INTO log_0.cosignatures VALUES (1000, 'x', 'y')", "bad_checkpoint"),
    ],
)
def test_a_changed_checkpoint_is_found(stage: Stage, statement: str, code: str) -> None:
    """Without a place, as the events are as they were."""
    stage.attack(statement)
    report = stage.verify()
    assert report.verdict is Verdict.FAILED
    assert code in {finding.code for finding in report.findings}


def test_a_bad_place_in_one_log_does_not_hide_the_next_log(empty_database: Callable[[], str], tmp_path: Path) -> None:
    """A pass that stops early leaves its connections fit for the log after it."""
    url = empty_database()
    migrate(url, 2)
    stage = Stage(url, tmp_path)
    stage.grow(2000)
    stage.seal()
    stage.attack(
        "DELETE FROM log_0.events WHERE position = 10",
        "INSERT INTO log_1.events (order_id, stream_id, stream_version, topic, state) "
        "SELECT order_id, stream_id, stream_version, topic, state FROM log_0.events WHERE position < 10",
    )
    with snapshot(url) as moment:
        report = verify(moment, 2, Trust([raw(KEY)]))
    assert [(f.code, f.log, f.position) for f in report.findings] == [
        ("event_missing", 0, 10),
        ("nothing_signed", 1, None),
    ]
    assert report.scans[1].events == 9


def test_without_a_key_the_policy_is_not_met(stage: Stage) -> None:
    """The events fit their evidence, but nobody knows whose evidence it is."""
    report = stage.verify(key=None)
    assert (report.verdict, report.findings[0].code) == (Verdict.POLICY, "no_key")


def test_the_wrong_key_fails(stage: Stage) -> None:
    """Every checkpoint is by somebody else; it is said once."""
    report = stage.verify(key=OTHER_KEY)
    assert (report.verdict, [f.code for f in report.findings]) == (Verdict.FAILED, ["bad_signature"])


def test_a_demanded_witness_that_is_absent(stage: Stage) -> None:
    """Is a policy that is not met, not a failure; once the witness has looked, it is met."""
    demands = Demands(witnesses=1)
    report = stage.verify(demands=demands)
    assert (report.verdict, report.findings[0].code) == (Verdict.POLICY, "too_few_witnesses")
    stage.look()
    report = stage.verify(witness=True, demands=demands)
    assert report.verdict is Verdict.VERIFIED
    assert report.scans[0].cosigners == {str(WITNESS)}


def test_events_that_wait_too_long(stage: Stage) -> None:
    """With a limit, an event that no checkpoint covers within it, or no witness, is named."""
    assert stage.verify(demands=Demands(max_age_seconds=0)).verdict is Verdict.VERIFIED
    stage.look()
    stage.grow(1)
    report = stage.verify(demands=Demands(max_age_seconds=0))
    assert (report.verdict, report.findings[0].facts["place"]) == (Verdict.POLICY, 1301)
    stage.seal()
    assert stage.verify(demands=Demands(max_age_seconds=0)).verdict is Verdict.VERIFIED
    report = stage.verify(witness=True, demands=Demands(1, 0))
    assert (report.verdict, report.findings[0].code) == (Verdict.POLICY, "unwitnessed_too_long")


def test_every_sentence_stands_in_both_languages() -> None:
    """With the same values in both."""
    for code, sentences in _SENTENCES.items():
        assert sentences.keys() == {"fr", "en"}, code
        fields = [{part.split("}")[0] for part in text.split("{")[1:]} for text in sentences.values()]
        assert fields[0] == fields[1], code


# -- the command


def brojobs(stage: Stage, *arguments: str) -> Result:
    environment = {name: "" for name in os.environ if name.startswith("BROJOBS_")} | {
        "BROJOBS_DATABASE_URL": stage.url,
        "BROJOBS_DATA_DIR": str(stage.folder),
        "BROJOBS_LANGUAGE": "en",
    }
    return CliRunner().invoke(app, arguments, env=environment)


def key_file(stage: Stage) -> str:
    path = stage.folder / "log.pub"
    path.write_bytes(public_pem(KEY))
    return str(path)


def test_the_command_says_what_it_found(stage: Stage) -> None:
    """Exit code 0, the counts, and what none of this proves."""
    result = brojobs(stage, "verify", "--key", key_file(stage))
    assert result.exit_code == 0, result.output
    assert "log 0: 1300 events, 1300 sealed, 1300 signed, 0 seen by a witness" in result.output
    assert "What this does not prove:" in result.output
    result = brojobs(stage, "verify", "--key", key_file(stage), "--lang", "fr")
    assert "Ce que cela ne prouve pas" in result.output


def test_the_commands_exit_codes(stage: Stage) -> None:
    """0 verified, 1 failed, 2 malformed, 3 policy; the JSON names the first bad place."""
    assert brojobs(stage, "verify").exit_code == 3
    assert brojobs(stage, "verify", "--key", key_file(stage), "--require-witnesses", "1").exit_code == 3
    (stage.folder / "no.pub").write_text("no key")
    for wrong in (
        ("--key", str(stage.folder / "no.pub")),
        ("--key", str(stage.folder / "missing")),
        ("--key", key_file(stage), "--witness", key_file(stage)),
        ("--key", key_file(stage), "--checkpoint", key_file(stage)),
        ("--key", key_file(stage), "--witness-key", "x"),
    ):
        result = brojobs(stage, "verify", *wrong)
        assert result.exit_code == 2, result.output
    order = stage.order_at(7)
    stage.attack("UPDATE log_0.events SET state = state || ' ' WHERE position = 7")
    result = brojobs(stage, "verify", "--key", key_file(stage), "--json")
    assert result.exit_code == 1
    first = json.loads(result.stdout)["findings"][0]
    assert (first["position"], first["order_id"], first["field"]) == (7, str(order), "state")


def test_a_kept_checkpoint_is_enough_to_see_a_fork(stage: Stage) -> None:
    """Whoever kept a head once needs no witness."""
    kept = stage.folder / "kept.txt"
    kept.write_text(stage.one("SELECT note FROM log_0.checkpoints WHERE size = 1300"))
    arguments: Sequence[str] = ("verify", "--key", key_file(stage), "--checkpoint", str(kept), "--json")
    assert brojobs(stage, *arguments).exit_code == 0
    stage.attack("UPDATE log_0.events SET state = state || ' ' WHERE position = 7")
    stage.attack("TRUNCATE log_0.digests, log_0.nodes, log_0.checkpoints, log_0.cosignatures, log_0.stamps")
    (stage.folder / "elsewhere").mkdir()
    stage.seal(folder=stage.folder / "elsewhere")
    assert brojobs(stage, "verify", "--key", key_file(stage)).exit_code == 0
    result = brojobs(stage, *arguments)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["findings"][0]["code"] == "root_differs"


def test_the_witness_command(stage: Stage) -> None:
    """Exit code 0 and its key to publish; 1 and a loud line when the log went back."""
    arguments = [
        "witness", "--database", stage.url, "--state", str(stage.folder / "w.jsonl"),
        "--key", str(stage.folder / "w.pem"), "--log-key", key_file(stage),
    ]  # fmt: skip
    result = brojobs(stage, *arguments)
    assert result.exit_code == 0, result.output
    assert "witness witness+" in result.output
    assert "log 0: signed 1300 events" in result.output
    stage.attack("DELETE FROM log_0.checkpoints WHERE size = 1300")
    result = brojobs(stage, *arguments)
    assert result.exit_code == 1
    assert "REFUSED: log 0 was rolled back: it has 1000 events, 1300 were seen" in result.stderr
    assert brojobs(stage, *arguments[:1], *arguments[3:]).exit_code == 2
