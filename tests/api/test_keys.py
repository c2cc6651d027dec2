from __future__ import annotations

import asyncio
import json
import logging
import os
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from brojobs_es.api.auth import Authenticator, Unauthenticated
from brojobs_es.api.keys import (
    FILE_CHECK_SECONDS,
    REFRESH_SECONDS,
    UNKNOWN_KEY_PAUSE_SECONDS,
    DevelopmentKey,
    KeyRing,
    KeysUnavailable,
    parse_jwks,
)
from brojobs_es.api.strict_json import BadJson

KEYS = {kid: ed25519.Ed25519PrivateKey.generate() for kid in ("old", "new")}


def jwk_set(*kids: str) -> bytes:
    to_jwk = jwt.algorithms.OKPAlgorithm.to_jwk
    return json.dumps({"keys": [{**json.loads(to_jwk(KEYS[kid].public_key())), "kid": kid} for kid in kids]}).encode()


def header(kid: str) -> str:
    claims = {"sub": "u", "roles": ["buyer"], "exp": 4_000_000_000}
    return "Bearer " + jwt.encode(claims, KEYS[kid], algorithm="EdDSA", headers={"kid": kid})


class Ticker:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Issuer:
    """A real HTTP server that publishes keys and counts who asks."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = jwk_set("old"), 200, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class names it)
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


async def believed(authenticator: Authenticator, kid: str) -> bool:
    try:
        await authenticator.caller(header(kid))
    except Unauthenticated:
        return False
    return True


async def test_a_file_that_rotates(tmp_path: Path) -> None:
    """A new key counts at once, an old one as long as it is listed, and a remembered token no longer than its key."""
    ticker, path = Ticker(), tmp_path / "jwks.json"
    path.write_bytes(jwk_set("old"))
    authenticator = Authenticator(KeyRing(str(path), monotonic=ticker))
    assert [await believed(authenticator, kid) for kid in ("old", "new")] == [True, False]
    path.write_bytes(jwk_set("old", "new"))
    assert [await believed(authenticator, kid) for kid in ("old", "new")] == [True, True]
    path.write_bytes(jwk_set("new"))
    ticker.seconds += FILE_CHECK_SECONDS
    assert [await believed(authenticator, kid) for kid in ("old", "new")] == [False, True]


async def test_a_file_that_breaks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is gone or half written leaves the keys as they were, says so, and is read when it is whole again."""
    ticker, path = Ticker(), tmp_path / "jwks.json"
    path.write_bytes(jwk_set("old"))
    authenticator = Authenticator(KeyRing(str(path), monotonic=ticker))
    assert await believed(authenticator, "old")
    for breaking in (lambda: path.write_bytes(b'{"keys": ['), path.unlink):
        breaking()
        ticker.seconds += FILE_CHECK_SECONDS
        with caplog.at_level(logging.WARNING):
            assert await believed(authenticator, "old")
        assert "could not be read" in caplog.text
        caplog.clear()
    path.write_bytes(jwk_set("new"))
    ticker.seconds += FILE_CHECK_SECONDS
    assert [await believed(authenticator, kid) for kid in ("old", "new")] == [False, True]


async def test_no_keys_yet(tmp_path: Path) -> None:
    """Before the keys could be read once, nobody is told that their token is bad; then all is well by itself."""
    ticker, path = Ticker(), tmp_path / "jwks.json"
    authenticator = Authenticator(KeyRing(str(path), monotonic=ticker))
    with pytest.raises(KeysUnavailable):
        await authenticator.caller(header("old"))
    path.write_bytes(jwk_set("old"))
    ticker.seconds += FILE_CHECK_SECONDS
    assert await believed(authenticator, "old")


async def test_a_url_that_rotates(issuer: Issuer) -> None:
    """An unknown key makes us ask the issuer, at most every 30 seconds however many callers come with one."""
    ticker = Ticker()
    authenticator = Authenticator(KeyRing(issuer.url, monotonic=ticker))
    assert await believed(authenticator, "old")
    assert issuer.asked == 1
    issuer.body = jwk_set("old", "new")
    assert not any(await asyncio.gather(*(believed(authenticator, "new") for _ in range(20))))
    assert issuer.asked == 1
    ticker.seconds += UNKNOWN_KEY_PAUSE_SECONDS
    assert all(await asyncio.gather(*(believed(authenticator, kid) for kid in ("old", "new") * 10)))
    assert issuer.asked == 2


