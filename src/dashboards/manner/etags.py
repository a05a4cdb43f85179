"""`ETag` and `If-None-Match` for every GET of the API: who has the answer already is told so (RFC 9110, 13.1.2)."""

import re
from hashlib import sha256
from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from dashboards.access.needs import needs_of

_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')


class EtagMiddleware(ASGIMiddleware):
    """Tags what is answered in one piece; a stream passes as it is, and a tag that the handler gave stands."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let a GET be answered, then say whether it is new."""
        if needs_of(scope) is None or scope.get("method") != "GET":
            await next_app(scope, receive, send)
            return
        known = Headers.from_scope(scope).get("if-none-match", "")
        started: HTTPResponseStartEvent | None = None

        async def tagging(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and _is_whole(message):
                started = message
                return
            if message["type"] == "http.response.body" and started is not None:
                begun, started = started, None
                if not message.get("more_body", False):
                    message["body"] = _tagged(begun, message["body"], known)
                await send(begun)
            await send(message)

        await next_app(scope, receive, tagging)


def _is_whole(begun: HTTPResponseStartEvent) -> bool:
    """Whether an answer has an end: of a stream the beginning must not wait for its first news."""
    return begun["status"] == 200 and "content-length" in MutableScopeHeaders.from_message(begun)


def _tagged(begun: HTTPResponseStartEvent, body: bytes, known: str) -> bytes:
    """Tag an answer; make it 304 with no content if the caller has it."""
    headers = MutableScopeHeaders.from_message(begun)
    if "etag" not in headers:
        headers["etag"] = f'"{sha256(body).hexdigest()[:32]}"'
    if known.strip() != "*" and _opaque(headers["etag"]).isdisjoint(_opaque(known)):
        return body
    begun["status"] = 304
    for name in ("content-length", "content-type"):
        if name in headers:
            del headers[name]
    return b""


def _opaque(tags: str) -> set[str]:
    """Return the tags in a header without their marks of weakness."""
    return set(_TAG.findall(tags))
