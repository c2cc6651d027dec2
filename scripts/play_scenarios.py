"""Play stories over HTTP against a service of this checkout, in sandbox mode and with data of its own.

The stories, and the program run.py that plays them, lie in the folder that BROJOBS_TEST_SCENARIOS names.

The service is started on a free port, with the settings of the environment (BROJOBS_DATABASE_URL, BROJOBS_LOGS, …), and
stopped at the end. A story with disputes waits until the service offers them; every other story must hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
STORIES = Path(os.environ.get("BROJOBS_TEST_SCENARIOS", ROOT.parent / "shared" / "scenarios"))
BROJOBS = Path(sys.executable).with_name("brojobs")
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def service() -> Iterator[str]:
    """A service of our own; yields its address. Shows its log when it does not start."""
    # Below /var/tmp and open to everybody: run as root, the embedded database is another user.
    folder = Path(tempfile.mkdtemp(prefix="brojobs-stories-", dir="/var/tmp"))
    folder.chmod(0o755)
    port = free_port()
    log = folder / "service.log"
    environment = {**os.environ, "BROJOBS_DATA_DIR": str(folder / "data"), "BROJOBS_PORT": str(port)}
    with log.open("wb") as output:
        if "BROJOBS_DATABASE_URL" in environment:
            subprocess.run([BROJOBS, "migrate"], env=environment, check=True)
        process = subprocess.Popen([BROJOBS, "serve", "--sandbox"], env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        if not wait_until_ready(url, process):
            sys.exit(f"the service did not start:\n{log.read_text(errors='replace')[-5000:]}")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"the service did not stop within {STOP_SECONDS:.0f} s", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> bool:
    """True once /readyz says yes; False when the process ended or time is up."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310  (ours)
            if answer.status == 200:
                return True
        time.sleep(0.1)
    return False


def needs_disputes(story: dict[str, Any]) -> bool:
    """Whether a story uses a command, or looks at a page, that belongs to disputes."""
    told = json.dumps([(step.get("do"), step.get("race"), step.get("see")) for step in story["steps"]])
    return '"open-dispute"' in told or '"dispute' in told


def offers_disputes(url: str) -> bool:
    """Whether the service that runs has disputes at all."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:  # noqa: S310  (ours)
        return any(path.endswith("/open-dispute") for path in json.load(answer)["paths"])


def main() -> int:
    """Play what can be played; 0 when every story held."""
    sources = sorted(STORIES.glob("*.yaml"))
    if not sources:
        sys.exit(f"there is no story in {STORIES}: name their folder in BROJOBS_TEST_SCENARIOS")
    with service() as url, tempfile.TemporaryDirectory() as folder:
        with_disputes = offers_disputes(url)
        files = []
        for source in sources:
            stories = [story for story in yaml.safe_load_all(source.read_text(encoding="utf-8")) if story]
            later = [story for story in stories if needs_disputes(story) and not with_disputes]
            for story in later:
                print(f"later {story['name']} (disputes)")
            playable = [story for story in stories if story not in later]
            if playable:
                files.append(Path(folder) / source.name)
                files[-1].write_text(yaml.safe_dump_all(playable, allow_unicode=True), encoding="utf-8")
        if not files:
            sys.exit("there is no story to play")
        sys.stdout.flush()
        return subprocess.run([sys.executable, STORIES / "run.py", "--url", url, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
