"""The two stories of the demo: one that the parties end between themselves, and one that a mediator ends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.message import Message
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from brojobs_es.console.client import Reply, SandboxClient, wire
from brojobs_es.console.hanging import Hanging
from brojobs_es.console.timeline import moment
from brojobs_es.console.words import label
from brojobs_es.language import format_span, word

PEOPLE: Final = {
    "buyer": "camille",
    "seller": "sacha",
    "operator": "paiements",
    "mediator": "maud",
    "auditor": "aude",
}
PRICE: Final = {"amount": 25_000, "currency": "EUR"}
WIDE: Final = 80
"""From so many columns on, a step and what became of the order share a line."""
_STATUS_COLUMN: Final = 45
_H: Final = timedelta(hours=1)
_D: Final = timedelta(days=1)


class Unexpected(Exception):
    """The service did not do what the story says."""


class Stage:
    """Plays one order's story step by step and shows each step; raises Unexpected where the service disagrees."""

    def __init__(self, client: SandboxClient, console: Console, lang: str) -> None:
        self.client, self._console, self._lang = client, console, lang
        self.order_id, self.dispute_id = "", ""
        self.commands = 0
        self.reply = Reply(0, Message(), {})

    def at(self, instant: datetime) -> None:
        """Let time pass."""
        span = instant - self.client.now()
        self.client.move_to(instant)
        told = label("later", self._lang, span=format_span(span, self._lang), instant=moment(instant))
        overdue = f" · {label('overdue', self._lang)}" if self.sees()["overdue"] else ""
        self._console.print(Hanging(Text("      ── ", "yellow"), Text(f"{told}{overdue}", "yellow"), 9))

    def later(self, span: timedelta) -> None:
        """Let a span pass."""
        self.at(self.client.now() + span)

    def does(self, role: str, command: str, refused: str | None = None, key: str | None = None, **body: Any) -> Reply:
        """A command by the person who has this role; it succeeds, or is refused with this code."""
        headers = self.client.as_person(PEOPLE[role], role) | ({"Idempotency-Key": key} if key else {})
        self.reply = self.client.call("POST", self._path(command), _without_none(body), headers)
        self.commands += 1
        if command == "place" and self.reply.code is None:
            self.order_id = self.reply.body["order_id"]
        if command == "open-dispute" and self.reply.code is None:
            self.dispute_id = self.reply.body["dispute_id"]
        self._show(role, command)
        if self.reply.code != refused:
            expected = refused or "success"
            raise Unexpected(f"{command} by the {role}: expected {expected}, got {self.reply.status} {self.reply.body}")
        return self.reply

    def sees(self, path: str = "", **query: str) -> Any:
        """What an auditor reads of the order."""
        tail = "?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else ""
        headers = self.client.as_person(PEOPLE["auditor"], "auditor")
        reply = self.client.call("GET", f"/v1/orders/{self.order_id}{path}{tail}", headers=headers)
        if reply.code is not None:
            raise Unexpected(f"reading the order{path}: {reply.status} {reply.body}")
        return reply.body

    def uploads(self, name: str, drawing: str) -> str:
        """The seller puts a file on the order's shelf; its id."""
        headers = self.client.as_person(PEOPLE["seller"], "seller")
        reply = self.client.upload(self.order_id, name, f"<svg><!-- {drawing} --></svg>".encode(), headers)
        if reply.code is not None:
            raise Unexpected(f"uploading {name}: {reply.status} {reply.body}")
        return str(reply.body["file_id"])

    def _path(self, command: str) -> str:
        if command == "place":
            return "/v1/orders"
        of_dispute = command.removeprefix("dispute/")
        if of_dispute != command:
            return f"/v1/disputes/{self.dispute_id}/{of_dispute}"
        return f"/v1/orders/{self.order_id}/{command}"

    def _show(self, role: str, command: str) -> None:
        """One line where it fits; on a narrow terminal what became of the order stands below the command."""
        reply = self.reply
        line = Text(f"{self.commands:>4}  {word('role', role, self._lang):<10} {command}")
        if self._console.width < WIDE:
            self._console.print(line)
            line = Text(" " * 6)
        else:
            line.pad_right(_STATUS_COLUMN - line.cell_len)
        line.append(f"{reply.status}", "green" if reply.code is None else "red")
        outcome = Text()
        if self.order_id:
            order = self.sees()
            line.append(f"  v{order['version']:<4}", "bold")
            outcome.append(word("status", order["status"], self._lang), "bold")
        if reply.headers.get("Idempotency-Replayed") == "true":
            outcome.append(f" ({label('replayed', self._lang)})", "green")
        self._console.print(Hanging(line, outcome, line.cell_len) if outcome else line)
        if reply.code is not None:
            self._console.print(Hanging(Text(), Text(f"{reply.code}: {reply.body['detail']}", "dim"), 6))


