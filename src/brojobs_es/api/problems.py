"""Errors on the wire: RFC 9457 problem details, in the reader's language, switched on by `code`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from starlette.responses import JSONResponse

from brojobs_es.aggregates.commands.bodies import OWN_CODES
from brojobs_es.api.render import instant, money
from brojobs_es.errors import Refusal
from brojobs_es.language import CODES, detail, title
from brojobs_es.money import Money

LANGUAGES: Final = ("fr", "en")

_STATUS: Final[Mapping[int, frozenset[str]]] = {
    401: frozenset({"unauthenticated"}),
    403: frozenset({"forbidden", "party_of_the_order"}),
    404: frozenset({"not_found"}),
    413: frozenset({"file_too_large"}),
    422: frozenset(
        {
            "invalid_request",
            "idempotency_key_reused",
            "due_at_out_of_range",
            "amount_out_of_range",
            "amount_mismatch",
            "file_required",
            "unknown_file",
            "unknown_reference",
            "unknown_point",
            "summary_too_long",
            "reason_required",
        }
    ),
    429: frozenset({"too_many_requests"}),
    503: frozenset({"try_again"}),
}
STATUS: Final[Mapping[str, int]] = {code: status for status, codes in _STATUS.items() for code in codes}
RETRY_AFTER_SECONDS: Final = {"try_again": "1", "too_many_requests": "1"}


def status_of(code: str) -> int:
    """The HTTP status of a code; every rule of the domain is 409."""
    assert code in CODES
    return STATUS.get(code, HTTPStatus.CONFLICT)


def language_of(accept_language: str | None, default: str) -> str:
    """The first of French and English that the header prefers; `default` for anything else."""
    best, language = 0.0, default
    for part in (accept_language or "")[:1000].split(","):
        tag, _, quality = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{1,3})?)\s*", quality)
        q = float(weight[1]) if weight else (0.0 if quality else 1.0)
        primary = tag.strip().lower().partition("-")[0]
        if primary in LANGUAGES and q > best:
            best, language = q, primary
    return language


def problem(code: str, language: str, base_url: str, *, status: int | None = None, **more: Any) -> JSONResponse:
    """A problem document. `more` may hold `facts` for the sentence and members of the document."""
    facts = more.pop("facts", {})
    status = status or status_of(code)
    document = {
        "type": f"{base_url}/problems/{code}",
        "title": title(code, language),
        "status": status,
        "detail": detail(code, language, **facts),
        "code": code,
        **{name: value for name, value in more.items() if value not in (None, [])},
    }
    headers = {"Content-Language": language}
    if code in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = RETRY_AFTER_SECONDS[code]
    if code == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def refusal_facts(refusal: Refusal) -> dict[str, Any]:
    """What the sentence of a refusal may name."""
    facts = {name: _plain(value) for name, value in refusal.facts.items()}
    facts |= {"available_from": refusal.available_from, "available_until": refusal.available_until}
    return {name: value for name, value in facts.items() if value is not None}


def _plain(value: Any) -> Any:
    return money(value.amount, value.currency) if isinstance(value, Money) else value


def of_refusal(refusal: Refusal, language: str, base_url: str) -> JSONResponse:
    """The problem that a refusal of the domain is. A version conflict is 412 unless it was a lost race."""
    precondition = refusal.code == "version_conflict" and not refusal.facts.get("race")
    errors = []
    if "field" in refusal.facts:
        errors = [{"loc": [refusal.facts["field"]], "msg": refusal.facts["message"]}]
    return problem(
        refusal.code,
        language,
        base_url,
        status=HTTPStatus.PRECONDITION_FAILED if precondition else None,
        facts=refusal_facts(refusal),
        available_from=instant(refusal.available_from),
        available_until=instant(refusal.available_until),
        unlocked_by=list(refusal.unlocked_by),
        current_version=refusal.facts.get("current_version"),
        errors=errors,
    )


def of_invalid_body(error: ValidationError, language: str, base_url: str) -> JSONResponse:
    """What is wrong with a body, field by field; never repeats what was sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    types = {item["type"] for item in found}
    code = found[0]["type"] if types <= OWN_CODES else "invalid_request"
    return problem(code, language, base_url, errors=shown_errors(found))


def shown_errors(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """At most 20 places and what is wrong there."""
    return [{"loc": [_short(part) for part in item["loc"]], "msg": str(item["msg"])[:300]} for item in found[:20]]


def _short(part: int | str) -> int | str:
    return part[:100] if isinstance(part, str) else part
