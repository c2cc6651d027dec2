"""Writes a case file: a BagIt bag as a zip of one spelling, so that the same content is the same file, byte for byte."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import BinaryIO, Self

from brojobs_es.evidence.case.kernel.container import central_header, end_records, is_plain_path, local_header
from brojobs_es.evidence.case.kernel.manifests import (
    BAGIT,
    MANIFEST,
    PAYLOAD,
    SEAL,
    TAG_MANIFEST,
    manifest_text,
    seal_text,
)

Sign = Callable[[str], bytes]
"""From the text of a note (it ends with a line end) to the whole signed note."""


class ShortContent(Exception):
    """A file has not as many bytes as its order says; nothing that could be signed."""


class CaseWriter:
    """Takes the payload file by file in the order of their paths, each in pieces of any size; then `finish`.

    `file` must be new, writable and seekable. Only one piece is ever held in memory.
    """

    def __init__(self, file: BinaryIO, order_id: str) -> None:
        self._file = file
        self._order_id = order_id
        self._directory: list[bytes] = []
        self._sums: dict[str, str] = {}
        self._octets = 0
        self._end = 0

    def add(self, path: str, content: bytes) -> None:
        """A payload file that is at hand."""
        with self.entry(PAYLOAD + path, len(content)) as entry:
            entry.write(content)

    def entry(self, path: str, size: int) -> _Entry:
        """A file of so many bytes to write piece by piece, in a `with`."""
        assert is_plain_path(path)
        assert not path.startswith(PAYLOAD) or path > next(reversed(self._sums), ""), "payload comes in order"
        return _Entry(self, f"case-{self._order_id}/{path}", path, size)

    def finish(self, verifier: str, info: Mapping[str, str], sign: Sign) -> None:
        """Write what describes the payload, sign it, and close the zip."""
        described = {**info, "External-Identifier": self._order_id, "Payload-Oxum": f"{self._octets}.{len(self._sums)}"}
        tags = {
            "bag-info.txt": "".join(f"{name}: {described[name]}\n" for name in sorted(described)).encode(),
            "bagit.txt": BAGIT,
            MANIFEST: manifest_text(self._sums),
            "verify.py": verifier.encode(),
        }
        tag_manifest = manifest_text({path: hashlib.sha256(content).hexdigest() for path, content in tags.items()})
        tags |= {TAG_MANIFEST: tag_manifest, SEAL: sign(seal_text(self._order_id, tag_manifest))}
        for path in sorted(tags):
            with self.entry(path, len(tags[path])) as entry:
                entry.write(tags[path])
        directory = b"".join(self._directory)
        self._file.write(directory + end_records(len(self._directory), len(directory), self._end))
        self._file.flush()

    def start(self, header_bytes: int) -> int:
        """Leave room for a header that is only known later; where it starts."""
        self._file.seek(self._end)
        self._file.write(bytes(header_bytes))
        return self._end

    def take(self, block: bytes) -> None:
        """The next bytes of the entry that is open."""
        self._file.write(block)

    def close(self, name: str, path: str, size: int, checksum: int, sha256: str, offset: int) -> None:
        """Write the header of the entry that ends here, now that it is known."""
        self._end = self._file.tell()
        header = local_header(name, checksum, size)
        self._file.seek(offset)
        self._file.write(header)
        self._file.seek(self._end)
        self._directory.append(central_header(name, checksum, size, offset))
        if path.startswith(PAYLOAD):
            self._sums[path] = sha256
            self._octets += size


class _Entry:
    """One file of the bag while it is written."""

    def __init__(self, writer: CaseWriter, name: str, path: str, expected: int) -> None:
        self._writer, self._name, self._path, self._expected = writer, name, path, expected
        self._digest, self._checksum, self._size, self._offset = hashlib.sha256(), 0, 0, 0

    def write(self, block: bytes) -> None:
        self._digest.update(block)
        self._checksum = zlib.crc32(block, self._checksum)
        self._size += len(block)
        self._writer.take(block)

    def __enter__(self) -> Self:
        self._offset = self._writer.start(len(local_header(self._name, 0, self._expected)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            if self._size != self._expected:
                raise ShortContent(f"{self._path} has {self._size} bytes instead of {self._expected}")
            sha256 = self._digest.hexdigest()
            self._writer.close(self._name, self._path, self._size, self._checksum, sha256, self._offset)
