"""The table of commands: everything that somebody can ask of an order or of a dispute.

Each row says who may give the command, its body, its guards in their documented order, and what it decides.
The HTTP paths, the list of possible actions, the documentation and the tests are all made from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.aggregates.commands import (
    cancelling,
    chatting,
    deadlines,
    delivering,
    disputing,
    mediating,
    ordering,
    revising,
    settling,
)
from brojobs_es.aggregates.commands.situation import Command

_ORDER_ROWS: Final = (
    *ordering.COMMANDS,
    *chatting.COMMANDS,
    *deadlines.COMMANDS,
    *cancelling.COMMANDS,
    *delivering.COMMANDS,
    *revising.COMMANDS,
    *settling.COMMANDS,
    *disputing.COMMANDS,
)

ORDER_COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in _ORDER_ROWS}
DISPUTE_COMMANDS: Final[Mapping[str, Command]] = {command.name: command for command in mediating.COMMANDS}
