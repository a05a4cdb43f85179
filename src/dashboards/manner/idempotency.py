"""`Idempotency-Key`: a POST that is sent again is done once, and gets the answer that it got (IETF draft of that name).

What is begun is noted before it is done: if the power goes between, the next attempt is told that nobody knows, for it
may be in the record.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.datastructures import Headers
from litestar.exceptions import ClientException, HTTPException, ValidationException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.caller import caller_of
from dashboards.access.needs import method_of, needs_of
from dashboards.user_tables import UserTables

_log: Final = structlog.get_logger("dashboards.api")

KEPT_FOR: Final = timedelta(hours=24)
"""How long an answer is kept; local policy."""

MAX_KEY_CHARACTERS: Final = 255


class Answer(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    media_type: str
    body: bytes


class OtherContentError(Exception):
    """The key came before, with other content or to another address."""


class UnknownOutcomeError(Exception):
    """It was begun before, and not answered."""


class AnswerStore:
    """What was answered to whom under which key, in the file of the accounts."""

    def __init__(self, tables: UserTables, clock: Callable[[], datetime]) -> None:
        self._tables = tables
        self._clock = clock

    def begin(self, caller: str, key: str, asked: bytes) -> Answer | None:
        """Note that something is begun, or return what was answered to it.

        Raises
        ------
        OtherContentError
            The key stands for something else.
        UnknownOutcomeError
            It is being done, or was when the program ended.
        """
        now = self._clock()
        with self._tables.transaction() as connection:
            connection.execute("DELETE FROM answer WHERE begun_at <= ?", ((now - KEPT_FOR).timestamp(),))
            row = connection.execute(
                "SELECT asked_hash, status, media_type, body FROM answer WHERE caller = ? AND key_hash = ?",
                (caller, _hashed(key.encode())),
            ).fetchone()
            if row is None:
                new = (caller, _hashed(key.encode()), _hashed(asked), now.timestamp())
                connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?, NULL, NULL, NULL)", new)
                return None
        asked_hash, status, media_type, body = row
        if asked_hash != _hashed(asked):
            raise OtherContentError
        if status is None:
            raise UnknownOutcomeError
        return Answer(int(status), str(media_type), bytes(body))

    def end(self, caller: str, key: str, answer: Answer) -> None:
        """Keep what was answered; forget the key where nothing was done, so that what is mended can be sent under it.

        What a refusal says is not kept, for it may quote what somebody typed. After 500 nobody knows what was done.
        """
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        with self._tables.transaction() as connection:
            place = (caller, _hashed(key.encode()))
            if answer.status >= HTTPStatus.BAD_REQUEST:
                connection.execute("DELETE FROM answer WHERE caller = ? AND key_hash = ?", place)
                return
            connection.execute(
                "UPDATE answer SET status = ?, media_type = ?, body = ? WHERE caller = ? AND key_hash = ?",
                (answer.status, answer.media_type, answer.body, *place),
            )


class IdempotencyMiddleware(ASGIMiddleware):
    """Heeds the header on POSTs of the API; without it nothing is kept."""

    def __init__(self, answers: AnswerStore) -> None:
        self._answers = answers

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Do it once; answer as then if it was done."""
        key = Headers.from_scope(scope).get("idempotency-key")
        request: Request[Any, Any, Any] = scope["litestar_app"].request_class(scope, receive, send)
        caller = caller_of(request)
        needs = needs_of(scope)
        if key is None or caller is None or needs is None or needs.asks_only or method_of(scope) != "POST":
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


def _hashed(content: bytes) -> bytes:
    return sha256(content).digest()
