from __future__ import annotations

import hashlib
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import kit
from tests.case.conftest import Verify
from tests.case.making import (
    DEPLOYMENT,
    MemoryLog,
    export_of,
    file_row,
    packed,
    recorded,
    repacked,
    unpacked,
)

from brojobs_es.application.records import FileRow
from brojobs_es.evidence.case.contents import write_case
from brojobs_es.evidence.case.kernel import container
from brojobs_es.evidence.case.kernel.checking import Trust, verify
from brojobs_es.evidence.case.packing import ShortContent

FOLDER = f"case-{kit.ORDER_ID}"


def refused(check: Verify, content: bytes, words: str) -> None:
    """Malformed, and the sentence says why."""
    report = check(content)
    assert report.exit_code == 2
    assert words in report.findings[0].en


def zipped(case: bytes, name: str, data: bytes, how: int = zipfile.ZIP_STORED, attributes: int = 0) -> bytes:
    """The case file with one more entry at its end, as any zip program would add it."""
    file = io.BytesIO(case)
    with zipfile.ZipFile(file, "a") as archive:
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = attributes
        archive.writestr(entry, data, how)
    return file.getvalue()


def test_the_same_content_is_the_same_file() -> None:
    """Two exports of the same order at the same instant agree byte for byte."""
    history = recorded(kit.disputed())

    assert packed(history) == packed(history)


def test_any_zip_program_can_read_it(case: bytes) -> None:
    """The standard library finds nothing wrong, and one folder at the top."""
    with zipfile.ZipFile(io.BytesIO(case)) as archive:
        assert archive.testzip() is None
        assert {name.split("/")[0] for name in archive.namelist()} == {FOLDER}


def test_the_bag_is_one_of_its_standard(case: bytes) -> None:
    """Declaration, octet count, payload and tag manifests are what RFC 8493 asks for, computed here anew."""
    files = unpacked(case)
    payload = {path: content for path, content in files.items() if path.startswith("data/")}
    octets = sum(map(len, payload.values()))

    assert files["bagit.txt"] == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    assert f"Payload-Oxum: {octets}.{len(payload)}\n" in files["bag-info.txt"].decode()
    listed = {tuple(line.split("  ")) for line in files["manifest-sha256.txt"].decode().splitlines()}
    assert listed == {(hashlib.sha256(content).hexdigest(), path) for path, content in payload.items()}


@pytest.mark.parametrize(
    "path", ["../evil.txt", "/etc/evil", "a\\..\\evil", "data/../../evil", "data//evil", "C:evil", "é"]
)
def test_paths_that_lead_elsewhere_are_refused(case: bytes, check: Verify, path: str) -> None:
    """Nothing can be unpacked outside its folder."""
    head = container.local_header("x" * len(path.encode()), 0, 0)
    refused(check, head[: -len(path.encode())] + path.encode() + case, "is refused")


def test_entries_that_other_programs_add_are_refused(case: bytes, check: Verify) -> None:
    """Compressed (so no bomb), encrypted, a symbolic link, a second file of a name: none has the one spelling."""
    bomb = zipped(b"", f"{FOLDER}/data/bomb", bytes(10_000_000), zipfile.ZIP_DEFLATED)
    refused(check, bomb, "is compressed")
    secret = bytearray(container.local_header(f"{FOLDER}/data/x", 0, 0))
    secret[6] |= 1
    refused(check, bytes(secret) + case, "is encrypted")
    refused(check, zipped(case, f"{FOLDER}/data/link", b"/etc/passwd", attributes=0o120777 << 16), "the end of the zip")
    twice = container.local_header(f"{FOLDER}/data/README.txt", 0, 0)
    refused(check, twice + case, "stands twice")
    refused(check, container.local_header("other/README.txt", 0, 0) + case, "outside the bag's folder")


