"""Uploads while the disk is full: they fail, and leave nothing behind that would keep it full."""

from __future__ import annotations

import ast
import errno
import subprocess
import sys
from pathlib import Path

from tests.http.service import ROOT

SIZES = range(262_100, 263_900, 200)
"""Around the limit below, so that some writes fail at once, others only when what was buffered is flushed."""

PROGRAM = """
import asyncio, resource, signal, sys
from pathlib import Path
from tests.api.test_files import CONTENT_TYPE, Home, body, pieces

FULL = 262_740

async def upload(home, size):
    try:
        await home.receive(CONTENT_TYPE, pieces(body(bytes(size))))
    except OSError as error:
        return error.errno
    return 0

home = Home(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, hard))
told = [asyncio.run(upload(home, int(size))) for size in sys.argv[2:]]
left = home.incoming
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
told.append(asyncio.run(upload(home, int(sys.argv[-1]))))
print((told, left, home.incoming, len(home.on_disk)))
"""
"""Limits itself: the process of the tests has to go on writing."""


def test_a_full_disk_keeps_no_temporary_file(tmp_path: Path) -> None:
    """Each upload that has no room fails as such and leaves nothing; with room again the same file is stored."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "files"), *map(str, SIZES)]
    ran = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    told, left, left_later, stored = ast.literal_eval(ran.stdout)
    *full, after = told
    assert set(full) == {0, errno.EFBIG}, full
    assert after == 0
    assert (left, left_later) == ([], [])
    assert stored == full.count(0) + 1
