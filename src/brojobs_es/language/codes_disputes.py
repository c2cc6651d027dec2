"""What is said when the rules of disputes do not permit an action now: why, and what is possible instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import CodeText, Text

DISPUTE_CODES: Final[Mapping[str, CodeText]] = {
    "dispute_locked": CodeText(
        Text("Litige non débloqué", "Dispute locked"),
        Text(
            "Aucun motif ne permet d’ouvrir un litige pour l’instant. "
            "Passez d’abord par la conversation, une demande sur la commande ou un accord amiable.",
            "No ground permits opening a dispute for now. First try the chat, a request on the order or a settlement.",
        ),
    ),
    "dispute_open": CodeText(
        Text("Litige déjà ouvert", "Dispute already open"),
        Text(
            "Un litige est déjà ouvert sur cette commande. Poursuivez dans le fil de litige.",
            "A dispute is already open on this order. Go on in the dispute thread.",
        ),
    ),
    "disputes_exhausted": CodeText(
        Text("Dernier litige atteint", "Last dispute reached"),
        Text(
            "Une partie ne peut ouvrir qu’un nombre limité de litiges[ ({limit})], et le dernier ne se retire pas. "
            "Restent possibles l’accord amiable et la renonciation du vendeur.",
            "A party can open only a limited number of disputes[ ({limit})], and the last one cannot be withdrawn. "
            "A settlement and a concession by the seller remain possible.",
        ),
    ),
    "dispute_closed": CodeText(
        Text("Litige clos", "Dispute closed"),
        Text(
            "Ce litige est clos et son issue est définitive. Relisez la commande : elle montre ce qui est possible.",
            "This dispute is closed and its outcome is final. Read the order again: it shows what is possible.",
        ),
    ),
    "evidence_window": CodeText(
        Text("Décision prématurée", "Too early to decide"),
        Text(
            "Une partie n’a pas encore déposé ses éléments. La décision sera possible quand elle l’aura fait, "
            "ou [à partir du {available_from}|à la fin du délai de réponse].",
            "A party has not submitted evidence yet. The decision will be possible once it has, "
            "or [from {available_from}|at the end of the response period].",
        ),
    ),
    "already_assigned": CodeText(
        Text("Litige déjà pris en charge", "Dispute already assigned"),
        Text(
            "Un médiateur a déjà pris ce litige en charge. Lui ou un opérateur peut vous le transmettre.",
            "A mediator is already in charge of this dispute. That mediator or an operator can hand it over to you.",
        ),
    ),
    "not_assigned": CodeText(
        Text("Vous n’avez pas ce litige en charge", "Dispute not assigned to you"),
        Text(
            "Seul le médiateur en charge du litige peut agir ainsi. "
            "Prenez-le d’abord en charge ou demandez qu’il vous soit transmis.",
            "Only the mediator in charge of the dispute can do this. "
            "Take charge of it first or ask for it to be handed over to you.",
        ),
    ),
    "stale_assignment": CodeText(
        Text("Attribution périmée", "Assignment out of date"),
        Text(
            "Le litige a été attribué à nouveau depuis votre lecture. Relisez-le pour connaître l’attribution en cours.",
            "The dispute has been assigned anew since you read it. Read it again for the current assignment.",
        ),
    ),
    "outcome_not_available": CodeText(
        Text("Issue indisponible", "Outcome not available"),
        Text(
            "Cette issue n’est pas possible ici : valider suppose une livraison, et la reprise d’une commande "
            "ne se propose qu’une fois, jamais dans un dernier litige. Choisissez une autre issue.",
            "This outcome is not possible here: accepting needs a delivery, and an order is put back in progress "
            "only once, never in a last dispute. Choose another outcome.",
        ),
    ),
}
