"""The words of fixed lists: statuses, roles, grounds, outcomes, reasons. A value's code never changes, its word may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import Text

_OUTCOMES: Final = {
    "full_refund": Text("remboursement intégral", "full refund"),
    "partial_refund": Text("remboursement partiel", "partial refund"),
    "relaunch": Text("reprise de la commande", "order put back in progress"),
    "validate_delivery": Text("validation de la livraison", "delivery accepted"),
    "settled": Text("accord amiable", "settled between the parties"),
    "conceded": Text("renonciation du vendeur", "conceded by the seller"),
    "withdrawn": Text("litige retiré", "dispute withdrawn"),
}

WORDS: Final[Mapping[str, Mapping[str, Text]]] = {
    "status": {
        "awaiting_payment": Text("en attente de paiement", "awaiting payment"),
        "in_progress": Text("en cours", "in progress"),
        "delivered": Text("livrée", "delivered"),
        "revision_requested": Text("retouche demandée", "revision requested"),
        "disputed": Text("en litige", "in dispute"),
        "completed": Text("terminée", "completed"),
        "cancelled": Text("annulée", "cancelled"),
    },
    "dispute_status": {
        "open": Text("ouvert", "open"),
        "under_review": Text("en cours d’examen", "under review"),
        "closed": Text("clos", "closed"),
    },
    "role": {
        "buyer": Text("acheteur", "buyer"),
        "seller": Text("vendeur", "seller"),
        "mediator": Text("médiateur", "mediator"),
        "auditor": Text("auditeur", "auditor"),
        "operator": Text("opérateur", "operator"),
        "time": Text("échéance", "timer"),
    },
    "subject": {
        "buyer": Text("L’acheteur", "The buyer"),
        "seller": Text("Le vendeur", "The seller"),
        "mediator": Text("Le médiateur", "The mediator"),
        "auditor": Text("L’auditeur", "The auditor"),
        "operator": Text("L’opérateur", "The operator"),
    },
    "addressee": {
        "buyer": Text("à l’acheteur", "the buyer"),
        "seller": Text("au vendeur", "the seller"),
    },
    "ground": {
        "cancellation_refused_twice": Text("annulation refusée deux fois", "cancellation refused twice"),
        "cancellation_unanswered": Text("demande d’annulation restée sans réponse", "cancellation request unanswered"),
        "revision_refused": Text("retouche refusée", "revision refused"),
        "revision_unanswered": Text("demande de retouche restée sans réponse", "revision request unanswered"),
        # Also holds for an order put back in progress by a mediator, where no revision was asked for.
        "revision_overdue": Text("nouvelle livraison en retard", "new delivery overdue"),
        "revision_insufficient": Text("retouche insuffisante", "revision insufficient"),
        "seller_silent": Text("vendeur silencieux", "silent seller"),
        "persistent_conflict": Text("désaccord persistant", "persistent disagreement"),
        "escrow_age": Text("somme en séquestre depuis longtemps", "money long in escrow"),
    },
    "outcome": _OUTCOMES,
    "ending": {
        "payment_expired": Text("paiement non reçu à temps", "payment not received in time"),
        "overdue": Text("délai dépassé", "delivery overdue"),
        "agreed": Text("annulation acceptée par le vendeur", "cancellation accepted by the seller"),
        "refund_granted_by_silence": Text("silence du vendeur", "silence of the seller"),
        "conceded": _OUTCOMES["conceded"],
        "accepted": Text("livraison validée par l’acheteur", "delivery accepted by the buyer"),
        "auto_accepted": Text("livraison validée automatiquement", "delivery accepted automatically"),
        "settled": _OUTCOMES["settled"],
        "decided": Text("décision du médiateur", "decision of the mediator"),
    },
    "chat_lock": {
        "delivered": Text("en attente de la réponse à la livraison", "awaiting the answer to the delivery"),
        "disputed": Text("échanges dans le fil de litige", "talk goes on in the dispute thread"),
        "closed": Text("conversation close", "chat closed"),
    },
    "cancellation_reason": {
        "delay": Text("retard", "delay"),
        "no_response": Text("absence de réponse", "no response"),
        "other": Text("autre motif", "other reason"),
    },
    "refused": {
        "in_words": Text("refus motivé", "refusal with a reason"),
        "overtaken_by_delivery": Text("livraison faite au lieu d’une réponse", "delivered instead of answering"),
        "overtaken_by_dispute": Text("litige ouvert au lieu d’une réponse", "dispute opened instead of answering"),
    },
    "pending": {
        "cancellation": Text("demande d’annulation", "cancellation request"),
        "refund": Text("demande de remboursement", "refund request"),
        "deadline_proposal": Text("proposition de date", "deadline proposal"),
        "settlement_proposal": Text("proposition d’accord amiable", "settlement proposal"),
        "revision": Text("demande de retouche", "revision request"),
    },
    "revision_status": {
        "pending": Text("en attente de réponse", "awaiting an answer"),
        "accepted": Text("acceptée", "accepted"),
        "refused": Text("refusée", "refused"),
        "expired": Text("restée sans réponse", "left unanswered"),
        "answered": Text("suivie d’une livraison", "answered by a delivery"),
        "superseded": Text("devenue sans objet", "superseded"),
    },
    "point_status": {
        "addressed": Text("traité", "addressed"),
        "contested": Text("contesté", "contested"),
        "open": Text("sans réponse", "open"),
    },
    "evidence_kind": {
        "statement": Text("déclaration", "statement"),
        "document": Text("pièce écrite", "document"),
        "screenshot": Text("capture d’écran", "screenshot"),
        "other": Text("autre pièce", "other evidence"),
    },
    "origin": {
        "platform": Text("faite sur la plateforme", "made on the platform"),
        "external": Text("extérieure à la plateforme", "from outside the platform"),
    },
}


def word(kind: str, value: str, lang: str) -> str:
    """The word for one value of a list, such as `word("status", "in_progress", "fr")`.

    Kinds are the keys of `WORDS`. KeyError for an unknown kind, value or language.
    """
    return WORDS[kind][value].of(lang)
