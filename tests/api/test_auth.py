from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from brojobs_es.api import auth
from brojobs_es.api.auth import Authenticator, Unauthenticated
from brojobs_es.api.keys import DevelopmentKey, KeyRing
from brojobs_es.application.access import Caller

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_KEY = ed25519.Ed25519PrivateKey.generate()
DEVELOPMENT = DevelopmentKey.generate()
BUYER = Caller("buyer-1", frozenset({"buyer"}))

_PUBLIC: dict[str, Callable[[Any], str]] = {
    "EdDSA": jwt.algorithms.OKPAlgorithm.to_jwk,
    "ES256": jwt.algorithms.ECAlgorithm.to_jwk,
    "RS256": jwt.algorithms.RSAAlgorithm.to_jwk,
}


def public_jwk(algorithm: str, private: Any, kid: str, **more: Any) -> dict[str, Any]:
    return {**json.loads(_PUBLIC[algorithm](private.public_key())), "kid": kid, **more}


def claims(**changes: Any) -> dict[str, Any]:
    made = {"sub": "buyer-1", "roles": ["buyer"], "exp": int(time.time()) + 600, **changes}
    return {name: value for name, value in made.items() if value is not ...}


def token(private: Any = ED_KEY, algorithm: str = "EdDSA", kid: str | None = "ed", /, **changes: Any) -> str:
    return jwt.encode(claims(**changes), private, algorithm=algorithm, headers=None if kid is None else {"kid": kid})


def raw_token(header: object, payload: object, signature: bytes = b"x" * 64) -> str:
    parts = (p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload))
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in (*parts, signature))


@pytest.fixture(scope="module")
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys = [
        public_jwk("EdDSA", ED_KEY, "ed"),
        public_jwk("ES256", EC_KEY, "ec", alg="ES256", use="sig"),
        public_jwk("RS256", RSA_KEY, "rsa"),
    ]
    path.write_text(json.dumps({"keys": keys}))
    return path


@pytest.fixture
def authenticator(jwks: Path) -> Authenticator:
    return Authenticator(KeyRing(str(jwks)))


async def refused(authenticator: Authenticator, header: str | bytes | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.caller(header)
    assert caught.value.code == "unauthenticated"
    return caught.value.reason


@pytest.mark.parametrize(
    ("private", "algorithm", "kid"), [(ED_KEY, "EdDSA", "ed"), (EC_KEY, "ES256", "ec"), (RSA_KEY, "RS256", "rsa")]
)
async def test_each_kind_of_key(authenticator: Authenticator, private: Any, algorithm: str, kid: str) -> None:
    """EdDSA, ES256 and RS256 tokens name their caller, whatever the case of the scheme, as text or bytes."""
    made = token(private, algorithm, kid)
    for header in (f"Bearer {made}", f"bearer  {made} ", f"BEARER {made}".encode()):
        assert await authenticator.caller(header) == BUYER


async def test_many_roles_and_none(authenticator: Authenticator) -> None:
    """A token may grant several roles, or none, which is then a matter of rights and not of identity."""
    both = await authenticator.caller(f"Bearer {token(roles=['seller', 'buyer', 'buyer'])}")
    assert both.roles == {"seller", "buyer"}
    assert (await authenticator.caller(f"Bearer {token(roles=[])}")).roles == frozenset()


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a", "Bearer a.b", "Bearer a.b.c.d", "Bearer é.é.é",
               b"\xff\xfe", b"Bearer \xff", "Bearer " + "a" * 9000, "Bearer ..", "Bearer \x00.\x00.\x00", "Bearer a.b.c"]
)  # fmt: skip
async def test_no_token(authenticator: Authenticator, header: str | bytes | None) -> None:
    """A header that holds no token at all is refused, never an error of the server."""
    await refused(authenticator, header)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...}, {"exp": None}, {"exp": 0}, {"exp": -1}, {"exp": True}, {"exp": "9999999999"}, {"exp": [1]}, {"exp": {}},
        {"exp": 10**400}, {"nbf": 9999999999}, {"nbf": "x"}, {"iat": 9999999999},
        {"sub": ...}, {"sub": ""}, {"sub": "  "}, {"sub": "x" * 256}, {"sub": "a\x00b"}, {"sub": "\ud800"}, {"sub": None},
        {"roles": ...}, {"roles": None}, {"roles": "buyer"}, {"roles": ["admin"]}, {"roles": ["buyer", "root"]},
        {"roles": [1]}, {"roles": [["buyer"]]}, {"roles": {"buyer": 1}}, {"roles": [None]},
    ],
)  # fmt: skip
async def test_claims_that_do_not_fit(authenticator: Authenticator, changes: dict[str, Any]) -> None:
    """A signature does not help a token without a user, with unknown roles or without a date in the future."""
    if changes == {"exp": 10**400}:
        assert await authenticator.caller(f"Bearer {token(**changes)}") == BUYER  # absurd, but a number and later
        return
    payload = json.dumps(claims(**changes)).encode()  # our own, since the library refuses to write some of these
    signed = jwt.PyJWS().encode(payload, ED_KEY, algorithm="EdDSA", headers={"kid": "ed"})
    await refused(authenticator, f"Bearer {signed}")


