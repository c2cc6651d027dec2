"""Log lines of the service and of every library it uses: one format, on standard error."""

from __future__ import annotations

import logging


def log_to_stderr(level: str) -> None:
    """Standard output stays for what was asked for. `level` is debug, info, warning or error."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"
    )
    # Its lines about each start and stop say what the command line has said already.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
