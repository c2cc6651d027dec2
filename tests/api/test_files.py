from __future__ import annotations

import asyncio
import hashlib
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import kit

from brojobs_es.api import folder
from brojobs_es.api.files import SMALL_BYTES, Arrived, Files
from brojobs_es.api.folder import BLOCK_BYTES, STALE_SECONDS, FileStore
from brojobs_es.api.multipart import OVERHEAD_BYTES, BadUpload, FileTooLarge, clean_media_type, clean_name
from brojobs_es.application.records import FileRow
from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import sealed_size

EDGE = "a-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={EDGE}"
LIMIT = 2_000_000
LARGE = SMALL_BYTES + 1
KEY = PersonKey("sam", 1, bytes(range(32)))


def part(
    content: bytes, name: str = "logo.svg", field: str = "file", media_type: str | None = "image/svg+xml"
) -> bytes:
    kind = "" if media_type is None else f"Content-Type: {media_type}\r\n"
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n{kind}\r\n'
    return head.encode() + content + b"\r\n"


def body(content: bytes, name: str = "logo.svg") -> bytes:
    return part(content, name) + f"--{EDGE}--\r\n".encode()


async def pieces(whole: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


class Home:
    """Both places where files lie: a folder, and rows, which a table would keep."""

    def __init__(self, path: Path) -> None:
        self.folder = FileStore(path, LIMIT)
        self.rows: dict[tuple[str, str], bytes] = {}
        self.files = Files(self.folder, self)

    async def file_content(self, file: FileRow) -> bytes | None:
        return self.rows.get((file.uploaded_by, file.file_id))

    async def receive(
        self, content_type: str | None, chunks: AsyncIterator[bytes], key: PersonKey = KEY
    ) -> tuple[Arrived, FileRow]:
        async def own() -> PersonKey:
            return key

        arrived = await self.files.receive(content_type, chunks, own)
        row = FileRow(kit.ORDER_ID, arrived.sha256, arrived.name, arrived.size, arrived.media_type, key.person, kit.T0,
                      key.generation, in_row=arrived.sealed is not None)  # fmt: skip
        if arrived.sealed is not None:
            self.rows[key.person, arrived.sha256] = arrived.sealed
        return arrived, row

    async def read(self, row: FileRow, key: PersonKey = KEY) -> bytes:
        return b"".join([block async for block in await self.files.open(row, key)])

    @property
    def incoming(self) -> list[str]:
        return os.listdir(self.folder.incoming)  # noqa: PTH208  (names are enough)

    @property
    def on_disk(self) -> list[Path]:
        return [path for path in self.folder.folder.rglob("*") if path.is_file()]


@pytest.fixture
def store(tmp_path: Path) -> Home:
    return Home(tmp_path / "files")


@pytest.mark.parametrize("size", [1, 2, 7, 100, 65_536, 10_000_000])
async def test_stored_and_read_back(store: Home, size: int) -> None:
    """However the body is cut, the file comes back byte for byte, under the SHA-256 of its bytes."""
    content = (os.urandom(700) + f"\r\n--{EDGE[:-1]}\r\n--".encode()) * (10 if size < 100 else 1000)
    stored, row = await store.receive(CONTENT_TYPE, pieces(body(content), size))
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert (stored.size, stored.name, stored.media_type) == (len(content), "logo.svg", "image/svg+xml")
    assert await store.read(row) == content
    assert store.incoming == []


@pytest.mark.parametrize("size", [1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 300_000, LIMIT])
@pytest.mark.parametrize("cut", [1000, 65_536, 10_000_000])
async def test_where_a_file_lies(store: Home, size: int, cut: int) -> None:
    """Up to the limit in its row, without anything on disk; one byte more and it lies in the folder alone."""
    content = os.urandom(size)
    stored, row = await store.receive(CONTENT_TYPE, pieces(body(content), cut))
    assert row.in_row == (size <= SMALL_BYTES)
    sealed = stored.sealed if stored.sealed is not None else store.on_disk[0].read_bytes()
    assert (len(sealed), content[:16] in sealed and size > 16) == (sealed_size(size), False)
    assert len(store.on_disk) == (size > SMALL_BYTES)
    assert await store.read(row) == content
    assert store.incoming == []


async def test_a_row_of_before_that_means_the_folder(store: Home) -> None:
    """A small content whose row stands since another limit held is put where that row looks for it, also once it is lost."""
    stored, row = await store.receive(CONTENT_TYPE, pieces(body(b"small")))
    before = replace(row, in_row=False)
    with pytest.raises(FileNotFoundError):
        await store.read(before)
    await store.files.settle(stored, before)
    assert await store.read(before) == b"small"
    assert [path.name for path in store.on_disk] == [stored.sha256]
    await store.files.settle(stored, row)
    assert await store.read(row) == b"small"


async def test_a_row_that_was_emptied_is_not_found(store: Home) -> None:
    """Bytes that an erasure removed after the row was read are gone, and nothing else is served for them."""
    _, row = await store.receive(CONTENT_TYPE, pieces(body(b"small")))
    store.rows.clear()
    with pytest.raises(FileNotFoundError):
        await store.read(row)


async def test_the_key_is_asked_for_when_it_is_needed(store: Home) -> None:
    """A small file that takes its time to arrive is sealed with the key that holds when it is there."""
    here = KEY

    async def own() -> PersonKey:
        return here

    async def slow() -> AsyncIterator[bytes]:
        nonlocal here
        yield part(b"small")
        here = PersonKey("sam", 2, bytes(32))
        yield END

    assert (await store.files.receive(CONTENT_TYPE, slow(), own)).key.generation == 2


@pytest.mark.parametrize("size", [4, LARGE])
async def test_the_same_content_is_one_file(store: Home, size: int) -> None:
    """Sixteen uploads of one content at once are one file under many names."""
    same = b"same" * (size // 4 + 1)
    uploads = (store.receive(CONTENT_TYPE, pieces(body(same, f"n{n}.txt"), 4000)) for n in range(16))
    stored = [arrived for arrived, _ in await asyncio.gather(*uploads)]
    assert len({each.sha256 for each in stored}) == 1
    assert len({each.name for each in stored}) == 16
    assert [path.name for path in store.on_disk] == [stored[0].sha256] * (size == LARGE)


async def test_other_ways_to_write_the_same_request(store: Home) -> None:
    """Quoted boundaries, a preamble, an epilogue and header names in any case are all within the standard."""
    plain = body(b"content").replace(b"Content-Disposition", b"content-DISPOSITION")
    for content_type, sent in (
        (f'Multipart/Form-Data; charset=utf-8; boundary="{EDGE}"', plain),
        (CONTENT_TYPE, b"\r\n" + plain),
        (CONTENT_TYPE, plain + b"epilogue"),
    ):
        stored, _ = await store.receive(content_type, pieces(sent, 9))
        assert stored.sha256 == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "multipart/mixed; boundary=a-boundary", "multipart/form-data", "multipart/form-data; boundary=",
     "multipart/form-data; boundary=" + "x" * 71, "multipart/form-data; boundary=é", "multipart/form-data; boundary=a\x00b",
     "multipart/form-data; boundary=\ud800", 'multipart/form-data; boundary="a;b"', "application/x-www-form-urlencoded"],
)  # fmt: skip
async def test_wrong_content_types(store: Home, content_type: str | None) -> None:
    """Another content type, or one without a usable boundary, is refused."""
    with pytest.raises(BadUpload):
        await store.receive(content_type, pieces(body(b"content")))
    assert store.incoming == []


