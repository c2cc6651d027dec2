"""The sealer: what it writes, that several do no harm, that death does none either, and what it refuses to sign."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymerkle import InmemoryTree
from tests.evidence.stage import KEY, OTHER_KEY, Stage
from tests.store.helpers import eventually

from brojobs_es.digests import START_OF_CHAIN, chained, event_digest
from brojobs_es.evidence import sealer as module
from brojobs_es.evidence.case.kernel.notes import read_checkpoint, read_key, signature_of
from brojobs_es.evidence.merkle import check_consistency, check_inclusion
from brojobs_es.evidence.notes import COSIGNATURE, PLAIN, Checkpoint, Note, Signer
from brojobs_es.evidence.sealer import Sealer, SealingRefused
from brojobs_es.evidence.signing import LastSigned, load_or_make_key
from brojobs_es.evidence.verify.findings import Verdict
from brojobs_es.evidence.witnessing import NotThere, consistency, inclusion
from brojobs_es.settings import prepare_data_dir
from brojobs_es.store.connections import conninfo
from brojobs_es.store.sealing import SealStore


def test_what_is_sealed_is_what_the_events_give(stage: Stage) -> None:
    """Digest, chain, place and root of every event, each computed here from the events alone; the root by another tree."""
    stage.grow(1300)
    stage.seal()
    heads, leaves = dict.fromkeys(stage.orders, START_OF_CHAIN), []
    with psycopg.connect(stage.url) as connection:
        rows = connection.execute(
            "SELECT e.position, e.order_id, e.stream_id, e.stream_version, e.topic, e.state, d.leaf_index, d.order_id, "
            "d.digest, d.chain FROM log_0.events e FULL JOIN log_0.digests d USING (position) ORDER BY position"
        ).fetchall()
        root, note = connection.execute("SELECT root, note FROM log_0.checkpoints WHERE size = 1300").fetchone() or ()
    for index, (position, order, stream, version, topic, state, *sealed) in enumerate(rows):
        digest = event_digest(
            log=0,
            position=position,
            order_id=order,
            stream_id=stream,
            stream_version=version,
            topic=topic,
            state=state,
        )
        heads[order] = chained(heads[order], digest)
        assert sealed == [index, order, digest, heads[order]]
        leaves.append(heads[order])
    assert root == InmemoryTree.init_from_entries(leaves, algorithm="sha256").get_root()
    assert Checkpoint.parse(Note.parse(note).text).root == root


def test_a_checkpoint_every_thousand_events(stage: Stage) -> None:
    """However much there is to catch up with, no two checkpoints are further apart."""
    stage.grow(3456)
    stage.seal()
    with psycopg.connect(stage.url) as connection:
        sizes = [row[0] for row in connection.execute("SELECT size FROM log_0.checkpoints ORDER BY size")]
    assert sizes == [1000, 2000, 3000, 3456]


async def test_a_checkpoint_in_time_and_not_sooner(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something new is signed at once after a quiet time, then when the seconds are over; nothing new, never."""
    monkeypatch.setattr(module, "SIGN_SECONDS", 0.6)
    store = SealStore(stage.url)
    await store.open()
    sealer = stage.sealer(store)
    stage.grow(3)
    await sealer.step(0)
    assert await signed(store) == 3
    stage.grow(2)
    await sealer.step(0)
    assert await signed(store) == 3
    await asyncio.sleep(0.7)
    await sealer.step(0)
    assert await signed(store) == 5
    await asyncio.sleep(0.7)
    assert not await store.behind(0)
    await store.close()


def test_checkpoints_are_read_by_the_other_reader(stage: Stage) -> None:
    """The note is signed twice, plainly and with its time, and the case file's own parser agrees."""
    stage.grow(5)
    before = int(time.time())
    stage.seal()
    note = stage.one("SELECT note FROM log_0.checkpoints")
    origin = Checkpoint.parse(Note.parse(note).text).origin
    for algorithm in (PLAIN, COSIGNATURE):
        key = Signer(origin, KEY).verifier(algorithm)
        stated = Note.parse(note).check(key)
        assert stated is None if algorithm == PLAIN else before <= (stated or 0) <= time.time()
        theirs = read_checkpoint(note.encode())
        assert (theirs.origin, theirs.size) == (origin, 5)
        assert signature_of(theirs.note, read_key(str(key).encode())) is not None


