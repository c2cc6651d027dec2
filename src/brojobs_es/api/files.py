"""Files of orders, wherever they lie: a small one sealed in its row of the database, a larger one sealed in the folder.

Whoever takes in or reads the bytes of a file comes through here.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol, Self

from msgspec import Struct

from brojobs_es.api.folder import FileStore
from brojobs_es.api.multipart import Upload, boundary_of
from brojobs_es.application.records import FileRow
from brojobs_es.settings import Settings
from brojobs_es.vault import PersonKey
from brojobs_es.vault.files import CHUNK_BYTES, opened, sealed

SMALL_BYTES: Final = CHUNK_BYTES
"""A file of at most this size lies in its row; one chunk is sealed at once, quicker than a thread gets its turn.

Rows that were written under another limit stay as they are: each says itself where its bytes lie.
"""


class Arrived(Struct, frozen=True):
    """A file that arrived whole: SHA-256 in hex, size in bytes, a name without path, a media type, the key that seals it.

    `sealed` is what is to lie in its row; None where its bytes are safe in the folder already.
    """

    sha256: str
    size: int
    name: str
    media_type: str
    key: PersonKey
    sealed: bytes | None


class Rows(Protocol):
    """The rows of files; every method may raise StoreUnavailable."""

    async def file_content(self, file: FileRow) -> bytes | None:
        """The sealed bytes that lie in a file's row; None where there are none."""
        ...


class Files:
    """The bytes of files."""

    def __init__(self, folder: FileStore, rows: Rows) -> None:
        self._folder = folder
        self._rows = rows

    @classmethod
    def of(cls, settings: Settings, rows: Rows) -> Self:
        """Those of a deployment."""
        return cls(FileStore(settings.data_dir / "files", settings.max_file_bytes), rows)

    async def receive(
        self, content_type: str | None, chunks: AsyncIterator[bytes], own: Callable[[], Awaitable[PersonKey]]
    ) -> Arrived:
        """Take in the one part `file` of a multipart body that arrives in chunks; `own` is asked for the uploader's key.

        Raises BadUpload for any other body and FileTooLarge as soon as the limit is passed; then nothing is left of it.
        """
        upload = Upload(boundary_of(content_type), self._folder.max_bytes)
        async for chunk in chunks:
            upload.feed(chunk)
            if upload.size > SMALL_BYTES:
                key = await own()
                sha256 = await self._folder.of(key).store(upload, chunks)
                return Arrived(sha256, upload.size, *upload.finish(), key, None)
        name, media_type = upload.finish()
        key = await own()  # the newest, now that everything is here: sealing and noting it takes no time any more
        content = upload.take()
        digest = hashlib.sha256(content)
        return Arrived(digest.hexdigest(), len(content), name, media_type, key, sealed(content, key, digest.digest()))

    async def settle(self, arrived: Arrived, row: FileRow) -> None:
        """See to it that the bytes lie where the row that stands looks for them: one from before may mean the folder."""
        if arrived.sealed is not None and not row.in_row:
            content = opened(arrived.sealed, arrived.key, bytes.fromhex(arrived.sha256))
            await self._folder.of(arrived.key).put(content)

    async def open(self, row: FileRow, key: PersonKey) -> AsyncIterator[bytes]:
        """The file's bytes in blocks. Raises FileNotFoundError, here or in place of the first block, where they are gone.

        Raises BrokenFile where the bytes are not as they were stored, before the bad block is handed out.
        """
        if row.in_row:
            return self._from_row(row, key)
        return await self._folder.of(key).open_stream(row.file_id)

    async def _from_row(self, row: FileRow, key: PersonKey) -> AsyncIterator[bytes]:
        """Fetched when its turn has come: whoever opens many files at a time holds one of them in memory."""
        stored = await self._rows.file_content(row)
        if stored is None:
            raise FileNotFoundError(row.file_id)
        yield opened(stored, key, bytes.fromhex(row.file_id))