HEAD = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n'.encode()
END = f"--{EDGE}--\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "ends in the middle"),
        (END, "no part named file|well-formed|middle"),
        (b"garbage", "well-formed|middle"),
        (body(b"content")[: -len(END)], "middle"),
        (body(b"content")[:30], "middle"),
        (HEAD + b"\r\n", "middle"),
        (part(b"one") + body(b"two"), "more than one part"),
        (part(b"one", field="note") + body(b"two"), "no part named file"),
        (part(b"one", field="note") + END, "no part named file"),
        (body(b"one").replace(b'; filename="logo.svg"', b""), "no file name"),
        (body(b"one").replace(b"form-data", b"attachment"), "no part named file"),
        (body(b"one").replace(b"Content-Disposition", b"X-Disposition"), "no part named file"),
        (body(b""), "empty"),
        (body(b"content", "a\x00b.txt"), "null character|well-formed"),
        (body(b"content").replace(b"logo", b"\xff\xfe"), "not UTF-8"),
        (HEAD + b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n" + END, "encoded"),
        (HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\nAAAA\r\n" + END, "well-formed"),
        (HEAD + b"X: y\r\n" * 5_000 + b"\r\nAAAA\r\n" + END, "well-formed"),
        (HEAD + b"no colon\r\n\r\nAAAA\r\n" + END, "well-formed"),
        (body(b"content").replace(EDGE.encode(), b"another"), "well-formed|middle"),
    ],
)
async def test_hostile_bodies(store: Home, sent: bytes, why: str) -> None:
    """What is not exactly one whole file in the part `file` is refused with a reason, and leaves nothing behind."""
    for size in (1000, 3):
        with pytest.raises(BadUpload, match=why):
            await store.receive(CONTENT_TYPE, pieces(sent, size))
    assert store.on_disk == []


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (body(b"x" * 3 * BLOCK_BYTES)[: -len(END)], "middle"),
        (part(b"x" * 3 * BLOCK_BYTES) + body(b"two"), "more than one part"),
    ],
)
async def test_hostile_large_bodies(store: Home, sent: bytes, why: str) -> None:
    """The same, noticed when a part of the file lies on disk already."""
    with pytest.raises(BadUpload, match=why):
        await store.receive(CONTENT_TYPE, pieces(sent))
    assert store.on_disk == []


