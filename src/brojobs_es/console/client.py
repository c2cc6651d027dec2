"""A small client of the service in sandbox mode: what a web or mobile application would send."""

from __future__ import annotations

import http.client
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import Any, Final

_TIMEOUT_SECONDS: Final = 30.0
_CLOCK: Final = "/v1/sandbox/clock"


@dataclass(frozen=True, slots=True)
class Reply:
    """The service's answer; `body` is parsed JSON."""

    status: int
    headers: Message
    body: Any

    @property
    def code(self) -> str | None:
        """The code of a refusal; None for a success."""
        return str(self.body.get("code")) if self.status >= 400 else None


class SandboxClient:
    """Speaks to one service over plain HTTP on this machine, one request at a time; people are known by their id."""

    def __init__(self, host: str, port: int, language: str) -> None:
        self._host, self._port, self._language = host, port, language
        self._tokens: dict[tuple[str, str], str] = {}

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; OSError where nobody answers."""
        sent = {"Accept-Language": self._language, "Content-Type": "application/json", **(headers or {})}
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kind = answer.getheader("Content-Type", "")
        return Reply(answer.status, answer.headers, json.loads(content) if "json" in kind else content)

    def as_person(self, who: str, role: str) -> dict[str, str]:
        """The header that makes a request this person's, in this role."""
        if (who, role) not in self._tokens:
            reply = self.call("POST", "/v1/sandbox/tokens", {"sub": who, "roles": [role]})
            self._tokens[who, role] = reply.body["token"]
        return {"Authorization": f"Bearer {self._tokens[who, role]}"}

    def now(self) -> datetime:
        """What the service's clock shows."""
        return datetime.fromisoformat(self.call("GET", _CLOCK).body["now"])

    def move_to(self, instant: datetime) -> None:
        """Move the service's clock forward; it then stands still."""
        reply = self.call("POST", _CLOCK, {"now": wire(instant)})
        assert reply.code is None, reply.body

    def upload(self, order_id: str, name: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Put a file on the order's shelf; the reply holds its `file_id`."""
        edge = secrets.token_hex(16)
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        data = f"{head}Content-Type: image/svg+xml\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
        return self.call("POST", f"/v1/orders/{order_id}/files", data, {**headers, **kind})


def wire(instant: datetime) -> str:
    """An instant as the contract wants it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
