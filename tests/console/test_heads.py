"""How much a client may send before its body: what goes on for ever is hung up on, everything else is served."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import pytest
from tests.console.running import address, started

PIECE = 4096
START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST /v1/sandbox/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = json.dumps({"sub": "ana", "roles": ["buyer"]}).encode()


@pytest.fixture(scope="module")
def port(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The service as it is started from the command line."""
    folder = tmp_path_factory.mktemp("heads")
    with started(new_database(), folder, "serve", "--sandbox", "--port", "0") as process:
        yield int(address(process).rpartition(":")[2])


def pieces(whole: bytes) -> list[bytes]:
    return [whole[start : start + PIECE] for start in range(0, len(whole), PIECE)]


def asked(port: int, parts: Iterable[bytes], *, answers: int = 1) -> bytes:
    """Send the parts one by one, and return what comes back until there are so many answers or the connection ends."""
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, contextlib.suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.001)
        while told.count(b"HTTP/1.1 ") < answers or not complete(told):
            if not (more := connection.recv(65536)):
                break
            told += more
    return told


def complete(told: bytes) -> bool:
    """Whether the last answer has all of its body."""
    head, found, body = told[told.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(found) and len(body) >= (lengths or [0])[0]


def hung_up(told: bytes) -> bool:
    """Refused with 400, or the connection was closed before that could be read."""
    return told == b"" or told.startswith(b"HTTP/1.1 400 ")


def statuses(told: bytes) -> list[int]:
    return [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]


def many_headers() -> Iterator[bytes]:
    return (b"X-%d: b\r\n" % number for number in count())


def of_size(size: int, parts: Iterator[bytes]) -> bytes:
    made = bytearray()
    while len(made) < size:
        made += next(parts)
    return bytes(made)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (START, of_size(80_000, many_headers())),
        (START, b"X: " + b"a" * 80_000),
        (b"GET /" + b"a" * 80_000, b""),
        (CHUNKED + b"%x\r\n%b\r\n0\r\n" % (len(TOKEN), TOKEN), of_size(80_000, many_headers())),
        (CHUNKED + b"0\r\n", b"X: " + b"a" * 80_000),
    ],
    ids=["headers", "a value", "a path", "trailers", "a trailer"],
)
def test_a_head_without_end_is_hung_up_on(port: int, start: bytes, more: bytes) -> None:
    """After about 64 KiB the client hears 400, though its request is not complete; the next one is served."""
    assert hung_up(asked(port, pieces(start + more)))
    assert statuses(asked(port, [START + b"\r\n"])) == [200]


def test_a_large_head_is_taken(port: int) -> None:
    """60 KiB in one header or in thousands, or behind a body."""
    for head in (b"X: " + b"a" * 60_000 + b"\r\n", of_size(60_000, many_headers())):
        assert statuses(asked(port, pieces(START + head + b"\r\n"))) == [200]
    body = b"%x\r\n%b\r\n0\r\n" % (len(TOKEN), TOKEN)
    trailers = of_size(60_000, many_headers())
    assert statuses(asked(port, pieces(CHUNKED + body + trailers + b"\r\n"))) == [200]


def test_each_request_of_a_connection_has_its_own_count(port: int) -> None:
    """One after the other, and all sent before the first answer: five heads of 30 KiB are no endless one."""
    request = START + b"X: " + b"a" * 30_000 + b"\r\n\r\n"
    assert statuses(asked(port, pieces(request * 5), answers=5)) == [200] * 5
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(5):
            told = b""
            for part in pieces(request):
                connection.sendall(part)
            while not complete(told):
                told += connection.recv(65536)
            assert statuses(told) == [200]


def test_what_follows_good_requests_is_counted_as_well(port: int) -> None:
    """A head without end on a connection that was used before."""
    told = asked(port, pieces(START + b"\r\n" + START + b"X: " + b"a" * 80_000), answers=2)
    assert statuses(told) in ([200, 400], [200], [])


def test_a_large_body_is_no_head(port: int) -> None:
    """Two hundred kilobytes, plain or in many chunks, are read as a body."""
    body = TOKEN + b" " * 200_000
    plain = b"POST /v1/sandbox/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert statuses(asked(port, pieces(plain + body))) == [200]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in pieces(body))
    assert statuses(asked(port, pieces(CHUNKED + chunks + b"0\r\n\r\n"))) == [200]
    one = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert statuses(asked(port, pieces(CHUNKED + one))) == [200]
