"""A time stamping authority on this machine: openssl answers, and where asked for, it answers wrongly."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIGURATION = """
[tsa]
default_tsa = t
[t]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
basicConstraints = critical,CA:false
"""


@dataclass
class Authority:
    """One with a root and a key of its own. `mood` says how its next answers over HTTP will be."""

    folder: Path
    mood: str = "honest"
    url: str = ""
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "ts.cnf").write_text(_CONFIGURATION.format(folder=self.folder))
        (self.folder / "serial").write_text("01\n")
        self._openssl("req -x509 -newkey ed25519 -nodes -keyout root.key -out root.pem -subj /CN=root -days 30")
        self._openssl("req -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj /CN=authority")
        self._openssl(
            "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 7 -days 30 -extfile ts.cnf -extensions ext "
            "-out tsa.pem"
        )

    @property
    def roots(self) -> Path:
        return self.folder / "root.pem"

    def stamp(self, content: bytes) -> bytes:
        """A good answer for somebody who asks without a nonce."""
        return self._reply(self._query(content))

    def answer(self, query: bytes) -> bytes:
        """What it sends back, by its mood."""
        self.asked.append(query)
        if self.mood == "another imprint":
            return self._reply(self._query(b"something else"))
        if self.mood == "another nonce":
            digest = query[query.index(b"\x04\x20") + 2 :][:32]
            (self.folder / "q").unlink(missing_ok=True)
            self._openssl(f"ts -query -sha256 -cert -digest {digest.hex()} -out q")
            return self._reply((self.folder / "q").read_bytes())
        if self.mood == "refuses":
            return self._reply(b"no query")
        wrong = {"nothing": b"", "nonsense": b"<html>", "too much": bytes(100_000)}
        return wrong[self.mood] if self.mood in wrong else self._reply(query)

    def _query(self, content: bytes) -> bytes:
        self._openssl(f"ts -query -sha256 -cert -no_nonce -digest {hashlib.sha256(content).hexdigest()} -out q")
        return (self.folder / "q").read_bytes()

    def _reply(self, query: bytes) -> bytes:
        (self.folder / "asked").write_bytes(query)
        self._openssl("ts -reply -config ts.cnf -queryfile asked -out answer")
        return (self.folder / "answer").read_bytes()

    def _openssl(self, command: str) -> None:
        subprocess.run(["openssl", *command.split()], cwd=self.folder, check=True, capture_output=True)


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """The authority behind an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = authority.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        authority.url = f"http://127.0.0.1:{server.server_port}/"
        yield authority
        server.shutdown()
        thread.join()
