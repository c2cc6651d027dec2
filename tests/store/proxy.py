"""A network that fails on demand: forwards to PostgreSQL, and cuts a connection at the worst moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict


class Cut(Enum):
    """When to cut the next connection that sends the marked statement."""

    BEFORE_SENDING = "the server never gets the statement"
    AFTER_SENDING = "the server gets it, and the client is gone"
    BEFORE_ANSWER = "the server has done it, and the answer is lost"


class Proxy:
    """Listens on a local port; `cut_next` arms it for one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._armed: Cut | None = None
        self._marker = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self._for_good = False
        self._clients: set[asyncio.StreamWriter] = set()
        self.cuts = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The database's URL through the proxy."""
        parts = urlsplit(self._url)
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{self.port}" if user else f"127.0.0.1:{self.port}"
        return urlunsplit(parts._replace(netloc=netloc, query="sslmode=disable&gssencmode=disable"))

    def cut_next(self, cut: Cut, marker: bytes, *, for_good: bool = False) -> None:
        """Cut the next connection whose client sends something that contains the marker; let nobody in after it."""
        self._armed, self._marker, self._for_good = cut, marker, for_good

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listen until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._for_good and self.cuts:
            writer.transport.abort()
            return
        self._clients.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await self._connect()
        cut = asyncio.Event()

        async def upwards() -> None:
            while data := await reader.read(1 << 16):
                if self._armed is not None and self._marker in data:
                    armed, self._armed = self._armed, None
                    self._count_cut(writer)
                    if armed is Cut.BEFORE_SENDING:
                        return
                    if armed is Cut.BEFORE_ANSWER:
                        cut.set()
                    there_writer.write(data)
                    await there_writer.drain()
                    if armed is Cut.AFTER_SENDING:
                        return
                    continue
                there_writer.write(data)
                await there_writer.drain()

        async def downwards() -> None:
            while data := await there_reader.read(1 << 16):
                if cut.is_set():
                    return
                writer.write(data)
                await writer.drain()

        ways = [asyncio.create_task(upwards()), asyncio.create_task(downwards())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, there_writer):
                end.transport.abort()

    def _count_cut(self, of: asyncio.StreamWriter) -> None:
        self.cuts += 1
        if self._for_good:
            for other in self._clients - {of}:
                other.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = conninfo_to_dict(self._url)
        host, port = str(target.get("host") or "/var/run/postgresql"), int(target.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(Path(host) / f".s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)
