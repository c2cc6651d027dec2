#!/usr/bin/env python3
"""The history of an order as a timeline, for mediators and auditors: replay.py ORDER_ID, and the options of `brojobs replay`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

if __name__ == "__main__":
    python = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"
    if find_spec("brojobs_es") is None and python.exists():  # started with another Python than the project's own
        os.execv(python, [str(python), *sys.argv])  # noqa: S606  (the same script, no shell wanted)

    from brojobs_es.cli import app

    app(["replay", *sys.argv[1:]], prog_name="brojobs")
