"""What the clients of the load generator play: one order's life after the other, or a constant route.

A life is a generator: it yields a step, is sent the body of the answer, and decides what comes next.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from brojobs_es.api.keys import DevelopmentKey

PEOPLE: Final = 200
"""Buyers, and as many sellers; each life takes one of each."""

_ID_CHARS: Final = 36
_SENTENCES: Final = (
    "Bonjour, merci pour votre commande, je commence dès demain matin.",
    "Could the second page use the darker blue of our signage rather than the one in the file?",
    "Le logo doit rester lisible à 16 pixels, sur fond clair comme sur fond sombre.",
    "I attach the measurements that the printer sent; the bleed is three millimetres on each side.",
    "Les deux premières pistes me plaisent, la troisième est trop proche de celle du concurrent.",
    "Please keep the apostrophes as they are, the client is attached to them.",
    "Je vous envoie une première version jeudi, et les fichiers sources avec la version finale.",
    "That is exactly what we had in mind, thank you for the quick answer!",
)


class Step(NamedTuple):
    """One request, the status that its answer must have, and a text that must stand in it."""

    name: str
    request: bytes
    status: bytes = b"200"
    is_command: bool = True
    proof: bytes = b""


Life = Generator[Step, bytes, None]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token."""

    id: str
    token: str

    @classmethod
    def signed(cls, who: str, role: str, key: DevelopmentKey) -> Self:
        """Somebody in one role, with a token that holds for a day."""
        return cls(who, key.mint(who, [role], int(time.time()) + 86_400))


@dataclass(frozen=True, slots=True)
class People:
    """Who takes part."""

    buyers: list[Person]
    sellers: list[Person]
    operator: Person

    @classmethod
    def of(cls, folder: Path) -> Self:
        """People with tokens signed by the key in this data folder."""
        key = DevelopmentKey.in_folder(folder)

        def people(role: str) -> list[Person]:
            return [Person.signed(f"{role}-{number}", role, key) for number in range(PEOPLE)]

        return cls(people("buyer"), people("seller"), Person.signed("payments", "operator", key))


def _text(minimum: int = 100, maximum: int = 300) -> str:
    """A message of that many characters, as people write them."""
    text = random.choice(_SENTENCES)
    while len(text) < minimum:
        text += " " + random.choice(_SENTENCES)
    return text[:maximum]


_TEXTS: Final = [_text() for _ in range(4096)]
_RUN: Final = secrets.token_hex(12)
_KEYS: Final = (f"{_RUN}-{number}" for number in count())
"""Texts are made beforehand and keys from a counter: the generator shares the machine with what it measures."""


def words() -> str:
    """One of the messages."""
    return _TEXTS[int(random.random() * len(_TEXTS))]


def post(path: str, body: Mapping[str, object], headers: str = "") -> bytes:
    """A POST of JSON as it goes over the wire."""
    content = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def get(path: str, headers: str = "") -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n".encode()


def as_person(person: Person) -> str:
    """The header that says who calls."""
    return f"Authorization: Bearer {person.token}\r\n"


def command(path: str, person: Person, body: Mapping[str, object]) -> bytes:
    """A person's command under an idempotency key of its own."""
    return post(path, body, f"{as_person(person)}Idempotency-Key: {next(_KEYS)}\r\n")


def upload(path: str, person: Person, content: bytes) -> bytes:
    """A file as a form sends it."""
    edge = "----bench-3f1c0a"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="logo.svg"\r\n'
    data = f"{head}Content-Type: image/svg+xml\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
    kind = f"Content-Type: multipart/form-data; boundary={edge}\r\nContent-Length: {len(data)}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: bench\r\n{as_person(person)}{kind}\r\n".encode() + data


def field(answer: bytes, name: str, length: int) -> str:
    """A text of known length in a JSON answer, without reading all of it."""
    mark = f'"{name}":"'.encode()
    start = answer.index(mark) + len(mark)
    return answer[start : start + length].decode()


