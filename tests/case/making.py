"""Case files made from stories, over a log that lives in memory and is sealed with the project's own tree and notes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests import kit
from tests.kit import Story

from brojobs_es.application.history import Entry, History, encode
from brojobs_es.application.records import FileRow
from brojobs_es.evidence import merkle
from brojobs_es.evidence.case.contents import Export, write_case
from brojobs_es.evidence.case.packing import CaseWriter
from brojobs_es.evidence.case.proving import Sealed, event_lines, heads_of
from brojobs_es.evidence.case.stamp_parts import Stamp
from brojobs_es.evidence.notes import COSIGNATURE, PLAIN, Checkpoint, Signer, signed_checkpoint
from brojobs_es.mapper import canonical, openings
from brojobs_es.vault import Keys, Opening, PersonKey

ORIGIN: Final = "orders.example/log/0"
SIGNED_AT: Final = 1_772_000_000
BEFORE: Final = 5
"""How many events of other orders lie before each of the story's."""


def signer(name: str, seed: int) -> Signer:
    """A key that is the same on each run."""
    return Signer(name, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % seed).digest()))


DEPLOYMENT: Final = signer(ORIGIN, 1)
WITNESS: Final = signer("witness.example", 2)
STRANGER: Final = signer(ORIGIN, 3)


class Everybody(dict[str, Keys]):
    """A ring with a key for whoever writes, always the same."""

    def __missing__(self, person: str) -> Keys:
        self[person] = Keys({1: PersonKey(person, 1, hashlib.sha256(person.encode()).digest())}, 1)
        return self[person]

    def get(self, person: str, default: Any = None) -> Any:
        return self[person]


RING: Final = Everybody()


def recorded(story: Story) -> History:
    """The story as it would be recorded among other orders, with the stored bytes of its events, words sealed."""
    entries = [Entry(event, n * (BEFORE + 2), encode(event, RING).state) for n, event in enumerate(story.case.new, 1)]
    history = History.of(entries, story.now)
    assert history is not None
    return history


class MemoryLog:
    """The evidence of a log that holds one story between events of others; positions have a gap before each of its own."""

    def __init__(self, history: History, key: Signer = DEPLOYMENT, *, after: int = 3) -> None:
        self.leaves: list[bytes] = []
        self._index: dict[int, int] = {}
        self._key = key
        self.stamp: Stamp | None = None
        for entry, head in zip(history.entries, heads_of(event_lines(history, 0)), strict=True):
            assert entry.position is not None
            self.others(BEFORE)
            self._index[entry.position] = len(self.leaves)
            self.leaves.append(head)
        self.others(after)

    def others(self, count: int) -> None:
        """Events of other orders."""
        self.leaves += [hashlib.sha256(b"other %d" % (len(self.leaves) + n)).digest() for n in range(count)]

    def root(self, start: int, end: int) -> bytes:
        tree = merkle.Frontier()
        for leaf in self.leaves[start:end]:
            tree.append(leaf)
        return tree.root()

    def checkpoint(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        head = Checkpoint(ORIGIN, size, self.root(0, size))
        return signed_checkpoint(head, self._key, SIGNED_AT) + WITNESS.cosigned(head.text, SIGNED_AT + 5)

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [self.root(*part) for part in merkle.consistency_ranges(first, second)]

    async def sealed(self, log: int, position: int) -> Sealed:
        index = self._index[position]
        path = self.path(index, len(self.leaves))
        return Sealed(index, path, self.checkpoint(), self._key, (str(WITNESS.verifier(COSIGNATURE)),), self.stamp)

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        return tuple(self.root(*part) for part in merkle.inclusion_ranges(index, size))

    def stamped(self, authority: Callable[[bytes], bytes]) -> None:
        """Has an authority stamp a checkpoint over all but the last of the leaves, as its newest for the story."""
        size = len(self.leaves) - 1
        note = self.checkpoint(size)
        self.stamp = Stamp(note, self.path(max(self._index.values()), size), authority(note.encode()))


class MemoryFiles:
    """Contents of files; what is not here is gone."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents

    async def open(self, row: FileRow) -> AsyncIterator[bytes]:
        if row.file_id not in self._contents:
            raise FileNotFoundError(row.file_id)
        return self._blocks(self._contents[row.file_id])

    async def _blocks(self, content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]


CONTENT: Final = b"test"  # its SHA-256 is the file of the kit's stories
PICTURE: Final = bytes(range(256)) * 8


def file_row(content: bytes, name: str, order_id: UUID = kit.ORDER_ID) -> FileRow:
    file_id = hashlib.sha256(content).hexdigest()
    return FileRow(order_id, file_id, name, len(content), "image/svg+xml", "sam", kit.T0)


def words_of(history: History) -> list[Opening]:
    """What opens all words of a history."""
    return [
        opening
        for entry in history.entries
        for opening in openings(entry.state or b"", entry.event.originator_id, entry.event.originator_version, RING)
    ]


def export_of(history: History, **changes: Any) -> Export:
    """The story's export with its file and another one that no event names."""
    values: dict[str, Any] = {
        "history": history,
        "log": 0,
        "views": {"order_id": str(history.order_id)},
        "exported_at": history.now,
        "words": words_of(history),
        "files": [file_row(CONTENT, "v1.svg"), file_row(PICTURE, "été.png")],
        "custody": [{"who": "mia", "what": "case-file"}],
    }
    return Export(**(values | changes))


def packed(
    history: History, log: MemoryLog | None = None, contents: Sequence[bytes] = (CONTENT, PICTURE), **changes: Any
) -> bytes:
    """The bytes of the case file."""
    target = io.BytesIO()
    files = MemoryFiles({hashlib.sha256(content).hexdigest(): content for content in contents})
    asyncio.run(write_case(target, export_of(history, **changes), log or MemoryLog(history), files))
    return target.getvalue()


def public_pem(key: Signer, folder: Path) -> Path:
    """The public half of a key as a file."""
    path = folder / f"{key.name.replace('/', '-')}-{key.verifier(PLAIN).id.hex()}.pem"
    path.write_bytes(key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


# -- forging


def unpacked(case: bytes) -> dict[str, bytes]:
    """The files of a case file by path in the bag."""
    with zipfile.ZipFile(io.BytesIO(case)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def repacked(files: Mapping[str, bytes], key: Signer | None = None, order_id: UUID = kit.ORDER_ID) -> bytes:
    """A case file of these files with manifests that fit; signed anew with the key, else with the old signature."""
    target = io.BytesIO()
    writer = CaseWriter(target, str(order_id))
    for path in sorted(path for path in files if path.startswith("data/")):
        writer.add(path.removeprefix("data/"), files[path])
    sign = (lambda text: f"{text}\n{key.signed(text)}".encode()) if key else (lambda text: files["manifest.sig"])
    writer.finish(files["verify.py"].decode(), {}, sign)
    return target.getvalue()


def rechained(files: dict[str, bytes], lines: Sequence[bytes]) -> dict[str, bytes]:
    """The files with these events, the heads of the chain made to fit."""
    proofs = json.loads(files["data/proofs.json"])
    proofs["heads"] = [b64encode(head).decode() for head in heads_of(lines)]
    return files | {
        "data/events.ndjson": b"".join(line + b"\n" for line in lines),
        "data/proofs.json": canonical(proofs) + b"\n",
    }
