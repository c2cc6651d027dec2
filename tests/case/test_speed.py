from __future__ import annotations

import time
from pathlib import Path

from tests import kit
from tests.case.making import MemoryLog, packed, recorded, words_of

from brojobs_es.application.history import History
from brojobs_es.evidence.case.kernel.checking import Trust, verify

EVENTS = 10_000


def long_history() -> History:
    """A paid order with a message repeated until there are enough events; each is sealed and stored as itself."""
    story = kit.paid().buyer("post-message", text="Bonjour, où en êtes-vous ?" * 4)
    message = story.last("MessagePosted")
    first = len(story.case.new) + 1
    story.case.new += [message.stamped(originator_version=n) for n in range(first, EVENTS + 1)]
    return recorded(story)


class _Alone(MemoryLog):
    """A log that holds nothing else, so that making the test's tree takes no time."""

    def others(self, count: int) -> None:
        """None."""


def test_ten_thousand_events_verify_in_two_seconds(tmp_path: Path) -> None:
    """The whole check of a case of 10 000 events, words opened, from the file, in time of one core."""
    history = long_history()
    case = packed(history, _Alone(history), words=words_of(history))
    path = tmp_path / "case.zip"
    path.write_bytes(case)

    began = time.process_time()  # of this process alone: the machine may be busy with other tests
    report = verify(str(path), Trust())
    seconds = time.process_time() - began

    assert report.exit_code == 0, report.findings[0].en
    assert (report.facts["events"], report.facts["words"]) == (EVENTS, EVENTS)
    assert seconds < 2, f"{seconds:.2f} s"
