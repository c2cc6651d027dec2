"""One sealer over several logs: what it does for one of them leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evidence.stage import KEY
from tests.store.helpers import append, opened

from brojobs_es.evidence import sealer as module
from brojobs_es.evidence.sealer import Sealer
from brojobs_es.evidence.signing import LastSigned
from brojobs_es.evidence.witnessing import inclusion
from brojobs_es.store.migrate import migrate
from brojobs_es.store.sealing import SealStore

EVENTS = 5


class Interrupted(Sealer):
    """In the middle of one batch of log 0, a batch of log 1 is sealed."""

    at = 1
    batches = 0

    async def _batch(self, *args: Any, **options: Any) -> Any:
        self.batches += 1
        if self.batches == self.at:
            await self.step(1)
        return await super()._batch(*args, **options)


async def grown(url: str, wanted: Sequence[int]) -> list[list[int]]:
    """The positions of so many new events in each log."""
    positions: list[list[int]] = [[] for _ in wanted]
    async with opened(url, len(wanted)) as logs:
        while any(len(each) < most for each, most in zip(positions, wanted, strict=True)):
            one = append()
            log = logs.log_of(one.order_id)
            if len(positions[log]) < wanted[log]:
                positions[log] += await logs.append(one)
    return positions


@pytest.mark.parametrize(
    ("at", "others"), [(1, 5), (2, 1)], ids=["a full batch in the first", "a last batch in the last"]
)
async def test_a_step_of_another_log_ends_no_catching_up(
    empty_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, others: int
) -> None:
    """The other one changes how many events go together; all of this one are sealed, signed and proved all the same."""
    monkeypatch.setattr(module, "BATCH", 2)  # then four: five events are two batches
    url = empty_database()
    migrate(url, 2)
    positions, _ = await grown(url, [EVENTS, others])
    store = SealStore(url)
    await store.open()
    sealer = Interrupted(store, 2, "test", lambda: KEY, LastSigned(tmp_path))
    sealer.at = at
    await sealer.catch_up(0)
    assert sealer.batches == 3, "two of log 0 and one of log 1"
    head = await store.newest_head(0)
    assert head is not None
    assert head.size == EVENTS
    assert (await inclusion(sealer, 0, positions[-1])).size == EVENTS
    await store.close()
