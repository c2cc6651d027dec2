"""One client that waits for each answer, over a raw socket: its own part of the time is some tens of microseconds."""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType
from typing import Final, Self

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMEOUT_SECONDS: Final = 60.0


class Refused(Exception):
    """An answer that is not the expected one; the message has its beginning."""


class Talker:
    """A connection to a service on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seconds = 0.0
        """How long the last answer took."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, request: bytes, status: bytes = b"200") -> bytes:
        """The body of the answer; Refused where it has another status."""
        began = time.perf_counter()
        self._socket.sendall(request)
        data = self._socket.recv(65536)
        while (missing := self._missing(data)) > 0:
            data += self._socket.recv(missing)
        self.seconds = time.perf_counter() - began
        if data[9:12] != status:
            raise Refused(data[:1000].decode(errors="replace"))
        return data[data.index(b"\r\n\r\n") + 4 :]

    @staticmethod
    def _missing(data: bytes) -> int:
        head = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head + 2) if head >= 0 else None
        return head + 4 + int(length[1]) - len(data) if length is not None else 1