async def test_sealers_at_once_while_writers_write(stage: Stage) -> None:
    """Four sealers over a growing log make one faultless tree together."""
    stores = [SealStore(stage.url) for _ in range(4)]
    for store in stores:
        await store.open()
    sealers = [stage.sealer(store) for store in stores]

    async def grow() -> None:
        for _ in range(60):
            await asyncio.to_thread(stage.grow, 40)

    async with asyncio.TaskGroup() as tasks:
        growing = tasks.create_task(grow())
        while not growing.done():
            await asyncio.gather(*(sealer.catch_up(0) for sealer in sealers))
    await asyncio.gather(*(sealer.catch_up(0) for sealer in sealers))
    for store in stores:
        await store.close()
    report = await asyncio.to_thread(stage.verify)
    assert report.verdict is Verdict.VERIFIED
    assert (report.scans[0].events, report.scans[0].signed) == (2400, 2400)


async def signed(store: SealStore) -> int:
    """The size of the newest checkpoint."""
    head = await store.newest_head(0)
    assert head is not None
    return head.size


PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.evidence.stage import Stage
stage = Stage(sys.argv[1], Path(sys.argv[2]))
print("at work", flush=True)
while True:
    stage.seal()
"""


def test_killed_in_the_middle_again_and_again(stage: Stage) -> None:
    """A sealer that is killed leaves nothing that the next one cannot go on from."""
    stage.grow(20_000)
    left_at = []
    for pause in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0):
        command = [sys.executable, "-c", PROGRAM, stage.url, str(stage.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        left_at.append(stage.one("SELECT count(*) FROM log_0.digests"))
        if len(left_at) > 1 and 0 < left_at[-1] < 20_000:
            break
    assert any(0 < size < 20_000 for size in left_at), left_at
    stage.seal()
    report = stage.verify()
    assert report.verdict is Verdict.VERIFIED
    assert report.scans[0].signed == 20_000


async def test_proofs_out_of_the_database(stage: Stage) -> None:
    """For places all over the log, and sizes on both sides of kept nodes, stored proofs verify."""
    await asyncio.to_thread(stage.grow, 1500)
    store = SealStore(stage.url)
    await store.open()
    sealer = stage.sealer(store)
    await sealer.catch_up(0)
    roots: dict[int, bytes] = {}
    tree = InmemoryTree(algorithm="sha256")
    for _, chain in sorted((await store.chains(0, [(0, 1500)])).items()):
        tree.append_entry(chain)
    for size in (1, 2, 255, 256, 257, 511, 512, 768, 1000, 1024, 1499, 1500):
        roots[size] = bytes(tree.get_root(size))
    for position in (1, 2, 255, 256, 257, 700, 1024, 1500):
        found = await inclusion(sealer, 0, position)
        check_inclusion(found.leaf.chain, found.leaf.index, found.size, found.hashes, roots[1500])
    for first, second in [*pairwise(roots), (1, 1500), (256, 1500), (257, 1024)]:
        check_consistency(first, second, await consistency(sealer, 0, first, second), roots[first], roots[second])
    with pytest.raises(NotThere):
        await inclusion(sealer, 0, 1501)
    with pytest.raises(NotThere):
        await consistency(sealer, 0, 1, 1501)
    await store.close()


async def test_an_event_is_covered_on_demand(stage: Stage) -> None:
    """Whoever asks for the proof of a fresh event does not wait for the next minute."""
    await asyncio.to_thread(stage.grow, 3)
    store = SealStore(stage.url)
    await store.open()
    found = await inclusion(stage.sealer(store), 0, 3)
    assert (found.size, found.leaf.index) == (3, 2)
    await store.close()


# -- a folder that cannot be used


def later_then_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(module, "REFUSED_PAUSE_SECONDS", 0.3)
    monkeypatch.setattr(module, "SIGN_SECONDS", 0.0)


@contextlib.asynccontextmanager
async def at_work(sealer: Sealer) -> AsyncIterator[asyncio.Task[None]]:
    """A sealer that seals until the block ends."""
    await sealer.store.open()
    running = asyncio.create_task(sealer.run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])
        await sealer.store.close()


async def test_a_folder_that_is_not_there_is_said_and_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was signed cannot be remembered, for whatever reason the system has: the sealer says so, and then goes on."""
    later_then_sooner(monkeypatch)
    folder = stage.folder / "later"
    sealer = stage.sealer(SealStore(stage.url), folder=folder)
    stage.grow(3)
    async with at_work(sealer) as running:
        await eventually(lambda: sealer.trouble is not None)
        assert "No such file" in (sealer.trouble or "")
        folder.mkdir()
        stage.grow(2)
        await eventually(lambda: bool(list(folder.glob("signed-*.txt"))) and sealer.trouble is None)
        assert not running.done()
        assert await signed(sealer.store) == 5
    assert (await asyncio.to_thread(stage.verify)).verdict is Verdict.VERIFIED


