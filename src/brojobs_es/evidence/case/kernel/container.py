"""The one spelling of a case file as a zip, and its strict reader; and the reader of an unpacked folder.

Nothing is compressed, no header holds anything that could be otherwise: the reader writes each header again from name,
size and checksum, and compares. So every byte of the file is either content or known, and nothing can hide between.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

BLOCK_BYTES = 1 << 20
ENTRIES_MAX = 100_000
ZIP64_FROM = _FULL = 0xFFFFFFFF
_ENTRIES_ZIP64_FROM = 0xFFFF
_PATH_CHARS_MAX = 255
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_VERSION, _VERSION_ZIP64, _UNIX = 20, 45, 3 << 8
_TIME, _DATE = 0, 0x0021  # midnight of 1 January 1980, the oldest that a zip can say
_ATTRIBUTES = 0o100644 << 16
_ENCRYPTED = 1


def local_header(path: str, checksum: int, size: int) -> bytes:
    """What stands before an entry's bytes."""
    name, version, extra, shown = path.encode("ascii"), _VERSION, b"", size
    if size >= ZIP64_FROM:
        version, extra, shown = _VERSION_ZIP64, struct.pack("<HHQQ", 1, 16, size, size), _FULL
    fixed = _LOCAL.pack(b"PK\3\4", version, 0, 0, _TIME, _DATE, checksum, shown, shown, len(name), len(extra))
    return fixed + name + extra


def central_header(path: str, checksum: int, size: int, offset: int) -> bytes:
    """An entry's line in the directory at the end."""
    name, version, extra, shown, at = path.encode("ascii"), _VERSION, b"", size, offset
    if size >= ZIP64_FROM or offset >= ZIP64_FROM:
        version, extra = _VERSION_ZIP64, struct.pack("<HHQQQ", 1, 24, size, size, offset)
        shown = at = _FULL
    fixed = _CENTRAL.pack(
        b"PK\1\2", _UNIX | version, version, 0, 0, _TIME, _DATE, checksum, shown, shown,
        len(name), len(extra), 0, 0, 0, _ATTRIBUTES, at,
    )  # fmt: skip
    return fixed + name + extra


def end_records(entries: int, size: int, offset: int) -> bytes:
    """The end of a zip, behind a directory of so many entries and bytes that starts at `offset`."""
    records = b""
    if entries >= _ENTRIES_ZIP64_FROM or size >= ZIP64_FROM or offset >= ZIP64_FROM:
        version = _UNIX | _VERSION_ZIP64
        records += struct.pack(
            "<4sQHHIIQQQQ", b"PK\6\6", 44, version, _VERSION_ZIP64, 0, 0, entries, entries, size, offset
        )
        records += struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
        entries, size, offset = _ENTRIES_ZIP64_FROM, _FULL, _FULL
    return records + _END.pack(b"PK\5\6", 0, 0, entries, entries, size, offset, 0)


def is_plain_path(path: str) -> bool:
    """Whether a path is relative, of plain characters, and leads nowhere else."""
    return len(path) <= _PATH_CHARS_MAX and _PLAIN_PATH.fullmatch(path) is not None


@dataclass(frozen=True)
class Member:
    """A file of the bag: its size in bytes, its SHA-256 in hex, and where its bytes lie."""

    size: int
    sha256: str
    source: str
    offset: int


