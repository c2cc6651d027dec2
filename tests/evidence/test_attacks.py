"""Nine ways in which the database's superuser may change the past; each is found, and the first bad place is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from tests.evidence.stage import OTHER_KEY, Copies, Stage, state_of

from brojobs_es.evidence.sources import DatabaseLog
from brojobs_es.evidence.verify.findings import Verdict
from brojobs_es.evidence.witness import WitnessRefusal

PLACE = 1300
"""Where the attacker strikes; checkpoints lie at 1000 and 2000, the witness has seen both."""


@pytest.fixture(scope="module")
def honest(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """2000 events with a gap at position 700, sealed and witnessed at 1000 and 2000."""
    stage = Stage(new_database(), tmp_path_factory.mktemp("honest"))
    stage.grow(699)
    with psycopg.connect(stage.url) as connection:  # a transaction that draws a position and never commits
        connection.execute("SELECT nextval(pg_get_serial_sequence('log_0.events', 'position'))")
    for more in (301, 1000):
        stage.grow(more)
        stage.seal()
        stage.look()
    assert stage.verify(witness=True).verdict is Verdict.VERIFIED
    return stage


@pytest.fixture
def stage(honest: Stage, copied: Copies, tmp_path: Path) -> Stage:
    """A copy of it for one attack."""
    return honest.copy(copied(honest.url), tmp_path)


def test_1_a_changed_byte(stage: Stage) -> None:
    """One byte of what somebody wrote."""
    stage.attack(
        f"UPDATE log_0.events SET state = set_byte(state, 60, get_byte(state, 60) # 1) WHERE position = {PLACE}"
    )
    found = stage.first_bad()
    assert (found.code, found.position, found.field) == ("event_changed", PLACE, "state")
    assert found.order_id == stage.order_at(PLACE)
    assert f"position {PLACE}" in found.sentence("fr")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("topic", "'order:Delivered'"),
        ("stream_version", "stream_version + 500"),
        ("topic", """'a","x":"b'"""),
        ("order_id", "gen_random_uuid()"),
    ],
)
def test_1_a_changed_column(stage: Stage, column: str, value: str) -> None:
    """A column beside the content is named too."""
    order = stage.order_at(PLACE)
    stage.attack(f"UPDATE log_0.events SET {column} = {value} WHERE position = {PLACE}")
    found = stage.first_bad()
    assert (found.code, found.position, found.field, found.order_id) == ("event_changed", PLACE, column, order)


def test_2_a_changed_amount_with_its_digest_fixed(stage: Stage) -> None:
    """The order's chain does not go through the new digest."""
    stage.attack(
        f"UPDATE log_0.events SET state = '\\x{state_of(1, 'Bonjour').hex()}' WHERE position = {PLACE}",
        f"""UPDATE log_0.digests d SET digest = sha256(
                convert_to('{{"log":0,"order_id":"' || e.order_id || '","position":' || e.position || ',"state":', 'UTF8')
                || e.state || convert_to(',"stream_id":"' || e.stream_id || '","stream_version":' || e.stream_version
                || ',"topic":"' || e.topic || '"}}', 'UTF8'))
            FROM log_0.events e WHERE e.position = d.position AND d.position = {PLACE}""",
    )
    found = stage.first_bad()
    assert (found.code, found.position, found.field) == ("digest_forged", PLACE, "chain")
    assert found.order_id == stage.order_at(PLACE)


def test_2_a_changed_amount_with_all_of_the_tree_fixed(stage: Stage) -> None:
    """Without the key, the signed root stays: the place lies after the last checkpoint that still fits."""
    stage.attack(f"UPDATE log_0.events SET state = '\\x{state_of(1, 'Bonjour').hex()}' WHERE position = {PLACE}")
    stage.rewrite_evidence()
    found = stage.first_bad()
    assert (found.code, found.from_position, found.position, found.field) == ("root_differs", 1002, 2001, "root")


def test_3_a_deleted_event(stage: Stage) -> None:
    """Its digest is left over."""
    order = stage.order_at(PLACE)
    stage.attack(f"DELETE FROM log_0.events WHERE position = {PLACE}")
    found = stage.first_bad()
    assert (found.code, found.position, found.order_id, found.field) == ("event_missing", PLACE, order, "position")


def test_3_an_event_deleted_with_its_digest(stage: Stage) -> None:
    """The next leaf has the wrong number, or its chain the wrong head."""
    stage.attack(*(f"DELETE FROM log_0.{table} WHERE position = {PLACE}" for table in ("events", "digests")))
    found = stage.first_bad()
    assert (found.code, found.from_position, found.position) == ("sealed_missing", PLACE - 1, PLACE + 1)
    assert found.field == "leaf_index"


