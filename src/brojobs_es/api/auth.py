"""Who calls: a bearer token becomes a caller, or the call is refused.

Nothing in a token is believed before its signature: not the algorithm it names, not a key it brings along, not an
address where it says that its key can be found.
"""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, Final

import jwt

from brojobs_es.api import strict_json
from brojobs_es.api.keys import KeyRing, PublicKey
from brojobs_es.application.access import Caller

ROLES: Final = frozenset({"buyer", "seller", "mediator", "auditor", "operator"})
"""The roles that a token may carry."""

LEEWAY_SECONDS: Final = 10
"""How far the clocks of issuer and service may differ."""
MAX_TOKEN_CHARS: Final = 8192
MAX_SUB_CHARS: Final = 255
REMEMBERED_TOKENS: Final = 10_000

_FORBIDDEN_HEADERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64"})
_NEVER: Final = float("inf")


class Unauthenticated(Exception):
    """No token, or not one that this service believes. `reason` is for the log, not for the caller."""

    code: ClassVar[str] = "unauthenticated"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Authenticator:
    """Turns the `Authorization` header into a caller, and remembers headers that it has verified, by their digests.

    `exp` is held against the machine's clock: moving the sandbox's clock expires nobody.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self._now = now
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._generation = ring.generation

    @property
    def tokens_remembered(self) -> int:
        return len(self._known)

    async def caller(self, authorization: str | bytes | None) -> Caller:
        """The caller that the header proves. Raises Unauthenticated, or KeysUnavailable if no key was ever read."""
        given = authorization.encode("utf-8", "surrogatepass") if isinstance(authorization, str) else authorization
        digest = hashlib.sha256(given or b"").digest()
        await self._ring.freshen()
        if self._ring.generation != self._generation:
            self._known.clear()
            self._generation = self._ring.generation
        known = self._known.get(digest)
        if known is not None and self._now() < known[1]:
            self._known.move_to_end(digest)
            return known[0]
        generation_before = self._ring.generation
        caller, expires_at = await self._verify(_bearer(authorization))
        if self._now() >= expires_at:
            raise Unauthenticated("expired")
        if generation_before == self._ring.generation:
            self._remember(digest, caller, expires_at)
        return caller

    def _remember(self, digest: bytes, caller: Caller, expires_at: float) -> None:
        self._known[digest] = (caller, expires_at)
        self._known.move_to_end(digest)
        if len(self._known) > REMEMBERED_TOKENS:
            self._known.popitem(last=False)

    async def _verify(self, token: str) -> tuple[Caller, float]:
        """The caller, and until when (Unix seconds) the token holds."""
        header, claims = (_part(segment) for segment in _segments(token)[:2])
        if not _FORBIDDEN_HEADERS.isdisjoint(header):
            raise Unauthenticated("a header that brings its own key or rules")
        kid = header.get("kid")
        if kid is not None and not isinstance(kid, str):
            raise Unauthenticated("kid is no text")
        key = await self._ring.find(kid)
        if key is None:
            raise Unauthenticated("unknown key")
        sandbox = self._ring.development is not None and key is self._ring.development.public
        self._check_signature_and_claims(token, key, sandbox=sandbox)
        return _caller(claims), _expiry(claims)

    def _check_signature_and_claims(self, token: str, key: PublicKey, *, sandbox: bool) -> None:
        audience = None if sandbox else self._audience
        try:
            jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=None if sandbox else self._issuer,
                audience=audience,
                leeway=LEEWAY_SECONDS,
                options={"require": [] if sandbox else ["exp"], "verify_aud": audience is not None},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(type(error).__name__) from error


def _bearer(authorization: str | bytes | None) -> str:
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("no bearer token")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise Unauthenticated("not a token")
    return token


def _segments(token: str) -> list[str]:
    segments = token.split(".")
    if len(segments) != 3:
        raise Unauthenticated("not a token of three parts")
    return segments


def _part(segment: str) -> dict[str, Any]:
    """A header or a set of claims, read strictly: two equal keys must not mean one thing here and another elsewhere."""
    try:
        value = strict_json.parse(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError as error:
        raise Unauthenticated("a part of the token is no JSON") from error
    if not isinstance(value, dict):
        raise Unauthenticated("a part of the token is no object")
    return value


def _caller(claims: dict[str, Any]) -> Caller:
    sub, roles = claims.get("sub"), claims.get("roles")
    if not isinstance(sub, str) or not 1 <= len(sub) <= MAX_SUB_CHARS or not sub.strip():
        raise Unauthenticated("sub is missing or not 1 to 255 characters")
    if not isinstance(roles, list) or not all(isinstance(role, str) and role in ROLES for role in roles):
        raise Unauthenticated("roles are missing or unknown")
    return Caller(sub, frozenset(roles))


def _expiry(claims: dict[str, Any]) -> float:
    exp = claims.get("exp")
    if exp is None:
        return _NEVER
    if isinstance(exp, bool) or not isinstance(exp, int | float):
        raise Unauthenticated("exp is no number")
    return _NEVER if exp >= 2**53 else float(exp) + LEEWAY_SECONDS
