"""Files as they are stored: sealed in chunks with a key that the uploader's key and the file's own salt make.

    magic (4) ‖ salt (28) ‖ chunk … chunk      chunk = AES-256-GCM of at most 64 KiB, its tag (16) behind it

The nonce of a chunk is its number and whether it is the last one, so a chunk that is moved, left out, repeated or cut
off shows. The last one also authenticates the SHA-256 of the whole content, so that no file passes for another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidTag

from brojobs_es.vault.keys import PersonKey

MAGIC: Final = b"BJF1"
CHUNK_BYTES: Final = 64 * 1024
TAG_BYTES: Final = 16
_SALT_BYTES: Final = 28
HEADER_BYTES: Final = len(MAGIC) + _SALT_BYTES


class BrokenFile(Exception):
    """The bytes are not what was stored: changed, cut off, or another file's."""


def sealed_size(size: int) -> int:
    """Stored bytes of a file of this size; a file is never empty."""
    return HEADER_BYTES + size + TAG_BYTES * -(-size // CHUNK_BYTES)


class FileSealer:
    """Turns a file's bytes into sealed ones, piece by piece; keeps back what may still be the last chunk."""

    def __init__(self, key: PersonKey) -> None:
        salt = os.urandom(_SALT_BYTES)
        self.header = MAGIC + salt
        self._cipher = key.of_file(salt)
        self._number = 0
        self._rest = bytearray()

    def more(self, block: bytes) -> Iterator[bytes]:
        """The next bytes of the file in; the sealed chunks that are now complete out, one by one."""
        view = memoryview(block)
        while view:
            if len(self._rest) == CHUNK_BYTES:
                yield self._cipher.encrypt(_nonce(self._number, last=False), self._rest, None)
                self._rest.clear()
                self._number += 1
            room = CHUNK_BYTES - len(self._rest)
            self._rest += view[:room]
            view = view[room:]

    def last(self, sha256: bytes) -> bytes:
        """The last chunk; `sha256` is the digest of the whole content."""
        return self._cipher.encrypt(_nonce(self._number, last=True), self._rest, sha256)


class FileOpener:
    """Turns sealed chunks back, in order; raises BrokenFile at the first that is not as it was stored."""

    def __init__(self, key: PersonKey, header: bytes, sha256: bytes) -> None:
        if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
            raise BrokenFile("not a sealed file")
        self._cipher = key.of_file(header[len(MAGIC) :])
        self._sha256 = sha256
        self._number = 0

    def open(self, chunk: bytes, *, last: bool) -> bytes:
        """One chunk with its tag."""
        try:
            opened = self._cipher.decrypt(_nonce(self._number, last=last), chunk, self._sha256 if last else None)
        except (InvalidTag, ValueError):
            raise BrokenFile(f"chunk {self._number} is not as it was stored") from None
        self._number += 1
        return opened


def sealed(content: bytes, key: PersonKey, sha256: bytes) -> bytes:
    """All stored bytes of a file that is here as a whole; `sha256` is the digest of the content."""
    sealer = FileSealer(key)
    return b"".join((sealer.header, *sealer.more(content), sealer.last(sha256)))


def opened(stored: bytes, key: PersonKey, sha256: bytes) -> bytes:
    """The content of a file whose stored bytes are all here; raises BrokenFile."""
    opener = FileOpener(key, stored[:HEADER_BYTES], sha256)
    starts = range(HEADER_BYTES, len(stored), CHUNK_BYTES + TAG_BYTES)
    if not starts:
        raise BrokenFile("there is nothing behind the header")
    chunks = (stored[start : start + starts.step] for start in starts)
    return b"".join(opener.open(chunk, last=number == len(starts)) for number, chunk in enumerate(chunks, 1))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])
