"""Files of orders on local disk, named by what is in them: the SHA-256 of the bytes is the file's id.

A file of any size passes through in pieces: parsed, hashed, sealed with its uploader's key and written as it arrives,
durable before it has a name. Nothing lies on disk unsealed, not even while it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, Final, ParamSpec, TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, BrokenFile, FileOpener, FileSealer

BLOCK_BYTES: Final = 256 * 1024
"""How much is gathered before a thread hashes, seals and writes it."""
INLINE_BYTES: Final = 16 * 1024
"""So little is written at once; a thread would take longer to get its turn. Waiting for the disk is always a thread's."""
OVERHEAD_BYTES: Final = 64 * 1024
"""What a body may hold besides the file: boundaries, headers, a preamble."""
MAX_NAME_CHARS: Final = 255
STALE_SECONDS: Final = 24 * 3600
_FOLDERS_MAX: Final = 50_000
FALLBACK_MEDIA_TYPE: Final = "application/octet-stream"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046, 5.1.1
_MEDIA_TYPE: Final = re.compile(rb"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_INVISIBLE: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_DIRECTION_MARKS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


P = ParamSpec("P")
T = TypeVar("T")


class BadUpload(Exception):
    """The request is not one file in the part `file`; `message` says why, for the person who sent it."""

    code: ClassVar[str] = "invalid_request"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FileTooLarge(Exception):
    """The file is larger than `limit` bytes; noticed as it arrives, not after."""

    code: ClassVar[str] = "file_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"larger than {limit} bytes")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is safe on disk: SHA-256 in hex, size in bytes, a name without path, a media type."""

    sha256: str
    size: int
    name: str
    media_type: str


class FileStore:
    """Keeps files as `folder/<person>/<generation>/abcdef…` after their SHA-256, sealed with that generation of the
    uploader's key. The same content by the same person is one file; by two, each has one.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`folder` is made if missing; temporary files that a crash left behind a day ago are removed."""
        self.folder = folder
        self.incoming = folder / "incoming"
        self.max_bytes = max_bytes
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folders = _Folders(folder)
        self._sweep()

    def _sweep(self) -> None:
        for left in self.incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # its own process may be done with it just now
                if left.stat().st_mtime < time.time() - STALE_SECONDS:
                    left.unlink()

    def of(self, key: PersonKey) -> PersonFiles:
        """The files that are sealed with this key."""
        return PersonFiles(self, key, self._folder_of(key.person, key.generation))

    def forget(self, person: str, generation: int) -> int:
        """Remove what was sealed with a generation of a person's key, for good; how many files there were."""
        folder = self._folder_of(person, generation)
        if not folder.is_dir():
            return 0
        count = sum(path.is_file() for path in folder.rglob("*"))
        shutil.rmtree(folder)
        _sync_folder(folder.parent)
        return count

    def _folder_of(self, person: str, generation: int) -> Path:
        return self.folder / hashlib.sha256(person.encode()).hexdigest() / str(generation)


class PersonFiles:
    """What one person uploaded under one generation of the person's key."""

    def __init__(self, store: FileStore, key: PersonKey, folder: Path) -> None:
        self._store = store
        self._key = key
        self._folder = folder

    async def receive(self, content_type: str | None, chunks: AsyncIterable[bytes]) -> StoredFile:
        """Store the one part `file` of a multipart body that arrives in chunks.

        Raises BadUpload for any other body and FileTooLarge as soon as the limit is passed; nothing is left on disk.
        """
        upload = _Upload(_boundary(content_type), self._store.max_bytes)
        sink = _Sink(self._store.incoming, FileSealer(self._key))
        try:
            async for chunk in chunks:
                upload.feed(chunk)
                if len(upload.gathered) >= BLOCK_BYTES:
                    await _to_the_end(sink.write, upload.take())
            name, media_type = upload.finish()
            if upload.size <= INLINE_BYTES:
                sha256 = sink.finish(upload.take())
            else:
                sha256 = await _to_the_end(sink.finish, upload.take())
            await _to_the_end(sink.keep, self._folder / sha256, self._store.folders)
        finally:
            sink.close()
        return StoredFile(sha256, upload.size, name, media_type)

    def path(self, sha256: str) -> Path:
        """Where that file lies, or would. Raises FileNotFoundError for what is no SHA-256 in lower-case hex."""
        if not _SHA256.fullmatch(sha256):
            raise FileNotFoundError(sha256)
        return self._folder / sha256

    async def open_stream(self, sha256: str) -> AsyncIterator[bytes]:
        """The file's bytes in blocks. Raises FileNotFoundError at once, not in the middle of an answer.

        Raises BrokenFile where the bytes on disk are not as they were stored, before the bad block is handed out.
        """
        path = self.path(sha256)
        await asyncio.to_thread(path.stat)
        return _blocks(path, self._key, bytes.fromhex(sha256))


async def _to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work on the sink in a thread. A client that hangs up cancels us, but not before the thread has let go."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _blocks(path: Path, key: PersonKey, sha256: bytes) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        opener = FileOpener(key, await asyncio.to_thread(file.read, HEADER_BYTES), sha256)
        chunk = await asyncio.to_thread(file.read, CHUNK_BYTES + TAG_BYTES)
        if not chunk:
            raise BrokenFile("there is nothing behind the header")
        while chunk:
            block, chunk = await asyncio.to_thread(_step, file, opener, chunk)
            yield block
    finally:
        file.close()


def _step(file: BinaryIO, opener: FileOpener, chunk: bytes) -> tuple[bytes, bytes]:
    """Open a chunk, now that what follows it is known; the one that follows, empty at the end."""
    following = file.read(CHUNK_BYTES + TAG_BYTES)
    return opener.open(chunk, last=not following), following


class _Sink:
    """A temporary file, made at the first block, that becomes a stored one, whole, or goes away."""

    def __init__(self, incoming: Path, sealer: FileSealer) -> None:
        self._incoming = incoming
        self._temporary: Path | None = None
        self._file: BinaryIO
        self._hash = hashlib.sha256()
        self._sealer = sealer

    def write(self, block: bytes) -> None:
        if self._temporary is None:
            handle, name = tempfile.mkstemp(dir=self._incoming)
            self._temporary = Path(name)
            self._file = os.fdopen(handle, "wb")
            self._file.write(self._sealer.header)
        self._hash.update(block)
        for sealed in self._sealer.more(block):
            self._file.write(sealed)

    def finish(self, block: bytes) -> str:
        """Write the last block; the SHA-256 of all of it in hex."""
        self.write(block)
        self._file.write(self._sealer.last(self._hash.digest()))
        self._file.flush()
        return self._hash.hexdigest()

    def keep(self, path: Path, folders: _Folders) -> None:
        """Make the file durable and give it its name."""
        assert self._temporary is not None
        os.fsync(self._file.fileno())
        folders.make(path.parent)
        try:
            self._temporary.replace(path)
        except FileNotFoundError:  # an erasure has removed the folder meanwhile
            folders.forget()
            folders.make(path.parent)
            self._temporary.replace(path)
        self._temporary = None
        _sync_folder(path.parent)
        self._file.close()

    def close(self) -> None:
        if self._temporary is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


class _Folders:
    """The folders of a store. One that this process has made or found is durable, and not looked at again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = {root}

    def make(self, folder: Path) -> None:
        """Make a folder and those above it, each durable under its name before anything lies in it."""
        if folder in self._durable:
            return
        self.make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)
        if len(self._durable) > _FOLDERS_MAX:
            self.forget()
        self._durable.add(folder)

    def forget(self) -> None:
        """Look at all of them again: some were removed."""
        self._durable = {self._root}


def _sync_folder(folder: Path) -> None:
    """A new name is only durable once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Upload:
    """What the parser has understood of the body so far."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self.gathered = bytearray()
        self.size = 0
        self._max_bytes = max_bytes
        self._received = 0
        self._parts = 0
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name: str | None = None
        self._media_type = FALLBACK_MEDIA_TYPE
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the body."""
        self._received += len(chunk)
        if self._received > self._max_bytes + OVERHEAD_BYTES:
            raise FileTooLarge(self._max_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadUpload("the body is not well-formed multipart/form-data") from error

    def take(self) -> bytes:
        """The bytes of the file that were not taken yet."""
        block = bytes(self.gathered)
        self.gathered.clear()
        return block

    def finish(self) -> tuple[str, str]:
        """Name and media type, once the body is over. Raises BadUpload if it was no whole upload of one file."""
        if not self._complete:
            raise BadUpload("the body ends in the middle")
        if self._name is None:
            raise BadUpload("there is no part named file")
        if self.size == 0:
            raise BadUpload("the file is empty")
        return self._name, self._media_type

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise BadUpload("there is more than one part; a request takes one file")
        self._headers.clear()

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        # Field names and values come as latin-1 from the parser of headers, names are UTF-8 on the wire.
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        if disposition != b"form-data" or options.get(b"name") != b"file":
            raise BadUpload("there is no part named file")
        if b"filename" not in options:
            raise BadUpload("the part named file has no file name")
        if self._headers.get(b"content-transfer-encoding", b"binary").lower() not in {b"binary", b"7bit", b"8bit"}:
            raise BadUpload("the part named file is encoded; send its bytes as they are")
        self._name = clean_name(options[b"filename"])
        self._media_type = clean_media_type(self._headers.get(b"content-type"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        if self.size > self._max_bytes:
            raise FileTooLarge(self._max_bytes)
        self.gathered += memoryview(data)[start:end]

    def _end(self) -> None:
        self._complete = True


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header((content_type or "").encode("latin-1", "replace").decode("latin-1"))
    if kind != b"multipart/form-data":
        raise BadUpload("the content type is not multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadUpload("the content type has no usable boundary")
    return boundary


def clean_name(raw: bytes) -> str:
    """A file name as people may see it: no path, no invisible or direction-changing characters, 1 to 255 characters.

    Raises BadUpload for a name that is no UTF-8 or holds a null character: those are attacks, not accidents.
    """
    try:
        text = unicodedata.normalize("NFC", raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadUpload("the file name is not UTF-8") from error
    if "\x00" in text:
        raise BadUpload("the file name holds a null character")
    text = text.replace("\\", "/").rpartition("/")[2]
    text = "".join(c for c in text if c not in _DIRECTION_MARKS and unicodedata.category(c) not in _INVISIBLE).strip()
    if text.strip(".") == "":
        return "file"
    if len(text) > MAX_NAME_CHARS:
        stem, dot, ending = text.rpartition(".")
        tail = dot + ending if stem and len(ending) <= 16 else ""
        text = text[: MAX_NAME_CHARS - len(tail)] + tail
    return text


def clean_media_type(raw: bytes | None) -> str:
    """The media type without parameters in lower case, or `application/octet-stream` for what is none."""
    kind = (raw or b"").partition(b";")[0].strip(b" \t").lower()
    return kind.decode("ascii") if _MEDIA_TYPE.fullmatch(kind) else FALLBACK_MEDIA_TYPE