async def test_claims_with_two_meanings(authenticator: Authenticator) -> None:
    """Two equal keys in the claims are refused, even when the issuer signed them."""
    payload = json.dumps(claims()).replace('"buyer-1"', '"buyer-1", "sub": "buyer-2"').encode()
    signed = jwt.PyJWS().encode(payload, ED_KEY, algorithm="EdDSA", headers={"kid": "ed"})
    assert await refused(authenticator, f"Bearer {signed}") == "a part of the token is no JSON"


@pytest.mark.parametrize("extra", [{"jwk": {}}, {"jku": "https://a.example/"}, {"x5u": "x"}, {"x5c": []}, {"crit": ["b64"]},
                                   {"b64": False}])  # fmt: skip
async def test_headers_that_bring_their_own_rules(authenticator: Authenticator, extra: dict[str, Any]) -> None:
    """A key, an address of keys or critical extensions in the header are refused though the signature is right."""
    header = {"alg": "EdDSA", "kid": "ed", **extra}
    signing_input = raw_token(header, claims(), b"").rstrip(".")
    signature = base64.urlsafe_b64encode(ED_KEY.sign(signing_input.encode())).rstrip(b"=").decode()
    reason = await refused(authenticator, f"Bearer {signing_input}.{signature}")
    assert reason == "a header that brings its own key or rules"


async def test_forged(authenticator: Authenticator) -> None:
    """Another key, no algorithm, a public key used as a secret, another key's algorithm: none is believed."""
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    await refused(authenticator, f"Bearer {token(OTHER_KEY)}")
    await refused(authenticator, f"Bearer {token(OTHER_KEY, 'EdDSA', 'nobody')}")
    await refused(authenticator, f"Bearer {token(OTHER_KEY, 'EdDSA', None)}")
    await refused(authenticator, f"Bearer {token(RSA_KEY, 'RS512', 'rsa')}")
    await refused(authenticator, f"Bearer {token(RSA_KEY, 'PS256', 'rsa')}")
    await refused(authenticator, f"Bearer {token(EC_KEY, 'ES256', 'ed')}")
    unsigned = raw_token({"alg": "HS256", "kid": "rsa"}, claims(), b"").rstrip(".")
    secret = hmac.digest(public, unsigned.encode(), "sha256")  # a public key is known to everybody
    await refused(authenticator, f"Bearer {raw_token({'alg': 'HS256', 'kid': 'rsa'}, claims(), secret)}")
    for algorithm in ("none", "None", "HS256", "EdDSA", "", None, 1, ["EdDSA"]):
        for signature in (b"", b"x" * 64):
            await refused(authenticator, "Bearer " + raw_token({"alg": algorithm, "kid": "ed"}, claims(), signature))
    changed = token().split(".")
    changed[1] = raw_token({}, claims(sub="operator-1", roles=["operator"])).split(".")[1]
    await refused(authenticator, "Bearer " + ".".join(changed))


