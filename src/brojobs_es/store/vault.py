"""People's keys in the database, and in this process for as long as nobody is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from brojobs_es.store.connections import conninfo
from brojobs_es.vault import Keys, MasterKey, MasterKeyError, PersonKey, Ring, Wanted, new_secret, wanted_in

T = TypeVar("T")

CHECK_SECONDS: Final = 2.0
"""How long a process goes on with the keys that it knows before it looks whether somebody was erased."""

PEOPLE_MAX: Final = 10_000
"""Of how many people a process keeps the keys; one request is never about that many."""

_EPOCH: Final = "SELECT number FROM vault.epoch"
_KEYS: Final = """
    SELECT epoch.number, known.person, known.generation, known.key, known.wrapped_by
    FROM vault.epoch LEFT JOIN (
        SELECT k.person, k.generation, k.key, k.wrapped_by FROM vault.keys k
        WHERE k.person = ANY(%(people)s::text[])
            AND NOT EXISTS (SELECT FROM vault.erasures e WHERE e.person = k.person AND e.generation = k.generation)
        UNION ALL
        SELECT e.person, e.generation, NULL, NULL FROM vault.erasures e WHERE e.person = ANY(%(people)s::text[])
    ) known ON true
"""
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('brojobs key ' || %(person)s, 0))"
_MAKE: Final = """
    INSERT INTO vault.keys (person, generation, key, wrapped_by)
    SELECT %(person)s, greatest(%(newest)s + 1, extract(epoch FROM clock_timestamp())::bigint), %(key)s, %(wrapped_by)s
    WHERE NOT EXISTS (SELECT FROM vault.keys WHERE person = %(person)s AND generation > %(newest)s)
    RETURNING generation
"""
_FOREIGN: Final = "SELECT EXISTS (SELECT FROM vault.keys WHERE wrapped_by <> %s)"
_NO_KEYS: Final = Keys({}, 0)


class Database(Protocol):
    """Whatever does work on a pooled connection that has the writer's role."""

    async def run(self, work: Callable[[AsyncConnection[TupleRow]], Awaitable[T]]) -> T:
        """Do work that may safely be done twice."""
        ...


