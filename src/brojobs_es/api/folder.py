"""The folder of larger files on the service's disk, each named by what is in it: the SHA-256 of the bytes is its id.

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
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final, ParamSpec, TypeVar

from brojobs_es.api.multipart import Upload
from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, BrokenFile, FileOpener, FileSealer

BLOCK_BYTES: Final = 256 * 1024
"""How much is gathered before a thread hashes, seals and writes it."""
STALE_SECONDS: Final = 24 * 3600
_FOLDERS_MAX: Final = 50_000

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


P = ParamSpec("P")
T = TypeVar("T")


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

    async def store(self, upload: Upload, rest: AsyncIterable[bytes]) -> str:
        """Store what has arrived of a file and the rest of it; the SHA-256 in hex.

        Raises BadUpload for a body that is none and FileTooLarge as soon as the limit is passed; then nothing is left.
        """
        with contextlib.closing(self._sink()) as sink:
            async for chunk in rest:
                upload.feed(chunk)
                if len(upload.gathered) >= BLOCK_BYTES:
                    await _to_the_end(sink.write, upload.take())
            upload.finish()
            return await _to_the_end(sink.keep, upload.take(), self._folder, self._store.folders)

    async def put(self, content: bytes) -> None:
        """Store a file that is here as a whole."""
        with contextlib.closing(self._sink()) as sink:
            await _to_the_end(sink.keep, content, self._folder, self._store.folders)

    def _sink(self) -> _Sink:
        return _Sink(self._store.incoming, FileSealer(self._key))

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

    def keep(self, block: bytes, folder: Path, folders: _Folders) -> str:
        """Write the last block, make the file durable and give it its name: the SHA-256 of all of it in hex."""
        self.write(block)
        self._file.write(self._sealer.last(self._hash.digest()))
        self._file.flush()
        os.fsync(self._file.fileno())
        path = folder / self._hash.hexdigest()
        folders.make(folder)
        assert self._temporary is not None
        try:
            self._temporary.replace(path)
        except FileNotFoundError:  # an erasure has removed the folder meanwhile
            folders.forget()
            folders.make(folder)
            self._temporary.replace(path)
        self._temporary = None
        _sync_folder(folder)
        self._file.close()
        return path.name

    def close(self) -> None:
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # what is left in its buffer has no room, or goes away anyhow
                self._file.close()


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
