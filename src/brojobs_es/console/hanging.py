"""Text beside a label, wrapped under itself: without the padding of a table, so that piped output has no blanks at line ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Hanging:
    """A label and a text that starts beside it and stays in its column of `indent` characters."""

    label: Text
    body: Text
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line of the terminal for each line of the wrapped text."""
        width = max(20, options.max_width - self.indent)
        for number, line in enumerate(line for part in self.body.split("\n") for line in _wrapped(part, width)):
            start = self.label.copy() if number == 0 else Text()
            start.pad_right(self.indent - start.cell_len)
            yield start.append_text(line)


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    """Lines of whole words. A no-break space holds its words together, which rich's own wrapping does not respect."""
    line = Text()
    for word in text.split(" "):
        if line and line.cell_len + 1 + word.cell_len > width:
            yield line
            line = word
        else:
            line = line.append(" ").append_text(word) if line else word
    yield line
