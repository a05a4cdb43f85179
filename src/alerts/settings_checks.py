"""What no type can say of ``[alerts]``: each fault with its key's path and words for its author."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from alerts.rules_checks import problems
from alerts.settings import AlertsSettings, ChannelSettings, DutyHours, PersonSettings
from streams.roles import Role

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
NEEDED: Final = (Role.OPERATOR, Role.PHYSICIST)
"""Roles that alerts are meant for; a site without them has told nobody."""

Fault = tuple[str, str]


def alerts_faults(alerts: AlertsSettings) -> list[Fault]:
    """Return (path, words) of what is wrong with the alerts of a site."""
    faults = _limits(alerts)
    faults += [(f"$.alerts.rules.{words.split()[0]}", words) for words in problems(alerts.rules)]
    names, channels = set[str](), set[str]()
    for place, channel in enumerate(alerts.channel):
        path = f"$.alerts.channel[{place}]"
        if channel.name in channels:
            faults.append((f"{path}.name", f"{channel.name} is the name of another channel"))
        channels.add(channel.name)
        faults += _channel_faults(path, channel)
    for place, person in enumerate(alerts.person):
        path = f"$.alerts.person[{place}]"
        if person.name.casefold() in names:
            faults.append((f"{path}.name", f"{person.name} is configured twice"))
        names.add(person.name.casefold())
        faults += _person_faults(path, person, channels)
    known = {person.name for person in alerts.person}
    return faults + [
        ("$.alerts.fallback", f"{name} is no [[alerts.person]]") for name in alerts.fallback if name not in known
    ]


def alerts_warnings(alerts: AlertsSettings) -> list[str]:
    """Return what is legal but will surprise."""
    said = []
    if not alerts.console_url:
        said.append("[alerts] no console_url: messages hold no link to acknowledge them by")
    elif alerts.console_url.startswith("http://"):
        said.append("[alerts] console_url without TLS: who can read the network can use the links in messages")
    missing = [role for role in NEEDED if not any(role in person.roles for person in alerts.person)]
    said += [
        f"[alerts] nobody has the role {role.value}: what is meant for it goes to the fallback" for role in missing
    ]
    said += [f"[[alerts.person]] {one.name}: no channel, so nothing reaches them" for one in _without(alerts)]
    if not alerts.fallback:
        said.append("[alerts] no fallback: what reaches nobody of a role stands on the console only")
    said += [
        f"[[alerts.channel]] {one.name}: a file tells nobody; it is for trying out"
        for one in alerts.channel
        if one.file
    ]
    return said


def _without(alerts: AlertsSettings) -> Iterator[PersonSettings]:
    return (person for person in alerts.person if not person.channels)


def _limits(alerts: AlertsSettings) -> list[Fault]:
    delivery = alerts.delivery
    checks = (
        ("link_hours", 0 < alerts.link_hours <= 168, "lies above 0, up to 168 (a week)"),
        ("kept_days", 30 <= alerts.kept_days <= 3660, "lies between 30 and 3660"),
        ("delivery.retry_s", 0.1 <= delivery.retry_s <= 3600, "lies between 0.1 and 3600"),
        ("delivery.retry_max_s", delivery.retry_s <= delivery.retry_max_s <= 3600, "lies between retry_s and 3600"),
        ("delivery.give_up_hours", 0 < delivery.give_up_hours <= 168, "lies above 0, up to 168 (a week)"),
        ("delivery.pass_on_minutes", 0 < delivery.pass_on_minutes <= 1440, "lies above 0, up to 1440 (a day)"),
    )
    faults = [(f"$.alerts.{name}", f"{name.split('.')[-1]} {words}") for name, good, words in checks if not good]
    if alerts.console_url and not _is_address(alerts.console_url):
        faults.append(("$.alerts.console_url", "console_url begins with https:// (or http://) and names a host"))
    return faults


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        return False


def _channel_faults(path: str, one: ChannelSettings) -> list[Fault]:
    faults = []
    if not _NAME.fullmatch(one.name):
        faults.append((f"{path}.name", "name is 1 to 40 small letters, digits and hyphens"))
    if sum(map(bool, (one.url_file, one.url_env, one.file))) != 1:
        faults.append(
            (f"{path}.name", "give one of url_file, url_env and file: a URL holds secrets, it stands in none")
        )
    if not 0.1 <= one.timeout_s <= 60:
        faults.append((f"{path}.timeout_s", "timeout_s lies between 0.1 and 60"))
    return faults


def _person_faults(path: str, one: PersonSettings, channels: set[str]) -> list[Fault]:
    faults = []
    if not one.name.strip() or len(one.name) > 80 or not one.name.isprintable():
        faults.append((f"{path}.name", "a name has 1 to 80 printable characters"))
    if not one.roles:
        faults.append((f"{path}.roles", f"roles names at least one of {', '.join(Role)}"))
    if not 1 <= one.tier <= 3:
        faults.append((f"{path}.tier", "tier is 1 (told first), 2 or 3"))
    unknown = [channel for channel in one.channels if channel not in channels]
    faults += [(f"{path}.channels", f"{channel} is no [[alerts.channel]]") for channel in unknown]
    if len(set(one.channels)) != len(one.channels):
        faults.append((f"{path}.channels", "a channel stands there twice"))
    if one.quiet is not None and (not all(map(_CLOCK.fullmatch, one.quiet)) or one.quiet[0] == one.quiet[1]):
        faults.append((f"{path}.quiet", 'quiet is from and to, such as ["22:00", "07:00"]'))
    faults += [(f"{path}.away", "the first day away comes after the last") for first, last in one.away if first > last]
    return faults + [
        fault for place, hours in enumerate(one.on_duty) for fault in _hours_faults(f"{path}.on_duty[{place}]", hours)
    ]


def _hours_faults(path: str, hours: DutyHours) -> list[Fault]:
    faults = []
    if not hours.days:
        faults.append((f"{path}.days", 'days names at least one, such as ["mon"]'))
    if not _CLOCK.fullmatch(hours.starts):
        faults.append((f"{path}.starts", "starts is a time such as 08:00"))
    if not _CLOCK.fullmatch(hours.ends):
        faults.append((f"{path}.ends", "ends is a time such as 17:00; 00:00 is midnight"))
    return faults