async def test_a_key_taken_away_at_a_url(issuer: Issuer) -> None:
    """A key that its owner took away stops counting within the refresh time; an issuer in trouble changes nothing."""
    ticker = Ticker()
    ring = KeyRing(issuer.url, monotonic=ticker)
    authenticator = Authenticator(ring)
    assert await believed(authenticator, "old")
    for status, body, still in ((500, b"", True), (200, b"<html>", True), (200, jwk_set("new"), False)):
        issuer.status, issuer.body = status, body
        ticker.seconds += REFRESH_SECONDS
        assert await believed(authenticator, "old"), "nobody waits for the issuer"
        assert ring._background is not None
        await ring._background
        assert await believed(authenticator, "old") is still
    assert issuer.asked == 4


async def test_an_endless_key_set(issuer: Issuer) -> None:
    """A key set of more than 1 MiB is not taken into memory."""
    issuer.body = b" " * 1_100_000 + jwk_set("old")
    with pytest.raises(KeysUnavailable):
        await KeyRing(issuer.url).find("old")


async def test_a_token_without_kid_needs_a_single_key(tmp_path: Path) -> None:
    """Without a key id there is nothing to guess: one key is that key, two are none."""
    for kids, found in ((("old",), True), (("old", "new"), False)):
        path = tmp_path / f"{len(kids)}.json"
        path.write_bytes(jwk_set(*kids))
        assert (await KeyRing(str(path)).find(None) is not None) is found


def test_keys_that_are_left_out() -> None:
    """Secrets, encryption keys, weak keys, other curves and nonsense are left out; the good keys beside them count."""
    to_rsa, to_ec = jwt.algorithms.RSAAlgorithm.to_jwk, jwt.algorithms.ECAlgorithm.to_jwk
    weak = json.loads(to_rsa(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()))  # noqa: S505  (it is the weak one)
    curve = json.loads(to_ec(ec.generate_private_key(ec.SECP384R1()).public_key()))
    good: dict[str, Any] = json.loads(jwk_set("old"))["keys"][0]
    bad: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"}, {**weak, "kid": "weak"}, {**curve, "kid": "p384"},
        {**good, "kid": "enc", "use": "enc"}, {**good, "kid": "alg", "alg": "HS256"}, {**good, "kid": 5},
        {**good, "kid": "broken", "x": "AA"}, {**good, "kid": "odd", "x": 5}, {"kty": "OKP", "crv": "Ed25519", "kid": "empty"},
        {**good, "kid": "x25519", "crv": "X25519"}, {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}, None, 7, "key", [], {},
    ]  # fmt: skip
    keys = parse_jwks(json.dumps({"keys": [*bad, good, {**good}]}).encode())
    assert list(keys) == ["old"]
    assert keys["old"].algorithm == "EdDSA"


def test_a_private_key_published_by_mistake_stays_out() -> None:
    """Of a key that was published whole, only the public half is kept."""
    whole = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEYS["old"]))
    assert "d" in whole
    key = parse_jwks(json.dumps({"keys": [{**whole, "kid": "old"}]}).encode())["old"]
    assert isinstance(key.key.key, ed25519.Ed25519PublicKey)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [], "keys": []}', b"\xff"])
def test_no_key_set(body: bytes) -> None:
    """A document that is no key set is refused as a whole."""
    with pytest.raises(BadJson):
        parse_jwks(body)


def test_the_development_key_is_kept(tmp_path: Path) -> None:
    """All processes over one data folder share the sandbox's key, and only its owner can read it."""
    folder = tmp_path / "data"
    made: list[str] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        made.append(DevelopmentKey.in_folder(folder).public.kid)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert set(made) == {DevelopmentKey.in_folder(folder).public.kid}
    assert stat.S_IMODE((folder / "sandbox-key.pem").stat().st_mode) == 0o600
    assert os.listdir(folder) == ["sandbox-key.pem"]  # noqa: PTH208  (names are enough)
