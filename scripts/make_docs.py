"""Write the pages of the documentation that are made from code, between the markers that the pages carry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brojobs_es.settings import settings_table

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- made from code: begin -->\n", "<!-- made from code: end -->\n"
PAGES: dict[str, Callable[[], str]] = {"reference/settings.md": settings_table}


def main() -> None:
    """Replace what lies between the markers of each page."""
    for name, make in PAGES.items():
        path = DOCS / name
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise SystemExit(f"{name} has no markers to write between")
        path.write_text(f"{before}{BEGIN}\n{make()}\n{END}{after}", encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
