"""Ways to reach people: whatever Apprise has a service for, and a file to try out with.

A channel's URL holds its secrets. It is never logged, and what a service says of a failure is told without any word of
the URL.
"""

import logging
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import quote, unquote

from alerts.settings import ChannelSettings

if TYPE_CHECKING:
    from apprise import Apprise, AppriseAsset

PLACE: Final = "{address}"
"""Where a person's own address goes in a channel's URL."""
LONGEST_WHY: Final = 200
_SPLIT: Final = re.compile(r"[\s:/?&=,@;+]+")
_SHORTEST_SECRET: Final = 3
SERVICE_TIMEOUT_S: Final = 60.0
"""As long as any service may take, whatever it does."""


class ChannelError(ValueError):
    """A channel cannot be used as it is configured; the text holds nothing of its URL."""


class Outgoing(NamedTuple):
    """One message to one person."""

    person: str
    address: str
    subject: str
    text: str
    urgent: bool


class Channel(Protocol):
    """One way to reach people; used by one thread at a time."""

    def send(self, message: Outgoing) -> str:
        """Send a message; return why it was not taken, or an empty text when it was."""


class AppriseChannel:
    """A service by its Apprise URL: one Apprise object for each address that it is filled with.

    Parameters
    ----------
    url
        With ``{address}`` where the person's own belongs, if anywhere.
    timeout_s
        For connecting, and for each answer.

    Raises
    ------
    ChannelError
        Apprise knows no service of that kind, or the URL lacks something.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._services: dict[str, Apprise] = {}
        self._service("nobody@example.org" if self.is_personal else "")

    @property
    def is_personal(self) -> bool:
        """Whether it needs an address of the person."""
        return PLACE in self._url

    def send(self, message: Outgoing) -> str:
        """Send one message by the service; see `Channel`."""
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - see `_service`

        if self.is_personal and not message.address:
            return "the person has no address, and the channel needs one"
        kind = NotifyType.WARNING if message.urgent else NotifyType.INFO
        try:
            service = self._service(message.address if self.is_personal else "")
            result = service.notify(
                message.text, title=message.subject, notify_type=kind, body_format=NotifyFormat.TEXT
            )
        except Exception as error:  # noqa: BLE001 - some ninety services, each with its own ways to fail
            return f"the service failed: {type(error).__name__}"
        if result:
            return ""
        said = "; ".join(str(entry.message) for entry in result.logs() if entry.message)
        return self._without_secrets(said, message.address) or "the service did not take it"

    def _service(self, address: str) -> "Apprise":
        """Return what sends to an address; made once, so that a service's limits of rate are kept."""
        if address not in self._services:
            import apprise  # noqa: PLC0415 - it loads some ninety services, and many sites have no channel

            quiet = logging.getLogger("apprise")  # its texts may hold what is in a URL
            quiet.propagate, quiet.handlers = False, [logging.NullHandler()]
            service = apprise.Apprise(asset=_asset())
            url = self._url.replace(PLACE, quote(address, safe="@"))
            mark = "&" if "?" in url else "?"
            limits = f"cto={self._timeout_s:g}&rto={self._timeout_s:g}"
            if not service.add(f"{url}{mark}{limits}"):
                raise ChannelError("the URL is none that Apprise can use: compare it with the service's page there")
            for one in service:
                one.request_rate_per_sec = 0  # it would sleep 5.5 s before each next message, and others wait behind
            self._services[address] = service
        return self._services[address]

    def _without_secrets(self, said: str, address: str) -> str:
        """Return what a service says, with each word that stands in the URL left out."""
        url = self._url.replace(PLACE, address).partition("://")[2]
        words = {word for part in _SPLIT.split(url) for word in (part, unquote(part))}
        for word in sorted(words, key=len, reverse=True):
            if len(word) >= _SHORTEST_SECRET:
                said = re.sub(re.escape(word), "…", said, flags=re.IGNORECASE)
        return " ".join(said.split())[:LONGEST_WHY]


class FileChannel:
    """Appends messages to a file: to see what would be told, without telling anybody."""

    is_personal = False

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path, self._clock = path, clock

    def send(self, message: Outgoing) -> str:
        """Append one message; see `Channel`."""
        at = self._clock().isoformat(timespec="seconds")
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"--- {at} to {message.person}\n{message.subject}\n\n{message.text}\n\n")
        except OSError as error:
            return f"the file cannot be written: {error.strerror}"
        return ""


def channel_of(
    settings: ChannelSettings,
    folder: Path,
    data_dir: Path,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AppriseChannel | FileChannel:
    """Return a configured channel; paths of secrets start in `folder`, a file for messages lies in `data_dir`.

    Raises
    ------
    ChannelError
        Its URL cannot be read or used.
    """
    if settings.file:
        return FileChannel(data_dir / settings.file, clock=clock)
    return AppriseChannel(_url(settings, folder), timeout_s=settings.timeout_s)


def _url(settings: ChannelSettings, folder: Path) -> str:
    if settings.url_env:
        found, origin = os.environ.get(settings.url_env, ""), f"url_env {settings.url_env}"
    else:
        origin = f"url_file {settings.url_file}"
        try:
            found = (folder / settings.url_file).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise ChannelError(f"{origin} cannot be read: it is no text") from None
        except OSError as error:
            raise ChannelError(f"{origin} cannot be read: {error.strerror}") from error
    if len(found.split()) != 1:
        raise ChannelError(f"{origin} holds one URL and nothing else")
    return found.strip()


def _asset() -> "AppriseAsset":
    from apprise import AppriseAsset, PersistentStoreMode  # noqa: PLC0415 - see `AppriseChannel._service`

    return AppriseAsset(
        app_id="Bonewatch",
        app_desc="Bonewatch",
        app_url="",
        storage_mode=PersistentStoreMode.MEMORY,
        service_timeout=SERVICE_TIMEOUT_S,
        allow_templates=False,
        http_redirects=False,
        async_mode=False,
        pgp_autogen=False,
        pem_autogen=False,
    )
