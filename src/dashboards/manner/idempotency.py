"""`Idempotency-Key`: a POST that is sent again is done once, and gets the answer that it got (IETF draft of that name).

What is begun is noted before it is done: if the power goes between, the next attempt is told that nobody knows, for it
may be in the record.
"""

import sqlite3
from typing import Any, Final

import structlog
from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.datastructures import Headers
from litestar.exceptions import ClientException, HTTPException, ValidationException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.caller import caller_of
from dashboards.access.needs import method_of, needs_of, writes
from dashboards.manner.answers import Answer, AnswerStore, OtherContentError, UnknownOutcomeError

_log: Final = structlog.get_logger("dashboards.api")

MAX_KEY_CHARACTERS: Final = 255


class IdempotencyMiddleware(ASGIMiddleware):
    """Heeds the header on POSTs of the API; without it nothing is kept."""

    def __init__(self, answers: AnswerStore) -> None:
        self._answers = answers

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Do it once; answer as then if it was done."""
        key = Headers.from_scope(scope).get("idempotency-key")
        request: Request[Any, Any, Any] = scope["litestar_app"].request_class(scope, receive, send)
        caller = caller_of(request)
        if key is None or caller is None or needs_of(scope) is None or not _is_post(scope):
            await next_app(scope, receive, send)
            return
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise ValidationException(f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters")
        asked = scope["path"].encode() + b"\n" + await request.body()
        stored = await self._begun(caller.key, key, asked)
        if stored is not None:
            await _say(stored, send)
            return
        await next_app(scope, receive, self._keeping(caller.key, key, send))

    async def _begun(self, caller: str, key: str, asked: bytes) -> Answer | None:
        try:
            return await sync_to_thread(self._answers.begin, caller, key, asked)
        except OtherContentError as error:
            words = "This Idempotency-Key came before with other content: take a new one for something new"
            raise ClientException(words, status_code=422) from error
        except UnknownOutcomeError as error:
            words = (
                "The same is being done, or was when the site stopped. Ask again in a moment; if this stays, look "
                "whether it is in the record before it is sent under another key"
            )
            raise HTTPException(detail=words, status_code=409, headers={"Retry-After": "2"}) from error

    def _keeping(self, caller: str, key: str, send: Send) -> Send:
        """Return what keeps an answer before it is given."""
        held: list[Message] = []

        async def keeping(message: Message) -> None:
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                try:
                    await sync_to_thread(self._answers.end, caller, key, _answer(held))
                except sqlite3.Error as error:  # it is done: who asked is told, and the same key finds no answer
                    _log.error("answer_not_kept", error=type(error).__name__)
                for one in held:
                    await send(one)

        return keeping


def _is_post(scope: Scope) -> bool:
    return method_of(scope) == "POST" and writes(scope)


def _answer(held: list[Message]) -> Answer:
    status, media_type, body = 500, "", b""
    for message in held:
        if message["type"] == "http.response.start":
            status = message["status"]
            media_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            body += message["body"]
    return Answer(status, media_type, body)


async def _say(answer: Answer, send: Send) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode()), (b"idempotency-replayed", b"true")]
    if answer.media_type:
        headers.append((b"content-type", answer.media_type.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
