from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests import kit
from tests.case.making import DEPLOYMENT, public_pem, unpacked
from tests.console.helpers import store
from typer.testing import CliRunner

from brojobs_es import bootstrap
from brojobs_es.cli import app
from brojobs_es.evidence.case.kernel.checking import Trust, verify
from brojobs_es.evidence.case.kernel.notes import read_key
from brojobs_es.evidence.case.sealed_log import SealedLog
from brojobs_es.evidence.case.single_file import verifier_source
from brojobs_es.evidence.notes import COSIGNATURE, Note, Signer
from brojobs_es.evidence.witnessing import checkpoint, cosign
from brojobs_es.ids import log_of
from brojobs_es.settings import Settings

ORDER = str(kit.ORDER_ID)


@pytest.fixture
def deployment(clean_logs: str, log_count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one dispute, and the environment of whoever runs the service."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs)
    monkeypatch.setenv("BROJOBS_LOGS", str(log_count))
    monkeypatch.setenv("BROJOBS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("BROJOBS_LANGUAGE", "en")
    (tmp_path / "data").mkdir(mode=0o755)
    store(clean_logs, log_count, kit.under_review())
    return clean_logs


def test_a_bundle_is_written_and_verified(deployment: str, tmp_path: Path) -> None:
    """`replay --bundle` makes the same case file as the service, and `case verify` accepts it."""
    target = tmp_path / "case.zip"

    made = CliRunner().invoke(app, ["replay", ORDER, "--bundle", str(target)])
    key = tmp_path / "data" / "signing-key.pub"
    checked = CliRunner().invoke(app, ["case", "verify", str(target), "--key", str(key)])

    assert made.exit_code == 0, made.output
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.startswith("VERIFIED\n")
    assert "came with the file itself" not in checked.stdout
    files = unpacked(target.read_bytes())
    assert json.loads(files["data/custody.ndjson"].splitlines()[-1])["filters"] == {"by": "command line"}


def test_a_bundle_of_a_dispute_is_that_of_its_order(deployment: str, tmp_path: Path) -> None:
    """A mediator knows the dispute's id."""
    target, dispute = tmp_path / "case.zip", kit.disputed().dispute.id

    assert CliRunner().invoke(app, ["replay", str(dispute), "--bundle", str(target)]).exit_code == 0
    assert verify(str(target), Trust()).facts["order_id"] == ORDER


def test_a_bundle_fires_no_timer(deployment: str, tmp_path: Path) -> None:
    """The order is years overdue by the machine's clock, and stays as it was recorded."""
    log = log_of(kit.ORDER_ID, Settings.from_environment().logs)
    query = f"SELECT count(*), max(position) FROM log_{log}.events".encode()
    with psycopg.connect(deployment) as connection:
        before = connection.execute(query).fetchone()
        CliRunner().invoke(app, ["replay", ORDER, "--bundle", str(tmp_path / "case.zip")])
        assert connection.execute(query).fetchone() == before


def test_an_unknown_order_makes_no_file(deployment: str, tmp_path: Path) -> None:
    """A sentence, exit code 1, and nothing left behind."""
    target = tmp_path / "case.zip"

    result = CliRunner().invoke(app, ["replay", str(kit.NOWHERE), "--bundle", str(target)])

    assert (result.exit_code, result.stderr) == (1, f"brojobs: There is no order {kit.NOWHERE} here.\n")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_an_event_changed_in_the_database_makes_no_case_file(deployment: str, tmp_path: Path) -> None:
    """What no longer fits its seal is not signed again as if it did."""
    target = tmp_path / "case.zip"
    log = log_of(kit.ORDER_ID, Settings.from_environment().logs)
    CliRunner().invoke(app, ["replay", ORDER, "--bundle", str(target)])
    target.unlink()
    with psycopg.connect(deployment) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            f"UPDATE log_{log}.events SET state = replace(convert_from(state, 'UTF8'), '10001', '10002')::bytea "
            "WHERE stream_version = 1 AND stream_id = order_id".encode()
        )

    result = CliRunner().invoke(app, ["replay", ORDER, "--bundle", str(target)])

    assert result.exit_code == 2
    assert "does not lie in log" in result.stderr
    assert not target.exists()


def test_verifying_needs_no_deployment(case: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a database nor valid settings; each exit code comes through."""
    monkeypatch.setenv("BROJOBS_PORT", "nonsense")
    path, key = tmp_path / "case.zip", public_pem(DEPLOYMENT, tmp_path)
    witness = tmp_path / "witness.pub"
    witness.write_text(str(Signer("nobody.example", Ed25519PrivateKey.generate()).verifier(COSIGNATURE)))

    def run(content: bytes, *more: str) -> int:
        path.write_bytes(content)
        return CliRunner().invoke(app, ["case", "verify", str(path), *more]).exit_code

    assert run(case, "--key", str(key)) == 0
    assert run(case.replace(b"order:OrderPlaced", b"order:OrderPlacef")) == 1
    assert run(case + b"x") == 2
    assert run(case, "--key", str(key), "--witness-key", str(witness)) == 3
    assert (run(case), run(case, "--unanchored")) == (3, 0)
    assert run(case, "--key", str(key), "--tsa-roots", str(key)) == 2


def test_the_program_can_be_had_from_the_package() -> None:
    """Whoever does not trust the file they were given takes verify.py from here."""
    assert CliRunner().invoke(app, ["case", "verifier"]).stdout == verifier_source()


async def test_a_witnessed_checkpoint_is_preferred(clean_logs: str, log_count: int, tmp_path: Path) -> None:
    """A newer checkpoint without a witness does not displace an older one with; an event beyond it takes the newer."""
    witness = Signer("witness.example", Ed25519PrivateKey.generate())
    known = str(witness.verifier(COSIGNATURE))
    settings = Settings(database_url=clean_logs, logs=log_count, data_dir=tmp_path, witnesses=known)
    log = log_of(kit.ORDER_ID, log_count)
    async with bootstrap.running(settings, clean_logs, background=False) as runtime:
        from brojobs_es.application.records import Append
        from brojobs_es.application.sealing import encoded

        story = kit.under_review()
        first = await runtime.logs.append(Append(kit.ORDER_ID, await encoded(runtime.vault, story.case.new[:3])))
        await runtime.sealer.catch_up(log)
        newest = await checkpoint(runtime.sealer, log)
        assert newest is not None
        text = Note.parse(newest[1]).text
        await cosign(runtime.sealer, log, f"{text}\n{witness.cosigned(text, 1_772_000_000)}".encode())
        later = await runtime.logs.append(Append(kit.ORDER_ID, await encoded(runtime.vault, story.case.new[3:])))
        evidence = SealedLog(runtime.sealer)

        fresh = await evidence.sealed(log, later[-1])
        old = await evidence.sealed(log, first[-1])

    assert len(Note.parse(old.checkpoint).signatures) == len(Note.parse(fresh.checkpoint).signatures) + 1
    assert witness.name in old.checkpoint
    assert read_key(old.keys.splitlines()[1]).name == witness.name
