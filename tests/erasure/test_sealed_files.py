"""Files as they are stored: sealed, whole, in order, each one itself, and gone when their owner is erased."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from brojobs_es.api.folder import FileStore, PersonFiles
from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    BrokenFile,
    FileOpener,
    FileSealer,
    opened,
    sealed,
    sealed_size,
)

KEY = PersonKey("sam", 1, bytes(range(32)))
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES


async def put(files: PersonFiles, content: bytes) -> Path:
    await files.put(content)
    return files.path(hashlib.sha256(content).hexdigest())


async def read(files: PersonFiles, content: bytes) -> bytes:
    return b"".join([block async for block in await files.open_stream(hashlib.sha256(content).hexdigest())])


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", 10_000_000)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 1_000_003])
async def test_what_lies_on_disk(store: FileStore, size: int) -> None:
    """Sealed bytes of the size that is foretold, nothing of the content, and the content comes back."""
    content = (b"a secret sentence, again and again. " * (size // 36 + 1))[:size]
    path = await put(store.of(KEY), content)
    stored = path.read_bytes()
    assert len(stored) == sealed_size(size)
    assert content[:16] not in stored or size < 4
    assert await read(store.of(KEY), content) == content


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
async def test_what_lies_in_a_row(store: FileStore, size: int) -> None:
    """The same bytes in the same form, whichever of the two ways they were sealed in or are opened by."""
    content = os.urandom(size)
    digest = hashlib.sha256(content).digest()
    at_once = sealed(content, KEY, digest)
    assert len(at_once) == sealed_size(size)
    assert opened(at_once, KEY, digest) == content
    path = await put(store.of(KEY), content)
    assert opened(path.read_bytes(), KEY, digest) == content
    path.write_bytes(at_once)
    assert await read(store.of(KEY), content) == content


def cut(stored: bytes) -> list[bytes]:
    body = stored[HEADER_BYTES:]
    return [body[start : start + SEALED_CHUNK] for start in range(0, len(body), SEALED_CHUNK)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored[:-1],
        lambda stored: stored + b"x",
        lambda stored: stored[:HEADER_BYTES],
        lambda stored: stored[: HEADER_BYTES - 1],
        lambda stored: b"",
        lambda stored: b"NOPE" + stored[4:],
        lambda stored: stored[:10] + bytes([stored[10] ^ 1]) + stored[11:],
        lambda stored: stored[:100] + bytes([stored[100] ^ 1]) + stored[101:],
        lambda stored: stored[:HEADER_BYTES] + b"".join(cut(stored)[:-1]),
        lambda stored: stored[:HEADER_BYTES] + b"".join(cut(stored)[1:]),
        lambda stored: stored[:HEADER_BYTES] + b"".join([*cut(stored)[:1], *cut(stored)]),
        lambda stored: stored[:HEADER_BYTES] + b"".join([cut(stored)[1], cut(stored)[0], *cut(stored)[2:]]),
    ],
    ids=["shorter", "longer", "only a header", "half a header", "empty", "other magic", "other salt", "a flipped bit",
         "last chunk cut off", "first chunk cut off", "a chunk twice", "chunks swapped"],
)  # fmt: skip
async def test_a_spoilt_file_is_never_served_as_whole(store: FileStore, spoil: object) -> None:
    """Whatever is done to the bytes on disk, reading them ends with an error."""
    content = os.urandom(2 * CHUNK_BYTES + 5)
    path = await put(store.of(KEY), content)
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(BrokenFile):
        await read(store.of(KEY), content)
    with pytest.raises(BrokenFile):
        opened(path.read_bytes(), KEY, hashlib.sha256(content).digest())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored[:-1],
        lambda stored: stored + b"x",
        lambda stored: stored + cut(stored)[0],
        lambda stored: stored[:HEADER_BYTES],
        lambda stored: b"",
        lambda stored: stored[:10] + bytes([stored[10] ^ 1]) + stored[11:],
        lambda stored: stored[:40] + bytes([stored[40] ^ 1]) + stored[41:],
    ],
    ids=["shorter", "longer", "its chunk twice", "only a header", "empty", "other salt", "a flipped bit"],
)
def test_a_spoilt_row_is_never_opened(spoil: object) -> None:
    """Nor what is done to a file of one chunk."""
    content = os.urandom(1000)
    digest = hashlib.sha256(content).digest()
    stored = sealed(content, KEY, digest)
    assert opened(stored, KEY, digest) == content
    with pytest.raises(BrokenFile):
        opened(spoil(stored), KEY, digest)  # type: ignore[operator]
    with pytest.raises(BrokenFile):
        opened(stored, KEY, bytes(32))


async def test_no_file_passes_for_another(store: FileStore) -> None:
    """Two files of one person whose places are swapped are both noticed."""
    one, two = [await put(store.of(KEY), content) for content in (b"the first file", b"the other file")]
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    for content in (b"the first file", b"the other file"):
        with pytest.raises(BrokenFile):
            await read(store.of(KEY), content)


async def test_the_same_content_of_two_people_lies_there_twice(store: FileStore) -> None:
    """Each under an own key; forgetting one, or an older generation, leaves the other."""
    keys = [KEY, PersonKey("sam", 2, bytes(range(1, 33))), PersonKey("ana", 1, bytes(range(2, 34)))]
    paths = [await put(store.of(key), b"same") for key in keys]
    assert len(set(paths)) == 3
    assert store.forget("sam", 1) == 1
    assert store.forget("sam", 1) == 0
    assert [path.exists() for path in paths] == [False, True, True]
    with pytest.raises(FileNotFoundError):
        await read(store.of(KEY), b"same")
    assert await read(store.of(keys[1]), b"same") == await read(store.of(keys[2]), b"same") == b"same"


def test_another_key_opens_nothing() -> None:
    """Neither another person's nor another generation's."""
    sealer = FileSealer(KEY)
    assert list(sealer.more(b"content")) == []
    chunk = sealer.last(b"")
    assert FileOpener(KEY, sealer.header, b"").open(chunk, last=True) == b"content"
    with pytest.raises(BrokenFile):
        FileOpener(PersonKey("sam", 2, bytes(32)), sealer.header, b"").open(chunk, last=True)