def _without_none(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def renegotiated(stage: Stage) -> None:
    """Paid, late, reminded, renegotiated, delivered, revised, a cancellation refused, accepted."""
    due_at = stage.client.now() + 5 * _D
    _ordered_and_paid(stage, due_at)
    stage.at(due_at + _H)
    _late_and_renegotiated(stage, due_at)
    stage.later(_D)
    _delivered_and_revised(stage)
    stage.later(_D)
    second = stage.uploads("logo-2.svg", "second version")
    answers = [{"number": 1, "status": "addressed"}, {"number": 2, "status": "addressed", "note": "Recadré."}]
    stage.does("seller", "deliver", note="Deuxième version", files=[second], points=answers)
    stage.does("buyer", "accept-delivery")


def _ordered_and_paid(stage: Stage, due_at: datetime) -> None:
    stage.does(
        "buyer",
        "place",
        seller_id=PEOPLE["seller"],
        title="Un logo pour ma boulangerie",
        brief="Un épi de blé, deux couleurs, en SVG.",
        price=PRICE,
        due_at=wire(due_at),
    )
    stage.does("seller", "deliver", refused="not_paid", note="Déjà prêt", files=["0" * 64])
    paid: dict[str, Any] = {"payment_reference": "virement-7781", "amount": PRICE}
    stage.does("operator", "confirm-payment", **paid)
    stage.does("operator", "confirm-payment", **paid)  # told twice by the payment system: nothing happens
    for _ in range(2):  # and a client that lost the first answer asks again with its key
        text = "Bonjour Sacha, plutôt doré que jaune, s’il vous plaît."
        stage.does("buyer", "post-message", key=f"bonjour {stage.order_id}", text=text)
    stage.does("seller", "post-message", text="Bonjour Camille, c’est noté.")


def _late_and_renegotiated(stage: Stage, due_at: datetime) -> None:
    stage.does("buyer", "send-reminder", text="La date est passée, où en êtes-vous ?")
    stage.does("seller", "propose-deadline", due_at=wire(due_at + 4 * _D), comment="J’ai été souffrant.")
    stage.does("buyer", "propose-deadline", due_at=wire(due_at + 2 * _D), comment="Deux jours, pas plus.")
    proposal = stage.reply.body["deadline_proposal"]["proposal_id"]
    stage.does("seller", "accept-deadline", proposal_id=proposal)
    stage.does("buyer", "cancel-overdue", refused="not_overdue")


def _delivered_and_revised(stage: Stage) -> None:
    first = stage.uploads("logo-1.svg", "first version")
    stage.does("seller", "deliver", note="Première version", files=[first])
    stage.does("buyer", "post-message", refused="chat_locked", text="Merci !")
    points = [{"text": "Le doré tire sur le vert."}, {"text": "L’épi est coupé à droite."}]
    stage.does("buyer", "request-revision", points=points)
    stage.later(3 * _H)
    stage.does("seller", "accept-revision", due_at=wire(stage.client.now() + 2 * _D))
    stage.does("buyer", "request-cancellation", reason="delay")
    stage.does("seller", "refuse-cancellation", reason="La retouche est presque prête.")


def mediated(stage: Stage) -> None:
    """A revision refused opens the way to a dispute; a mediator hears both and divides the money."""
    stage.does(
        "buyer",
        "place",
        seller_id=PEOPLE["seller"],
        title="Une affiche pour la fête du quartier",
        brief="Format A2, texte lisible à cinq mètres.",
        price={"amount": 10_001, "currency": "EUR"},
        due_at=wire(stage.client.now() + 3 * _D),
    )
    stage.does(
        "operator",
        "confirm-payment",
        payment_reference="virement-7790",
        amount={"amount": 10_001, "currency": "EUR"},
    )
    stage.does("seller", "deliver", note="L’affiche", files=[stage.uploads("affiche.svg", "the poster")])
    stage.does("buyer", "open-dispute", refused="dispute_locked", **_opening())
    stage.does("buyer", "request-revision", points=[{"text": "Le texte ne se lit pas de loin."}])
    stage.does("seller", "refuse-revision", reason="La taille du texte est celle du modèle envoyé.")
    stage.does("buyer", "open-dispute", **_opening())
    stage.does("seller", "post-message", refused="chat_locked", text="Parlons-en ici.")
    stage.later(2 * _H)
    stage.does("mediator", "dispute/assign")
    stage.does("mediator", "dispute/request-information", **{"from": "seller", "question": "Quel modèle ?"})
    stage.does("seller", "dispute/submit-evidence", kind="statement", description="Le modèle du 12 : corps 18.")
    stage.does(
        "mediator",
        "dispute/decide",
        assignment=1,
        outcome="partial_refund",
        refund={"amount": 3_333, "currency": "EUR"},
        reason="Le modèle fixait la taille, mais le brief demandait cinq mètres : un tiers est rendu.",
    )


def _opening() -> dict[str, Any]:
    return {
        "statement": "Le brief demandait un texte lisible à cinq mètres.\nLa retouche a été refusée.",
        "evidence": [{"description": "Le brief et la livraison n° 1"}],
    }