async def test_issuer_and_audience(jwks: Path) -> None:
    """A deployment that names its issuer and audience believes no token made for somebody else."""
    strict = Authenticator(KeyRing(str(jwks)), issuer="https://id.example", audience="brojobs")
    right = {"iss": "https://id.example", "aud": ["other", "brojobs"]}
    assert await strict.caller(f"Bearer {token(**right)}") == BUYER
    for wrong in ({}, {"iss": "https://id.example"}, {"aud": "brojobs"}, {**right, "iss": "x"}, {**right, "aud": "x"}):
        await refused(strict, f"Bearer {token(**wrong)}")


async def test_expiry_is_judged_again_for_a_remembered_token(jwks: Path) -> None:
    """A token that was believed once is refused when its time has come."""
    now = time.time()
    clock = [now]
    authenticator = Authenticator(KeyRing(str(jwks)), now=lambda: clock[0])
    header = f"Bearer {token(exp=int(now) + 60)}"
    assert await authenticator.caller(header) == BUYER
    clock[0] = now + 59 + auth.LEEWAY_SECONDS
    assert await authenticator.caller(header) == BUYER
    clock[0] = now + 60 + auth.LEEWAY_SECONDS
    assert await refused(authenticator, header) == "expired"
    assert await refused(authenticator, f"Bearer {token(exp=int(now) - 60)}") == "ExpiredSignatureError"


async def test_remembered_tokens_are_quick_and_bounded(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known token costs no signature check, and only so many are known."""
    monkeypatch.setattr(auth, "REMEMBERED_TOKENS", 3)
    headers = [f"Bearer {token(sub=f'buyer-{n}')}" for n in range(5)]
    for header in headers:
        await authenticator.caller(header)
    assert len(authenticator._known) == 3
    calls: list[str] = []
    monkeypatch.setattr(jwt, "decode", lambda *_, **__: calls.append("checked"))
    for header in headers[2:]:
        await authenticator.caller(header)
    assert not calls
    await authenticator.caller(headers[0])
    assert calls == ["checked"]


async def test_sandbox_tokens(jwks: Path) -> None:
    """The development key's tokens need no date, issuer or audience, and hold only where the sandbox gave the key."""
    made = DEVELOPMENT.mint("buyer-1", ["buyer"])
    sandbox = Authenticator(KeyRing(str(jwks), DEVELOPMENT), issuer="i", audience="a")
    assert await sandbox.caller(f"Bearer {made}") == BUYER
    await refused(sandbox, f"Bearer {token(exp=...)}")
    await refused(Authenticator(KeyRing(str(jwks))), f"Bearer {made}")
    await refused(Authenticator(KeyRing(None)), f"Bearer {made}")
    await refused(Authenticator(KeyRing(None, DevelopmentKey.generate())), f"Bearer {made}")


_SEGMENT = st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))
_HEADER = st.fixed_dictionaries(
    {}, optional={"alg": st.sampled_from(["EdDSA", "none", "RS256", 1, None]), "kid": st.sampled_from(["ed", "rsa", 1, None]),
                  "typ": st.integers() | st.text(max_size=5), "b64": st.booleans()},
)  # fmt: skip
_HEADERS = st.one_of(
    st.binary(max_size=80),
    st.text(max_size=80).map(lambda text: f"Bearer {text}"),
    st.tuples(_SEGMENT, _SEGMENT, _SEGMENT).map(lambda parts: "Bearer " + ".".join(parts)),
    st.tuples(_HEADER, st.binary(max_size=40)).map(lambda two: "Bearer " + raw_token(*two)),
    st.tuples(_HEADER, st.integers(1, 90)).map(lambda two: "Bearer " + token()[: -two[1]]),
    st.integers(1, 3000).map(lambda depth: "Bearer " + raw_token(b'{"a":' * depth, {})),
)


@given(_HEADERS)
def test_any_bytes_are_refused_in_the_same_way(header: str | bytes) -> None:
    """Whatever stands in the header, the answer is the same refusal."""
    authenticator = Authenticator(KeyRing(None, DEVELOPMENT))
    with pytest.raises(Unauthenticated):
        authenticator.caller(header).send(None)
