"""What a verification can find, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final
from uuid import UUID


class Verdict(IntEnum):
    """What a verification comes to; the numbers are the exit codes of the command."""

    VERIFIED = 0
    FAILED = 1
    MALFORMED = 2
    POLICY = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be. A finding about events names the first place that is wrong.

    `position` is that place, or, with `from_position`, the end of the range that it lies in.
    """

    code: str
    log: int
    position: int | None = None
    from_position: int | None = None
    order_id: UUID | None = None
    field: str | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def names_a_place(self) -> bool:
        return self.position is not None

    @property
    def is_policy(self) -> bool:
        return self.code in _POLICIES

    def sentence(self, language: str) -> str:
        """One sentence for people."""
        text = _SENTENCES[self.code][language]
        return text.format(
            log=self.log,
            position=self.position,
            start=self.from_position,
            order=self.order_id,
            field=self.field,
            **self.facts,
        )

    def document(self, language: str) -> dict[str, Any]:
        """The finding as JSON values."""
        return {
            "code": self.code,
            "log": self.log,
            "position": self.position,
            "from_position": self.from_position,
            "order_id": str(self.order_id) if self.order_id else None,
            "field": self.field,
            "detail": self.sentence(language),
        }


_POLICIES: Final = frozenset(
    {"no_key", "too_few_witnesses", "unsigned_too_long", "unwitnessed_too_long", "nothing_signed"}
)

