from __future__ import annotations

from tests import kit
from tests.case.conftest import Verify
from tests.case.making import RING, MemoryLog, packed, recorded, unpacked

from brojobs_es.aggregates.base import ERASED
from brojobs_es.application.history import Entry, History
from brojobs_es.evidence.case.proving import event_lines
from brojobs_es.mapper import EventMapper, openings
from brojobs_es.vault import Keys

LEFT = {"ana": RING["ana"], "mia": RING["mia"], "sam": Keys({}, 1)}
SAYS = "Sam's own words, quite unmistakable"


def erased(history: History) -> History:
    """The same stored events, read when sam's key is gone."""
    entries = [
        Entry(
            EventMapper().read(
                entry.event.TOPIC, entry.state or b"", entry.event.originator_id, entry.event.originator_version, LEFT
            ),
            entry.position,
            entry.state,
        )
        for entry in history.entries
    ]
    made = History.of(entries, history.now)
    assert made is not None
    return made


def test_an_erased_person_s_words_are_not_in_a_new_export(check: Verify) -> None:
    """Nothing of them is in any part of the file, the other party's words are, and every proof still holds."""
    story = kit.paid().seller("post-message", text=SAYS).buyer("post-message", text="Ana's words stay")
    before = recorded(story)
    after = erased(before)
    words = [
        opening
        for entry in after.entries
        for opening in openings(entry.state or b"", entry.event.originator_id, entry.event.originator_version, LEFT)
    ]
    case = packed(after, MemoryLog(before), words=words, files=[], contents=[])
    files = unpacked(case)
    report = check(case)

    assert report.exit_code == 0, report.findings[0].en
    assert (report.facts["words"], report.facts["words_absent"]) == (3, 1)
    assert not [path for path, content in files.items() if b"unmistakable" in content]
    assert ERASED in files["data/timeline.html"].decode()
    assert "Ana's words stay" in files["data/words.ndjson"].decode()


def test_an_older_file_verifies_after_the_erasure(check: Verify) -> None:
    """What was handed out before holds what it needs; the events in it are the same bytes as before and after."""
    before = recorded(kit.paid().seller("post-message", text=SAYS))
    case = packed(before)

    assert event_lines(erased(before), 0) == event_lines(before, 0)
    assert check(case).facts["words_absent"] == 0
