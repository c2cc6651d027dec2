"""Starts the service or the worker in one event loop, and stops them in order when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from brojobs_es import bootstrap
from brojobs_es.api.app import create_app
from brojobs_es.console.processes import run_all
from brojobs_es.settings import Settings

GC_THRESHOLDS: Final = (50_000, 20, 50)
SWITCH_SECONDS: Final = 0.0005
FILE_THREADS: Final = 16
"""Files under way at once: their threads mostly wait for the disk."""

GRACE_SECONDS: Final = 2
"""How long answers under way may take once the service was asked to stop; streams end then."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


KEEP_ALIVE_SECONDS: Final = 75  # longer than the usual minute of a proxy in front, which then never finds a closed one


def collect_seldom() -> None:
    """Let the garbage collector leave alone what was made at the start, and look at the rest less often.

    Thousands of orders stay folded in memory, none of them garbage: by default they are walked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def let_files_through() -> None:
    """Let threads that write files take their turn soon.

    A thread that comes back from the disk waits for the interpreter up to the switch interval, once for each of its calls:
    by default 5 ms, while the event loop is busy.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(FILE_THREADS, "files"))


HEAD_BYTES_MAX: Final = 64 * 1024
"""What a request may send before its body: httptools itself keeps whatever comes."""


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, except that a head (or a trailer) that does not end closes the connection."""

    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._in_head, self._head = False, 0
        super().on_headers_complete()

    def on_chunk_header(self) -> None:  # a chunk of size 0 is followed by trailers, without a mark of their own
        self._in_head, self._head = True, 0

    def on_body(self, body: bytes) -> None:
        self._in_head, self._head = False, 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_complete()


class Server(uvicorn.Server):
    """uvicorn, except that a signal ends `serve` and nothing else: what surrounds it then closes in order."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()  # first of all: what is never complete would keep its connection for as long as it may
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The same handlers, without sending the signal again afterwards, which would end the process at once."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; OSError where somebody else does. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


async def serve(
    settings: Settings,
    database_url: str,
    sock: socket.socket,
    ready: Callable[[], None],
    *,
    sandbox: bool,
    scheduler: bool,
    background: bool = True,
) -> None:
    """Answer requests until SIGINT or SIGTERM; `ready` is called once requests are taken.

    Without `background` somebody else keeps views, timers and evidence.
    """
    async with bootstrap.running(settings, database_url, sandbox=sandbox, background=background) as runtime:
        runtime.scheduler.running = scheduler
        collect_seldom()
        let_files_through()
        config = uvicorn.Config(
            create_app(runtime),
            http=BoundedHead,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nothing here asks from where a request came
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        await Server(config, ready, runtime.logs.listener.end).serve([sock])


def serve_together(
    settings: Settings,
    database_url: str,
    sock: socket.socket,
    ready: Callable[[], None],
    workers: int,
    *,
    scheduler: bool,
) -> None:
    """Answer requests in so many processes, with one more for the rest, until SIGINT or SIGTERM."""

    def answering(tell: Callable[[], None]) -> Callable[[], None]:
        return lambda: uvloop.run(
            serve(settings, database_url, sock, tell, sandbox=False, scheduler=scheduler, background=False)
        )

    def nothing() -> None:
        pass

    run_all(
        [
            lambda: uvloop.run(work(settings, database_url, nothing, scheduler=scheduler)),
            *(answering(nothing) for _ in range(workers - 1)),
            answering(ready),
        ]
    )


async def work(settings: Settings, database_url: str, ready: Callable[[], None], *, scheduler: bool = True) -> None:
    """Keep the views up to date and fire timers until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with bootstrap.running(settings, database_url) as runtime:
        runtime.scheduler.running = scheduler
        collect_seldom()
        ready()
        await stop.wait()
