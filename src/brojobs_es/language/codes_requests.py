"""What is said when a request itself cannot be taken: who asks, what was sent, when it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import CodeText, Text

REQUEST_CODES: Final[Mapping[str, CodeText]] = {
    "unauthenticated": CodeText(
        Text("Connexion requise", "Sign-in required"),
        Text(
            "Votre jeton d’accès est absent, expiré ou invalide. Connectez-vous à nouveau, puis recommencez.",
            "Your access token is missing, expired or not valid. Sign in again, then retry.",
        ),
    ),
    "forbidden": CodeText(
        Text("Action non autorisée", "Action not permitted"),
        Text(
            "Votre rôle ne permet pas cette action ici. Consultez la liste des actions qui vous sont ouvertes.",
            "Your role does not permit this action here. See the list of actions that are open to you.",
        ),
    ),
    "party_of_the_order": CodeText(
        Text("Partie à la commande", "Party of the order"),
        Text(
            "Une partie à la commande ne peut y intervenir à aucun autre titre. "
            "Adressez-vous à une personne qui n’est ni l’acheteur ni le vendeur.",
            "A party of the order cannot act on it in any other capacity. "
            "Turn to somebody who is neither the buyer nor the seller.",
        ),
    ),
    "not_found": CodeText(
        Text("Introuvable", "Not found"),
        Text(
            "Rien ne se trouve à cette adresse, ou vous n’y avez pas accès. Vérifiez l’identifiant et votre compte.",
            "There is nothing at this address, or you have no access to it. Check the identifier and your account.",
        ),
    ),
    "version_conflict": CodeText(
        Text("Changement entre-temps", "Changed in the meantime"),
        Text(
            "Le dossier a changé depuis votre dernière lecture, et rien n’a été fait.[ Statut actuel : {status}.] "
            "Relisez-le, puis agissez à nouveau si c’est encore utile.",
            "This has changed since you last read it, and nothing was done.[ Current status: {status}.] "
            "Read it again, then act again if that is still useful.",
        ),
    ),
    "invalid_request": CodeText(
        Text("Requête invalide", "Invalid request"),
        Text(
            "La requête ne peut pas être prise en compte : [vérifiez {name}|un champ manque, est inconnu ou mal rempli]."
            "[ Limite : {limit}.] Corrigez-la, puis renvoyez-la.",
            "The request cannot be taken: [check {name}|a field is missing, unknown or not filled in properly]."
            "[ Limit: {limit}.] Correct it, then send it again.",
        ),
    ),
    "idempotency_key_reused": CodeText(
        Text("Clé déjà utilisée", "Key already used"),
        Text(
            "Cette clé d’idempotence ou cet identifiant de commande a déjà servi à une autre requête. "
            "Envoyez celle-ci avec une nouvelle valeur.",
            "This idempotency key or order identifier was already used for another request. "
            "Send this one with a new value.",
        ),
    ),
    "request_in_progress": CodeText(
        Text("Requête en cours de traitement", "Request still under way"),
        Text(
            "Une requête portant la même clé est encore en cours de traitement. "
            "Patientez quelques instants, puis renvoyez-la à l’identique.",
            "A request with the same key is still being handled. Wait a few moments, then send the same one again.",
        ),
    ),
    "due_at_out_of_range": CodeText(
        Text("Date hors limites", "Date out of range"),
        Text(
            "La date doit être à venir et rester dans la période autorisée."
            "[ Première date possible : {available_from}.][ Dernière date possible : {available_until}.]"
            "[ Limite : {limit}.] Choisissez une date de cette période.",
            "The date must lie ahead and within the permitted period."
            "[ First possible date: {available_from}.][ Last possible date: {available_until}.]"
            "[ Limit: {limit}.] Choose a date within that period.",
        ),
    ),
    "amount_out_of_range": CodeText(
        Text("Montant hors limites", "Amount out of range"),
        Text(
            "Un remboursement partiel est supérieur à zéro et inférieur au montant en séquestre"
            "[ ({amount})| ({limit})| (en {currency})]. Indiquez un autre montant.",
            "A partial refund is more than zero and less than the amount in escrow"
            "[ ({amount})| ({limit})| (in {currency})]. State another amount.",
        ),
    ),
    "amount_mismatch": CodeText(
        Text("Montant différent du prix", "Amount differs from the price"),
        Text(
            "[Le montant doit correspondre exactement au prix de la commande : {amount}."
            "|Le montant doit être dans la monnaie de la commande ({currency})."
            "|Le montant ou la monnaie diffère du prix de la commande.] Vérifiez-le, puis envoyez-le à nouveau.",
            "[The amount must match the price of the order exactly: {amount}."
            "|The amount must be in the currency of the order ({currency})."
            "|The amount or the currency differs from the price of the order.] Check it, then send it again.",
        ),
    ),
    "file_required": CodeText(
        Text("Fichier nécessaire", "File required"),
        Text(
            "Une livraison contient au moins un fichier. Déposez-en un, puis livrez à nouveau.",
            "A delivery contains at least one file. Upload one, then deliver again.",
        ),
    ),
    "unknown_file": CodeText(
        Text("Fichier inconnu", "Unknown file"),
        Text(
            "Le fichier cité[ ({name})] n’a pas été déposé sur cette commande. Déposez-le d’abord, puis recommencez.",
            "The file referred to[ ({name})] was not uploaded to this order. Upload it first, then retry.",
        ),
    ),
    "unknown_reference": CodeText(
        Text("Référence inconnue", "Unknown reference"),
        Text(
            "La référence citée[ ({name})] ne désigne ni un événement ni une pièce de cette commande. "
            "Corrigez-la, puis recommencez.",
            "The reference given[ ({name})] is neither an event nor a piece of evidence of this order. "
            "Correct it, then retry.",
        ),
    ),
    "unknown_point": CodeText(
        Text("Point de retouche inconnu", "Unknown revision point"),
        Text(
            "Le point cité[ ({name})] ne figure pas dans la retouche concernée. "
            "Reprenez les numéros de la demande de retouche.",
            "The point referred to[ ({name})] is not part of the revision. Use the numbers of the revision request.",
        ),
    ),
    "summary_too_long": CodeText(
        Text("Exposé trop long", "Statement too long"),
        Text(
            "L’exposé dépasse la longueur prévue[ ({limit})]. Raccourcissez-le et placez le reste dans les pièces.",
            "The statement is longer than permitted[ ({limit})]. Shorten it and put the rest into the evidence.",
        ),
    ),
    "reason_required": CodeText(
        Text("Motif à préciser", "Reason required"),
        Text(
            "Avec le motif « autre », un commentaire est nécessaire. Expliquez votre demande en quelques mots.",
            "With the reason “other”, a comment is needed. Explain your request in a few words.",
        ),
    ),
    "file_too_large": CodeText(
        Text("Envoi trop volumineux", "Upload too large"),
        Text(
            "L’envoi dépasse la taille autorisée[ ({limit} octets)]. Réduisez-le ou répartissez-le, puis recommencez.",
            "The upload is larger than permitted[ ({limit} bytes)]. Make it smaller or split it, then retry.",
        ),
    ),
    "too_many_requests": CodeText(
        Text("Trop de requêtes", "Too many requests"),
        Text(
            "Vos requêtes se suivent de trop près. Patientez [jusqu’au {available_from}|quelques instants], "
            "puis recommencez.",
            "Your requests follow each other too closely. Wait [until {available_from}|a few moments], then retry.",
        ),
    ),
    "try_again": CodeText(
        Text("Service momentanément indisponible", "Service unavailable for the moment"),
        Text(
            "Le service ne peut pas répondre pour l’instant. "
            "Patientez quelques instants, puis renvoyez la même requête avec la même clé d’idempotence.",
            "The service cannot answer at the moment. "
            "Wait a few moments, then send the same request with the same idempotency key.",
        ),
    ),
}
