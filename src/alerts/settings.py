"""What says whom alerts are told to, and how, in the configuration file; the rules stand in `alerts.rules`."""

from datetime import date
from typing import Literal

import msgspec

from alerts.rules import AlertRules, Weekday
from streams.roles import Role


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a key that is not known is an error."""


class DutyHours(_Section, frozen=True, kw_only=True):
    """``on_duty`` of a person: hours on some days of the week, in the site's zone.

    Hours that end no later than they start end on the next day.
    """

    days: tuple[Weekday, ...]
    starts: str = "00:00"
    ends: str = "00:00"


class PersonSettings(_Section, frozen=True, kw_only=True):
    """``[[alerts.person]]``: somebody who is told.

    `tier` 1 is told first, 2 and 3 when nobody acknowledges. `channels` are names of ``[[alerts.channel]]``, the best
    first: ``tell = "first"`` uses the first that works, ``"all"`` each of them. `address` fills ``{address}`` in a
    channel's URL. In `quiet` (from, to) only what is urgent comes. Without `on_duty` a person is always on duty,
    but on the days `away` (first and last).
    """

    name: str
    roles: tuple[Role, ...]
    tier: int = 1
    channels: tuple[str, ...] = ()
    tell: Literal["first", "all"] = "first"
    address: str = ""
    quiet: tuple[str, str] | None = None
    on_duty: tuple[DutyHours, ...] = ()
    away: tuple[tuple[date, date], ...] = ()


class ChannelSettings(_Section, frozen=True, kw_only=True):
    """``[[alerts.channel]]``: one way to reach people; one of `url_file`, `url_env` and `file`.

    A URL is one that Apprise takes, and holds secrets: it stands in a file, or in an environment variable. With `file`
    messages are appended to that file, which tells nobody: for trying out.
    """

    name: str
    url_file: str = ""
    url_env: str = ""
    file: str = ""
    timeout_s: float = 10.0


class DeliverySettings(_Section, frozen=True, kw_only=True):
    """How long is tried: after `retry_s`, twice as long each time up to `retry_max_s`, given up after `give_up_hours`.

    What reaches nobody within `pass_on_minutes` goes to the next person.
    """

    retry_s: float = 5.0
    retry_max_s: float = 300.0
    give_up_hours: float = 24.0
    pass_on_minutes: float = 10.0


class AlertsSettings(_Section, frozen=True, kw_only=True):
    """``[alerts]``: who is told what is wrong, when, and by which way; without the table nobody is told.

    `console_url` is where people reach the console: links in messages lead there. `fallback` are names of persons who
    are told when nobody else can be. `link_hours` is how long a link in a message serves; `kept_days` how long the
    record of what was told is kept. With `first_patient` the RIS is asked around clinics when each scanner's patients
    are booked, so that messages name the first; of its answers the times are kept, in memory.
    """

    console_url: str = ""
    fallback: tuple[str, ...] = ()
    link_hours: float = 24.0
    kept_days: int = 400
    first_patient: bool = True
    rules: AlertRules = AlertRules()
    delivery: DeliverySettings = DeliverySettings()
    person: tuple[PersonSettings, ...] = ()
    channel: tuple[ChannelSettings, ...] = ()
