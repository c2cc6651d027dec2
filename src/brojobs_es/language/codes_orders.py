"""What is said when the rules of an order do not permit an action now: why, and what is possible instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import CodeText, Text

ORDER_CODES: Final[Mapping[str, CodeText]] = {
    "not_paid": CodeText(
        Text("Paiement attendu", "Payment expected"),
        Text(
            "Le paiement n’est pas encore confirmé. Cette action sera possible une fois la somme en séquestre.",
            "The payment is not confirmed yet. This action will be possible once the money is in escrow.",
        ),
    ),
    "already_paid": CodeText(
        Text("Commande déjà payée", "Order already paid"),
        Text(
            "Le prix de cette commande a déjà été reçu. Un autre paiement n’est pas accepté : renvoyez-le à l’acheteur.",
            "The price of this order has already been received. Another payment is not taken: send it back to the buyer.",
        ),
    ),
    "order_closed": CodeText(
        Text("Commande close", "Order closed"),
        Text(
            "Cette commande est [{status}|close] : plus rien ne change pour le travail ni pour l’argent. "
            "Son historique montre comment elle a pris fin.",
            "This order is [{status}|closed]: nothing about the work or the money changes any more. "
            "Its history shows how it ended.",
        ),
    ),
    "order_frozen": CodeText(
        Text("Commande gelée", "Order frozen"),
        Text(
            "Un litige est ouvert et la commande est gelée. Poursuivez dans le fil de litige ; "
            "un accord amiable reste possible.",
            "A dispute is open and the order is frozen. Go on in the dispute thread; a settlement is still possible.",
        ),
    ),
    "chat_locked": CodeText(
        Text("Conversation verrouillée", "Chat locked"),
        Text(
            "Vous ne pouvez pas écrire ici pour l’instant[ (commande {status})]. Après une livraison, validez-la ou "
            "demandez une retouche ; pendant un litige, écrivez dans le fil de litige.",
            "You cannot write here for now[ (order {status})]. After a delivery, accept it or request a revision; "
            "during a dispute, write in the dispute thread.",
        ),
    ),
    "chat_closed": CodeText(
        Text("Conversation close", "Chat closed"),
        Text(
            "La conversation est close[ depuis le {available_until}] : la commande a pris fin. "
            "Vous pouvez encore la relire ; pour toute question, contactez le support.",
            "The chat [has been closed since {available_until}|is closed]: the order has ended. "
            "You can still read it; for any question, contact support.",
        ),
    ),
    "not_overdue": CodeText(
        Text("Délai non dépassé", "Not overdue"),
        Text(
            "La date de livraison estimée n’est pas dépassée. Si rien n’est livré, vous pourrez annuler et obtenir "
            "le remboursement [à partir du {available_from}|une fois cette date passée, si la commande court encore].",
            "The expected delivery date has not passed. If nothing is delivered, you can cancel and be refunded "
            "[from {available_from}|once it has, if the order still runs].",
        ),
    ),
    "already_delivered": CodeText(
        Text("Déjà livrée", "Already delivered"),
        Text(
            "Une livraison a déjà été faite, ce qui ferme cette action. "
            "La suite passe par la validation, une retouche ou une demande d’annulation.",
            "A delivery has already been made, which closes this action. "
            "What follows is acceptance, a revision or a cancellation request.",
        ),
    ),
    "nothing_delivered": CodeText(
        Text("Rien n’est livré", "Nothing delivered"),
        Text(
            "Aucune livraison n’a encore été faite. Cette action sera possible après la première.",
            "No delivery has been made yet. This action will be possible after the first one.",
        ),
    ),
    "not_in_progress": CodeText(
        Text("La commande n’est pas en cours", "Order not in progress"),
        Text(
            "Cette action suppose une commande en cours.[ Statut actuel : {status}.] "
            "Consultez les actions possibles pour savoir comment continuer.",
            "This action needs an order in progress.[ Current status: {status}.] "
            "See the possible actions for how to go on.",
        ),
    ),
    "not_delivered": CodeText(
        Text("Aucune livraison à examiner", "No delivery to examine"),
        Text(
            "Aucune livraison n’attend de réponse.[ Statut actuel : {status}.] "
            "Cette action sera possible après la prochaine livraison.",
            "No delivery awaits an answer.[ Current status: {status}.] "
            "This action will be possible after the next delivery.",
        ),
    ),
    "reminder_cooldown": CodeText(
        Text("Relance trop rapprochée", "Reminder too soon"),
        Text(
            "Vous avez relancé le vendeur récemment. "
            "Une nouvelle relance sera possible [à partir du {available_from}|un peu plus tard, si la commande court encore].",
            "You reminded the seller recently. Another reminder will be possible "
            "[from {available_from}|a little later, if the order still runs].",
        ),
    ),
    "reminder_required": CodeText(
        Text("Relance nécessaire", "Reminder required"),
        Text(
            "Avant de demander le remboursement, envoyez une relance : le silence du vendeur se compte à partir de là.",
            "Before you request a refund, send a reminder: the silence of the seller counts from then on.",
        ),
    ),
    "seller_not_silent": CodeText(
        Text("Silence non établi", "Silence not established"),
        Text(
            "Le silence du vendeur n’est pas établi. [S’il ne se manifeste pas, vous pourrez demander le remboursement "
            "à partir du {available_from}|Si besoin, relancez le vendeur : son silence se compte à partir de là].",
            "The silence of the seller is not established. [If the seller gives no sign, you can request a refund "
            "from {available_from}|If need be, send a reminder: the silence counts from then on].",
        ),
    ),
    "cancellation_pending": CodeText(
        Text("Demande déjà en attente", "Request already pending"),
        Text(
            "Une demande d’annulation ou de remboursement attend la réponse du vendeur. "
            "Attendez cette réponse ou retirez la demande.[ Prochaine demande possible au plus tôt le {available_from}.]",
            "A cancellation or refund request awaits the seller’s answer. "
            "Wait for that answer or withdraw the request.[ Another request is possible on {available_from} at the earliest.]",
        ),
    ),
    "no_cancellation_pending": CodeText(
        Text("Aucune demande en attente", "No request pending"),
        Text(
            "Aucune demande d’annulation ou de remboursement n’attend de réponse. "
            "Relisez la commande : elle montre ce qui est en cours.",
            "No cancellation or refund request awaits an answer. Read the order again: it shows what is pending.",
        ),
    ),
    "cancellation_cooldown": CodeText(
        Text("Demande trop rapprochée", "Request too soon"),
        Text(
            "Une demande d’annulation a été faite récemment. "
            "Vous pourrez en faire une autre [à partir du {available_from}|un peu plus tard, si la commande court encore].",
            "A cancellation request was made recently. You can make another "
            "[from {available_from}|a little later, if the order still runs].",
        ),
    ),
    "request_expired": CodeText(
        Text("Demande expirée", "Request expired"),
        Text(
            "La demande est restée sans réponse dans le délai prévu et a pris fin[ le {available_until}]. "
            "Relisez la commande : elle montre ce qui est possible maintenant.",
            "The request was not answered in time and came to an end[ on {available_until}]. "
            "Read the order again: it shows what is possible now.",
        ),
    ),
    "proposal_pending": CodeText(
        Text("Proposition en attente", "Proposal pending"),
        Text(
            "Une proposition attend déjà une réponse. "
            "Si elle vous est adressée, répondez-y ; si elle vient de vous, attendez la réponse ou retirez-la.",
            "A proposal already awaits an answer. "
            "If it is addressed to you, answer it; if it is yours, wait for the answer or withdraw it.",
        ),
    ),
    "proposal_void": CodeText(
        Text("Proposition caduque", "Proposal void"),
        Text(
            "Cette proposition n’est plus en attente. Relisez la commande : elle montre s’il y en a une autre.",
            "This proposal is no longer pending. Read the order again: it shows whether there is another.",
        ),
    ),
    "own_proposal": CodeText(
        Text("Votre propre proposition", "Your own proposal"),
        Text(
            "La réponse revient à l’autre partie. Attendez-la ou retirez votre proposition.",
            "The answer is up to the other party. Wait for it or withdraw your proposal.",
        ),
    ),
    "not_own_proposal": CodeText(
        Text("Proposition de l’autre partie", "The other party’s proposal"),
        Text(
            "Seul l’auteur d’une proposition peut la retirer. Vous pouvez l’accepter, la refuser ou en faire une autre.",
            "Only the author of a proposal can withdraw it. You can accept it, refuse it or make another.",
        ),
    ),
    "revision_pending": CodeText(
        Text("Retouche déjà demandée", "Revision already requested"),
        Text(
            "Une demande de retouche attend la réponse du vendeur. "
            "Attendez cette réponse, ou validez la livraison si elle vous convient.",
            "A revision request awaits the seller’s answer. "
            "Wait for that answer, or accept the delivery if it suits you.",
        ),
    ),
    "no_revision_pending": CodeText(
        Text("Aucune retouche en attente", "No revision pending"),
        Text(
            "Aucune demande de retouche n’attend de réponse. Relisez la commande : elle montre ce qui est en cours.",
            "No revision request awaits an answer. Read the order again: it shows what is pending.",
        ),
    ),
    "revision_already_refused": CodeText(
        Text("Retouche déjà refusée", "Revision already refused"),
        Text(
            "Une retouche de cette livraison a été refusée : vous ne pouvez pas en demander d’autre. "
            "Validez la livraison, ou ouvrez un litige si le désaccord demeure.",
            "A revision of this delivery was refused: you cannot request another. "
            "Accept the delivery, or open a dispute if you still disagree.",
        ),
    ),
    "order_in_dispute": CodeText(
        Text("Commande en litige", "Order in dispute"),
        Text(
            "Une commande de cette personne est en litige : rien n’en est effacé avant la fin du litige "
            "et du délai de conservation.",
            "An order of this person is in dispute: nothing of it is erased before the dispute and the retention period end.",
        ),
    ),
    "within_retention": CodeText(
        Text("Conservation en cours", "Within retention"),
        Text(
            "Une commande de cette personne doit encore être conservée. "
            "L’effacement sera possible [à partir du {available_from}|après sa fin et le délai de conservation].",
            "An order of this person must still be kept. "
            "Erasing will be possible [from {available_from}|after its end and the retention period].",
        ),
    ),
}
