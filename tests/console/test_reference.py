from __future__ import annotations

import pytest
from tests.console.reference import FOLDER, PAGES

from brojobs_es.aggregates.commands import DISPUTE_COMMANDS, ORDER_COMMANDS
from brojobs_es.language import CODES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_says(name: str) -> None:
    """A changed command or code changes its page: run `make docs`."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]()


def test_no_command_and_no_code_is_left_out() -> None:
    """Each has its heading or its row."""
    commands, codes = PAGES["commands.md"](), PAGES["codes.md"]()

    assert all(f"### `{name}`\n" in commands for name in (*ORDER_COMMANDS, *DISPUTE_COMMANDS))
    assert all(f"| `{code}` |" in codes for code in CODES)