def due_in(days: int) -> str:
    """An instant so many days ahead, as the services take it."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


PRICE: Final = {"amount": 25_000, "currency": "EUR"}


def life_of_order(people: People) -> Callable[[], Life]:
    """Six commands of buyer, seller and payments, each under a key, and a file before the delivery."""
    due_at = due_in(14)

    def life() -> Life:
        buyer, seller = random.choice(people.buyers), random.choice(people.sellers)
        order = yield from _begun(people.operator, buyer, seller, due_at)
        drawing = b"<svg>" + secrets.token_hex(500).encode() + b"</svg>"
        answer = yield Step("upload", upload(f"{order}/files", seller, drawing), is_command=False)
        delivery = {"note": words(), "files": [field(answer, "file_id", 64)]}
        yield Step("deliver", command(f"{order}/deliver", seller, delivery), proof=b'"status":"delivered"')
        accepting = command(f"{order}/accept-delivery", buyer, {})
        yield Step("accept-delivery", accepting, proof=b'"status":"completed"')

    return life


def life_without_file(people: People) -> Callable[[], Life]:
    """Six commands as well, the last two a request to cancel and its acceptance: an order that ends without a file."""
    due_at = due_in(14)

    def life() -> Life:
        buyer, seller = random.choice(people.buyers), random.choice(people.sellers)
        order = yield from _begun(people.operator, buyer, seller, due_at)
        asking = {"reason": "other", "comment": words()}
        yield Step("request-cancellation", command(f"{order}/request-cancellation", buyer, asking))
        accepting = command(f"{order}/accept-cancellation", seller, {})
        yield Step("accept-cancellation", accepting, proof=b'"status":"cancelled"')

    return life


def _begun(operator: Person, buyer: Person, seller: Person, due_at: str) -> Generator[Step, bytes, str]:
    """Four commands: placed, paid, a message of each side; the order's path."""
    placing = {"seller_id": seller.id, "title": "Un logo", "brief": words(), "price": PRICE, "due_at": due_at}
    answer = yield Step("place", command("/v1/orders", buyer, placing), b"201")
    order = "/v1/orders/" + field(answer, "order_id", _ID_CHARS)
    paying = {"payment_reference": secrets.token_hex(8), "amount": PRICE}
    yield Step("confirm-payment", command(f"{order}/confirm-payment", operator, paying))
    for writer in (buyer, seller):
        yield Step("post-message", command(f"{order}/post-message", writer, {"text": words()}))
    return order


def life_of_library_order() -> Callable[[], Life]:
    """The same six commands as the plain library's service takes them: no tokens, no keys, no file."""
    due_at = due_in(14)

    def life() -> Life:
        buyer, seller = (f"{role}-{random.randrange(PEOPLE)}" for role in ("buyer", "seller"))
        placing = {"buyer_id": buyer, "seller_id": seller, "title": "Un logo", "brief": words(), "due_at": due_at}
        answer = yield Step("place", post("/orders", placing | {"amount": 25_000, "currency": "EUR"}), b"201")
        order = "/orders/" + field(answer, "order_id", _ID_CHARS)
        paying = {"payment_reference": secrets.token_hex(8), "amount": 25_000, "currency": "EUR"}
        yield Step("confirm-payment", post(f"{order}/confirm-payment", paying))
        for writer in (buyer, seller):
            yield Step("post-message", post(f"{order}/post-message", {"by": writer, "text": words()}))
        delivery = {"note": words(), "files": [secrets.token_hex(32)]}
        yield Step("deliver", post(f"{order}/deliver", delivery), proof=b'"status":"delivered"')
        yield Step("accept-delivery", post(f"{order}/accept-delivery", {}), proof=b'"status":"completed"')

    return life


def constant_answers() -> Callable[[], Life]:
    """The same small request again and again."""
    step = Step("constant", get("/"))

    def life() -> Life:
        while True:
            yield step

    return life
