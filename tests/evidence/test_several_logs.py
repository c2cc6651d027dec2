"""One sealer over several logs: what it does for one of them leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    """In the middle of the first batch of log 0, a full batch of log 1 is sealed."""

    interrupted = False

    async def _batch(self, *args: Any, **options: Any) -> Any:
        if not self.interrupted:
            self.interrupted = True
            assert await self.step(1)
        return await super()._batch(*args, **options)


async def test_a_step_of_another_log_ends_no_catching_up(
    empty_database: Callable[[], str], tmp_path: Path, monkeypatch: Any
) -> None:
    """The other one changes how many events go together; all of this one are sealed, signed and proved all the same."""
    monkeypatch.setattr(module, "BATCH", 2)
    url = empty_database()
    migrate(url, 2)
    async with opened(url, 2) as logs:
        positions: list[list[int]] = [[], []]
        while min(map(len, positions)) < EVENTS:
            one = append()
            if len(positions[logs.log_of(one.order_id)]) < EVENTS:
                positions[logs.log_of(one.order_id)] += await logs.append(one)
    store = SealStore(url)
    await store.open()
    sealer = Interrupted(store, 2, "test", lambda: KEY, LastSigned(tmp_path))
    await sealer.catch_up(0)
    assert sealer.interrupted
    head = await store.newest_head(0)
    assert head is not None
    assert head.size == EVENTS
    assert (await inclusion(sealer, 0, positions[0][-1])).size == EVENTS
    await store.close()
