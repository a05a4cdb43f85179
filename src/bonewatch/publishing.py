"""The subscriptions of a site, by its configuration: what tells each receiver, and all of them together."""

import os
import ssl
import time
from collections.abc import Iterable
from pathlib import Path

from bonewatch.config import ConfigError
from bonewatch.config_file import Config
from publishing.delivery import Channel
from publishing.published import TYPES, Selection
from publishing.settings import Subscription, WebhookSettings
from publishing.subscriber import STOP_S, Subscriber
from publishing.webhook import WebhookChannel, signer


class Publisher:
    """The subscribers of one site, started and stopped together.

    Parameters
    ----------
    config
        Names them.
    data_dir, log
        Where the queue lies, and the site log's file.
    folder
        Where relative paths of the configuration start.

    Raises
    ------
    ConfigError
        A secret or certificate cannot be used.
    """

    def __init__(self, config: Config, data_dir: Path, log: Path, *, folder: Path) -> None:
        made: list[tuple[Subscription, Selection, Channel]] = [
            (one, _selection(config, one, one.types or TYPES), webhook_channel(one, folder)) for one in config.webhook
        ]
        self._subscribers = [Subscriber(*one, data_dir=data_dir, log=log) for one in made]

    def start(self) -> None:
        """Begin to tell."""
        for one in self._subscribers:
            one.start()

    def wake(self) -> None:
        """Say that there is something new."""
        for one in self._subscribers:
            one.wake()

    def stop(self) -> None:
        """End all of them at once, and wait for them together."""
        for one in self._subscribers:
            one.end()
        until = time.monotonic() + STOP_S
        for one in self._subscribers:
            one.stop(max(0.0, until - time.monotonic()))


def _selection(config: Config, subscription: Subscription, types: Iterable[str]) -> Selection:
    return Selection(tuple(types), tuple(config.key(device) for device in subscription.devices))


def webhook_channel(settings: WebhookSettings, folder: Path) -> WebhookChannel:
    """Return what posts to a webhook.

    Raises
    ------
    ConfigError
        Its secret or its authority's certificate cannot be used.
    """
    where = f"[[webhook]] {settings.name}"
    try:
        signers = [signer(secret) for secret in _secrets(settings, folder, where)]
    except ValueError as error:
        raise ConfigError(f"{where} {_origin(settings)}: {error}") from error
    try:
        context = ssl.create_default_context(cafile=folder / settings.ca_file if settings.ca_file else None)
    except ssl.SSLError as error:
        raise ConfigError(f"{where} ca_file {settings.ca_file}: no certificate in PEM") from error
    except OSError as error:
        raise ConfigError(f"{where} ca_file {settings.ca_file}: {error.strerror}") from error
    return WebhookChannel(settings, signers, context)


def _secrets(settings: WebhookSettings, folder: Path, where: str) -> list[str]:
    """Return the secrets, the newest first."""
    if settings.secret_env:
        found = os.environ.get(settings.secret_env, "").split()
    else:
        try:
            found = (folder / settings.secret_file).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ConfigError(f"{where} {_origin(settings)} cannot be read: {why}") from error
    if not found:
        raise ConfigError(f"{where} {_origin(settings)} holds no secret: `bonewatch publish new-secret` makes one")
    return found


def _origin(settings: WebhookSettings) -> str:
    return f"secret_env {settings.secret_env}" if settings.secret_env else f"secret_file {settings.secret_file}"


def unset_secrets(config: Config) -> list[str]:
    """Return a note on each secret that is expected in an environment variable and is not in this one."""
    return [
        f"[[webhook]] {one.name}: {one.secret_env} is not set here; the site does not start without it"
        for one in config.webhook
        if one.secret_env and not os.environ.get(one.secret_env)
    ]


def check_files(config: Config, folder: Path) -> None:
    """Check secrets and certificates that lie in files.

    Raises
    ------
    ConfigError
        One cannot be used.
    """
    for one in config.webhook:
        if not one.secret_env or os.environ.get(one.secret_env):
            webhook_channel(one, folder).close()
