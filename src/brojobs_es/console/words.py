"""The words of the replay that no other reader of the service needs, in French and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language import Text

TIMERS: Final[Mapping[str, Text]] = {
    "payment": Text("fin du délai de paiement", "end of the time to pay"),
    "silence": Text("silence du vendeur établi", "the seller's silence is established"),
    "refund_answer": Text("fin du délai de réponse au remboursement", "end of the time to answer the refund request"),
    "delivery_due": Text("date de livraison estimée", "expected delivery date"),
    "deadline_proposal": Text("fin de la proposition de date", "end of the proposed date"),
    "cancellation_answer": Text("fin du délai de réponse à l’annulation", "end of the time to answer the cancellation"),
    "validation_reminder": Text("rappel de validation", "reminder to accept the delivery"),
    "validation": Text("validation automatique", "automatic acceptance of the delivery"),
    "revision_answer": Text("fin du délai de réponse à la retouche", "end of the time to answer the revision"),
    "revision_due": Text("date de livraison de la retouche", "date of the revised delivery"),
    "settlement_proposal": Text("fin de la proposition d’accord amiable", "end of the proposed settlement"),
    "chat_close": Text("fermeture de la conversation", "closing of the chat"),
    "escrow_age": Text("alarme de séquestre prolongé", "alarm of money long in escrow"),
    "assignment": Text("date visée pour désigner un médiateur", "target for assigning a mediator"),
    "response": Text("fin du délai de réponse au litige", "end of the time to respond to the dispute"),
    "decision": Text("date visée pour la décision", "target for the decision"),
}
"""By the name of the timer."""

LABELS: Final[Mapping[str, Text]] = {
    "order": Text("Commande", "Order"),
    "price": Text("prix", "price"),
    "buyer": Text("acheteur", "buyer"),
    "seller": Text("vendeur", "seller"),
    "on_behalf_of": Text("au nom de", "on behalf of"),
    "recorded": Text("enregistré le {instant}, {span} plus tard", "recorded {instant}, {span} later"),
    "recorded_before": Text("enregistré le {instant}, {span} plus tôt", "recorded {instant}, {span} earlier"),
    "chat_open": Text("conversation ouverte", "chat open"),
    "chat_seller": Text("conversation : vendeur seul", "chat: seller only"),
    "chat_buyer": Text("conversation : acheteur seul", "chat: buyer only"),
    "chat_locked": Text("conversation verrouillée", "chat locked"),
    "until": Text("jusqu’au", "until"),
    "state": Text("État", "State"),
    "chat": Text("Conversation", "Chat"),
    "money": Text("Argent", "Money"),
    "held": Text("en séquestre", "held"),
    "refunded": Text("remboursé", "refunded"),
    "released": Text("versé", "released"),
    "commission": Text("commission", "commission"),
    "nothing_held": Text("rien en séquestre", "nothing in escrow"),
    "accounts": Text("Comptes", "Accounts"),
    "escrow": Text("séquestre", "escrow"),
    "platform": Text("plateforme", "platform"),
    "zero": Text("ensemble", "together"),
    "next": Text("Prochaine échéance", "Next timer"),
    "no_next": Text("aucune", "none"),
    "not_fired": Text("le rejeu ne déclenche rien", "a replay fires nothing"),
    "as_of": Text("Telle qu’au {point}", "As of {point}"),
    "as_of_version": Text("Telle qu’à la version {point}", "As of version {point}"),
    "left_out": Text("événements enregistrés depuis, non montrés : {count}", "events recorded since, not shown: {count}"),
    "events": Text("événements", "events"),
    "unknown": Text("La commande {order} n’existe pas ici.", "There is no order {order} here."),
    "not_yet": Text("La commande n’était pas encore passée le {point}.", "The order was not yet placed at {point}."),
    "no_version": Text("La commande n’a pas de version {point} ; la dernière est {last}.",
                       "The order has no version {point}; the last one is {last}."),
    "later": Text("{span} plus tard, le {instant}", "{span} later, {instant}"),
    "overdue": Text("délai dépassé", "overdue"),
    "replayed": Text("déjà répondu, rien de nouveau", "answered before, nothing new"),
}  # fmt: skip


def label(name: str, lang: str, **values: object) -> str:
    """A label in `fr` or `en`, its holes filled."""
    return LABELS[name].of(lang).format(**values)
