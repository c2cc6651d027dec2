"""Time stamps by an authority outside: asked for, judged, kept, and found again by whoever verifies."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from tests.authority import Authority
from tests.evidence.stage import Stage
from tests.evidence.test_verify import brojobs, key_file

from brojobs_es.evidence.case.kernel.problems import Malformed
from brojobs_es.evidence.case.kernel.stamps import read_response
from brojobs_es.evidence.stamper import Stamper, accepted_roots, stamper_of
from brojobs_es.evidence.stamps import StampError, asked, read_roots, stamped_at
from brojobs_es.evidence.verify.findings import Verdict
from brojobs_es.settings import Settings, SettingsError
from brojobs_es.store.sealing import SealStore

T = TypeVar("T")

HOUR = 3600.0


@pytest.fixture
def stage(stage: Stage) -> Stage:
    """A log with one checkpoint."""
    stage.grow(20)
    stage.seal()
    return stage


def stamping(stage: Stage, authority: Authority, every_seconds: float = HOUR) -> bool:
    """One look of the stamper, which accepts this authority alone; whether it had something stamped."""
    return with_stamper(stage, authority, every_seconds, lambda stamper: stamper.step(0)) is not None


def with_stamper(
    stage: Stage, authority: Authority, every_seconds: float, work: Callable[[Stamper], Awaitable[T]], url: str = ""
) -> T:
    async def run() -> T:
        store = SealStore(stage.url)
        await store.open()
        try:
            roots = read_roots(authority.roots)
            return await work(Stamper(store, 1, url or authority.url, roots, every_seconds))
        finally:
            await store.close()

    return asyncio.run(run())


def kept(stage: Stage) -> list[int]:
    """The sizes of the stamped checkpoints."""
    found: list[int] = stage.one("SELECT coalesce(array_agg(size ORDER BY size), '{}') FROM log_0.stamps")
    return found


def test_the_newest_checkpoint_is_stamped_now_and_then(stage: Stage, authority: Authority) -> None:
    """At once where there is no stamp; then not before its time, and never without a new checkpoint."""
    assert stamping(stage, authority)
    assert kept(stage) == [20]
    assert not stamping(stage, authority, 0)
    stage.grow(5)
    stage.seal()
    assert not stamping(stage, authority)
    assert stamping(stage, authority, 0)
    assert kept(stage) == [20, 25]
    assert len(authority.asked) == 2


def test_nothing_is_asked_for_an_empty_log(stage: Stage, authority: Authority) -> None:
    """Without a checkpoint there is nothing to stamp."""
    stage.attack(
        "TRUNCATE log_0.events, log_0.digests, log_0.nodes, log_0.checkpoints, log_0.cosignatures, log_0.stamps"
    )
    assert not stamping(stage, authority)
    assert authority.asked == []


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("another nonce", "answers another request"),
        ("another imprint", "of something else"),
        ("refuses", "the authority refused: "),
        ("nothing", "no answer of a time stamping authority"),
        ("nonsense", "no answer of a time stamping authority"),
        ("too much", "too much or too slowly"),
    ],
)
def test_a_wrong_answer_is_not_kept(stage: Stage, authority: Authority, mood: str, why: str) -> None:
    """What it is of, which request it answers and what it is are judged; the next honest answer is taken."""
    authority.mood = mood
    with pytest.raises(StampError, match=why):
        stamping(stage, authority)
    assert kept(stage) == []
    authority.mood = "honest"
    assert stamping(stage, authority)


def test_another_authority_is_not_accepted(stage: Stage, authority: Authority, stranger: Authority) -> None:
    """Its signature does not lead to the roots that were given."""
    with pytest.raises(StampError, match="not signed by an accepted authority"):
        with_stamper(stage, authority, 0, lambda stamper: stamper.step(0), stranger.url)
    assert kept(stage) == []


def test_a_dead_authority_stops_nothing(stage: Stage, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """The task says so, goes on, and what is sealed meanwhile is sealed."""

    async def watched(stamper: Stamper) -> bool:
        with caplog.at_level(logging.WARNING):
            task = asyncio.create_task(stamper.run())
            failed = "no time stamp, the next try in 30 s: the authority was not reached"
            while failed not in caplog.text:  # noqa: ASYNC110  (a line of a log is no event)
                await asyncio.sleep(0.01)
        await asyncio.to_thread(stage.seal)
        alive = not task.done()
        task.cancel()
        return alive

    stage.grow(3)
    assert with_stamper(stage, authority, 0, watched, "http://127.0.0.1:9/")
    assert stage.verify().scans[0].signed == 23
    assert kept(stage) == []


# -- whoever verifies


def test_a_verified_stamp_is_reported(stage: Stage, authority: Authority) -> None:
    """With the events that it covers and its time, whether or not the roots are known."""
    stamping(stage, authority)
    stage.grow(2)
    stage.seal()
    for roots in (None, read_roots(authority.roots)):
        report = stage.verify(stamp_roots=roots)
        assert report.verdict is Verdict.VERIFIED
        assert report.scans[0].stamped == 20
        assert report.scans[0].stamped_at == stage.one("SELECT stamped_at FROM log_0.stamps")


def test_the_command_says_who_was_believed(stage: Stage, authority: Authority, stranger: Authority) -> None:
    """With the roots the signature is verified, without it says that it is not; other roots fail the verification."""
    stamping(stage, authority)
    arguments = ("verify", "--key", key_file(stage))
    result = brojobs(stage, *arguments)
    assert (result.exit_code, "20 events existed at 2" in result.output) == (0, True)
    assert "(signature not verified: give --tsa-roots)" in result.output
    result = brojobs(stage, *arguments, "--tsa-roots", str(authority.roots), "--lang", "fr")
    assert (result.exit_code, "(signature vérifiée)" in result.output) == (0, True)
    result = brojobs(stage, *arguments, "--tsa-roots", str(stranger.roots))
    assert result.exit_code == 1
    assert "checkpoint of 20 events: its time stamp is worth nothing" in result.output
    assert brojobs(stage, *arguments, "--tsa-roots", key_file(stage)).exit_code == 2


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("UPDATE log_0.stamps SET stamped_at = stamped_at - interval '1 day'", "another time than its row"),
        ("UPDATE log_0.stamps SET response = set_byte(response, 400, get_byte(response, 400) # 1)", "not signed"),
        ("UPDATE log_0.stamps SET response = 'nonsense'", "no answer of a time stamping authority"),
        ("UPDATE log_0.stamps SET size = (SELECT max(size) FROM log_0.checkpoints)", "of something else"),
    ],
)
def test_a_stamp_that_was_changed_fails(stage: Stage, authority: Authority, deed: str, why: str) -> None:
    """Its time, a byte of it, all of it, or the checkpoint that it is said to be of."""
    stamping(stage, authority)
    stage.grow(2)
    stage.seal()
    stage.attack(deed)
    report = stage.verify(stamp_roots=read_roots(authority.roots))
    assert (report.verdict, [each.code for each in report.findings]) == (Verdict.FAILED, ["bad_stamp"])
    assert why in report.findings[0].sentence("en")


def test_the_file_s_own_reader_agrees_with_the_library(authority: Authority) -> None:
    """On what an answer is of and on its time; what the library cannot read, it cannot either, or both see the same."""
    note = "a note\n"
    response, dice = authority.stamp(note.encode()), random.Random(5)
    imprint, claimed = read_response(response)
    assert claimed == f"{stamped_at(response, note):%Y-%m-%dT%H:%M:%SZ}"
    for cut in range(len(response)):
        with pytest.raises(Malformed):
            read_response(response[:cut])
    for _ in range(500):
        flipped = bytearray(response)
        flipped[dice.randrange(len(response))] ^= 1 << dice.randrange(8)
        try:
            at = stamped_at(bytes(flipped), note)
        except StampError:
            continue
        assert read_response(bytes(flipped)) == (imprint, f"{at:%Y-%m-%dT%H:%M:%SZ}")


def test_each_request_has_its_own_number() -> None:
    """An answer that was given before is no answer to the next request."""
    assert len({asked("the same")[1] for _ in range(20)}) == 20


# -- settings


def test_without_an_address_nothing_is_stamped(stage: Stage) -> None:
    """It is optional."""
    assert stamper_of(Settings(), SealStore(stage.url)) is None


def test_roots_that_cannot_be_read_stop_the_start(stage: Stage) -> None:
    """Missing, or no certificates: a sentence with the name of the variable."""
    (stage.folder / "empty.pem").write_text("nothing")
    for path in (stage.folder / "missing.pem", stage.folder / "empty.pem"):
        settings = Settings(tsa_url="https://example.org/", tsa_roots=path)
        with pytest.raises(SettingsError, match="BROJOBS_TSA_ROOTS: "):
            stamper_of(settings, SealStore(stage.url))
    assert accepted_roots(Settings()) is None
