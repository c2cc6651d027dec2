"""One sentence for each event of an order. `{who}` is whoever acted and is missing when a timer did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import Text

ORDER_SENTENCES: Final[Mapping[str, Text]] = {
    # -- ordering and paying
    "OrderPlaced": Text(
        "L’acheteur a passé la commande[ {title}][ pour {price}][, à livrer avant le {due_at}].",
        "The buyer placed the order[ {title}][ for {price}][, to be delivered before {due_at}].",
    ),
    "EscrowFunded": Text(
        "Le paiement[ de {amount}] est confirmé et placé en séquestre.",
        "The payment[ of {amount}] is confirmed and held in escrow.",
    ),
    "PaymentExpired": Text(
        "Le paiement n’a pas été reçu dans le délai prévu.",
        "The payment was not received in time.",
    ),
    # -- talking, reminding, silence
    "MessagePosted": Text(
        "[{who} a écrit|Message publié][ : {text}][ ({files})].",
        "[{who} wrote|Message posted][: {text}][ ({files})].",
    ),
    "SellerReminded": Text(
        "L’acheteur a envoyé une relance au vendeur[ : {text}].",
        "The buyer sent the seller a reminder[: {text}].",
    ),
    "SellerSilenceEstablished": Text(
        "Le silence du vendeur est établi : l’acheteur peut demander le remboursement.",
        "The silence of the seller is established: the buyer can request a refund.",
    ),
    "RefundRequested": Text(
        "L’acheteur a demandé le remboursement[ : {comment}][, réponse attendue avant le {answer_by}].",
        "The buyer requested a refund[: {comment}][, answer expected before {answer_by}].",
    ),
    "RefundGrantedBySilence": Text(
        "Le vendeur n’a pas répondu à la demande : le remboursement est accordé.",
        "The seller did not answer the request: the refund is granted.",
    ),
    # -- deadlines
    "DeliveryOverdue": Text(
        "Délai dépassé : la livraison attendue[ avant le {due_at}] n’a pas été faite.",
        "Overdue: [the delivery expected before {due_at}|the expected delivery] was not made.",
    ),
    "DeadlineProposed": Text(
        "[{who} a proposé une nouvelle date de livraison|Nouvelle date de livraison proposée]"
        "[ : {new_due_at}][ ({comment})].",
        "[{who} proposed a new delivery date|New delivery date proposed][: {new_due_at}][ ({comment})].",
    ),
    "DeadlineAgreed": Text(
        "[{who} a accepté la nouvelle date de livraison|Nouvelle date de livraison acceptée][ : {due_at}].",
        "[{who} accepted the new delivery date|New delivery date accepted][: {due_at}].",
    ),
    "DeadlineRefused": Text(
        "[{who} a refusé la nouvelle date de livraison|Nouvelle date de livraison refusée].",
        "[{who} refused the new delivery date|New delivery date refused].",
    ),
    "DeadlineWithdrawn": Text(
        "[{who} a retiré sa proposition de date|Proposition de date retirée].",
        "[{who} withdrew the proposed date|Proposed date withdrawn].",
    ),
    "DeadlineProposalExpired": Text(
        "La proposition de date a expiré sans réponse.",
        "The proposed date expired without an answer.",
    ),
    # -- cancelling
    "CancellationRequested": Text(
        "L’acheteur a demandé à annuler[ ({reason})][ : {comment}][, réponse attendue avant le {answer_by}].",
        "The buyer asked to cancel[ ({reason})][: {comment}][, answer expected before {answer_by}].",
    ),
    "CancellationAccepted": Text("Le vendeur a accepté d’annuler.", "The seller agreed to cancel."),
    "CancelRefused": Text(
        "Le vendeur a refusé d’annuler[ (refus n° {refusal_count})][ : {reason}| : {how}].",
        "The seller refused to cancel[ (refusal no. {refusal_count})][: {reason}|: {how}].",
    ),
    "CancellationWithdrawn": Text("L’acheteur a retiré sa demande.", "The buyer withdrew the request."),
    "CancellationRequestExpired": Text(
        "Le vendeur n’a pas répondu à la demande d’annulation, ce qui compte comme un refus[ (n° {refusal_count})].",
        "The seller did not answer the cancellation request, which counts as a refusal[ (no. {refusal_count})].",
    ),
    # -- delivering and validating
    "Delivered": Text(
        "Le vendeur a fait la livraison[ n° {number}][ en réponse à la retouche n° {revision}][ ({files})]"
        "[, après la date prévue{late}][ : {note}].",
        "The seller made delivery[ no. {number}][ in answer to revision no. {revision}][ ({files})]"
        "[, after the expected date{late}][: {note}].",
    ),
    "DeliveryAccepted": Text(
        "L’acheteur a validé la livraison[ n° {number}].",
        "The buyer accepted delivery[ no. {number}].",
    ),
    "ValidationReminderSent": Text(
        "Rappel à l’acheteur : [sans réponse, la livraison sera validée le {auto_accepted_at}"
        "|la livraison attend sa réponse].",
        "Reminder to the buyer: [without an answer, the delivery will be accepted on {auto_accepted_at}"
        "|the delivery awaits an answer].",
    ),
    "DeliveryAutoAccepted": Text(
        "Sans réponse de l’acheteur, la livraison[ n° {number}] est validée automatiquement.",
        "Without an answer from the buyer, delivery[ no. {number}] is accepted automatically.",
    ),
    # -- revisions
    "RevisionRequested": Text(
        "L’acheteur a demandé une retouche[ (n° {number})][ sur {points}][, réponse attendue avant le {answer_by}].",
        "The buyer requested a revision[ (no. {number})][ of {points}][, answer expected before {answer_by}].",
    ),
    "RevisionAccepted": Text(
        "Le vendeur a accepté la retouche[ n° {number}][, à livrer avant le {due_at}].",
        "The seller accepted the revision[ (no. {number})][, to be delivered before {due_at}].",
    ),
    "RevisionRefused": Text(
        "Le vendeur a refusé la retouche[ n° {number}][ : {reason}].",
        "The seller refused the revision[ (no. {number})][: {reason}].",
    ),
    "RevisionRequestExpired": Text(
        "Le vendeur n’a pas répondu à la demande de retouche[ n° {number}].",
        "The seller did not answer the revision request[ (no. {number})].",
    ),
    "RevisionOverdue": Text(
        "Délai dépassé : la retouche[ n° {number}][ attendue avant le {due_at}] n’a pas été livrée.",
        "Overdue: the revision[ (no. {number})][ expected before {due_at}] was not delivered.",
    ),
    # -- settling and conceding
    "SettlementProposed": Text(
        "[{who} a proposé un accord amiable|Accord amiable proposé][ : {refund} pour l’acheteur][ ({comment})].",
        "[{who} proposed a settlement|Settlement proposed][: {refund} for the buyer][ ({comment})].",
    ),
    "SettlementAgreed": Text(
        "[{who} a accepté l’accord amiable|Accord amiable accepté][ : {refund} pour l’acheteur].",
        "[{who} accepted the settlement|Settlement accepted][: {refund} for the buyer].",
    ),
    "SettlementRefused": Text(
        "[{who} a refusé l’accord amiable|Accord amiable refusé].",
        "[{who} refused the settlement|Settlement refused].",
    ),
    "SettlementWithdrawn": Text(
        "[{who} a retiré sa proposition d’accord amiable|Proposition d’accord amiable retirée].",
        "[{who} withdrew the proposed settlement|Proposed settlement withdrawn].",
    ),
    "SettlementProposalExpired": Text(
        "La proposition d’accord amiable a expiré sans réponse.",
        "The proposed settlement expired without an answer.",
    ),
    "SellerConceded": Text(
        "Le vendeur a renoncé à la commande : l’acheteur est remboursé intégralement[ ({comment})].",
        "The seller conceded the order: the buyer is refunded in full[ ({comment})].",
    ),
    # -- disputes, as the order sees them
    "DisputeUnlocked": Text(
        "L’acheteur peut désormais ouvrir un litige[ : {ground}].",
        "The buyer can now open a dispute[: {ground}].",
    ),
    "DisputeUnlockTakenBack": Text(
        "Un motif de litige ne tient plus[ : {ground}].",
        "A ground for a dispute no longer holds[: {ground}].",
    ),
    "OrderFrozen": Text(
        "La commande est gelée pendant le litige[ n° {number}].",
        "The order is frozen during the dispute[ (no. {number})].",
    ),
    "OrderUnfrozen": Text(
        "La commande reprend là où elle en était[ (date de livraison estimée : {due_at})].",
        "The order goes on from where it was[ (expected delivery date: {due_at})].",
    ),
    "OrderRelaunched": Text(
        "La commande est remise en cours[, à livrer avant le {due_at}].",
        "The order is put back in progress[, to be delivered before {due_at}].",
    ),
    "RequestsSuperseded": Text(
        "Ce qui attendait une réponse est devenu sans objet[ : {closed}].",
        "What was awaiting an answer no longer applies[: {closed}].",
    ),
    # -- ending, and the money
    "OrderCompleted": Text("La commande est terminée[ : {reason}].", "The order is completed[: {reason}]."),
    "OrderCancelled": Text("La commande est annulée[ : {reason}].", "The order is cancelled[: {reason}]."),
    "EscrowRefunded": Text(
        "La somme en séquestre est à rembourser à l’acheteur[ : {refund}].",
        "The money in escrow is to be refunded to the buyer[: {refund}].",
    ),
    "EscrowReleased": Text(
        "La somme en séquestre est à verser au vendeur[ : {payout}][ (commission : {commission})].",
        "The money in escrow is to be paid to the seller[: {payout}][ (commission: {commission})].",
    ),
    "EscrowSplit": Text(
        "La somme en séquestre est partagée[ : {refund} à l’acheteur, {payout} au vendeur| : {refund} à l’acheteur]"
        "[ (commission : {commission})].",
        "The money in escrow is divided[: {refund} to the buyer, {payout} to the seller|: {refund} to the buyer]"
        "[ (commission: {commission})].",
    ),
    "EscrowAgeAlarmRaised": Text(
        "La somme est en séquestre depuis longtemps : un opérateur peut ouvrir un litige.",
        "The money has long been in escrow: an operator can open a dispute.",
    ),
    "ChatClosed": Text("La conversation est close.", "The chat is closed."),
    # -- erasing
    "PersonErased": Text(
        "Les textes et fichiers d’une personne[ ({role})] ont été effacés[ : {reason}].",
        "The words and files of a person[ ({role})] were erased[: {reason}].",
    ),
}
