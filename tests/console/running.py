"""Processes of the command line, as people start them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BROJOBS: Final = [sys.executable, "-m", "brojobs_es.cli"]


@contextlib.contextmanager
def started(database_url: str, folder: Path, *arguments: str, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the command line, over this database."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    own = {"BROJOBS_DATABASE_URL": database_url, "BROJOBS_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    own["BROJOBS_LOGS"] = os.environ.get("BROJOBS_LOGS", "1")
    with talking([*BROJOBS, *arguments], environment | own | extra) as process:
        yield process


@contextlib.contextmanager
def talking(command: list[str], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process whose output can be read; killed at the end if it still runs."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def reader(**own: str) -> dict[str, str]:
    """The environment of somebody who plays a page from the checkout's folder.

    The programs are those that the page finds by itself; only where there is no .venv are they named: those of the tests.
    """
    plain = {name: value for name, value in os.environ.items() if name not in {"BROJOBS", "PYTHON"}}
    if not all((ROOT / ".venv" / "bin" / name).exists() for name in ("python", "brojobs")):
        plain |= {"BROJOBS": str(Path(sys.executable).with_name("brojobs")), "PYTHON": sys.executable}
    return plain | own


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"brojobs serves (http://\S+)", line):
            return found[1]
    raise AssertionError("".join(lines))
