from __future__ import annotations

import json
import re
from html.parser import HTMLParser

from tests import kit
from tests.case.making import packed, recorded, unpacked
from tests.kit import Story

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "i", "code", "div", "ul", "li", "article",
    "header", "footer", "time", "small", "b", "dl", "dt", "dd", "bdi", "span", "br",
}  # fmt: skip
HOSTILE = "</dd><script>alert(1)</script><img src=x onerror=alert(2)> & \"quotes' \u202egnp.exe\u2066 \x1b[2J {order}"


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def page_of(story: Story) -> str:
    return unpacked(packed(recorded(story)))["data/timeline.html"].decode()


def test_hostile_words_stay_words() -> None:
    """Whatever people write, the page has only the tags of its own; characters that hide are shown by their number."""
    story = kit.paid(title=HOSTILE, brief=HOSTILE).buyer("post-message", text=HOSTILE)
    story = story.at(kit.T0 + kit.D).seller("deliver", note=HOSTILE, files=[kit.FILE])
    page = page_of(story)
    tags = Tags()
    tags.feed(page)

    assert tags.tags <= ALLOWED
    assert not {name for name in tags.attributes if name.startswith("on")} | tags.attributes & {"href", "src", "style"}
    assert "&lt;script&gt;alert(1)" in page
    assert "<span class=hidden>U+202E</span>gnp.exe" in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_nothing_is_loaded_and_nothing_runs() -> None:
    """The page forbids both itself, and needs neither."""
    page = page_of(kit.disputed())

    assert "default-src 'none'" in page
    assert not re.search(r"<(script|img|link|iframe|object|a)\b|url\(|@import|http", page.replace("http-equiv", ""))


def test_both_languages_tell_every_event() -> None:
    """French and English stand beside each other, with every event of the order and its dispute."""
    story = kit.under_review()
    page = page_of(story)

    assert page.count("<article>") == len(story.case.new)
    assert "L’acheteur a ouvert un litige" in page
    assert "The buyer opened a dispute" in page
    assert page.count("<p lang=fr>") == page.count("<p lang=en>") == len(story.case.new)


def test_what_people_wrote_is_there_in_full() -> None:
    """A sentence quotes the beginning; below it stands everything, line ends too."""
    long = "Ligne 1\n" + "mot " * 100 + "fin"
    page = page_of(kit.paid().buyer("post-message", text=long))

    assert long.strip() in page


def test_private_notes_and_external_pieces_are_marked() -> None:
    """Who hands the page on sees what parties must not see, and what does not count."""
    plain = page_of(kit.under_review())
    story = kit.under_review().mediator("dispute/add-note", text="Between us.")
    story = story.seller("dispute/submit-evidence", kind="screenshot", description="Another chat", origin="external")
    page = page_of(story)

    assert "note privée des médiateurs" not in plain
    assert "note privée des médiateurs" in page
    assert "pièce extérieure à la plateforme" in page


def test_the_summaries_are_in_both_languages() -> None:
    """At most ten lines each, as support knows them."""
    files = unpacked(packed(recorded(kit.disputed())))

    assert files["data/summary.fr.txt"].decode().startswith("Commande : en litige")
    assert files["data/summary.en.txt"].decode().startswith("Order: in dispute")
    assert len(files["data/summary.fr.txt"].splitlines()) <= 10


def test_the_files_keep_their_names() -> None:
    """Contents lie under their digest; the list says what they were called."""
    listed = json.loads(unpacked(packed(recorded(kit.disputed())))["data/files.json"])["files"]

    assert [each["name"] for each in listed] == ["v1.svg", "été.png"]
    assert all(each["included"] for each in listed)


def test_a_content_that_is_gone_is_said_to_be() -> None:
    """An erased file is listed as not included, and the case file still verifies."""
    files = unpacked(packed(recorded(kit.disputed()), contents=[b"test"]))
    listed = json.loads(files["data/files.json"])["files"]

    assert [each["included"] for each in listed] == [True, False]
    assert len([path for path in files if path.startswith("data/files/")]) == 1
