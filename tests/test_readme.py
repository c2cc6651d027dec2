"""What the documentation says exists: commands, make targets, settings, links, packages, the picture of the states."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.console.diagram import edges, mermaid
from typer.main import get_command

from brojobs_es.cli import app
from brojobs_es.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
}
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    """`make X` is something that make knows."""
    named = set(re.findall(r"(?:`|^ {4})make ([a-z]+)", PAGES[page], re.MULTILINE))

    assert named <= TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_its_options_exist(page: str) -> None:
    """`brojobs X --option` is something that the command line knows."""
    for name, rest in re.findall(r"(?:^|[`$ ])brojobs ([a-z]+)\b([^`\n#]*)", PAGES[page], re.MULTILINE):
        if rest.startswith(" orders"):
            continue
        assert name in COMMANDS, f"brojobs {name}"
        command = COMMANDS[name]
        if below := getattr(command, "commands", None):  # the next word is the command, as in `brojobs case verify`
            command = below[rest.split()[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, f"brojobs {name}{rest}"


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_exists(page: str) -> None:
    """A variable that the documentation names is read by the service."""
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", PAGES[page]))

    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """Relative links name files of the project."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[page]):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_every_page_is_found_from_another() -> None:
    """A page that nothing links to is a page that nobody reads; reference pages are found by their folder."""
    linked = {
        ((ROOT / page).parent / target).resolve()
        for page, text in PAGES.items()
        for target in re.findall(r"\]\(([^)#\s]+\.md)", text)
        if "://" not in target
    }
    starts = {ROOT / "README.md", ROOT / "docs" / "README.md"}
    unlinked = {(ROOT / page).resolve() for page in PAGES} - linked - starts

    assert {path for path in unlinked if path.parent != ROOT / "docs" / "reference"} == set()


def test_the_two_commands_come_first() -> None:
    """Whoever has just cloned the project finds the demo and the tests at once."""
    assert README.index("make demo") < README.index("make test") < README.index("## Five minutes")


def test_the_picture_is_what_the_code_does() -> None:
    """The README's diagram has exactly the arrows that commands and timers make."""
    drawn = re.search(r"```mermaid\n(.*?)```", README, re.DOTALL)

    assert drawn
    assert drawn[1] == mermaid(edges())


def test_every_dependency_has_its_reason() -> None:
    """One line says why each package is there, and none is explained that is not there."""
    table = README.partition("## Why each dependency is there")[2].partition("\n## ")[0]
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(.+?)`", row)
    }
    needed = {re.split(r"[\[><=~! ]", requirement)[0] for requirement in PROJECT["dependencies"]}

    assert explained == needed