async def test_the_limit_is_exact(store: Home) -> None:
    """A file of exactly the limit is stored, one byte more is not."""
    assert (await store.receive(CONTENT_TYPE, pieces(body(b"x" * LIMIT))))[0].size == LIMIT
    with pytest.raises(FileTooLarge) as caught:
        await store.receive(CONTENT_TYPE, pieces(body(b"x" * (LIMIT + 1))))
    assert caught.value.limit == LIMIT
    assert store.incoming == []


@pytest.mark.parametrize("before", [b"", part(b"x")[:-3], END, b"\r\n" * 10])
async def test_an_endless_body_is_cut_off(store: Home, before: bytes) -> None:
    """Whatever it pretends to be, a body that never ends is read no further than the limit and not kept in memory."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield before
        while True:
            sent += 65_536
            yield b"\r\n" * 32_768

    tracemalloc.start()
    try:
        with pytest.raises((FileTooLarge, BadUpload)):
            await store.receive(CONTENT_TYPE, endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent <= LIMIT + OVERHEAD_BYTES + 65_536
    assert (
        peak < 6 * BLOCK_BYTES
    )  # a block gathered, one with the thread, and what copies them: far less than the limit
    assert 6 * BLOCK_BYTES < LIMIT
    assert store.incoming == []


async def test_a_client_that_hangs_up(store: Home) -> None:
    """A client that goes away in the middle leaves no temporary file."""
    arrived = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield part(b"x" * 2 * BLOCK_BYTES)[:-2]
        yield b"x"
        arrived.set()
        await asyncio.sleep(60)

    upload = asyncio.create_task(store.receive(CONTENT_TYPE, slow()))
    await arrived.wait()
    assert len(store.incoming) == 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert store.incoming == []


async def test_a_folder_that_was_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    """An erasure in another process removes a folder that this one knows to be there; the next file finds a place."""
    one, other = Home(tmp_path), Home(tmp_path)
    _, first = await one.receive(CONTENT_TYPE, pieces(body(b"1" * LARGE)))
    assert other.folder.forget(KEY.person, KEY.generation) == 1
    _, second = await one.receive(CONTENT_TYPE, pieces(body(b"2" * LARGE)))
    with pytest.raises(FileNotFoundError):
        await one.read(first)
    assert await other.read(second) == b"2" * LARGE
    assert one.incoming == []


async def test_more_people_than_folders_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of folders is bounded, and forgetting it loses no file."""
    monkeypatch.setattr(folder, "_FOLDERS_MAX", 3)
    home = Home(tmp_path)
    for key in [PersonKey(f"person {number}", 1, bytes(32)) for number in range(8)] * 2:
        _, row = await home.receive(CONTENT_TYPE, pieces(body(b"x" * LARGE)), key)
        assert await home.read(row, key) == b"x" * LARGE
        assert len(home.folder.folders._durable) <= 4


