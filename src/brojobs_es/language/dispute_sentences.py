"""One sentence for each event of a dispute. `{who}` is whoever acted and is missing when a timer did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brojobs_es.language.templates import Text

DISPUTE_SENTENCES: Final[Mapping[str, Text]] = {
    "DisputeOpened": Text(
        "[{who} a ouvert un litige|Litige ouvert][ ({ground})][ : {statement}].",
        "[{who} opened a dispute|Dispute opened][ ({ground})][: {statement}].",
    ),
    "MediatorAssigned": Text(
        "Le litige est confié à un médiateur[ (attribution n° {assignment})].",
        "The dispute is assigned to a mediator[ (assignment no. {assignment})].",
    ),
    "DisputeMessagePosted": Text(
        "[{who} a écrit dans le fil de litige|Message publié dans le fil de litige][ : {text}][ ({files})].",
        "[{who} wrote in the dispute thread|Message posted in the dispute thread][: {text}][ ({files})].",
    ),
    # The text of a private note stays out, so that this sentence can never show it to a party.
    "MediatorNoteAdded": Text("Le médiateur a ajouté une note privée.", "The mediator added a private note."),
    "InformationRequested": Text(
        "Le médiateur a posé une question[ {asked}][ : {question}][, réponse attendue avant le {answer_by}].",
        "The mediator asked[ {asked}] a question[: {question}][, answer expected before {answer_by}].",
    ),
    "EvidenceSubmitted": Text(
        "[{who} a déposé une pièce|Pièce déposée][ ({kind})][ {external}][, hors délai{late}][ : {description}].",
        "[{who} submitted evidence|Evidence submitted][ ({kind})][ {external}][, late{late}][: {description}].",
    ),
    "DisputeDecided": Text(
        "Le médiateur a rendu sa décision[ : {outcome} de {refund}| : {outcome}][, à livrer avant le {due_at}]"
        "[, avec les éléments d’une seule partie{one_sided}][ ; motif : {reason}].",
        "The mediator decided[: {outcome} of {refund}|: {outcome}][, to be delivered before {due_at}]"
        "[, on the evidence of one side only{one_sided}][; reason: {reason}].",
    ),
    "DisputeWithdrawn": Text(
        "[{who} a retiré son litige|Litige retiré][ : {comment}].",
        "[{who} withdrew the dispute|Dispute withdrawn][: {comment}].",
    ),
    "DisputeClosed": Text("Le litige est clos[ : {outcome}].", "The dispute is closed[: {outcome}]."),
    "MediatorAssignmentOverdue": Text(
        "Aucun médiateur n’a pris le litige en charge dans le délai prévu.",
        "No mediator took charge of the dispute in time.",
    ),
    "ResponseWindowClosed": Text(
        "Le délai de réponse au litige est écoulé[ sans que chaque partie ait déposé ses éléments{one_sided}].",
        "The period for answering the dispute is over[ and not every party has submitted evidence{one_sided}].",
    ),
    "DecisionOverdue": Text(
        "La décision n’a pas été rendue dans le délai prévu.",
        "The decision was not made in time.",
    ),
}
