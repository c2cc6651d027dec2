"""People's keys: made once whoever races, kept for as long as nobody is erased, and out of reach for who needs none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from tests.store.helpers import opened

from brojobs_es.store.connections import conninfo
from brojobs_es.store.erasing import PostgresEraser
from brojobs_es.store.vault import Vault
from brojobs_es.vault import MasterKey, MasterKeyError, PersonKey


@asynccontextmanager
async def vaults(url: str, count: int = 2, **options: float | int | MasterKey) -> AsyncIterator[list[Vault]]:
    """Vaults as separate processes have them, and no cache that outlives a look unless it is asked for."""
    async with opened(url) as logs:
        yield [Vault(logs, **{"check_seconds": 0.0, **options}) for _ in range(count)]  # type: ignore[arg-type]


@asynccontextmanager
async def eraser(url: str, logs: int = 1) -> AsyncIterator[PostgresEraser]:
    async with opened(url, logs) as log, PostgresEraser.opened(url, log) as made:
        yield made


def secret_of(key: PersonKey | None) -> bytes:
    assert key is not None
    return key.digest(b"the same only for the same key")


async def current(vault: Vault, person: str) -> PersonKey | None:
    return (await vault.to_write({person}))[person].current


async def made(vault: Vault, person: str) -> int:
    """The generation of the person's current key."""
    key = await current(vault, person)
    assert key is not None
    return key.generation


async def test_a_key_is_made_once(database_url: str) -> None:
    """Twenty writers in two processes race for a new person: all use one key, the only one stored."""
    person = f"p-{uuid4()}"
    async with vaults(database_url) as both:
        keys = await asyncio.gather(*(current(both[n % 2], person) for n in range(20)))
    assert len({secret_of(key) for key in keys}) == 1
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT generation FROM vault.keys WHERE person = %s", (person,)).fetchall()
    assert len(rows) == 1


async def test_reading_makes_no_key(database_url: str) -> None:
    """Whoever is only asked about gets none; what the vault has never heard of counts as erased."""
    person = f"p-{uuid4()}"
    async with vaults(database_url, 1) as (vault,):
        ring = await vault.to_read({(person, 1)})
    assert (ring[person].generations, ring[person].newest) == ({}, 1)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT FROM vault.keys WHERE person = %s", (person,)).fetchall() == []


async def test_an_erasure_is_seen_by_every_process(clean_logs: str) -> None:
    """From its beginning nobody is given the key; taken back it is there again; finished it is gone for good."""
    async with vaults(clean_logs) as (one, other), eraser(clean_logs) as erasing:
        before, first = secret_of(await current(one, "ana")), await made(one, "ana")
        wanted = {("ana", first)}
        assert secret_of((await other.to_read(wanted))["ana"].current) == before
        epoch = other.epoch
        await erasing.begin("ana", [first])
        for vault in (one, other):
            ring = await vault.to_read(wanted)
            assert (dict(ring["ana"].generations), ring["ana"].newest) == ({}, first)
        assert other.epoch > epoch
        await erasing.take_back("ana", [first])
        assert secret_of((await other.to_read(wanted))["ana"].current) == before
        await erasing.begin("ana", [first])
        await erasing.finish("ana", [first])
        await erasing.take_back("ana", [first])  # too late
        assert (await one.to_read(wanted))["ana"].current is None
        assert await erasing.keys("ana") == await erasing.begun("ana") == ()


async def test_words_after_an_erasure_get_a_new_key(clean_logs: str) -> None:
    """A later generation; a process that knew only of the erasure finds it when it reads such words."""
    async with vaults(clean_logs, check_seconds=60.0) as (one, other), eraser(clean_logs) as erasing:
        before, first = secret_of(await current(one, "ana")), await made(one, "ana")
        await erasing.begin("ana", [first])
        await erasing.finish("ana", [first])
        async with vaults(clean_logs, 1) as (fresh,):
            assert (await fresh.to_read({("ana", first)}))["ana"].newest == first
            new = await current(other, "ana")
            assert new is not None
            assert new.generation > first
            assert secret_of(new) != before
            ring = await fresh.to_read({("ana", first), ("ana", new.generation)})
            assert set(ring["ana"].generations) == {new.generation}


async def test_a_lost_key_is_no_changed_text(clean_logs: str) -> None:
    """After the vault was restored from before somebody's key, a new key never takes the lost one's number."""
    async with vaults(clean_logs, 1) as (vault,):
        lost = await made(vault, "ana")
    with psycopg.connect(clean_logs, autocommit=True) as connection:
        connection.execute("ALTER TABLE vault.keys DISABLE TRIGGER USER")
        connection.execute("DELETE FROM vault.keys")
        connection.execute("ALTER TABLE vault.keys ENABLE TRIGGER USER")
    await asyncio.sleep(1.0)
    async with vaults(clean_logs, 1) as (vault,):
        new = await made(vault, "ana")
        assert new > lost
        assert set((await vault.to_read({("ana", lost)}))["ana"].generations) == {new}


async def test_keys_are_forgotten_within_the_time_that_is_promised(clean_logs: str) -> None:
    """A process looks at most `check_seconds` after its last look, and not before: reading costs no query."""
    async with vaults(clean_logs, 1, check_seconds=0.3) as (vault,), eraser(clean_logs) as erasing:
        await vault.at_hand()
        looked = asyncio.get_running_loop().time()
        generation = await made(vault, "ana")
        await erasing.begin("ana", [generation])
        before = "ana" in await vault.at_hand()
        assert before or asyncio.get_running_loop().time() - looked > 0.3
        await asyncio.sleep(0.31)
        assert "ana" not in await vault.at_hand()


