"""The page for auditors does what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.console.running import ROOT, reader
from tests.http.service import service

from brojobs_es.store.migrate import migrate

PAGE = ROOT / "docs" / "tutorial" / "auditors.md"
END_OF_BLOCK = "-- end of block --"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page speaks to the service with curl")
def test_the_tutorial_for_auditors_does_what_it_says(
    empty_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the page is run in its order, and prints what the page shows."""
    blocks = re.findall(r"```bash\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = "set -euo pipefail\n" + "".join(f"{commands}\necho '{END_OF_BLOCK}'\n" for commands, _ in blocks)
    monkeypatch.setenv("BROJOBS_LOGS", "1")
    url = empty_database()
    migrate(url, 1)
    with service(url, tmp_path) as process:
        environment = reader(URL=process.url, TMPDIR=str(tmp_path))
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [levelled(part) for part in done.stdout.split(f"{END_OF_BLOCK}\n")]
    assert told == [*(levelled(output) for _, output in blocks), ""], done.stdout


def levelled(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())
