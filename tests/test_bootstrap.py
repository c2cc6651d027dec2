"""What goes on beside the answers: it is started again when it fails, and ends when the deployment does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.store.helpers import eventually

from brojobs_es import bootstrap
from brojobs_es.bootstrap import kept_going, running
from brojobs_es.settings import Settings
from brojobs_es.worker import Scheduler


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed rests for no longer than a test can wait."""
    monkeypatch.setattr(bootstrap, "AGAIN_SECONDS", 0.01)


class Work:
    """Fails as often as it is told to; then it is at work until somebody ends it."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0
        self.ended = False
        self.may_end = asyncio.Event()

    async def run(self) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise ZeroDivisionError(f"mistake {self.starts}")
        try:
            await self.may_end.wait()
        finally:
            self.ended = True


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel it; fails where that does not end it."""
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


async def test_work_that_fails_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """As often as it fails, with each mistake logged; cancelled, it ends."""
    work = Work(failures=3)
    task = asyncio.create_task(kept_going(work.run))
    await eventually(lambda: work.starts == 4)
    await asyncio.sleep(0.05)
    assert (work.starts, task.done()) == (4, False)
    assert [record.getMessage() for record in caplog.records] == ["Work.run failed and is started again"] * 3
    await cancelled(task)
    assert work.ended
    assert work.starts == 4


async def test_it_ends_while_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled between a failure and the next start, it is not started any more."""
    monkeypatch.setattr(bootstrap, "AGAIN_SECONDS", 60.0)
    work = Work(failures=2)
    task = asyncio.create_task(kept_going(work.run))
    await eventually(lambda: work.starts == 1)
    await cancelled(task)
    assert work.starts == 1


async def test_work_that_is_done_is_not_started_again() -> None:
    """Only a failure is a reason to."""
    work = Work(failures=0)
    work.may_end.set()
    await asyncio.wait_for(kept_going(work.run), 5)
    assert work.starts == 1


async def test_a_deployment_keeps_its_scheduler_going(
    clean_logs: str, log_count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in it ends neither it nor the deployment, which still closes in order."""
    work = Work(failures=2)

    async def run(scheduler: Scheduler) -> None:
        await work.run()

    monkeypatch.setattr(Scheduler, "run", run)
    settings = Settings(database_url=clean_logs, data_dir=tmp_path, logs=log_count)
    async with running(settings, clean_logs) as runtime:
        await eventually(lambda: work.starts == 3)
        assert await runtime.logs.read(0, 0, 10) == []
    assert work.ended