async def test_a_folder_that_others_may_write_is_said_and_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is not taken from there; once the right is taken away, everything is sealed."""
    later_then_sooner(monkeypatch)
    folder = stage.folder / "data"
    folder.mkdir()
    folder.chmod(0o777)

    def key() -> Ed25519PrivateKey:
        return load_or_make_key(prepare_data_dir(folder) / "key.pem")

    sealer = Sealer(SealStore(stage.url), 1, "test", key, LastSigned(stage.folder))
    stage.grow(3)
    async with at_work(sealer) as running:
        await eventually(lambda: sealer.trouble is not None)
        assert "can be written by others" in (sealer.trouble or "")
        assert await sealer.store.newest_head(0) is None
        folder.chmod(0o755)
        await eventually(lambda: sealer.trouble is None)
        assert not running.done()
        assert await signed(sealer.store) == 3


# -- what is not signed


def test_an_older_database_is_not_signed_again(stage: Stage) -> None:
    """Sealed events that disappear are not sealed anew as if nothing had been; removing the memory is a person's deed."""
    stage.grow(1500)
    stage.seal()
    stage.attack("TRUNCATE log_0.digests, log_0.nodes, log_0.checkpoints, log_0.cosignatures, log_0.stamps")
    with pytest.raises(SealingRefused, match="does not go on from the 1500 events"):
        stage.seal()
    next(stage.folder.glob("signed-*.txt")).unlink()
    stage.seal()
    assert stage.verify().verdict is Verdict.VERIFIED


def test_another_keys_checkpoints_are_not_gone_on_from(stage: Stage) -> None:
    """Two processes with different keys: the second one stops and says why."""
    stage.grow(5)
    stage.seal()
    stage.grow(5)
    with pytest.raises(SealingRefused, match="not by this deployment's key"):
        stage.seal(OTHER_KEY)


def test_a_changed_tree_is_not_signed(stage: Stage) -> None:
    """A chain head changed under the last checkpoint stops the sealer that comes next."""
    stage.grow(5)
    stage.seal()
    stage.attack("UPDATE log_0.digests SET chain = sha256('x') WHERE position = 2")
    stage.grow(5)
    with pytest.raises(SealingRefused, match="not those of the checkpoint of 5"):
        stage.seal()


@pytest.mark.parametrize("role", ["brojobs_writer", "brojobs_projector", "brojobs_auditor", "brojobs_sealer"])
@pytest.mark.parametrize("table", ["digests", "nodes", "checkpoints", "cosignatures", "stamps", "events"])
@pytest.mark.parametrize("deed", ["UPDATE log_0.{} SET {} = {}", "DELETE FROM log_0.{}", "TRUNCATE log_0.{} CASCADE"])
def test_nobody_changes_evidence(database_url: str, role: str, table: str, deed: str) -> None:
    """No role of the service may change or remove a row."""
    columns = {"digests": "chain", "nodes": "hash", "checkpoints": "note", "cosignatures": "line", "stamps": "response"}
    column = columns.get(table, "state")
    with (
        psycopg.connect(conninfo(database_url, role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(deed.format(table, column, column).encode())


@pytest.mark.parametrize("role", ["brojobs_writer", "brojobs_projector", "brojobs_auditor"])
def test_only_the_sealer_adds_evidence(database_url: str, role: str) -> None:
    """And it adds nothing else: events are the writer's."""
    with (
        psycopg.connect(conninfo(database_url, role)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("INSERT INTO log_0.nodes VALUES (8, 0, '')")
    with (
        psycopg.connect(conninfo(database_url, "brojobs_sealer")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("INSERT INTO log_0.events (topic) VALUES ('x')")


def test_the_owner_is_told_too(database_url: str) -> None:
    """Even the owner's UPDATE meets a trigger."""
    with psycopg.connect(database_url) as connection, pytest.raises(psycopg.Error, match="only ever added"):
        connection.execute("DELETE FROM log_0.digests")
