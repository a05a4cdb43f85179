"""The link in a message that acknowledges its alerts: signed, for one message and its person, with an end.

Whoever has the message may use the link, once, without signing in: as with the message itself, it is trusted to be with
the person it was sent to.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer

PATH: Final = "/acknowledge"
LONGEST: Final = 1000


class LinkError(Exception):
    """A link is none of ours, or its time is over; the text says which."""


class Linked(NamedTuple):
    """What a link stands for."""

    note: str
    person: str


class Links:
    """Makes links and takes them back.

    Parameters
    ----------
    secret
        What they are signed with; kept over a restart.
    console_url
        Where people reach the console, such as ``https://bonewatch.example.org``; empty: no links are made.
    lasts
        After this a link is refused.
    """

    def __init__(self, secret: str, console_url: str, lasts: timedelta) -> None:
        self._signer: URLSafeSerializer = URLSafeSerializer(
            secret, salt="bonewatch.acknowledge", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )
        self._console_url = console_url.rstrip("/")
        self._lasts = lasts

    def page(self, path: str = "") -> str:
        """Return the address of a page of the console; empty where nobody said where that is."""
        return f"{self._console_url}{path}" if self._console_url else ""

    def link(self, note: str, person: str, now: datetime) -> str:
        """Return the address in a person's message; empty where nobody said where the console is."""
        ends_at = int((now + self._lasts).timestamp())
        return self.page(f"{PATH}?token={self._signer.dumps([note, person, ends_at])}")

    def opened(self, token: str, now: datetime) -> Linked:
        """Return what a link stands for.

        Raises
        ------
        LinkError
            It is not right, or its time is over.
        """
        try:
            note, person, ends_at = self._signer.loads(token[:LONGEST])
            is_over = now.timestamp() > float(ends_at)
        except (BadSignature, ValueError, TypeError):
            raise LinkError("This link is not right. It may have been cut off: copy the whole of it") from None
        if is_over:
            raise LinkError("This link has expired. Sign in to the console to acknowledge the alert")
        return Linked(str(note), str(person))
