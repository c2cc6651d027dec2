"""Write requirements.lock and requirements-dev.lock: every package with its hashes, and no word about where from."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = (
    f"{sys.executable} -m uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes "
    "--no-header --no-emit-index-url --no-emit-find-links --quiet --upgrade"
)
HEADER = "# Made by `make lock` from pyproject.toml: every package with its hashes. Not edited by hand.\n"


def main() -> None:
    """Resolve both sets and refuse to write one that names a host or a path."""
    for name, extras in (("requirements.lock", []), ("requirements-dev.lock", ["--extra", "dev"])):
        done = subprocess.run([*COMPILE.split(), *extras], cwd=ROOT, check=True, capture_output=True, text=True)
        leak = re.search(r"^.*(://|index-url|find-links|@ |^-).*$", done.stdout, re.MULTILINE)
        if leak:
            sys.exit(f"{name} would name an address or an option: {leak.group()}")
        (ROOT / name).write_text(HEADER + done.stdout, encoding="utf-8")
        print(f"{name}: {done.stdout.count('==')} packages")


if __name__ == "__main__":
    main()
