"""The subscriptions of a site, by its configuration: what tells each receiver, and all of them together."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from standardwebhooks import Webhook

from bonewatch.configuration.sections import Config
from bonewatch.errors import ConfigError
from publishing import told
from publishing.delivery import Channel
from publishing.mllp import MllpChannel, tls_context
from publishing.published import TYPES, Selection
from publishing.settings import MllpSettings, Subscription, WebhookSettings
from publishing.subscriber import STOP_S, Subscriber
from publishing.trust import context_of
from publishing.webhook import WebhookChannel, signer
from streams.fold.schedule import zone


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
            (one, _selection(config, one, one.types or TYPES), _webhook(one, folder)) for one in config.webhook
        ]
        made += [(one, _selection(config, one, told.TYPES), _mllp(config, one, log, folder)) for one in config.mllp]
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


def check_files(config: Config, folder: Path) -> None:
    """Check secrets and certificates that lie in files.

    Raises
    ------
    ConfigError
        One cannot be used.
    """
    for webhook in config.webhook:
        if not webhook.secret_env or os.environ.get(webhook.secret_env):
            _webhook(webhook, folder).close()
    for mllp in config.mllp:
        _mllp(config, mllp, Path(), folder).close()


def unset_secrets(config: Config) -> list[str]:
    """Return a note on each secret that is expected in an environment variable and is not in this one."""
    return [
        f"[[webhook]] {one.name}: {one.secret_env} is not set here; the site does not start without it"
        for one in config.webhook
        if one.secret_env and not os.environ.get(one.secret_env)
    ]


def _selection(config: Config, subscription: Subscription, types: Iterable[str]) -> Selection:
    return Selection(tuple(types), tuple(config.key(device) for device in subscription.devices))


def _mllp(config: Config, settings: MllpSettings, log: Path, folder: Path) -> MllpChannel:
    with _told_of(f"[[mllp]] {settings.name}"):
        context = tls_context(settings, folder)
    return MllpChannel(settings, context, site=config.site.id, log=log, zone=zone(config.site.time_zone))


def _webhook(settings: WebhookSettings, folder: Path) -> WebhookChannel:
    with _told_of(f"[[webhook]] {settings.name}"):
        signers = [_signer(settings, secret) for secret in _secrets(settings, folder)]
        return WebhookChannel(settings, signers, context_of(folder, ca_file=settings.ca_file))


def _signer(settings: WebhookSettings, secret: str) -> Webhook:
    try:
        return signer(secret)
    except ValueError as error:
        raise ValueError(f"{_origin(settings)}: {error}") from error


def _secrets(settings: WebhookSettings, folder: Path) -> list[str]:
    """Return the secrets, the newest first."""
    if settings.secret_env:
        found = os.environ.get(settings.secret_env, "").split()
    else:
        try:
            found = (folder / settings.secret_file).read_text(encoding="utf-8-sig").split()
        except UnicodeDecodeError as error:
            raise ValueError(f"{_origin(settings)} cannot be read: it is no text") from error
        except OSError as error:
            raise ValueError(f"{_origin(settings)} cannot be read: {error.strerror}") from error
    if not found:
        raise ValueError(f"{_origin(settings)} holds no secret: `bonewatch publish new-secret` makes one")
    return found


def _origin(settings: WebhookSettings) -> str:
    return f"secret_env {settings.secret_env}" if settings.secret_env else f"secret_file {settings.secret_file}"


@contextmanager
def _told_of(section: str) -> Iterator[None]:
    """Say in which section of the configuration something cannot be used."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{section} {error}") from error