class Bag:
    """The files of a case file by path inside the bag, each read once to be hashed."""

    def __init__(self, folder: str | None, members: dict[str, Member]) -> None:
        self.folder = folder
        self.members = members

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, in blocks. Raises Malformed where it is missing."""
        member = self.members.get(path)
        if member is None:
            raise Malformed(f"{path} manque", f"{path} is missing")
        with open(member.source, "rb") as file:  # noqa: PTH123
            file.seek(member.offset)
            left = member.size
            while left:
                block = file.read(min(left, BLOCK_BYTES))
                if not block:
                    raise Failed(f"{path} a changé pendant la lecture", f"{path} changed while it was read")
                left -= len(block)
                yield block

    def read(self, path: str, most: int = 1 << 26) -> bytes:
        """A whole file. Raises Malformed where it is missing or larger than `most` bytes."""
        member = self.members.get(path)
        if member is not None and member.size > most:
            raise Malformed(f"{path} est trop grand", f"{path} is too large")
        return b"".join(self.blocks(path))

    def lines(self, path: str, most: int = 1 << 26) -> Iterator[bytes]:
        """The lines of a file without their ends. Raises Malformed for a line over `most` bytes or without its end."""
        rest = b""
        for block in self.blocks(path):
            *whole, rest = (rest + block).split(b"\n") if b"\n" in block else [rest + block]
            yield from whole
            if len(rest) > most:
                raise Malformed(f"{path} a une ligne trop longue", f"{path} has a line that is too long")
        if rest:
            raise Malformed(f"{path} finit au milieu d’une ligne", f"{path} ends in the middle of a line")


def open_bag(path: str) -> Bag:
    """A case file, as a zip or as the folder that it was unpacked to. Raises Malformed or Failed."""
    place = Path(path)
    if place.is_dir():
        return Bag(None, dict(sorted(_folder_members(place))))
    if place.exists() and not place.is_file():
        raise Malformed(f"{path} n’est pas un fichier", f"{path} is not a file")
    try:
        with place.open("rb") as file:
            return _read_zip(str(place), file)
    except OSError as error:
        raise Malformed(
            f"{path} ne se lit pas : {error.strerror}", f"{path} cannot be read: {error.strerror}"
        ) from None


def _folder_members(root: Path) -> Iterator[tuple[str, Member]]:
    found = 0
    for here, folders, names in os.walk(root, followlinks=False):
        for name in sorted(folders + names):
            place = Path(here, name)
            path = place.relative_to(root).as_posix()
            if place.is_symlink() or not (place.is_dir() or place.is_file()):
                raise Failed(f"{path} est un lien, pas un fichier", f"{path} is a link, not a file")
            found += 1
            if found > ENTRIES_MAX:
                raise Malformed("il y a trop de fichiers", "there are too many files")
            if place.is_file():
                with place.open("rb") as file:
                    size = place.stat().st_size
                    yield path, Member(size, _hashed(file, size, path)[0], str(place), 0)


def _hashed(file: BinaryIO, size: int, path: str) -> tuple[str, int]:
    """SHA-256 in hex and CRC-32 of the next `size` bytes."""
    digest, checksum, left = hashlib.sha256(), 0, size
    while left:
        block = file.read(min(left, BLOCK_BYTES))
        if not block:
            raise Malformed(f"le fichier finit au milieu de {path}", f"the file ends in the middle of {path}")
        digest.update(block)
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    return digest.hexdigest(), checksum


def _read_zip(source: str, file: BinaryIO) -> Bag:
    members: dict[str, Member] = {}
    directory, folder, offset = [], None, 0
    while (start := file.read(4)) == b"PK\3\4":
        name, size, checksum, header = _entry(start, file)
        sha256, found = _hashed(file, size, name)
        if found != checksum:
            raise Failed(f"{name} a changé (somme de contrôle)", f"{name} was changed (checksum)")
        first, _, path = name.partition("/")
        folder = first if folder is None else folder
        if first != folder or not path or path in members:
            raise Malformed(f"{name} est de trop", f"{name} stands twice or outside the bag's folder")
        members[path] = Member(size, sha256, source, offset + len(header))
        directory.append(central_header(name, checksum, size, offset))
        offset += len(header) + size
        if len(members) > ENTRIES_MAX:
            raise Malformed("il y a trop de fichiers", "there are too many files")
    if not members:
        raise Malformed("ce n’est pas un dossier au format zip", "this is not a case file in zip form")
    listed = b"".join(directory)
    expected = listed + end_records(len(directory), len(listed), offset)
    if start + file.read(len(expected) + 1) != expected:
        raise Malformed(
            "la fin du zip n’est pas celle d’un dossier : répertoire changé, ou données ajoutées",
            "the end of the zip is not that of a case file: its directory was changed, or data was added",
        )
    return Bag(folder, members)


def _entry(start: bytes, file: BinaryIO) -> tuple[str, int, int, bytes]:
    """Name, size, checksum and header of the next entry; the header has no other spelling."""
    header = start + file.read(_LOCAL.size - len(start))
    if len(header) < _LOCAL.size:
        raise Malformed("le zip finit au milieu d’un en-tête", "the zip ends in the middle of a header")
    _, _, flags, method, _, _, checksum, _, size, name_length, extra_length = _LOCAL.unpack(header)
    raw = file.read(name_length)
    extra = file.read(extra_length)
    name = raw.decode("latin-1")
    if not is_plain_path(name):
        raise Malformed(f"le chemin {name[:80]!r} est refusé", f"the path {name[:80]!r} is refused")
    if flags & _ENCRYPTED:
        raise Malformed(f"{name} est chiffré", f"{name} is encrypted")
    if method:
        raise Malformed(f"{name} est compressé", f"{name} is compressed")
    if size == _FULL and extra_length == 20:
        size = struct.unpack_from("<Q", extra, 4)[0]
    if header + raw + extra != local_header(name, checksum, size):
        raise Malformed(f"l’en-tête de {name} n’est pas canonique", f"the header of {name} is not canonical")
    return name, size, checksum, header + raw + extra
