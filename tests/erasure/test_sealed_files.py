"""Files on disk: sealed, whole, in order, each one itself, and gone when their owner is erased."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from brojobs_es.api.files import FileStore, PersonFiles
from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, BrokenFile, FileOpener, FileSealer, sealed_size

KEY = PersonKey("sam", 1, bytes(range(32)))
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES


async def upload(files: PersonFiles, content: bytes) -> Path:
    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + content + b"\r\n--b--\r\n"

    stored = await files.receive("multipart/form-data; boundary=b", body())
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    return files.path(stored.sha256)


async def read(files: PersonFiles, content: bytes) -> bytes:
    return b"".join([block async for block in await files.open_stream(hashlib.sha256(content).hexdigest())])


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files", 10_000_000)


@pytest.mark.parametrize("size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 1_000_003])
async def test_what_lies_on_disk(store: FileStore, size: int) -> None:
    """Sealed bytes of the size that is foretold, nothing of the content, and the content comes back."""
    content = (b"a secret sentence, again and again. " * (size // 36 + 1))[:size]
    path = await upload(store.of(KEY), content)
    stored = path.read_bytes()
    assert len(stored) == sealed_size(size)
    assert content[:16] not in stored or size < 4
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
    path = await upload(store.of(KEY), content)
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(BrokenFile):
        await read(store.of(KEY), content)


async def test_no_file_passes_for_another(store: FileStore) -> None:
    """Two files of one person whose places are swapped are both noticed."""
    one, two = [await upload(store.of(KEY), content) for content in (b"the first file", b"the other file")]
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)
    for content in (b"the first file", b"the other file"):
        with pytest.raises(BrokenFile):
            await read(store.of(KEY), content)


async def test_the_same_content_of_two_people_lies_there_twice(store: FileStore) -> None:
    """Each under an own key; forgetting one, or an older generation, leaves the other."""
    keys = [KEY, PersonKey("sam", 2, bytes(range(1, 33))), PersonKey("ana", 1, bytes(range(2, 34)))]
    paths = [await upload(store.of(key), b"same") for key in keys]
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
