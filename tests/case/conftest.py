from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests import kit
from tests.case.making import packed, recorded

from brojobs_es.evidence.case.kernel.checking import Report, Trust, verify

Verify = Callable[..., Report]


@pytest.fixture(scope="session")
def case() -> bytes:
    """The case file of an order in dispute, with a private note and a file."""
    return packed(recorded(kit.under_review().mediator("dispute/add-note")))


@pytest.fixture
def check(tmp_path: Path) -> Verify:
    """Verifies the bytes of a case file, with what the reader brings along."""

    def run(content: bytes, **trust: object) -> Report:
        path = tmp_path / "case.zip"
        path.write_bytes(content)
        return verify(str(path), Trust(**trust))  # type: ignore[arg-type]

    return run
