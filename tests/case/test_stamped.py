"""The time stamp in a case file: whose word it is, what it is of, and that none of it can be exchanged."""

from __future__ import annotations

import asyncio
import json
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from tests import kit
from tests.authority import Authority
from tests.case.conftest import Verify
from tests.case.making import DEPLOYMENT, STRANGER, MemoryLog, packed, public_pem, recorded, repacked, unpacked
from tests.console.helpers import store
from typer.testing import CliRunner

from brojobs_es import bootstrap
from brojobs_es.cli import app
from brojobs_es.evidence.case.kernel.checking import Report
from brojobs_es.evidence.case.kernel.stamps import RESPONSE, STAMP_PROOF, STAMPED
from brojobs_es.evidence.case.stamp_parts import stamp_checker
from brojobs_es.evidence.stamps import read_roots
from brojobs_es.ids import log_of
from brojobs_es.mapper import canonical
from brojobs_es.settings import Settings


@pytest.fixture
def stamped(authority: Authority) -> bytes:
    """A case file with a stamp by an accepted authority."""
    return made(authority)


def made(authority: Authority) -> bytes:
    history = recorded(kit.completed())
    log = MemoryLog(history)
    log.stamped(authority.stamp)
    return packed(history, log)


def with_roots(check: Verify, content: bytes, authority: Authority) -> Report:
    return check(content, check_stamp=stamp_checker(read_roots(authority.roots)))


def test_the_stamp_is_told_with_its_time(stamped: bytes, check: Verify, authority: Authority) -> None:
    """What it is worth depends on whether the reader brought the authority's roots."""
    report = check(stamped)
    assert report.exit_code == 0, report.findings
    stamp = report.facts["stamp"]
    assert (stamp["size"], stamp["signature_checked"]) == (report.facts["size"] - 1, False)
    assert stamp["claimed_at"].startswith("20")
    report = with_roots(check, stamped, authority)
    assert (report.exit_code, report.facts["stamp"]) == (0, stamp | {"signature_checked": True})


def test_a_demanded_stamp_must_be_there(case: bytes, check: Verify, authority: Authority) -> None:
    """Roots without a stamp are a policy that is not met; without roots a file needs none."""
    assert with_roots(check, case, authority).exit_code == 3
    assert check(case).facts["stamp"] is None


def test_a_forged_stamp_fails(stamped: bytes, check: Verify, authority: Authority, stranger: Authority) -> None:
    """By an authority that is not accepted, even where the forger has the deployment's key and all else fits."""
    note = unpacked(stamped)[STAMPED]
    forged = repacked(unpacked(stamped) | {RESPONSE: stranger.stamp(note)}, DEPLOYMENT)

    report = with_roots(check, forged, authority)

    assert report.exit_code == 1
    assert "the time stamp is not accepted: the stamp is not signed by an accepted authority" in report.findings[0].en
    assert check(forged).facts["stamp"]["signature_checked"] is False


def test_a_stamp_of_something_else_fails(stamped: bytes, check: Verify, authority: Authority) -> None:
    """Also for a reader who knows no authority, and also where the file was signed anew."""
    forged = repacked(unpacked(stamped) | {RESPONSE: authority.stamp(b"something else")}, DEPLOYMENT)

    report = check(forged)

    assert (report.exit_code, report.findings[0].en) == (1, "the time stamp is of something else")


def test_a_stamped_checkpoint_must_hold_the_order(stamped: bytes, check: Verify, authority: Authority) -> None:
    """One of the same log that ends before it, one by another key, another log, or a path that leads elsewhere: each fails."""
    files = unpacked(stamped)
    log = MemoryLog(recorded(kit.completed()))
    early, strange = log.checkpoint(3), MemoryLog(recorded(kit.completed()), STRANGER).checkpoint()
    path = canonical({"index": 1, "hashes": [b64encode(bytes(32)).decode()]}) + b"\n"
    for changed in (
        {STAMPED: early.encode(), RESPONSE: authority.stamp(early.encode())},
        {STAMPED: strange.encode(), RESPONSE: authority.stamp(strange.encode())},
        {STAMP_PROOF: path},
    ):
        assert check(repacked(files | changed, DEPLOYMENT)).exit_code == 1