def test_what_a_crash_left_behind_is_swept(tmp_path: Path) -> None:
    """At the next start a temporary file of yesterday goes away, one of a running process stays."""
    home = Home(tmp_path)
    for name, age in (("old", STALE_SECONDS + 60), ("young", 60)):
        path = home.folder.incoming / name
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    assert Home(tmp_path).incoming == ["young"]


@pytest.mark.parametrize("sha256", ["", "a" * 63, "A" * 64, "a" * 64, "../../etc/passwd", "a" * 64 + "\n", "\x00" * 64])
async def test_unknown_files(store: Home, sha256: str) -> None:
    """What is no stored file's SHA-256 is not found, and never a path."""
    with pytest.raises(FileNotFoundError):
        await store.folder.of(KEY).open_stream(sha256)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("logo.svg", "logo.svg"), ("/etc/passwd", "passwd"), ("C:\\Users\\me\\logo.svg", "logo.svg"), ("../../logo.svg", "logo.svg"),
        ("été 😀.png", "été 😀.png"), ("e\u0301te.png", "éte.png"), ("a\r\nb\tc\x7f.txt", "abc.txt"), ("exe\u202egpj.txt", "exegpj.txt"),
        ("", "file"), (".", "file"), ("..", "file"), ("dir/", "file"), ("  ", "file"), (".profile", ".profile"),
        ("x" * 300 + ".svg", "x" * 251 + ".svg"), ("x" * 300, "x" * 255), ("x." + "y" * 300, ("x." + "y" * 300)[:255]),
    ],
)  # fmt: skip
def test_names(raw: str, name: str) -> None:
    """A name loses its path and what cannot be seen, and keeps its ending when it is cut."""
    assert clean_name(raw.encode()) == name


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"image/PNG", "image/png"), (b" text/plain; charset=utf-8", "text/plain"), (b"application/vnd.x+json", "application/vnd.x+json")]
    + [(raw, "application/octet-stream") for raw in (None, b"", b"png", b"a/b/c", b"a/b\r\nX: y", b"\xe9/x", b"text/" + b"x" * 200)],
)  # fmt: skip
def test_media_types(raw: bytes | None, kind: str) -> None:
    """A media type is taken without parameters, and what is none becomes plain bytes."""
    assert clean_media_type(raw) == kind


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([b"\r\n", b"--", EDGE.encode(), HEAD, END, b"\r\n\r\n", b"x", b": ", b"\x00", b"\xff"]), max_size=12),
       st.integers(1, 50))  # fmt: skip
def test_any_bytes_are_a_file_or_a_refusal(store: Home, parts: list[bytes], size: int) -> None:
    """No body ends in anything but a stored file or a refusal."""
    try:
        stored, _ = asyncio.run(store.receive(CONTENT_TYPE, pieces(b"".join(parts), size)))
    except BadUpload:
        pass
    else:
        assert len(stored.sealed or b"") == sealed_size(stored.size) > sealed_size(0)
    assert store.incoming == []


@given(st.binary(max_size=400))
def test_any_name_is_safe(raw: bytes) -> None:
    """Whatever is sent as a name, what we keep is a plain name of 1 to 255 characters that can be stored, or nothing."""
    try:
        name = clean_name(raw)
    except BadUpload:
        return
    assert 1 <= len(name) <= 255
    assert not set(name) & set("/\\\x00\r\n")
    assert name not in {".", ".."}
    name.encode("utf-8")
