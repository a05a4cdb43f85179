"""Why Kafka does not take us, in words that say what to do: a refusal must not look like a broker that is away."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest
from prometheus_client import Gauge

from streams.broker import Broker, BrokerError

CONNECT_S: Final = 5.0
CLOSE_S: Final = 1.0
TRIES: Final = 3
"""A broker that refuses a sign-in sometimes closes the connection before it has said so."""

_NOT_ALLOWED: Final = re.compile(r"\b[A-Z]\w*AuthorizationFailed\w*")
_RESOURCE: Final = re.compile(r"\bbonewatch[\w.-]+")

REFUSED: Final = Gauge("bonewatch_kafka_refused", "1 while Kafka is there and refuses this process.")


class RefusedError(BrokerError):
    """Kafka is there and does not take us as configured; waiting does not help."""


def refused_access(error: BaseException) -> str | None:
    """Return what an access list does not allow, if that is what an error of either client library says."""
    name = _NOT_ALLOWED.search(f"{type(error).__name__} {error}")  # some stand in another error's text
    if name is None:
        return None
    what = _RESOURCE.search(str(error))
    return (
        f"the access lists do not allow this user what it wants{f' with {what[0]}' if what else ''} ({name[0]}); "
        "`bonewatch fleet access` gives a user its rights"
    )


def why_refused(broker: Broker) -> str | None:
    """Return why a broker that is there does not take us; None if it does, or if none is there.

    Blocks for some seconds; in an event loop use `asyncio.to_thread`.

    Raises
    ------
    BrokerError
        If the CA's file cannot be read.
    """
    return asyncio.run(_why(broker))


def require_accepted(broker: Broker) -> None:
    """Raise RefusedError if the broker is there and refuses us; one that is away is no reason."""
    why = why_refused(broker)
    if why is not None:
        raise RefusedError(why)


@dataclass
class Complaints:
    """Says once why Kafka cannot be worked with, and again only when the reason is another.

    Parameters
    ----------
    broker
        Which one.
    logger
        Where to say it.
    """

    broker: Broker
    logger: Any = field(default_factory=lambda: structlog.get_logger("streams.refusal"))
    _said: str = ""

    def say(self, error: BaseException, *, retry_s: float) -> None:
        """Tell a refusal from a broker that is away."""
        why = refused_access(error) or self._refusal()
        REFUSED.set(0 if why is None else 1)
        if why is not None and why != self._said:
            self.logger.error("broker_refuses", why=why, retry_s=retry_s)
        elif why is None and self._said != "away":
            self.logger.warning("broker_away", error=type(error).__name__, retry_s=retry_s)
        self._said = why or "away"

    def over(self) -> None:
        """It works."""
        if self._said:
            self.logger.info("broker_back")
            REFUSED.set(0)
            self._said = ""

    def _refusal(self) -> str | None:
        try:
            return why_refused(self.broker)
        except BrokerError as error:
            return str(error)


async def _why(broker: Broker) -> str | None:
    options = broker.options()
    for server in options.pop("bootstrap_servers"):
        host, _, port = server.strip().rpartition(":")
        place = (host.strip("[]"), int(port)) if port.isdigit() else None
        if place is None:
            raise BrokerError(f"{server!r} is no host:port")
        if not await _is_there(*place):
            continue
        return await _tls_refusal(broker, *place) or await _sign_in_refusal(broker, options, *place)
    return None


async def _is_there(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_S)
    except (OSError, TimeoutError):
        return False
    await _closed(writer)
    return True


async def _tls_refusal(broker: Broker, host: str, port: int) -> str | None:
    where = f"{host}:{port}"
    if broker.ca_file is None:
        anyone = ssl.create_default_context()
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # nothing is sent, only its language is asked
        if await _handshake(anyone, host, port) is None:
            return f"{where} speaks TLS and no CA is configured: give ca_file, the PEM of who signed its certificate"
        return None
    failed = await _handshake(broker.options()["ssl_context"], host, port)
    if isinstance(failed, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {where} is not trusted ({failed.verify_message}): "
            f"is {broker.ca_file} the CA that signed it, and is {host} a name in it?"
        )
    if failed is not None and not isinstance(failed, TimeoutError):
        return f"{where} speaks no TLS and a CA is configured ({type(failed).__name__}): is this its TLS port?"
    return None


async def _handshake(context: ssl.SSLContext, host: str, port: int) -> Exception | None:
    """Try a TLS handshake; return what went wrong."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port, ssl=context), CONNECT_S)
    except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
        return error
    await _closed(writer)
    return None


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), CLOSE_S)


@asynccontextmanager
async def _connected(connection: Any) -> AsyncIterator[Any]:
    """Connect and sign in for the length of a block; wait until it is closed, or the event loop ends before it."""
    try:
        await connection.connect()
        yield connection
    finally:
        await asyncio.wait([connection.close()], timeout=CLOSE_S)


async def _sign_in_refusal(broker: Broker, options: dict[str, Any], host: str, port: int) -> str | None:
    where, user = f"{host}:{port}", broker.username
    for _ in range(TRIES):
        try:
            async with _connected(
                AIOKafkaConnection(host, port, request_timeout_ms=CONNECT_S * 1000, **options)
            ) as asked:
                await asked.send(MetadataRequest([]))
        except (SaslAuthenticationFailed, AuthenticationFailedError, ValueError):
            return f"{where} does not let {user!r} in: wrong password, or no such user (`bonewatch fleet access`)"
        except (UnsupportedSaslMechanismError, IllegalSaslStateError):
            return f"{where} takes no sign-in by SCRAM-SHA-512: is this its port for that, or leave out the username"
        except (TimeoutError, RequestTimedOutError, ConnectionRefusedError):
            return None  # busy, or away by now
        except (KafkaError, OSError):
            continue
        return None
    if user is None and await _is_there(host, port):  # it may have gone away meanwhile
        return f"{where} closes the connection without a word: does it want a sign-in? Give username and password"
    return None
