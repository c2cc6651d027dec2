"""The support summary: what happened on the platform, in a few short lines, French or English.

Only facts of the platform are in it; what somebody brought along from elsewhere is not. Every line fits the order's
terms (10 lines of 120 characters by default); a text that does not is cut with an ellipsis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from brojobs_es.aggregates import order_events as e
from brojobs_es.aggregates.base import Event, Role
from brojobs_es.aggregates.dispute import Dispute
from brojobs_es.aggregates.dispute_events import Origin
from brojobs_es.aggregates.order import Order
from brojobs_es.case import Case
from brojobs_es.language import format_instant, format_money, word

_WORDS = {
    "fr": {
        "order": "Commande : {status} ; prix {price} ; séquestre {held}",
        "before_dispute": " (avant le litige : {status})",
        "ended": "Fin : {reason}, le {at} ; remboursé {refunded}, versé {released}",
        "deliveries": "Livraisons : {count}, la dernière le {at}",
        "no_delivery": "Livraisons : aucune ; date de livraison estimée : {due}",
        "late": " (en retard)",
        "revision": "Retouche {number} : {status} ; points traités {addressed} sur {points}",
        "requests": "Annulation ou remboursement : {asked} demande(s), {refused} refus sur {needed} pour débloquer le litige",
        "refusal": "Dernier refus : « {reason} »",
        "reminders": "Relances : {count}, la dernière le {at}",
        "silent": " ; silence du vendeur constaté",
        "proposals": "Délais proposés : {deadlines}, acceptés : {agreed} ; accords amiables proposés : {settlements}",
        "messages": "Messages : acheteur {buyer}, vendeur {seller}",
        "unlocked": "Litige débloqué par : {grounds}",
        "dispute": "Litige {number} : {ground}, ouvert par {by} le {at}",
        "evidence": "Pièces de la plateforme : acheteur {buyer}, vendeur {seller}",
    },
    "en": {
        "order": "Order: {status}; price {price}; escrow {held}",
        "before_dispute": " (before the dispute: {status})",
        "ended": "End: {reason}, on {at}; refunded {refunded}, released {released}",
        "deliveries": "Deliveries: {count}, the last on {at}",
        "no_delivery": "Deliveries: none; expected by {due}",
        "late": " (late)",
        "revision": "Revision {number}: {status}; points addressed {addressed} of {points}",
        "requests": "Cancellation or refund: {asked} request(s), {refused} refusal(s) of {needed} that unlock the dispute",
        "refusal": 'Last refusal: "{reason}"',
        "reminders": "Reminders: {count}, the last on {at}",
        "silent": "; the seller's silence is established",
        "proposals": "Deadlines proposed: {deadlines}, agreed: {agreed}; settlements proposed: {settlements}",
        "messages": "Messages: buyer {buyer}, seller {seller}",
        "unlocked": "Dispute unlocked by: {grounds}",
        "dispute": "Dispute {number}: {ground}, opened by {by} on {at}",
        "evidence": "Evidence of the platform: buyer {buyer}, seller {seller}",
    },
}


@dataclass(frozen=True, slots=True)
class KeyDates:
    """The instants that support asks for first."""

    placed_at: datetime
    paid_at: datetime | None
    due_at: datetime
    last_delivery_at: datetime | None
    dispute_opened_at: datetime | None
    ended_at: datetime | None


def key_dates(case: Case) -> KeyDates:
    """The key dates of an order."""
    order, dispute = case.order, case.dispute
    return KeyDates(
        placed_at=order.placed_at,
        paid_at=order.paid_at,
        due_at=order.due_at,
        last_delivery_at=order.deliveries[-1].delivered_at if order.deliveries else None,
        dispute_opened_at=dispute.opened_at if dispute else None,
        ended_at=order.ended_at,
    )


def support_summary(case: Case, events: Sequence[Event], language: str) -> list[str]:
    """At most as many lines as the terms allow, the most telling first."""
    terms = case.order.terms
    lines = [" ".join(line.split()) for line in _lines(case, events, language)]
    return [_cut(line, terms.summary_line_chars_max) for line in lines[: terms.summary_lines_max]]


def _lines(case: Case, events: Sequence[Event], language: str) -> Iterator[str]:
    say, order, dispute = _WORDS[language], case.order, case.dispute
    yield _standing(order, language)
    if order.ended:
        yield _end(order, language)
    if dispute:
        yield say["dispute"].format(
            number=dispute.number,
            ground=word("ground", dispute.ground, language),
            by=word("role", dispute.opened_by, language),
            at=format_instant(dispute.opened_at, language),
        )
        yield say["evidence"].format(buyer=_pieces(dispute, Role.BUYER), seller=_pieces(dispute, Role.SELLER))
    yield _deliveries(order, language)
    if order.revision:
        revision = order.revision
        yield say["revision"].format(
            number=revision.number,
            status=word("revision_status", revision.status, language),
            addressed=sum(answer.status == "addressed" for answer in revision.answers),
            points=len(revision.points),
        )
    yield from _refusals(order, events, language)
    yield from _talk(order, events, language)
    if order.unlocks:
        grounds = ", ".join(word("ground", unlock.ground, language) for unlock in order.unlocks)
        yield say["unlocked"].format(grounds=grounds)


def _standing(order: Order, language: str) -> str:
    currency = order.price.currency
    line = _WORDS[language]["order"].format(
        status=word("status", order.status, language),
        price=format_money(order.price.amount, currency, language),
        held=format_money(order.held_minor, currency, language),
    )
    if order.status_before_dispute:
        before = word("status", order.status_before_dispute, language)
        line += _WORDS[language]["before_dispute"].format(status=before)
    return line


def _end(order: Order, language: str) -> str:
    assert order.ended_at is not None
    currency = order.price.currency
    return _WORDS[language]["ended"].format(
        reason=word("ending", order.ending or "", language),
        at=format_instant(order.ended_at, language),
        refunded=format_money(order.refunded_minor, currency, language),
        released=format_money(order.released_minor, currency, language),
    )


def _deliveries(order: Order, language: str) -> str:
    say = _WORDS[language]
    if not order.deliveries:
        return say["no_delivery"].format(due=format_instant(order.due_at, language))
    last = order.deliveries[-1]
    line = say["deliveries"].format(count=last.number, at=format_instant(last.delivered_at, language))
    return line + (say["late"] if last.late else "")


def _refusals(order: Order, events: Iterable[Event], language: str) -> Iterator[str]:
    say = _WORDS[language]
    asked = [event for event in events if isinstance(event, e.CancellationRequested | e.RefundRequested)]
    if not asked:
        return
    needed = order.terms.refusals_to_unlock_dispute
    yield say["requests"].format(asked=len(asked), refused=len(order.refusals), needed=needed)
    reasons = [event.reason for event in events if isinstance(event, e.CancelRefused) and event.reason]
    if reasons:
        yield say["refusal"].format(reason=reasons[-1].text)


def _talk(order: Order, events: Sequence[Event], language: str) -> Iterator[str]:
    say = _WORDS[language]
    reminders = [event for event in events if isinstance(event, e.SellerReminded)]
    if reminders:
        line = say["reminders"].format(count=len(reminders), at=format_instant(reminders[-1].effective_at, language))
        yield line + (say["silent"] if order.silence_established else "")
    deadlines = sum(isinstance(event, e.DeadlineProposed) for event in events)
    settlements = sum(isinstance(event, e.SettlementProposed) for event in events)
    if deadlines or settlements:
        agreed = sum(isinstance(event, e.DeadlineAgreed) for event in events)
        yield say["proposals"].format(deadlines=deadlines, agreed=agreed, settlements=settlements)
    writers = [event.cause.actor.role for event in events if isinstance(event, e.MessagePosted)]
    yield say["messages"].format(buyer=writers.count(Role.BUYER), seller=writers.count(Role.SELLER))


def _pieces(dispute: Dispute, side: Role) -> int:
    return sum(piece.by is side and piece.origin is Origin.PLATFORM for piece in dispute.evidence)


def _cut(line: str, most: int) -> str:
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
