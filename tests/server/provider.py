"""An identity provider on loopback: it signs tokens, publishes its keys, and rotates them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER = "https://login.example/"
AUDIENCE = "https://api.shop.example"
ALGORITHMS = {"RS256": RSAKey, "ES256": ECKey, "Ed25519": OKPKey}


def claims(**changed: Any) -> dict[str, Any]:
    """The claims of a valid token; None takes one away."""
    now = int(time.time())
    valid = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
    return {name: value for name, value in (valid | changed).items() if value is not None}


def new_key(algorithm: str, kid: str | None) -> RSAKey | ECKey | OKPKey:
    parameters: Any = {"kid": kid} if kid else None
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, parameters)
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", parameters)
    return OKPKey.generate_key("Ed25519", parameters)


@dataclass
class Provider:
    """What it publishes can be broken: `body` and `status` replace the key set."""

    keys: dict[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    requests: int = 0
    url: str = ""

    def rotate(self, algorithm: str = "ES256", kid: str = "1") -> None:
        """Publish one new key, and withdraw all others."""
        self.keys = {kid: new_key(algorithm, kid)}

    def token(self, kid: str = "1", algorithm: str = "ES256", /, **changed: Any) -> str:
        header = {"alg": algorithm, "kid": kid}
        return jwt.encode(header, claims(**changed), self.keys[kid], [algorithm])

    def published(self) -> bytes:
        if self.body is not None:
            return self.body
        return json.dumps(KeySet(list(self.keys.values())).as_dict(private=False)).encode()


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    provider.rotate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.requests += 1
            time.sleep(provider.delay_seconds)
            body = provider.published()
            self.send_response(provider.status)
            for name, value in provider.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # who reads too much goes away
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
