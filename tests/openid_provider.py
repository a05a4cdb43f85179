"""An OpenID Connect provider on loopback, with real keys."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

FIRST, SECOND = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


class Provider:
    """An OpenID Connect provider: its discovery document and its keys."""

    def __init__(self) -> None:
        self.keys = {"first": FIRST}
        self.issuer_says = ""
        self.fetched: list[str] = []
        self.away = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.fetched.append(self.path)
                found = provider.document(self.path)
                self.send_response(503 if found is None or provider.away else 200)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}/realm"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.issuer_says or self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        if path == "/realm/keys":
            return {
                "keys": [
                    json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig", "alg": "RS256"}
                    for kid, key in self.keys.items()
                ]
            }
        return None

    def token(
        self, *, key: RSAPrivateKey = FIRST, kid: str | None = "first", algorithm: str = "RS256", **claims: object
    ) -> str:
        now = datetime.now(UTC)
        given = {
            "iss": self.issuer,
            "aud": "bonewatch",
            "sub": "booking",
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        kept = {name: value for name, value in (given | claims).items() if value is not None}
        return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid} if kid else None)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