def test_nothing_can_stand_before_between_or_behind(case: bytes, check: Verify) -> None:
    """No stub, no comment, no trailing data, no second archive, no cut end."""
    refused(check, b"#!/bin/sh\n" + case, "not a case file")
    refused(check, case + b"\0", "the end of the zip")
    refused(check, case + case, "the end of the zip")
    refused(check, case[:-2] + struct.pack("<H", 5) + b"hello", "the end of the zip")
    refused(check, case[:-1], "the end of the zip")
    refused(check, case[: len(case) // 2], "ends in the middle")
    refused(check, b"", "not a case file")


def test_an_entry_that_claims_to_be_huge_is_refused(check: Verify) -> None:
    """Sizes are promises of the sender; what is not there is not waited for, nor is memory taken for it."""
    refused(check, container.local_header(f"{FOLDER}/data/x", 0, 1 << 60), "ends in the middle")


def test_an_unpacked_folder_verifies_and_takes_nothing_more(case: bytes, tmp_path: Path) -> None:
    """What was unpacked can be verified where it lies; an extra file or a link is named."""
    with zipfile.ZipFile(io.BytesIO(case)) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / FOLDER

    assert verify(str(folder), Trust()).exit_code == 0
    (folder / "data" / "extra.txt").write_text("hello")
    assert "data/extra.txt is not listed" in verify(str(folder), Trust()).findings[0].en
    (folder / "data" / "extra.txt").unlink()
    (folder / "data" / "extra.txt").symlink_to("/etc/passwd")
    assert "data/extra.txt is a link" in verify(str(folder), Trust()).findings[0].en


def test_the_folder_s_name_is_the_order_s(case: bytes, check: Verify) -> None:
    """A case file cannot pass for that of another order by its name."""
    other = kit.ORDER_ID.__class__(int=1)
    report = check(repacked(unpacked(case), DEPLOYMENT, other))

    assert report.exit_code == 1
    assert any("is not the order's" in finding.en for finding in report.findings)


def test_large_entries_take_the_large_form(monkeypatch: pytest.MonkeyPatch, check: Verify) -> None:
    """From 4 GiB on, sizes and offsets need 64 bits; made small here, and read by the standard library as well."""
    monkeypatch.setattr(container, "ZIP64_FROM", 1000)
    case = packed(recorded(kit.disputed()))

    assert check(case).exit_code == 0
    with zipfile.ZipFile(io.BytesIO(case)) as archive:
        assert archive.testzip() is None


class _Endless:
    """A file of zeros that never is in memory as a whole."""

    def __init__(self, size: int) -> None:
        self.size = size

    async def open(self, row: FileRow) -> AsyncIterator[bytes]:
        return self._blocks()

    async def _blocks(self) -> AsyncIterator[bytes]:
        for _ in range(self.size >> 16):
            yield bytes(1 << 16)


async def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    """64 MB pass through in blocks, both ways."""
    size = 1 << 26
    digest = hashlib.sha256(bytes(size)).hexdigest()
    history = recorded(kit.disputed())
    row = FileRow(kit.ORDER_ID, digest, "zeros", size, "application/octet-stream", "sam", kit.T0)
    export = export_of(history, files=[file_row(b"test", "v1.svg"), row])
    path = tmp_path / "case.zip"
    tracemalloc.start()
    try:
        with path.open("w+b") as file:
            await write_case(file, export, MemoryLog(history), _Mixed(size))
        assert verify(str(path), Trust()).exit_code == 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000


class _Mixed(_Endless):
    async def open(self, row: FileRow) -> AsyncIterator[bytes]:
        return self._blocks() if row.size == self.size else self._short()

    async def _short(self) -> AsyncIterator[bytes]:
        yield b"test"


async def test_a_file_that_was_cut_makes_no_case() -> None:
    """Nothing is signed that could not be verified."""
    history = recorded(kit.disputed())
    export = export_of(history, files=[file_row(b"longer than four", "v1.svg")])

    with pytest.raises(ShortContent):
        await write_case(io.BytesIO(), export, MemoryLog(history), _Mixed(0))


def test_reading_a_pipe_or_nothing_is_said_calmly(tmp_path: Path) -> None:
    """A missing file is a sentence, not a traceback, and nobody waits for a pipe that says nothing."""
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in verify(str(tmp_path / "pipe"), Trust()).findings[0].en
    report = verify(str(tmp_path / "missing.zip"), Trust())

    assert report.exit_code == 2
    assert "cannot be read" in report.findings[0].en
