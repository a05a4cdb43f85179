"""Tells an address on the web: a CloudEvent by POST, signed as Standard Webhooks 1.0 does.

The id is the outcome's, the same each time it is sent. Redirects are not followed, proxies of the environment are not
asked, and what the receiver writes back is thrown away.
"""

import asyncio
import base64
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx
from standardwebhooks import Webhook

from publishing.delivery import Delivered, Delivery, Message, Postponed, Result
from publishing.published import Notice, cloud_event
from publishing.settings import WebhookSettings

CONTENT_TYPE: Final = "application/cloudevents+json"
SECRET_BYTES: Final = range(24, 65)
"""As long as the standard wants a secret."""
_PREFIX: Final = "whsec_"
_NEW_BYTES: Final = 32
_THROWN_AWAY_S: Final = 1.0
_THROWN_AWAY_BYTES: Final = 64 * 1024
"""What a receiver writes back is read so far, for its connection to serve again."""


def new_secret() -> str:
    """Return a secret that nobody has."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def signer(secret: str) -> Webhook:
    """Return what signs with a secret.

    Raises
    ------
    ValueError
        If it is none: ``whsec_`` and 24 to 64 bytes in base64. The text does not repeat it.
    """
    if not secret.startswith(_PREFIX):
        raise ValueError("a secret begins with whsec_: `bonewatch publish new-secret` makes one")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise ValueError("what follows whsec_ is no base64: `bonewatch publish new-secret` makes one") from None
    if len(key) not in SECRET_BYTES:
        raise ValueError("a secret has 24 to 64 bytes: `bonewatch publish new-secret` makes one")
    return Webhook(key)


class WebhookChannel:
    """One address that takes signed CloudEvents.

    Parameters
    ----------
    settings
        Where it is, and for how long it is waited for.
    signers
        Of its secrets: one signature each, so that a secret can be replaced while the old one still counts.
    context
        Whom its certificate must come from.

    Raises
    ------
    ValueError
        Nothing can be sent to its address.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        signers: Sequence[Webhook],
        context: ssl.SSLContext,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        try:
            self._url = httpx.URL(settings.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"url: {error}") from error
        self._signers, self._clock = signers, clock
        self._timeout_s = settings.timeout_s
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            verify=context,
            timeout=None,  # noqa: S113 - it ends as a whole, in `_post`
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none are kept
        )

    def compose(self, notice: Notice) -> tuple[Message, ...]:
        """Return the CloudEvent of a notice."""
        return (Message(notice.id, cloud_event(notice)),)

    def deliver(self, delivery: Delivery) -> Result:
        """Post one event; any answer of 200 to 299 takes it."""
        try:
            return self._runner.run(self._post(delivery))
        except TimeoutError:
            return Postponed(f"no answer within {self._timeout_s:g} s", everything=True)
        except httpx.TransportError as error:
            return Postponed(_words(error), everything=True)

    def close(self) -> None:
        """Close connections."""
        self._runner.run(self._client.aclose())
        self._runner.close()

    async def _post(self, delivery: Delivery) -> Result:
        """Post, and wait for the head of the answer as a whole: limits of single reads let a slow one last for ever."""
        request = self._client.build_request("POST", self._url, content=delivery.body, headers=self._headers(delivery))
        async with asyncio.timeout(self._timeout_s):
            answer = await self._client.send(request, stream=True)
        async with aclosing(answer):
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(_THROWN_AWAY_S):
                    await _throw_away(answer)
            return self._result(answer)

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        now = datetime.fromtimestamp(int(self._clock()), UTC)
        body = delivery.body.decode()
        return {
            "content-type": CONTENT_TYPE,
            "user-agent": "Bonewatch",
            "webhook-id": delivery.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(one.sign(delivery.message_id, now, body) for one in self._signers),
        }

    def _result(self, answer: httpx.Response) -> Result:
        status = answer.status_code
        if answer.is_success:
            return Delivered()
        if answer.is_redirect:
            return Postponed(f"HTTP {status}: redirects are not followed; configure the final address", everything=True)
        is_away = status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GONE} or 502 <= status <= 504
        return Postponed(f"HTTP {status}", everything=is_away, wait_s=self._retry_after_s(answer))

    def _retry_after_s(self, answer: httpx.Response) -> float:
        """Return how long the receiver asks to be left alone: seconds, or until a date (RFC 9110, 10.2.3)."""
        said = answer.headers.get("retry-after", "").strip()
        if said.isascii() and said.isdigit():
            return float(said[:9])
        try:
            until = parsedate_to_datetime(said)
        except ValueError:
            return 0.0
        return max(0.0, until.replace(tzinfo=until.tzinfo or UTC).timestamp() - self._clock())


async def _throw_away(answer: httpx.Response) -> None:
    size = 0
    async for some in answer.aiter_raw():
        size += len(some)
        if size > _THROWN_AWAY_BYTES:
            return


def _words(error: httpx.TransportError) -> str:
    """Return what is wrong with the connection, without the address: it may hold a token."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return f"cannot be reached: {type(error).__name__}"
