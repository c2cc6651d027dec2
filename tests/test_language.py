from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brojobs_es.aggregates.base import EVENTS, Role
from brojobs_es.aggregates.dispute_events import Evidence, EvidenceSubmitted, Outcome
from brojobs_es.aggregates.order_events import Refused
from brojobs_es.language import (
    CODES,
    LANGUAGES,
    SENTENCES,
    detail,
    sentence,
    title,
)
from brojobs_es.language.templates import holes

_DOCUMENTED = """
unauthenticated forbidden party_of_the_order not_found version_conflict invalid_request idempotency_key_reused
due_at_out_of_range amount_out_of_range amount_mismatch file_required unknown_file unknown_reference unknown_point
summary_too_long reason_required file_too_large too_many_requests try_again not_paid already_paid order_closed
order_frozen chat_locked chat_closed not_overdue already_delivered nothing_delivered not_in_progress not_delivered
reminder_cooldown reminder_required seller_not_silent cancellation_pending no_cancellation_pending
cancellation_cooldown request_expired proposal_pending proposal_void own_proposal not_own_proposal revision_pending
no_revision_pending revision_already_refused dispute_locked dispute_open disputes_exhausted dispute_closed
evidence_window already_assigned not_assigned stale_assignment outcome_not_available request_in_progress
order_in_dispute within_retention
"""
DOCUMENTED_CODES = frozenset(_DOCUMENTED.split())
EVENT_TYPES = {event.TOPIC.partition(":")[2]: event for event in EVENTS.values()}
AT = datetime(2026, 3, 3, 14, 5, tzinfo=UTC)
FACTS: dict[str, object] = {
    "available_from": AT,
    "available_until": AT,
    "status": "in_progress",
    "limit": 3,
    "name": "plan.pdf",
    "currency": "EUR",
    "amount": 10001,
}
DATA: dict[str, object] = {
    "title": {"of": "b", "text": "Logo"},
    "price": {"amount": 10001, "currency": "EUR"},
    "due_at": "2026-03-03T14:05:00.000000Z",
    "new_due_at": "2026-03-03T14:05:00.000000Z",
    "answer_by": "2026-03-03T14:05:00.000000Z",
    "auto_accepted_at": "2026-03-03T14:05:00.000000Z",
    "currency": "EUR",
    "amount_minor": 10001,
    "refund_minor": 3333,
    "payout_minor": 6002,
    "commission_minor": 666,
    "text": {"of": "b", "text": "Bonjour"},
    "comment": {"of": "b", "text": "Merci"},
    "note": {"of": "s", "text": "v1"},
    "statement": {"of": "b", "text": "v1"},
    "question": {"of": "m", "text": "v1"},
    "description": {"of": "b", "text": "v1"},
    "files": [{"file_id": "a"}, {"file_id": "b"}],
    "points": [{"number": 1}],
    "number": 1,
    "revision": 1,
    "assignment": 2,
    "refusal_count": 2,
    "late": True,
    "one_sided": True,
    "ground": "revision_refused",
    "outcome": "partial_refund",
    "how": "overtaken_by_delivery",
    "kind": "screenshot",
    "origin": "external",
    "asked": "seller",
    "role": "seller",
    "closed": ["cancellation", "revision"],
}
LEFTOVERS = re.compile(r"[{}\[\]|_]|  | [,.]|\(\)|None|::|: *[.)]|\.\.")


def assert_well_made(text: str) -> None:
    assert text == text.strip()
    assert text.endswith(".")
    assert text[0].isupper()
    assert not LEFTOVERS.search(text), text


# -- codes


def test_every_documented_code_has_its_texts_and_no_other() -> None:
    """The texts and the documented codes are the same set."""
    assert frozenset(CODES) == DOCUMENTED_CODES


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("facts", [{}, FACTS], ids=["nothing known", "all known"])
def test_a_detail_reads_well_with_and_without_facts(code: str, facts: dict[str, object]) -> None:
    """A detail is whole sentences in two languages, whatever is known."""
    french, english = (detail(code, lang, **facts) for lang in LANGUAGES)
    assert_well_made(french)
    assert_well_made(english)
    assert french != english


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_detail_shows_the_same_facts_in_both_languages(code: str) -> None:
    """Nobody learns less for reading the other language, and every hole is a fact that refusals offer."""
    text = CODES[code].detail
    assert holes(text.fr) == holes(text.en)
    assert holes(text.fr) <= FACTS.keys()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_detail_says_more_when_more_is_known(code: str) -> None:
    """Each fact that a text names is visible when it is given alone."""
    for name in holes(CODES[code].detail.fr) - {"amount"}:
        assert detail(code, "fr", **{name: FACTS[name]}) != detail(code, "fr")


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_title_is_short_and_translated(code: str) -> None:
    """A title is a few words in each language, without a full stop."""
    french, english = (title(code, lang) for lang in LANGUAGES)
    assert french != english
    for text in (french, english):
        assert 0 < len(text) <= 50
        assert text[0].isupper()
        assert not text.endswith(".")


