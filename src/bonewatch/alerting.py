"""The alerts of a site, by its configuration: whom they go to, by which channels, and what watches for them."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from alerts.channels import AppriseChannel, ChannelError, FileChannel, channel_of
from alerts.deliverer import Deliverer
from alerts.deliveries import Route
from alerts.desk import Desk
from alerts.links import Links
from alerts.queue import QUEUE_FILE, Queue
from alerts.rota import Person, Rota, Shift
from alerts.rules import WEEKDAYS
from alerts.settings import AlertsSettings, DutyHours, PersonSettings
from alerts.situation import Situation
from alerts.watch import Plan, Watch
from bonewatch.configuration.sections import Config
from bonewatch.errors import ConfigError

SECRET: Final = "acknowledge"  # noqa: S105 - what it is for
"""For what the key is kept that links are signed with."""


class SiteAlerts:
    """Queue, desk and what runs them; `desk` is what console and API ask.

    Parameters
    ----------
    config
        Names people and channels.
    data_dir
        Where the queue lies.
    folder
        Where relative paths of the configuration start.
    secret
        What links are signed with.

    Raises
    ------
    ConfigError
        A channel cannot be used as it is configured.
    """

    def __init__(
        self, config: Config, data_dir: Path, *, folder: Path, secret: str, clock: Callable[[], datetime]
    ) -> None:
        if config.alerts is None:
            raise ValueError("there are no [alerts]")
        self._settings, self._clock = config.alerts, clock
        self.rules = config.alerts.rules
        self._time_zone = config.site.time_zone
        self._channels = channels_of(config.alerts, folder, data_dir, clock)
        self._links = Links(secret, config.alerts.console_url, timedelta(hours=config.alerts.link_hours))
        try:
            self.queue, why = Queue.opened(data_dir)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"{data_dir / QUEUE_FILE} cannot be used: {error}") from error
        if why:
            structlog.get_logger("alerts").error("alert_queue_begun_anew", why=why)
        unreached_s = 60.0 * config.alerts.delivery.pass_on_minutes
        self.desk = Desk(self.queue, self._links, unreached_s=unreached_s, clock=clock)

    def watch(self, gather: Callable[[datetime], Situation]) -> Watch:
        """Return what looks and delivers, not started yet."""
        settings = self._settings
        addresses = {person.name: person.address for person in settings.person}
        deliverer = Deliverer(self.queue, self._channels, addresses, settings.delivery, self._links, clock=self._clock)
        plan = Plan(
            settings.rules,
            rota_of(settings, self._time_zone),
            routes_of(settings),
            pass_on_after=timedelta(minutes=settings.delivery.pass_on_minutes),
            kept=timedelta(days=settings.kept_days),
        )
        return Watch(self.queue, self.desk, deliverer, gather, plan, clock=self._clock)


def channels_of(
    settings: AlertsSettings, folder: Path, data_dir: Path, clock: Callable[[], datetime]
) -> Mapping[str, AppriseChannel | FileChannel]:
    """Return the channels by name; ConfigError where one cannot be used."""
    found = {}
    for one in settings.channel:
        try:
            found[one.name] = channel_of(one, folder, data_dir, clock=clock)
        except ChannelError as error:
            raise ConfigError(f"[[alerts.channel]] {one.name}: {error}") from error
    return found


def check_channels(config: Config, folder: Path) -> None:
    """Check the channels whose URLs can be read here; ConfigError where one cannot be used."""
    if config.alerts is None:
        return
    here = [one for one in config.alerts.channel if not one.url_env or os.environ.get(one.url_env)]
    for one in here:
        try:
            channel_of(one, folder, folder)
        except ChannelError as error:
            raise ConfigError(f"[[alerts.channel]] {one.name}: {error}") from error


def channel_notes(config: Config, folder: Path) -> list[str]:
    """Return a note on each URL that is not in this environment, and on each person whose address is missing."""
    if config.alerts is None:
        return []
    said = [
        f"[[alerts.channel]] {one.name}: {one.url_env} is not set here; the site does not start without it"
        for one in config.alerts.channel
        if one.url_env and not os.environ.get(one.url_env)
    ]
    for one in config.alerts.channel:
        with suppress(ChannelError):
            if channel_of(one, folder, folder).is_personal:
                said += [
                    f"[[alerts.person]] {person.name}: no address, and channel {one.name} needs one"
                    for person in config.alerts.person
                    if one.name in person.channels and not person.address
                ]
    return said


def rota_of(settings: AlertsSettings, time_zone: str) -> Rota:
    """Return who is told, from the configuration."""
    return Rota(tuple(_person(one) for one in settings.person), settings.fallback, time_zone)


def routes_of(settings: AlertsSettings) -> dict[str, Route]:
    """Return the channels of each person, by name."""
    return {one.name: Route(one.channels, one.tell == "all") for one in settings.person}


def _person(one: PersonSettings) -> Person:
    shifts = tuple(_shift(hours) for hours in one.on_duty)
    return Person(one.name, one.roles, one.channels, one.tier, one.quiet, shifts, one.away)


def _shift(hours: DutyHours) -> Shift:
    return Shift(tuple(WEEKDAYS.index(day) for day in hours.days), hours.starts, hours.ends)