_SENTENCES: Final = {
    "event_changed": {
        "fr": "journal {log}, position {position}, commande {order} : le champ {field} n’est pas celui qui a été scellé",
        "en": "log {log}, position {position}, order {order}: the field {field} is not what was sealed",
    },
    "event_moved": {
        "fr": "journal {log}, position {position}, commande {order} : cet événement a été scellé à la position {was} "
        "(champ {field})",
        "en": "log {log}, position {position}, order {order}: this event was sealed at position {was} (field {field})",
    },
    "digest_forged": {
        "fr": "journal {log}, position {position}, commande {order} : l’événement et son empreinte s’accordent mais pas "
        "avec la chaîne de la commande (champ {field}) : ils ont été changés ensemble",
        "en": "log {log}, position {position}, order {order}: the event and its digest fit each other but not the "
        "order’s chain (field {field}): they were changed together",
    },
    "event_missing": {
        "fr": "journal {log}, position {position}, commande {order} : l’événement scellé à cette place a disparu "
        "(champ {field})",
        "en": "log {log}, position {position}, order {order}: the event that was sealed there is gone (field {field})",
    },
    "sealed_missing": {
        "fr": "journal {log}, entre les positions {start} et {position} : des événements scellés ont disparu avec leurs "
        "empreintes, vu à la commande {order} (champ {field})",
        "en": "log {log}, between positions {start} and {position}: sealed events are gone with their digests, seen at "
        "order {order} (field {field})",
    },
    "event_inserted": {
        "fr": "journal {log}, position {position}, commande {order} : un événement jamais scellé se trouve avant "
        "d’autres qui l’ont été (champ {field})",
        "en": "log {log}, position {position}, order {order}: an event that was never sealed stands before others that "
        "were (field {field})",
    },
    "digests_missing": {
        "fr": "journal {log}, position {position}, commande {order} : un point de contrôle signé couvre cet événement, "
        "dont l’empreinte a disparu (champ {field})",
        "en": "log {log}, position {position}, order {order}: a signed checkpoint covers this event, whose digest is "
        "gone (field {field})",
    },
    "digest_row": {
        "fr": "journal {log}, position {position}, commande {order} : la ligne des empreintes n’est pas celle de cet "
        "événement (champ {field})",
        "en": "log {log}, position {position}, order {order}: the row of digests is not that of this event (field {field})",
    },
    "unreadable": {
        "fr": "journal {log}, après la position {position} : une ligne est illisible (champ {field})",
        "en": "log {log}, after position {position}: a row cannot be read (field {field})",
    },
    "root_differs": {
        "fr": "journal {log}, entre les positions {start} et {position} : les événements ne sont pas ceux que {source} "
        "a signés ({size} événements, champ {field})",
        "en": "log {log}, between positions {start} and {position}: the events are not those that {source} signed "
        "({size} events, field {field})",
    },
    "node_differs": {
        "fr": "journal {log}, entre les positions {start} et {position} : un nœud conservé de l’arbre n’est pas celui "
        "des événements (champ {field})",
        "en": "log {log}, between positions {start} and {position}: a kept node of the tree is not that of the events "
        "(field {field})",
    },
    "cut": {
        "fr": "journal {log}, après la position {position} : le journal s’arrête à {count} événements alors que {source} "
        "en a signé {size} : la suite a disparu (champ {field})",
        "en": "log {log}, after position {position}: the log ends with {count} events where {source} signed {size}: what "
        "followed is gone (field {field})",
    },
    "bad_signature": {
        "fr": "journal {log}, point de contrôle de {size} événements : il n’est pas signé par la clé attendue ({why})",
        "en": "log {log}, checkpoint of {size} events: it is not signed by the expected key ({why})",
    },
    "bad_checkpoint": {
        "fr": "journal {log}, point de contrôle de {size} événements : il n’est pas bien formé ({why})",
        "en": "log {log}, checkpoint of {size} events: it is not well formed ({why})",
    },
    "bad_cosignature": {
        "fr": "journal {log}, point de contrôle de {size} événements : la signature d’un témoin est fausse ({why})",
        "en": "log {log}, checkpoint of {size} events: the signature of a witness is wrong ({why})",
    },
    "bad_stamp": {
        "fr": "journal {log}, point de contrôle de {size} événements : son horodatage ne vaut rien ({why})",
        "en": "log {log}, checkpoint of {size} events: its time stamp is worth nothing ({why})",
    },
    "other_origin": {
        "fr": "journal {log}, point de contrôle de {size} événements : il vient de {origin} et non de {expected}",
        "en": "log {log}, checkpoint of {size} events: it is from {origin}, not from {expected}",
    },
    "no_key": {
        "fr": "aucune clé publique n’a été donnée : les signatures n’ont pas été vérifiées",
        "en": "no public key was given: signatures were not checked",
    },
    "nothing_signed": {
        "fr": "journal {log} : des événements existent, mais aucun point de contrôle n’a été signé",
        "en": "log {log}: there are events, but no checkpoint was ever signed",
    },
    "too_few_witnesses": {
        "fr": "journal {log} : {found} témoin(s) sur les {needed} demandés ont signé un état de ce journal",
        "en": "log {log}: {found} of the {needed} demanded witness(es) signed a state of this log",
    },
    "unsigned_too_long": {
        "fr": "journal {log} : l’événement à la position {place} attend depuis {seconds} s un point de contrôle signé",
        "en": "log {log}: the event at position {place} has waited {seconds} s for a signed checkpoint",
    },
    "unwitnessed_too_long": {
        "fr": "journal {log} : l’événement à la position {place} attend depuis {seconds} s la signature d’un témoin",
        "en": "log {log}: the event at position {place} has waited {seconds} s for the signature of a witness",
    },
}

LIMITS: Final = {
    "fr": (
        "que ce que les personnes ont écrit est vrai : seulement que rien n’a changé depuis le scellement ;",
        "quoi que ce soit sur les événements qui ne sont pas encore sous un point de contrôle signé ;",
        "sans témoin, que le journal n’a pas été raccourci ou refait en entier par quiconque détient la base et la clé ;",
        (
            "le contenu des fichiers, les vues, les réponses gardées, les refus, les lectures du personnel et la colonne "
            "recorded_at de la base (l’instant enregistré dans l’événement, lui, est couvert)."
        ),
    ),
    "en": (
        "that what people wrote is true: only that nothing has changed since it was sealed;",
        "anything about events that are not under a signed checkpoint yet;",
        "without a witness, that the log was not cut short or made anew by whoever holds both database and key;",
        (
            "the contents of files, views, kept answers, refusals and the staff’s looks, nor the database’s column "
            "recorded_at (the instant recorded inside the event is covered)."
        ),
    ),
}
"""What a verification does not prove."""
