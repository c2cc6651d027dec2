"""The public keys that tokens are checked with: a JWKS file or URL that may rotate, and the sandbox's own key.

A key decides which algorithm it is used with; what a token says about itself never does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from brojobs_es.api import strict_json

ALGORITHMS: Final[Mapping[tuple[str, str | None], str]] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
"""Key type and curve → the one algorithm such a key is used with."""

MIN_RSA_BITS: Final = 2048
UNKNOWN_KEY_PAUSE_SECONDS: Final = 30.0
"""A token with an unknown `kid` makes us look for new keys, but not more often than this."""
REFRESH_SECONDS: Final = 300.0
"""How soon a key that its owner took away stops being honoured, for a URL."""
FILE_CHECK_SECONDS: Final = 1.0
FETCH_TIMEOUT_SECONDS: Final = 5.0
MAX_JWKS_BYTES: Final = 1_048_576

_PUBLIC_MEMBERS: Final = frozenset({"kty", "crv", "x", "y", "n", "e"})

_log = logging.getLogger(__name__)


class KeysUnavailable(Exception):
    """The keys could never be read, so nothing can be said about any token: try again later (503)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key and the algorithm it is pinned to. `kid` is empty where the key set names none."""

    kid: str
    algorithm: str
    key: jwt.PyJWK


def parse_jwks(body: bytes) -> dict[str, PublicKey]:
    """The usable keys of a JWKS document by `kid`; unusable ones are left out with a warning. Raises BadJson."""
    document = strict_json.parse(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise strict_json.BadJson("a key set is an object with a list `keys`")
    found: dict[str, PublicKey] = {}
    for data in listed:
        try:
            key = _public_key(data)
        except Exception as error:  # noqa: BLE001  (whatever one odd key makes a library raise, the others stay usable)
            _log.warning("a key of the key set is not used: %s", type(error).__name__)
            continue
        if key is None or key.kid in found:
            _log.warning("a key of the key set is not used: kind, purpose or size do not fit, or its kid stands twice")
            continue
        found[key.kid] = key
    return found


def _public_key(data: object) -> PublicKey | None:
    if not isinstance(data, dict):
        return None
    crv = data.get("crv")
    algorithm = ALGORITHMS.get((str(data.get("kty")), None if crv is None else str(crv)))
    kid = data.get("kid", "")
    if algorithm is None or data.get("alg", algorithm) != algorithm or data.get("use", "sig") != "sig":
        return None
    if not isinstance(kid, str):
        return None
    # Only the public members: somebody who publishes a private key by mistake does not hand it to us.
    key = jwt.PyJWK({name: data[name] for name in _PUBLIC_MEMBERS if name in data}, algorithm)
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS:
        return None
    return PublicKey(kid, algorithm, key)


class DevelopmentKey:
    """The sandbox's Ed25519 key, which signs tokens for whoever asks. Never loaded outside the sandbox."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        kid = f"sandbox-{hashlib.sha256(raw).hexdigest()[:12]}"
        jwk = jwt.PyJWK.from_json(jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key()), "EdDSA")
        self.public = PublicKey(kid, "EdDSA", jwk)

    @classmethod
    def generate(cls) -> Self:
        """A key of this process alone."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The key kept in `folder/sandbox-key.pem`, made on first use; processes that start together share one."""
        path = folder / "sandbox-key.pem"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            handle, mine = tempfile.mkstemp(dir=folder, prefix=".sandbox-key-")  # readable by its owner only
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
            try:
                os.link(mine, path)  # whole or not at all, and the first process wins
            except FileExistsError:
                pass
            finally:
                Path(mine).unlink()
        private = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path} is not an Ed25519 key")  # noqa: TRY004  (the file is wrong, not a type)
        return cls(private)

    def mint(self, sub: str, roles: list[str], expires_at: int | None = None) -> str:
        """A token for this user and these roles, which never expires or at that second (Unix time)."""
        claims = {"sub": sub, "roles": roles} | ({"exp": expires_at} if expires_at is not None else {})
        return jwt.encode(claims, self._private, algorithm="EdDSA", headers={"kid": self.public.kid})


class KeyRing:
    """The keys in force. Reads its source again when it changed, or when a token names a key it does not know."""

    def __init__(
        self,
        source: str | None,
        development: DevelopmentKey | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source` is a file path or an http(s) URL; None means no keys but the development key."""
        self.development = development
        self.generation = 0
        """Grows whenever the keys changed: what was verified under an older generation is verified again."""
        self._source = source
        self._is_url = source is not None and source.startswith(("http://", "https://"))
        self._monotonic = monotonic
        self._keys: dict[str, PublicKey] | None = None if source is not None else {}
        self._body: bytes | None = None
        self._stamp: tuple[int, int, int] | None = None
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> PublicKey | None:
        """The key of that `kid`; without one, the only key there is. Raises KeysUnavailable if none was ever read."""
        if self.development is not None and kid == self.development.public.kid:
            return self.development.public
        await self.freshen()
        key = self._pick(kid)
        if key is None and self._source is not None:
            await self._read_again(UNKNOWN_KEY_PAUSE_SECONDS if self._is_url else 0.0)
            key = self._pick(kid)
        return key

    def _pick(self, kid: str | None) -> PublicKey | None:
        keys = self._keys or {}
        if kid is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(kid)

    async def freshen(self) -> None:
        """Read the source if it is time to; with keys in hand, a slow URL makes nobody wait."""
        if self._source is None:
            return
        age = self._monotonic() - self._tried_at
        if self._keys is None:
            await self._read_again(FILE_CHECK_SECONDS)
            if self._keys is None:
                raise KeysUnavailable
        elif not self._is_url and age >= FILE_CHECK_SECONDS:
            await self._read_again(FILE_CHECK_SECONDS)
        elif self._is_url and age >= REFRESH_SECONDS and (self._background is None or self._background.done()):
            self._background = asyncio.create_task(self._read_again(REFRESH_SECONDS))

    async def _read_again(self, pause_seconds: float) -> None:
        """Read the source unless somebody tried within the pause. A source that fails leaves the keys as they were."""
        async with self._lock:
            if self._monotonic() - self._tried_at < pause_seconds:
                return
            self._tried_at = self._monotonic()
            try:
                body = await asyncio.to_thread(self._fetch if self._is_url else self._read_file)
                if body is None or body == self._body:
                    return
                keys = parse_jwks(body)
            except (OSError, ValueError) as error:
                self._stamp = None
                _log.warning("the key set could not be read, the keys stay as they were: %s", error)
                return
            self._body, self._keys = body, keys
            self.generation += 1

    def _read_file(self) -> bytes | None:
        """The file's bytes, or None if it is the one that was read last."""
        path = Path(str(self._source))
        found = path.stat()
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp == self._stamp:
            return None
        body = path.read_bytes()
        self._stamp = stamp
        return body

    def _fetch(self) -> bytes:
        request = urllib.request.Request(  # noqa: S310  (the settings allow http and https only)
            str(self._source), headers={"Accept": "application/jwk-set+json, application/json"}
        )
        with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT_SECONDS) as response:  # noqa: S310  (the same)
            body: bytes = response.read(MAX_JWKS_BYTES + 1)
        if len(body) > MAX_JWKS_BYTES:
            raise ValueError("the key set is larger than 1 MiB")
        return body
