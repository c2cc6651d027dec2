"""What is typed at a command line, understood or refused in the language of the deployment."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Final
from uuid import UUID

import typer

from brojobs_es.aggregates.commands.bodies import parse_instant
from brojobs_es.language import Text

_NO_ID: Final = Text(
    "« {text} » n’est pas l’identifiant d’une commande ni d’un litige",
    "{text!r} is not the id of an order nor of a dispute",
)
_NO_INSTANT: Final = Text(
    "« {text} » n’est pas un instant avec son fuseau, comme 2026-03-01T12:00:00Z",
    "{text!r} is not an instant with its zone, like 2026-03-01T12:00:00Z",
)


def order_id(text: str) -> UUID:
    """The id of an order or of a dispute."""
    try:
        return UUID(text)
    except ValueError:
        raise _refused(_NO_ID, text) from None


def instant(text: str) -> datetime:
    """An instant as RFC 3339."""
    try:
        return parse_instant(text)
    except ValueError:
        raise _refused(_NO_INSTANT, text) from None


def _refused(why: Text, text: str) -> typer.BadParameter:
    """Options are not read yet, so only the environment can say which language is meant."""
    return typer.BadParameter(why.of("en" if os.environ.get("BROJOBS_LANGUAGE") == "en" else "fr").format(text=text))