class Vault:
    """Keys for reading and for writing. Every method may raise StoreUnavailable.

    An erasure in any process is seen here after at most `check_seconds`; until then a key that is being destroyed may
    still be used, which is why an erasure waits that long between its beginning and its end.
    """

    def __init__(
        self,
        database: Database,
        master: MasterKey | None = None,
        *,
        check_seconds: float = CHECK_SECONDS,
        people_max: int = PEOPLE_MAX,
    ) -> None:
        self._database = database
        self._master = master
        self._check_seconds = check_seconds
        self._people_max = people_max
        self._known: dict[str, Keys] = {}
        self._epoch = 0
        self._fresh_until = 0.0
        self._looking: asyncio.Task[None] | None = None

    @property
    def epoch(self) -> int:
        """Grows when somebody is erased: what was opened under an older epoch must be opened again."""
        return self._epoch

    async def check(self) -> None:
        """Raises MasterKeyError where stored keys were wrapped by a master key that is not the one given."""
        rows = await self._rows(_FOREIGN, (self._master.name if self._master else "",))
        if rows[0][0]:
            raise MasterKeyError("keys in the vault are wrapped by another master key: see BROJOBS_MASTER_KEY")

    async def at_hand(self) -> Ring:
        """Whoever is known here. The ring changes: use it before waiting for anything else."""
        if monotonic() >= self._fresh_until:
            await self._look()
        return self._known

    async def to_read(self, wanted: Set[Wanted]) -> Ring:
        """A ring with the keys of these people that were not erased; one that the vault has lost counts as erased."""
        while True:
            await self._look()
            epoch = self._epoch
            unknown = {person for person, generation in wanted if self._of(person).newest < generation}
            ring = {person: self._of(person) for person, _ in wanted if person not in unknown}
            if unknown:
                ring |= await self._fetch(unknown)
            if epoch == self._epoch:  # otherwise somebody was erased meanwhile
                return complete(ring, wanted)

    async def to_write(self, people: Set[str]) -> Ring:
        """A ring with a current key for each of these people; who has none gets one now."""
        while True:
            await self._look()
            epoch = self._epoch
            ring = {person: self._of(person) for person in people}
            missing = {person for person, keys in ring.items() if keys.current is None}
            if missing:
                ring |= await self._fetch(missing)
                for person in sorted(missing):
                    if ring[person].current is None:
                        ring[person] = await self._made(person, ring[person])
            if epoch == self._epoch and all(keys.current for keys in ring.values()):
                return ring

    def _of(self, person: str) -> Keys:
        return self._known.get(person, _NO_KEYS)

    async def _look(self) -> None:
        """Forget everything if somebody was erased since the last look, which is at most `check_seconds` ago."""
        if monotonic() < self._fresh_until:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_once())
        await asyncio.shield(self._looking)  # one look for all who wait for it, also where it fails

    async def _look_once(self) -> None:
        began = monotonic()
        ((epoch,),) = await self._rows(_EPOCH, ())
        self._move_to(epoch)
        self._fresh_until = began + self._check_seconds

    def _move_to(self, epoch: int) -> None:
        if epoch > self._epoch:
            self._known.clear()
            self._epoch = epoch

    async def _fetch(self, people: Set[str]) -> dict[str, Keys]:
        while True:
            rows = await self._rows(_KEYS, {"people": sorted(people)})
            epoch = rows[0][0]
            self._move_to(epoch)
            if epoch == self._epoch:  # otherwise somebody was erased while these rows were on their way
                break
        found = keys_from((row[1:] for row in rows), self._master)
        for person, keys in found.items():
            self._keep(person, keys)
        return found

    async def _made(self, person: str, known: Keys) -> Keys:
        """With a key of the next generation, unless somebody else was faster: then everybody uses that one."""
        epoch, secret = self._epoch, new_secret()
        values: dict[str, Any] = {"person": person, "newest": known.newest, "key": secret, "wrapped_by": None}
        if self._master is not None:
            values |= {"key": self._master.wrapped(secret, person), "wrapped_by": self._master.name}

        async def make(connection: AsyncConnection[TupleRow]) -> TupleRow | None:
            async with connection.transaction():
                await connection.execute(_ONE_AT_A_TIME.encode(), values)
                return await (await connection.execute(_MAKE.encode(), values)).fetchone()

        row = await self._database.run(make)
        if row is None:
            return known
        generation = int(row[0])
        keys = Keys({**known.generations, generation: PersonKey(person, generation, secret)}, generation)
        if epoch == self._epoch:
            self._keep(person, keys)
        return keys

    def _keep(self, person: str, keys: Keys) -> None:
        self._known.pop(person, None)  # the newest last: the first goes when there are too many
        self._known[person] = keys
        if len(self._known) > self._people_max:
            del self._known[next(iter(self._known))]

    async def _rows(self, query: str, params: Any) -> Sequence[TupleRow]:
        async def ask(connection: AsyncConnection[TupleRow]) -> list[TupleRow]:
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(query.encode(), params)
                return await cursor.fetchall()

        return await self._database.run(ask)


def keys_from(rows: Iterable[Sequence[Any]], master: MasterKey | None) -> dict[str, Keys]:
    """The keys of people from rows of person, generation, key (None: erased) and the master key's name."""
    keys: dict[str, Keys] = {}
    for person, generation, stored, wrapped_by in rows:
        if person is None:
            continue
        of = keys.get(person, _NO_KEYS)
        generations = dict(of.generations)
        if stored is not None:
            generations[generation] = PersonKey(person, generation, _secret(person, stored, wrapped_by, master))
        keys[person] = Keys(generations, max(of.newest, generation))
    return keys


def _secret(person: str, stored: bytes, wrapped_by: str | None, master: MasterKey | None) -> bytes:
    if wrapped_by is None:
        return bytes(stored)
    if master is None or master.name != wrapped_by:
        raise MasterKeyError("keys in the vault are wrapped by another master key: see BROJOBS_MASTER_KEY")
    return master.unwrapped(bytes(stored), person)


def complete(ring: dict[str, Keys], wanted: Iterable[Wanted]) -> Ring:
    """The ring with an answer for everything wanted: what the vault does not know of is gone."""
    for person, generation in wanted:
        keys = ring.get(person, _NO_KEYS)
        if keys.newest < generation:
            ring[person] = Keys(keys.generations, generation)
    return ring


def read_ring(url: str, states: Iterable[bytes], master: MasterKey | None) -> Ring:
    """The keys that open the words of stored states, read at once with the rights of the auditor.

    Raises psycopg.Error where the database is not reached, and MasterKeyError.
    """
    wanted = wanted_in(states)
    people = sorted({person for person, _ in wanted})
    with psycopg.connect(conninfo(url, "brojobs_auditor", default_transaction_read_only="on")) as connection:
        rows = connection.execute(_KEYS.encode(), {"people": people}).fetchall()
    return complete(keys_from((row[1:] for row in rows), master), wanted)
