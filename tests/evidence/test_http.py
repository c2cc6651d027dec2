"""Signed heads and proofs over HTTP, and a witness that works through them."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.evidence.stage import KEY, WITNESS, WITNESS_KEY
from tests.http import service as process
from tests.http.world import NOWHERE, World, code

from brojobs_es.evidence.merkle import check_consistency, check_inclusion
from brojobs_es.evidence.notes import PLAIN, Checkpoint, Note, Signature, Signer, VerifierKey, public_key
from brojobs_es.evidence.signing import load_key
from brojobs_es.evidence.sources import HttpLog, SourceError
from brojobs_es.evidence.witness import Witness

LOGS = int(os.environ.get("BROJOBS_LOGS", "1"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str], folder: Path) -> Iterator[str]:
    """A service of its own, which knows the witness."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BROJOBS_")}
    environment = plain | {
        "BROJOBS_DATABASE_URL": new_database(),
        "BROJOBS_LOGS": str(LOGS),
        "BROJOBS_DATA_DIR": str(folder),
        "BROJOBS_DEPLOYMENT": "orders.example",
        "BROJOBS_WITNESSES": str(WITNESS),
        "BROJOBS_LOG_LEVEL": "warning",
        "PYTHONPATH": str(process.ROOT / "src"),
    }
    command = [sys.executable, process.__file__, "scheduler"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        yield running.stdout.readline().decode().strip()
        running.terminate()


@pytest.fixture
def world(url: str) -> Iterator[World]:
    with World(url) as made:
        yield made


def events(world: World, path: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.see("auditor", f"{path}/events")["items"]
    return found


def test_every_event_of_an_order_is_proved(world: World, folder: Path) -> None:
    """With the public key of the data folder and the digest that the API shows, and nothing else of the service."""
    order = world.delivered()
    for event in events(world, order.path):
        log, position = event["log"], event["position"]
        proof = world.see("auditor", f"/v1/logs/{log}/inclusion", position=position)
        assert (proof["order_id"], proof["digest"]) == (event["order_id"], event["digest"])
        note = Note.parse(proof["checkpoint"])
        head = Checkpoint.parse(note.text)
        key = public_key((folder / "signing-key.pub").read_text())
        assert note.check(VerifierKey(head.origin, PLAIN, key)) is None
        assert head.origin.startswith("orders.example/")
        assert head.size == proof["size"] > proof["leaf_index"]
        path = [b64decode(each) for each in proof["hashes"]]
        check_inclusion(bytes.fromhex(proof["chain"]), proof["leaf_index"], head.size, path, head.root)


def test_a_log_goes_on_from_every_earlier_size(world: World) -> None:
    """Between two heads that were signed at different times."""
    order = world.paid()
    position = events(world, order.path)[-1]["position"]
    log = events(world, order.path)[0]["log"]
    older = Checkpoint.parse(
        Note.parse(world.see("auditor", f"/v1/logs/{log}/inclusion", position=position)["checkpoint"]).text
    )
    order.buyer("post-message", text="Bonjour")
    position = events(world, order.path)[-1]["position"]
    world.see("operator", f"/v1/logs/{log}/inclusion", position=position)
    answer = world.get("auditor", f"/v1/logs/{log}/checkpoint")
    assert answer.headers["content-type"].startswith("text/plain")
    newer = Checkpoint.parse(Note.parse(answer.content).text)
    assert newer.size > older.size
    proof = world.see("auditor", f"/v1/logs/{log}/consistency", **{"from": older.size, "to": newer.size})
    check_consistency(older.size, newer.size, [b64decode(h) for h in proof["hashes"]], older.root, newer.root)


def test_who_may_ask(world: World) -> None:
    """Auditors and operators all of it; mediators heads, and proofs of orders that are or were theirs."""
    disputed = world.disputed()
    first = events(world, disputed.path)[0]
    log, position = first["log"], first["position"]
    inclusion = f"/v1/logs/{log}/inclusion"
    assert world.get("auditor", inclusion, position=position).status_code == 200
    for path in (inclusion, f"/v1/logs/{log}/checkpoint", f"/v1/logs/{log}/consistency"):
        for who, expected in (
            ("buyer", (403, "forbidden")),
            ("seller", (403, "forbidden")),
            (None, (401, "unauthenticated")),
        ):
            answer = world.get(who, path, position=position)
            assert (answer.status_code, code(answer)) == expected, f"{who} {path}"
    assert world.get("mediator", f"/v1/logs/{log}/checkpoint").status_code == 200
    assert world.get("mediator", inclusion, position=position).status_code == 404
    disputed.mediator("dispute/assign")
    assert world.get("mediator", inclusion, position=position).status_code == 200
    assert world.get("mediator2", inclusion, position=position).status_code == 404
    assert world.post("auditor", f"/v1/logs/{log}/cosignatures", b"x").status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/logs/{LOGS}/checkpoint", 404),
        ("/v1/logs/-1/checkpoint", 404),
        ("/v1/logs/00/checkpoint", 404),
        ("/v1/logs/%00/checkpoint", 404),
        (f"/v1/logs/{NOWHERE}/checkpoint", 404),
        ("/v1/logs/0/inclusion", 422),
        ("/v1/logs/0/inclusion?position=0", 422),
        ("/v1/logs/0/inclusion?position=x", 422),
        ("/v1/logs/0/inclusion?position=99999999", 404),
        ("/v1/logs/0/inclusion?position=100000000000000000", 404),
        ("/v1/logs/0/inclusion?position=100000000000000001", 422),
        ("/v1/logs/0/consistency?from=1", 422),
        ("/v1/logs/0/consistency?from=2&to=1", 422),
        ("/v1/logs/0/consistency?from=0&to=1", 422),
        ("/v1/logs/0/consistency?from=1&to=99999999", 404),
    ],
)
def test_what_is_not_there_or_makes_no_sense(world: World, path: str, status: int) -> None:
    """Never a 500."""
    assert world.get("auditor", path).status_code == status