def test_details_are_told_apart() -> None:
    """No two codes say the same."""
    assert len({detail(code, "fr") for code in CODES}) == len(CODES)
    assert len({title(code, "en") for code in CODES}) == len(CODES)


def test_the_instant_from_which_something_is_possible_is_rounded_up() -> None:
    """Who acts at the minute that a refusal names is never too early, nor too late."""
    just_after = AT + timedelta(microseconds=1)
    assert "à partir du 3 mars 2026 à 14:06 UTC" in detail("not_overdue", "fr", available_from=just_after)
    assert "from 3 March 2026 at 14:05 UTC" in detail("not_overdue", "en", available_from=AT)
    assert "14:05 UTC" in detail("due_at_out_of_range", "en", available_until=just_after)


def test_facts_are_shown_in_the_readers_language() -> None:
    """Statuses, money and sizes are translated, not printed as codes."""
    assert "Cette commande est annulée" in detail("order_closed", "fr", status="cancelled")
    assert "This order is cancelled" in detail("order_closed", "en", status="cancelled")
    assert "100,01 EUR" in detail("amount_mismatch", "fr", amount={"amount": 10001, "currency": "EUR"})
    assert "EUR 100.01" in detail("amount_mismatch", "en", amount=10001, currency="EUR")
    assert "in the currency of the order (EUR)" in detail("amount_mismatch", "en", currency="EUR")
    assert "50,000,000 bytes" in detail("file_too_large", "en", limit=50_000_000)


@pytest.mark.parametrize("facts", [{"status": "nonsense"}, {"available_from": "soon"}, {"amount": 5}, {"limit": None}])
def test_facts_that_cannot_be_shown_are_left_out(facts: dict[str, object]) -> None:
    """A wrong fact gives the plain text, not an error nor a raw value."""
    for code in CODES:
        assert detail(code, "fr", **facts) == detail(code, "fr")


@pytest.mark.parametrize(("code", "lang"), [("no_such_code", "fr"), ("not_paid", "de")])
def test_unknown_codes_and_languages_are_refused(code: str, lang: str) -> None:
    """A code without a text and a language without texts are mistakes of the caller."""
    with pytest.raises(KeyError):
        title(code, lang)
    with pytest.raises(KeyError):
        detail(code, lang)


# -- events


def test_every_event_has_a_sentence_and_no_other() -> None:
    """The timeline can tell everything that may stand in the log."""
    assert SENTENCES.keys() == EVENT_TYPES.keys()


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_a_sentence_names_only_what_the_event_holds(event_type: str) -> None:
    """A hole that no field can fill would stay empty for ever."""
    event = EVENT_TYPES[event_type]
    names = {field.name.removesuffix("_minor") for field in fields(event)} | {"who"}
    if event is EvidenceSubmitted:
        names |= {field.name for field in fields(Evidence)} | {"external"}
    text = SENTENCES[event_type]
    assert holes(text.fr) == holes(text.en)
    assert holes(text.fr) <= names


@pytest.mark.parametrize("event_type", sorted(SENTENCES))
def test_a_sentence_reads_well_whatever_is_known(event_type: str) -> None:
    """One sentence of at most 200 characters in each language, whoever acted."""
    for role, data in product((None, *Role), ({}, DATA)):
        french, english = (sentence(event_type, data, lang, role) for lang in LANGUAGES)
        assert french != english
        for text in (french, english):
            assert_well_made(text)
            assert len(text) <= 200, text


@pytest.mark.parametrize("event_type", sorted(SENTENCES))
def test_a_sentence_shows_what_the_event_holds(event_type: str) -> None:
    """Each field that a sentence names changes it when it is known alone, but for parts of a pair."""
    bare = sentence(event_type, {}, "en", None)
    minor = {"amount", "refund", "payout", "commission"}
    for name in holes(SENTENCES[event_type].en) - {"who", "external", "payout", "reason"}:
        known = {name: DATA[name]} if name not in minor else {f"{name}_minor": DATA[f"{name}_minor"], "currency": "EUR"}
        if event_type == "DisputeDecided":
            known["outcome"] = "partial_refund"
        assert sentence(event_type, known, "en", None) != bare


