"""The events of an order as they were stored, one a line, and the chain that links them from the first to the last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from brojobs_es.evidence.case.kernel.container import Bag
from brojobs_es.evidence.case.kernel.problems import Failed, Malformed

EVENTS = "data/events.ndjson"
_FIELDS = ["log", "order_id", "position", "state", "stream_id", "stream_version", "topic"]
_FIRST_OF_ORDER = "order:OrderPlaced"
_FIRST_OF_DISPUTE = "dispute:DisputeOpened"


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass
class Chain:
    """What the events say so far: whose they are, the head of their chain, the files and words that they hold."""

    log: int = -1
    order_id: str = ""
    count: int = 0
    position: int = 0
    head: bytes = bytes(32)
    versions: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def parse_canonical(line: bytes) -> dict[str, Any]:
    """A JSON object in canonical form (RFC 8785, without fractions); raises Malformed for any other spelling."""
    wrong = Malformed("ce n’est pas du JSON canonique", "this is not canonical JSON")
    try:
        value = _DECODER.decode(line.decode())
        again = _ENCODER.encode(value).encode()
    except (ValueError, RecursionError):
        raise wrong from None
    if again != line or not isinstance(value, dict):
        raise wrong
    return value


def check_events(bag: Bag, heads: Sequence[bytes]) -> Chain:
    """Each event is of this order, follows the one before, and makes the chain go on as the proofs say.

    Raises Failed or Malformed with the line and the position of the first that does not.
    """
    chain = Chain()
    for number, line in enumerate(bag.lines(EVENTS), 1):
        event = _read_event(number, line)
        try:
            _follows(chain, event)
        except Failed as problem:
            raise Failed(_where(number, event, "fr") + problem.fr, _where(number, event, "en") + problem.en) from None
        chain.head = hashlib.sha256(chain.head + hashlib.sha256(line).digest()).digest()
        if number > len(heads) or heads[number - 1] != chain.head:
            raise Failed(
                _where(number, event, "fr") + "l’événement n’est pas celui que la chaîne prouve",
                _where(number, event, "en") + "the event is not the one that the chain proves",
            )
        _hold(chain, event["state"])
    if not chain.count or chain.count != len(heads):
        raise Failed(
            f"{EVENTS} a {chain.count} événements, la chaîne en prouve {len(heads)}",
            f"{EVENTS} has {chain.count} events, the chain proves {len(heads)}",
        )
    return chain


def _where(number: int, event: dict[str, Any], lang: str) -> str:
    """Which event, for the sentence that says what is wrong with it."""
    return (
        f"{EVENTS}, {'ligne' if lang == 'fr' else 'line'} {number} (position {event['position']}, {event['topic']}): "
    )


def _read_event(number: int, line: bytes) -> dict[str, Any]:
    """The fields of an event, of the right types; raises Malformed with the line's number."""
    try:
        event = parse_canonical(line)
        if sorted(event) != _FIELDS or not isinstance(event["state"], dict):
            raise Malformed("les champs ne sont pas ceux d’un événement", "the fields are not those of an event")
        if not all(type(event[name]) is int for name in ("log", "position", "stream_version")):
            raise Malformed("un nombre entier manque", "a whole number is missing")
        if not all(type(event[name]) is str for name in ("order_id", "stream_id", "topic")):
            raise Malformed("un texte manque", "a text is missing")
    except Malformed as problem:
        raise Malformed(f"{EVENTS}, ligne {number} : {problem.fr}", f"{EVENTS}, line {number}: {problem.en}") from None
    return event


def _follows(chain: Chain, event: dict[str, Any]) -> None:
    """Add an event to the chain; raises Failed if it is not the next of this order."""
    log, position, version = event["log"], event["position"], event["stream_version"]
    order_id, stream, topic = event["order_id"], event["stream_id"], event["topic"]
    if not chain.count:
        chain.log, chain.order_id = log, order_id
        if stream != order_id or topic != _FIRST_OF_ORDER:
            raise Failed("le premier événement manque", "the first event is missing")
    if (log, order_id) != (chain.log, chain.order_id):
        raise Failed(f"l’événement est de la commande {order_id}", f"the event is of order {order_id}")
    if position <= chain.position:
        raise Failed("l’ordre des positions est rompu", "the order of positions is broken")
    expected = chain.versions.get(stream, 0) + 1
    if version != expected:
        raise Failed(
            f"la version {expected} du flux {stream} manque, voici la {version}",
            f"version {expected} of stream {stream} is missing, this is {version}",
        )
    opens = topic == _FIRST_OF_DISPUTE and event["state"].get("order_id") == order_id
    if expected == 1 and stream != order_id and not opens:
        raise Failed("ce flux ne commence pas par son litige", "this stream does not start with its dispute")
    chain.versions[stream] = version
    chain.position = position
    chain.count += 1


def _hold(chain: Chain, value: Any) -> None:
    """Note the files that a state names, with their sizes, and its sealed words: whose each commitment is."""
    if isinstance(value, dict):
        if isinstance(value.get("file_id"), str) and type(value.get("size")) is int:
            chain.files[value["file_id"]] = value["size"]
        if isinstance(value.get("commitment"), str) and isinstance(value.get("of"), str):
            chain.words[value["commitment"]] = value["of"]
        for part in value.values():
            _hold(chain, part)
    elif isinstance(value, list):
        for part in value:
            _hold(chain, part)
