"""Tokens that look right at first sight, and are not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def crafted(header: Any, claims: Any, signature: bytes = b"x" * 64) -> str:
    return ".".join([b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), b64(signature)])


def forged_tokens(folder: Path, sub: str) -> Iterator[tuple[str, str]]:
    """Tokens that look right at first sight."""
    private = load_pem_private_key((folder / "sandbox-key.pem").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kid = f"sandbox-{hashlib.sha256(raw).hexdigest()[:12]}"
    claims = {"sub": sub, "roles": ["buyer", "seller", "mediator", "operator"]}
    good = jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": kid})
    head, body, signature = good.split(".")

    def signed(headers: dict[str, Any] | None = None, **changes: Any) -> str:
        return jwt.encode(claims | changes, private, algorithm="EdDSA", headers={"kid": kid} | (headers or {}))

    for name in ("none", "None", "NONE", ""):
        yield f"alg {name!r}", crafted({"alg": name, "typ": "JWT", "kid": kid}, claims, b"")
    for secret in (raw, pem, b64(raw).encode()):
        unsigned = crafted({"alg": "HS256", "kid": kid}, claims).rpartition(".")[0]
        yield (
            "HS256 with the public key",
            f"{unsigned}.{b64(hmac.new(secret, unsigned.encode(), hashlib.sha256).digest())}",
        )
    mine = Ed25519PrivateKey.generate()
    yield "another key", jwt.encode(claims, mine, algorithm="EdDSA", headers={"kid": kid})
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(mine.public_key()))
    yield "its own key", jwt.encode(claims, mine, algorithm="EdDSA", headers={"kid": kid, "jwk": jwk})
    yield "its own key's address", jwt.encode(claims, mine, algorithm="EdDSA", headers={"jku": "http://127.0.0.1:1/"})
    yield "no kid", jwt.encode(claims, mine, algorithm="EdDSA")
    yield "an unknown kid", jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": "../../key"})
    yield "expired", signed(exp=int(time.time()) - 60)
    yield "not yet valid", signed(nbf=int(time.time()) + 3600)
    yield "crit", signed({"crit": ["exp"]})
    yield "other claims", f"{head}.{b64(json.dumps(claims | {'sub': 'x'}).encode())}.{signature}"
    yield "cut", good[:-4]
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "five parts", f"{good}.x.y"
    yield "no sub", signed(sub="")
    yield "roles as text", signed(roles="buyer")
    yield "an unknown role", signed(roles=["buyer", "king"])
    twice = b64(b'{"sub":"x","roles":[],"roles":["buyer"]}')
    yield "roles twice", f"{head}.{twice}.{signature}"
    yield "long", good + "A" * 9000
    yield "not ascii", "é.é.é"
