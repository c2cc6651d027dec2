"""Several processes from one: each does its job until all are told to stop; one that dies is started again."""

from __future__ import annotations

import contextlib
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
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
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
            with contextlib.suppress(ProcessLookupError):  # it has ended at this very moment
                os.kill(pid, signal.SIGTERM)

    def start(job: Job) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # whoever runs is known before `stop` looks who does
        if not stopping:
            running[_started(job)] = job
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        for job in jobs:
            start(job)
        while running:
            pid, status = os.wait()
            ended = running.pop(pid, None)
            if ended is None or stopping:
                continue
            _logger.error("a process ended with %d and is started again", os.waitstatus_to_exitcode(status))
            time.sleep(RESTART_PAUSE_SECONDS)
            start(ended)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(job: Job) -> int:
    """The process of a job; to be called while signals are held back."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)  # nobody answers for a service that was killed
        if os.getppid() == parent:  # or it was killed before we could ask for that
            job()
        code = 0
    except BaseException:
        _logger.exception("a process failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
