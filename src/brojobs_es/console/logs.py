"""Log lines of the service and of every library it uses, on standard error: JSON for machines, plain on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog


def log_to_stderr() -> None:
    """Standard output stays for what was asked for. Warnings and worse are shown until `show_from` says otherwise."""
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([] if terminal else [structlog.processors.format_exc_info]),
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def show_from(level: str) -> None:
    """Show lines from this level on: debug, info, warning or error."""
    logging.getLogger().setLevel(level.upper())
    # The server's lines about each start and stop say what the command line has said already.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
