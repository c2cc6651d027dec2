"""What processes use of the machine, from /proc: CPU seconds and resident memory of a process and its children."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for each in found:
        with contextlib.suppress(FileNotFoundError):  # it ended in the meantime
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(int(child) for child in _read(task / "children").split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of the process, its children, and those of them that have ended (counted when the parent reaped them)."""
    return sum(_ticks(each) for each in family(pid)) / _TICKS


def running_seconds(pid: int) -> float:
    """CPU time of the living threads of the process and its children, to the microsecond where `cpu_seconds` has ticks."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{each}/task").iterdir():
                total += int(_read(task / "schedstat").partition(" ")[0] or 0)
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of the process and its children; pages that they share count once for each."""
    total = 0
    for each in family(pid):
        fields = _read(Path(f"/proc/{each}/statm")).split()
        total += int(fields[1]) if fields else 0
    return total * _PAGE_BYTES


def _ticks(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])  # user, system, and both of reaped children


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended in the meantime
        return ""
