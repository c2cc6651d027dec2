"""A log with its sealer, its witness, and an attacker who is the database's superuser."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import Certificate

from brojobs_es.evidence.notes import COSIGNATURE, PLAIN, Signer
from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.signing import LastSigned
from brojobs_es.evidence.sources import DatabaseLog
from brojobs_es.evidence.verify.findings import Finding
from brojobs_es.evidence.verify.heads import Trust
from brojobs_es.evidence.verify.verdict import Demands, Kept, Report, verify
from brojobs_es.evidence.witness import Memory, Witness
from brojobs_es.mapper import canonical
from brojobs_es.store.scanning import snapshot
from brojobs_es.store.sealing import SealStore

KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
Copies = Callable[[str], str]
"""Copies a database and returns the URI of the copy."""

TABLES = "log_0.digests, log_0.nodes, log_0.checkpoints, log_0.cosignatures, log_0.stamps"


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def state_of(amount: int, text: str) -> bytes:
    """A stored state like that of an order that was placed."""
    return canonical({"price": {"amount": amount, "currency": "EUR"}, "title": {"of": "bob", "text": text}})


@dataclass
class Stage:
    """Log 0 of a database of one test."""

    url: str
    folder: Path
    orders: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(7)])
    versions: dict[UUID, int] = field(default_factory=dict)
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def copy(self, url: str, folder: Path) -> Stage:
        """The same over a copy of the database, in a folder of its own."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Stage(url, folder, list(self.orders), dict(self.versions))

    # -- the honest

    def grow(self, count: int, *, text: str = "Bonjour") -> None:
        """Record events of several orders, in small appends as commands make them."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for start in range(0, count, 500):
                rows = [self._event(n, text) for n in range(start, min(count, start + 500))]
                connection.execute(
                    "INSERT INTO log_0.events (order_id, stream_id, stream_version, topic, state) SELECT * FROM "
                    "unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::bytea[])",
                    [list(column) for column in zip(*rows, strict=True)],
                )

    def _event(self, n: int, text: str) -> tuple[UUID, UUID, int, str, bytes]:
        order = self.random.choice(self.orders)
        version = self.versions[order] = self.versions.get(order, 0) + 1
        return order, order, version, "order:OrderPlaced", state_of(1000 + n, text)

    def sealer(self, store: SealStore, key: Ed25519PrivateKey = KEY, folder: Path | None = None) -> Sealer:
        return Sealer(store, 1, "test", lambda: key, LastSigned(folder or self.folder))

    def seal(self, key: Ed25519PrivateKey = KEY, folder: Path | None = None) -> None:
        """Seal and sign everything that is there."""

        async def run() -> None:
            store = SealStore(self.url)
            await store.open()
            try:
                await self.sealer(store, key, folder).catch_up(0)
            finally:
                await store.close()

        asyncio.run(run())

    @property
    def witness_file(self) -> Path:
        return self.folder / "witness.jsonl"

    def witness(self) -> Witness:
        return Witness(self.witness_file, Signer("witness", WITNESS_KEY), raw(KEY))

    def look(self) -> None:
        """Let the witness look once."""
        self.witness().look(DatabaseLog(self.url), 0)

    # -- the attacker

    def attack(self, *statements: str, params: Sequence[Any] = ()) -> None:
        """As the superuser, past every trigger and constraint that a superuser can get past."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode(), params)

    def rewrite_evidence(self) -> None:
        """What an attacker without the key can do: digests and tree anew, the old signed checkpoints left in place."""
        self.attack(f"CREATE TABLE kept AS TABLE log_0.checkpoints; TRUNCATE {TABLES}")
        forger = self.folder / "forger"
        forger.mkdir(exist_ok=True)
        self.seal(OTHER_KEY, forger)
        self.attack(
            "TRUNCATE log_0.checkpoints, log_0.cosignatures, log_0.stamps; INSERT INTO log_0.checkpoints TABLE kept"
        )

    def rewrite_everything(self) -> None:
        """What an attacker can do who owns the machine: all of it anew, under a key of their own."""
        forger = self.folder / "forger"
        forger.mkdir(exist_ok=True)
        self.attack(f"TRUNCATE {TABLES}")
        self.seal(OTHER_KEY, forger)

    # -- the auditor

    def verify(
        self,
        *,
        key: Ed25519PrivateKey | None = KEY,
        witness: bool = False,
        demands: Demands | None = None,
        stamp_roots: Sequence[Certificate] | None = None,
    ) -> Report:
        """With the deployment's key, and with the witness's file if asked for."""
        kept, keys = [], []
        if witness:
            memory = Memory.parse(self.witness_file.read_bytes())
            kept = [Kept(note, head, "the witness") for note, head in memory.notes]
            keys = [memory.witness]
        with snapshot(self.url) as moment:
            return verify(moment, 1, Trust([raw(key)] if key else [], keys, stamp_roots), kept, demands)

    def first_bad(self, **how: Any) -> Finding:
        """The first place that a failed verification names."""
        report = self.verify(**how)
        assert report.verdict == 1, report
        assert report.findings[0].names_a_place, report.findings
        return report.findings[0]

    def one(self, query: str, *params: Any) -> Any:
        """A value as the superuser sees it."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode(), params).fetchone()
        assert row is not None
        return row[0]

    def order_at(self, position: int) -> UUID:
        found: UUID = self.one("SELECT order_id FROM log_0.events WHERE position = %s", position)
        return found


WITNESS = Signer("witness", WITNESS_KEY).verifier(COSIGNATURE)
LOG = Signer("test", KEY).verifier(PLAIN)