@pytest.mark.parametrize("path", [STAMPED, RESPONSE, STAMP_PROOF])
@pytest.mark.parametrize("content", [None, b"", b"nonsense\n", b"[]"])
def test_half_a_stamp_is_malformed(stamped: bytes, check: Verify, path: str, content: bytes | None) -> None:
    """All three parts are there and can be read, or it is no case file."""
    files = unpacked(stamped)
    files = {name: each for name, each in files.items() if name != path} | ({} if content is None else {path: content})

    report = check(repacked(files, DEPLOYMENT))

    assert report.exit_code in ({1, 2} if path == STAMPED and content is not None else {2})


def test_a_changed_stamp_no_longer_fits_the_seal(stamped: bytes, check: Verify) -> None:
    """Taking it away or changing it takes the deployment's key."""
    files = unpacked(stamped)
    without = {name: each for name, each in files.items() if not name.startswith("data/stamp/")}
    assert check(repacked(without)).exit_code == 1
    assert check(repacked(files | {RESPONSE: files[RESPONSE][:-1] + b"x"})).exit_code == 1


def test_an_exported_case_has_the_newest_stamp(
    clean_logs: str, log_count: int, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the authority over the database to the verified file."""
    monkeypatch.setenv("BROJOBS_DATABASE_URL", clean_logs)
    monkeypatch.setenv("BROJOBS_LOGS", str(log_count))
    monkeypatch.setenv("BROJOBS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BROJOBS_TSA_URL", authority.url)
    monkeypatch.setenv("BROJOBS_TSA_ROOTS", str(authority.roots))
    store(clean_logs, log_count, kit.under_review())
    asyncio.run(sealed_and_stamped(log_of(kit.ORDER_ID, log_count)))
    target = tmp_path / "case.zip"

    made = CliRunner().invoke(app, ["replay", str(kit.ORDER_ID), "--bundle", str(target)])
    key = tmp_path / "signing-key.pub"
    arguments = ["case", "verify", str(target), "--key", str(key), "--tsa-roots", str(authority.roots), "--json"]
    checked = CliRunner().invoke(app, arguments)

    assert (made.exit_code, checked.exit_code) == (0, 0), checked.output
    told, files = json.loads(checked.stdout), unpacked(target.read_bytes())
    assert told["stamp"]["signature_checked"] is True
    assert told["stamp"]["size"] == told["size"]
    for path in (RESPONSE, STAMPED):
        (tmp_path / Path(path).name).write_bytes(files[path])
    openssl = f"openssl ts -verify -in response.tsr -data checkpoint.txt -CAfile {authority.roots}"
    assert subprocess.run(openssl.split(), cwd=tmp_path, check=False, capture_output=True).returncode == 0


async def sealed_and_stamped(log: int) -> None:
    """As a service does it by itself, with the settings of the environment."""
    settings = Settings.from_environment()
    assert settings.database_url is not None
    async with bootstrap.running(settings, settings.database_url, background=False) as runtime:
        await runtime.sealer.catch_up(log)
    async with bootstrap.running(settings, settings.database_url) as runtime, asyncio.timeout(20):
        while await runtime.sealer.store.stamp_over(log, 0) is None:  # noqa: ASYNC110  (a row is no event)
            await asyncio.sleep(0.05)


def test_the_command_says_whose_word_it_is(stamped: bytes, tmp_path: Path, authority: Authority) -> None:
    """With the roots it is verified; without, the report says plainly that the authority's signature was not."""
    path, key = tmp_path / "case.zip", public_pem(DEPLOYMENT, tmp_path)
    path.write_bytes(stamped)

    def said(*more: str) -> str:
        done = CliRunner().invoke(app, ["case", "verify", str(path), "--key", str(key), *more])
        assert done.exit_code == 0, done.output
        return done.output

    assert "(the authority’s signature is not verified here)" in said("--lang", "en")
    assert "(la signature de l’autorité n’est pas vérifiée ici)" in said("--lang", "fr")
    assert "(signature verified)" in said("--lang", "en", "--tsa-roots", str(authority.roots))