def test_4_an_event_inserted_in_the_past(stage: Stage) -> None:
    """Into a gap that a rolled back command left."""
    stage.attack(
        "INSERT INTO log_0.events (position, order_id, stream_id, stream_version, topic, state) OVERRIDING SYSTEM VALUE "
        "SELECT 700, order_id, stream_id, 99999, topic, state FROM log_0.events WHERE position = 1"
    )
    found = stage.first_bad()
    assert (found.code, found.position, found.order_id) == ("event_inserted", 700, stage.order_at(1))
    stage.rewrite_evidence()
    found = stage.first_bad()
    assert (found.code, found.from_position) == ("root_differs", 1)


def test_5_two_swapped_events(stage: Stage) -> None:
    """Two events of one order change places."""
    order = stage.order_at(PLACE)
    other = stage.one("SELECT max(position) FROM log_0.events WHERE order_id = %s", order)
    stage.attack(f"""
        ALTER TABLE log_0.events ALTER position SET GENERATED BY DEFAULT;
        UPDATE log_0.events SET position = -1 WHERE position = {PLACE};
        UPDATE log_0.events SET position = {PLACE} WHERE position = {other};
        UPDATE log_0.events SET position = {other} WHERE position = -1
    """)
    found = stage.first_bad()
    assert (found.code, found.position, found.order_id, found.field) == ("event_moved", PLACE, order, "position")
    assert found.facts["was"] == other


def test_6_renumbered_events(stage: Stage) -> None:
    """Everything from a place on moves by one, its evidence with it."""
    stage.attack(
        "ALTER TABLE log_0.events ALTER position SET GENERATED BY DEFAULT",
        *(
            f"UPDATE log_0.{table} SET position = position + 100000 WHERE position >= {PLACE}"
            for table in ("events", "digests")
        ),
        *(
            f"UPDATE log_0.{table} SET position = position - 99999 WHERE position >= 100000"
            for table in ("events", "digests")
        ),
    )
    found = stage.first_bad()
    assert (found.code, found.position, found.field) == ("event_moved", PLACE + 1, "position")
    assert found.facts["was"] == PLACE


def cut(stage: Stage) -> None:
    stage.attack(
        "DELETE FROM log_0.events WHERE position > 1001",
        "DELETE FROM log_0.digests WHERE position > 1001",
        "DELETE FROM log_0.nodes WHERE (index + 1) << height > 1000",
        "DELETE FROM log_0.checkpoints WHERE size > 1000",
    )


def test_7_the_tail_cut_off(stage: Stage) -> None:
    """With everything that was signed about it, only the witness knows; it names the last place that is left."""
    cut(stage)
    assert stage.verify().verdict is Verdict.VERIFIED  # nobody can see it from inside
    found = stage.first_bad(witness=True)
    assert (found.code, found.position) == ("cut", 1001)
    assert (found.facts["size"], found.facts["count"]) == (2000, 1000)
    with pytest.raises(WitnessRefusal, match="rolled back: it has 1000 events, 2000 were seen"):
        stage.look()


def test_8_yesterdays_data_restored(stage: Stage, copied: Copies) -> None:
    """And business goes on: the deployment's own key signs another future, which the witness contradicts."""
    yesterday = copied(stage.url)
    stage.grow(500)
    stage.seal()
    stage.look()
    stage.url = yesterday
    found = stage.first_bad(witness=True)
    assert (found.code, found.position, found.facts["size"]) == ("cut", 2001, 2500)
    stage.orders = [uuid4()]
    stage.grow(700, text="Autre chose")
    (stage.folder / "elsewhere").mkdir()
    stage.seal(folder=stage.folder / "elsewhere")
    assert stage.verify().verdict is Verdict.VERIFIED  # nobody can see it from inside
    found = stage.first_bad(witness=True)
    assert (found.code, found.from_position, found.position) == ("root_differs", 2002, 2501)
    with pytest.raises(WitnessRefusal, match="forked"):
        stage.look()


def test_9_everything_rewritten_with_a_new_key(stage: Stage) -> None:
    """The old key refuses every checkpoint; the witness names where the events are others."""
    stage.attack(f"UPDATE log_0.events SET state = '\\x{state_of(1, 'Bonjour').hex()}' WHERE position = {PLACE}")
    stage.rewrite_everything()
    assert stage.verify(key=OTHER_KEY).verdict is Verdict.VERIFIED  # who trusts the new key sees nothing
    report = stage.verify()
    assert report.verdict is Verdict.FAILED
    assert report.findings[0].code == "bad_signature"
    found = stage.first_bad(key=OTHER_KEY, witness=True)
    assert (found.code, found.from_position, found.position) == ("root_differs", 1002, 2001)
    assert found.facts["source"] == "the witness"
    with pytest.raises(WitnessRefusal, match="not signed by the log's key"):
        stage.look()


def test_the_witness_keeps_what_it_refused(stage: Stage) -> None:
    """Two heads under one key that contradict each other are evidence by themselves."""
    cut(stage)
    with pytest.raises(WitnessRefusal):
        stage.witness().look(DatabaseLog(stage.url), 0)
    kept = list(stage.folder.glob("witness.jsonl.refused-log-0-1000-*"))
    assert len(kept) == 1
    assert kept[0].read_text() == stage.one("SELECT note FROM log_0.checkpoints WHERE size = 1000")
