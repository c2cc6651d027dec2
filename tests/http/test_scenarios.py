"""The stories of `tests/scenarios`, each over HTTP; with and without a scheduler they go the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.http.service import Service, service
from tests.http.world import World
from tests.scenarios.play import Play, stories

STORIES: Final = stories(Path(__file__).parent.parent / "scenarios")


@pytest.fixture(scope="module")
def theatre(new_database: Callable[[], str], data_folder: Path) -> Iterator[Service]:
    """A service without commission: the figures of the stories are those of their prices."""
    with service(new_database(), data_folder, commission_bps=0) as process:
        yield process
        assert "Traceback" not in process.failures, process.failures


def test_there_are_stories_of_the_rules() -> None:
    """Each has a name of its own and says which rules it shows."""
    names = [story["name"] for story in STORIES]
    assert len(set(names)) == len(names) >= 15
    assert all(story["rules"] for story in STORIES)


@pytest.mark.parametrize("timers", [True, False], ids=["scheduler", "no scheduler"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_goes_as_told(theatre: Service, story: dict[str, Any], timers: bool) -> None:
    """Every step is answered as it says, every look shows what it says, and the money adds up all along."""
    with World(theatre.url) as world:
        world.clock(run_timers=timers)
        Play(world, story).run()
