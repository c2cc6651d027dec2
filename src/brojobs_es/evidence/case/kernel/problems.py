"""What can be wrong with a case file, and the exit code that says it: 1 failed, 2 malformed, 3 policy not met."""

from __future__ import annotations

VERIFIED = 0


class Problem(Exception):
    """One thing that is wrong, in one sentence of each language."""

    exit_code = 1
    word_fr, word_en = "ÉCHEC", "FAILED"

    def __init__(self, fr: str, en: str) -> None:
        super().__init__(en)
        self.fr = fr
        self.en = en


class Failed(Problem):
    """The content is not what was recorded, signed or proven."""


class Malformed(Problem):
    """The file cannot be read as a case file."""

    exit_code = 2
    word_fr, word_en = "ILLISIBLE", "MALFORMED"


class PolicyNotMet(Problem):
    """Nothing is wrong with the file itself, but it does not have what its reader asks for."""

    exit_code = 3
    word_fr, word_en = "EXIGENCE NON SATISFAITE", "POLICY NOT MET"
