from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.console.running import address, started

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-order.md"
END_OF_BLOCK = "-- end of block --"


def blocks() -> list[tuple[str, str]]:
    """The page's commands, each with what it says they print."""
    found = re.findall(r"```bash\n(.*?)```\n(?:\n```text\n(.*?)```)?", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    return [(commands, output) for commands, output in found]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial speaks to the service with curl")
def test_the_tutorial_does_what_it_says(clean_logs: str, tmp_path: Path) -> None:
    """Every command of the page is run in its order, and prints what the page shows."""
    script = "set -euo pipefail\n" + "".join(f"{commands}\necho '{END_OF_BLOCK}'\n" for commands, _ in blocks())

    with started(clean_logs, tmp_path, "serve", "--sandbox", "--port", "0") as process:
        environment = {**os.environ, "URL": address(process)}
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        process.send_signal(signal.SIGTERM)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split(f"{END_OF_BLOCK}\n") == [*(output for _, output in blocks()), ""]