async def test_erased_while_the_rows_are_on_their_way(clean_logs: str) -> None:
    """Keys that were fetched just before an erasure do not get into a cache that has already forgotten them."""
    async with vaults(clean_logs, 1, check_seconds=0.0) as (vault,), eraser(clean_logs) as erasing:
        for _ in range(5):
            generation = await made(vault, "ana")
            await asyncio.gather(
                erasing.begin("ana", [generation]),
                *(vault.to_read({("ana", generation), (f"x{n}", 1)}) for n in range(10)),
            )
            ring = await vault.to_read({("ana", generation)})
            assert generation not in ring["ana"].generations
            await erasing.finish("ana", [generation])


async def test_the_cache_is_bounded(clean_logs: str) -> None:
    """However many people come by, and each still gets the same key as before."""
    async with vaults(clean_logs, 1, people_max=5, check_seconds=60.0) as (vault,):
        people = [f"p{n}" for n in range(30)]
        keys = {person: await current(vault, person) for person in people}
        assert len(vault._known) == 5
        ring = await vault.to_read({(person, key.generation) for person, key in keys.items() if key})
        assert {person: secret_of(ring[person].current) for person in people} == {
            person: secret_of(key) for person, key in keys.items()
        }
        assert len(await vault.to_write(set(people))) == 30


async def test_the_master_key(clean_logs: str, tmp_path: Path) -> None:
    """With it the database holds no usable key; another one, or none, is noticed at the start."""
    path = tmp_path / "master"
    path.write_text("0f" * 32 + "\n")
    master = MasterKey.from_file(path)
    async with vaults(clean_logs, master=master) as (one, other):
        wanted = {("ana", await made(one, "ana"))}
        assert secret_of(await current(one, "ana")) == secret_of((await other.to_read(wanted))["ana"].current)
        await one.check()
    async with vaults(clean_logs, master=MasterKey(bytes(32))) as (wrong, _), vaults(clean_logs, 1) as (none,):
        for vault in (wrong, none):
            with pytest.raises(MasterKeyError):
                await vault.check()
            with pytest.raises(MasterKeyError):
                await vault.to_read(wanted)
    with pytest.raises(MasterKeyError, match="changed"):
        master.unwrapped(master.wrapped(bytes(32), "ana"), "bob")


@pytest.mark.parametrize("content", ["", "0f" * 31, "0f" * 33, "zz" * 32])
def test_a_master_key_file_that_is_none(tmp_path: Path, content: str) -> None:
    """The file holds 64 hexadecimal digits and nothing else."""
    path = tmp_path / "master"
    path.write_text(content)
    with pytest.raises(MasterKeyError):
        MasterKey.from_file(path)
    with pytest.raises(MasterKeyError, match="cannot be read"):
        MasterKey.from_file(tmp_path / "missing")


def run(url: str, role: str, statement: str) -> None:
    with psycopg.connect(conninfo(url, role)) as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("brojobs_projector", "SELECT person FROM vault.keys"),
        ("brojobs_projector", "SELECT FROM vault.erasures"),
        ("brojobs_eraser", "SELECT key FROM vault.keys"),
        ("brojobs_eraser", "INSERT INTO vault.keys (person, generation, key) VALUES ('x', 1, '')"),
        ("brojobs_eraser", "SELECT FROM log_0.events"),
        ("brojobs_auditor", "INSERT INTO vault.keys (person, generation, key) VALUES ('x', 1, '')"),
        *((role, f"{what} vault.keys") for role in ("brojobs_writer", "brojobs_auditor") for what in ("DELETE FROM", "TRUNCATE")),
        *((role, "UPDATE vault.keys SET key = ''") for role in ("brojobs_writer", "brojobs_auditor", "brojobs_eraser")),
        ("brojobs_writer", "INSERT INTO vault.erasures (person, generation) VALUES ('x', 1)"),
        ("brojobs_writer", "UPDATE vault.epoch SET number = 0"),
    ],
)  # fmt: skip
def test_who_may_not(database_url: str, role: str, statement: str) -> None:
    """The projector sees no key, the eraser reads none, and nobody else destroys one."""
    with pytest.raises(InsufficientPrivilege):
        run(database_url, role, statement)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM vault.keys WHERE person = 'kept'", "TRUNCATE vault.keys", "UPDATE vault.keys SET generation = 7"],
)
def test_a_slip_of_the_hand_loses_no_key(clean_logs: str, statement: str) -> None:
    """Even the owner destroys a key only after its erasure was begun, and never changes one."""
    run(clean_logs, "brojobs_writer", "INSERT INTO vault.keys (person, generation, key) VALUES ('kept', 1, 'x')")
    with pytest.raises(psycopg.Error) as caught, psycopg.connect(clean_logs) as connection:
        connection.execute(statement.encode())
    assert caught.value.sqlstate == "VG003"


async def test_a_destroyed_key_leaves_the_table_file(clean_logs: str) -> None:
    """After the rewrite its bytes are not even in the free space of the table's pages."""
    read = "SELECT pg_read_binary_file(pg_relation_filepath('vault.keys'))"
    async with vaults(clean_logs, 1) as (vault,), eraser(clean_logs) as erasing:
        first = await made(vault, "ana")
        await current(vault, "bob")
        with psycopg.connect(clean_logs, autocommit=True) as connection:
            (ana,), (bob,) = connection.execute("SELECT key FROM vault.keys ORDER BY person").fetchall()
            await erasing.begin("ana", [first])
            await erasing.finish("ana", [first])
            assert await erasing.rewrite()
            connection.execute("CHECKPOINT")
            row = connection.execute(read).fetchone()
    assert row is not None
    assert bob in row[0]
    assert ana not in row[0]