def test_a_witness_through_the_service(world: World, folder: Path, tmp_path: Path) -> None:
    """It looks, signs, hands in; everybody who asks for the head then sees its signature, until the log has grown."""
    order = world.paid()
    last = events(world, order.path)[-1]
    log = last["log"]
    assert isinstance(log, int)
    world.see("auditor", f"/v1/logs/{log}/inclusion", position=last["position"])
    key = load_key(folder / "signing-key.pem").public_key().public_bytes_raw()
    witness = Witness(tmp_path / "state", Signer("witness", WITNESS_KEY), key)
    source = HttpLog(world.url, world.token("operator"))
    seen = witness.look(source, log)
    assert seen is not None
    note = Note.parse(world.get("auditor", f"/v1/logs/{log}/checkpoint").content)
    assert Checkpoint.parse(note.text) == seen
    assert note.check(WITNESS)
    order.buyer("post-message", text="Bonjour")
    position = events(world, order.path)[-1]["position"]
    world.see("auditor", f"/v1/logs/{log}/inclusion", position=position)
    again = witness.look(source, log)
    assert again is not None
    assert again.size > seen.size
    with pytest.raises(SourceError, match="403"):
        HttpLog(world.url, world.token("auditor")).publish(log, str(note))
    stranger = Witness(tmp_path / "stranger", Signer("stranger", Ed25519PrivateKey.generate()), key)
    with pytest.raises(SourceError, match="is its key in BROJOBS_WITNESSES"):
        stranger.look(source, log)


def test_cosignatures_that_are_not_taken(world: World) -> None:
    """No note, an unknown witness, another head, a size that was never signed, a body without end."""
    last = events(world, world.paid().path)[-1]
    log = last["log"]
    proof = world.see("auditor", f"/v1/logs/{log}/inclusion", position=last["position"])
    text = Note.parse(proof["checkpoint"]).text
    witness = Signer("witness", WITNESS_KEY)
    size = Checkpoint.parse(text).size
    other = Checkpoint("orders.example/x/log-0", size, bytes(32)).text
    later = text.replace(f"\n{size}\n", f"\n{size + 1000}\n")
    good = f"{text}\n{witness.cosigned(text, 5)}"
    for body, status in (
        (b"no note", 422),
        (b"", 422),
        (f"{text}\n{Signer('witness', KEY).cosigned(text, 5)}".encode(), 422),
        (f"{text}\n{witness.signed(text)}".encode(), 422),
        (f"{other}\n{witness.cosigned(other, 5)}".encode(), 422),
        (f"{text}\n{witness.cosigned(later, 5)}".encode(), 422),
        (f"{later}\n{witness.cosigned(later, 5)}".encode(), 404),
        (b"x" * 70_000, 413),
        (good.encode(), 201),
        (good.encode(), 200),
    ):
        answer = world.post("operator", f"/v1/logs/{log}/cosignatures", body, {"Content-Type": "text/plain"})
        assert answer.status_code == status, (body[:200], answer.text)


def test_a_line_under_another_name_is_not_the_witnesss(world: World) -> None:
    """A key's id has four bytes and is no secret: such a line is not taken, and takes no true one's place."""
    last = events(world, world.paid().path)[-1]
    path = f"/v1/logs/{last['log']}"
    proof = world.see("auditor", f"{path}/inclusion", position=last["position"])
    text = Note.parse(proof["checkpoint"]).text
    false = Signature("somebody.else", WITNESS.id, bytes(72)).line
    true = Signer("witness", WITNESS_KEY).cosigned(text, 5)

    def hand_in(lines: str) -> int:
        body = f"{text}\n{lines}".encode()
        return world.post("operator", f"{path}/cosignatures", body, {"Content-Type": "text/plain"}).status_code

    assert hand_in(false) == 422
    assert hand_in(false + true) == 201
    shown = world.get("auditor", f"{path}/checkpoint").text
    assert "somebody.else" not in shown
    assert Note.parse(shown).check(WITNESS) == 5