@pytest.mark.parametrize(
    ("event_type", "data", "role", "french", "english"),
    [
        (
            "OrderPlaced",
            DATA,
            "buyer",
            "L’acheteur a passé la commande « Logo » pour 100,01 EUR, à livrer avant le 3 mars 2026 à 14:05 UTC.",
            "The buyer placed the order “Logo” for EUR 100.01, to be delivered before 3 March 2026 at 14:05 UTC.",
        ),
        (
            "CancelRefused",
            {"refusal_count": 2, "how": "in_words", "reason": {"of": "s", "text": "Presque fini"}},
            "seller",
            "Le vendeur a refusé d’annuler (refus n° 2) : « Presque fini ».",
            "The seller refused to cancel (refusal no. 2): “Presque fini”.",
        ),
        (
            "CancelRefused",
            {"refusal_count": 1, "how": Refused.OVERTAKEN_BY_DELIVERY, "reason": None},
            "seller",
            "Le vendeur a refusé d’annuler (refus n° 1) : livraison faite au lieu d’une réponse.",
            "The seller refused to cancel (refusal no. 1): delivered instead of answering.",
        ),
        (
            "OrderCancelled",
            {"reason": "payment_expired"},
            "time",
            "La commande est annulée : paiement non reçu à temps.",
            "The order is cancelled: payment not received in time.",
        ),
        (
            "EscrowReleased",
            {"payout_minor": 10001, "commission_minor": 0, "currency": "EUR"},
            "buyer",
            "La somme en séquestre est à verser au vendeur : 100,01 EUR.",
            "The money in escrow is to be paid to the seller: EUR 100.01.",
        ),
        (
            "EvidenceSubmitted",
            {"evidence": {"kind": "screenshot", "origin": "external", "late": False, "description": {"text": "Chat"}}},
            "seller",
            "Le vendeur a déposé une pièce (capture d’écran) extérieure à la plateforme : « Chat ».",
            "The seller submitted evidence (screenshot) from outside the platform: “Chat”.",
        ),
        (
            "DisputeDecided",
            {"outcome": Outcome.PARTIAL_REFUND, "refund": {"amount": 3333, "currency": "EUR"}, "one_sided": False},
            "mediator",
            "Le médiateur a rendu sa décision : remboursement partiel de 33,33 EUR.",
            "The mediator decided: partial refund of EUR 33.33.",
        ),
        (
            "DisputeDecided",
            {"outcome": "relaunch", "due_at": AT, "one_sided": True, "reason": {"of": "m", "text": "Bons progrès"}},
            "mediator",
            (
                "Le médiateur a rendu sa décision : reprise de la commande, à livrer avant le 3 mars 2026 à 14:05 UTC, "
                "avec les éléments d’une seule partie ; motif : « Bons progrès »."
            ),
            (
                "The mediator decided: order put back in progress, to be delivered before 3 March 2026 at 14:05 UTC, "
                "on the evidence of one side only; reason: “Bons progrès”."
            ),
        ),
        (
            "CancellationRequested",
            {"reason": "delay", "comment": None, "answer_by": AT},
            "buyer",
            "L’acheteur a demandé à annuler (retard), réponse attendue avant le 3 mars 2026 à 14:05 UTC.",
            "The buyer asked to cancel (delay), answer expected before 3 March 2026 at 14:05 UTC.",
        ),
        (
            "PersonErased",
            {"person": "s", "role": "seller", "generations": [1], "reason": {"of": "o", "text": "Demande du 3 mars"}},
            "operator",
            "Les textes et fichiers d’une personne (vendeur) ont été effacés : « Demande du 3 mars ».",
            "The words and files of a person (seller) were erased: “Demande du 3 mars”.",
        ),
        (
            "RequestsSuperseded",
            {"closed": ["cancellation", "deadline_proposal"]},
            None,
            "Ce qui attendait une réponse est devenu sans objet : demande d’annulation, proposition de date.",
            "What was awaiting an answer no longer applies: cancellation request, deadline proposal.",
        ),
    ],
)
def test_sentences_as_people_read_them(
    event_type: str, data: dict[str, object], role: str | None, french: str, english: str
) -> None:
    """Samples, word for word; French spaces before high punctuation do not break."""
    assert sentence(event_type, data, "fr", role).replace("\u00a0", " ") == french
    assert sentence(event_type, data, "en", role) == english


def test_french_does_not_part_a_number_from_its_sign() -> None:
    """« n° » and its number stay on one line, as do a word and its colon."""
    told = sentence("CancelRefused", {"refusal_count": 2, "reason": {"of": "s", "text": "Non"}}, "fr", "seller")
    assert told == "Le vendeur a refusé d’annuler (refus n°\u00a02)\u00a0: «\u00a0Non\u00a0»."


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_private_note_is_never_quoted(lang: str) -> None:
    """The sentence of a mediator's note is the same whatever the note says."""
    note = {"text": {"of": "m", "text": "secret"}}
    assert sentence("MediatorNoteAdded", note, lang, "mediator") == sentence("MediatorNoteAdded", {}, lang, "mediator")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.datetimes() | st.timedeltas() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["of", "text", "amount", "currency"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    event_type=st.sampled_from(sorted(SENTENCES)),
    data=st.dictionaries(st.sampled_from([*sorted(DATA), "evidence", "reason"]), JUNK, max_size=6),
    lang=st.sampled_from(LANGUAGES),
    role=st.none() | st.text(max_size=5) | st.sampled_from(list(Role)),
)
def test_no_data_makes_a_sentence_fail(event_type: str, data: dict[str, object], lang: str, role: str | None) -> None:
    """Whatever the fields hold, there is one line of text."""
    text = sentence(event_type, data, lang, role)
    assert text.endswith(".")
    assert len(text.splitlines()) == 1


@given(facts=st.dictionaries(st.sampled_from(sorted(FACTS)), JUNK), code=st.sampled_from(sorted(CODES)))
def test_no_fact_makes_a_detail_fail(facts: dict[str, object], code: str) -> None:
    """Whatever the facts hold, there is one line of text."""
    text = detail(code, "en", **facts)
    assert text.endswith(".")
    assert len(text.splitlines()) == 1
