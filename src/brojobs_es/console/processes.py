"""Several processes from one: each does its job until all are told to stop; one that dies is started again."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

Job = Callable[[], None]

RESTART_PAUSE_SECONDS: Final = 1.0
_DIE_WITH_PARENT: Final = 1  # prctl's PR_SET_PDEATHSIG
_logger = logging.getLogger(__name__)


def run_all(jobs: Sequence[Job]) -> None:
    """Run each job in a process of its own until SIGINT or SIGTERM, which every one of them is then sent.

    To be called where nothing runs yet, no thread and no event loop, as the processes are copies of this one.
    """
    running: dict[int, Job] = {}
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in running:
            os.kill(pid, signal.SIGTERM)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for job in jobs:
            running[_started(job)] = job
        while running:
            pid, status = os.wait()
            ended = running.pop(pid, None)
            if ended is None or stopping:
                continue
            _logger.error("a process ended with %d and is started again", os.waitstatus_to_exitcode(status))
            time.sleep(RESTART_PAUSE_SECONDS)
            if not stopping:
                running[_started(ended)] = ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(job: Job) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)  # nobody answers for a service that was killed
        job()
        code = 0
    except BaseException:
        _logger.exception("a process failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
