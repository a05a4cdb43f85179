"""What was answered to whom under which key: the store behind idempotency keys."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Final

import msgspec

from dashboards.user_tables import UserTables

KEPT_FOR: Final = timedelta(hours=24)
"""How long an answer is kept; local policy."""


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


def _hashed(content: bytes) -> bytes:
    return sha256(content).digest()
