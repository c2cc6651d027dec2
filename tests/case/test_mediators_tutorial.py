from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.console.running import ROOT, address, reader, started

PAGE = ROOT / "docs" / "tutorial" / "mediators.md"
END_OF_BLOCK = "-- end of block --"
ELSEWHERE = (
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"/[0-9a-f]{12}/log-", "/DATABASE/log-"),
    (r"log \d", "log N"),
    (r"log-\d", "log-N"),
)
"""What is another each time: hashes, the name of the database, which log an order lies in."""


def blocks() -> list[tuple[str, str]]:
    """The page's commands, each with what it says they print."""
    found = re.findall(r"```bash\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [(commands, output) for commands, output in found]


def levelled(text: str) -> str:
    for pattern, name in ELSEWHERE:
        text = re.sub(pattern, name, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial speaks to the service with curl")
def test_the_tutorial_for_mediators_does_what_it_says(clean_logs: str, tmp_path: Path) -> None:
    """Every command of the page is run in its order, and prints what the page shows."""
    script = "set -euo pipefail\n" + "".join(f"{commands}\necho '{END_OF_BLOCK}'\n" for commands, _ in blocks())
    data, work = tmp_path / "data", tmp_path / "work"
    data.mkdir(mode=0o755)
    work.mkdir()

    with started(clean_logs, data, "serve", "--sandbox", "--port", "0") as process:
        environment = reader(
            URL=address(process), BROJOBS_DATABASE_URL=clean_logs, BROJOBS_DATA_DIR=str(data), TMPDIR=str(work)
        )
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        process.send_signal(signal.SIGTERM)

    assert done.returncode == 0, done.stdout + done.stderr
    told = [levelled(part) for part in done.stdout.split(f"{END_OF_BLOCK}\n")]
    assert told == [*(levelled(output) for _, output in blocks()), ""], done.stdout
