"""Days without clinics in the configuration: ``[[closure]]``, ``[calendar]``, and what they make of a device."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from bonewatch.configuration.section import Section
from streams.policy import Closure

MAX_CLOSURES: Final = 40
"""So many a device may have: they stand in its state, which is bounded."""
WHY: Final = 24
"""Characters of the reason that are kept."""
DAY: Final = timedelta(days=1)


class ClosureSection(Section, frozen=True):
    """``[[closure]]``: no clinic from `first` to `last` (both included), of some devices or of all.

    With `starts` or `ends` (``HH:MM``) it is a part of one day.
    """

    first: date
    last: date | None = None
    starts: str = ""
    ends: str = ""
    why: str = ""
    devices: tuple[str, ...] = ()


class CalendarSection(Section, frozen=True):
    """``[calendar]``: iCalendar files of closures, and days on which a clinic is held all the same."""

    ics: tuple[str, ...] = ()
    except_dates: tuple[date, ...] = ()


def closures_of(device: str, given: Iterable[ClosureSection], except_dates: Sequence[date]) -> tuple[Closure, ...]:
    """Return a device's closures in order: days on which a clinic is held all the same cut out, neighbours joined."""
    found: list[Closure] = []
    whole: dict[date, str] = {}
    for one in sorted(given, key=lambda closure: (closure.first, closure.starts)):
        if one.devices and device not in one.devices:
            continue
        days = [day for day in _days(one) if day not in except_dates]
        if one.starts or one.ends:
            found += [_closure(day, day, one.why, one.starts, one.ends) for day in days]
        else:
            whole = dict.fromkeys(days, one.why) | whole
    runs: list[tuple[date, date, str]] = []
    for day, why in sorted(whole.items()):
        if runs and (runs[-1][1] + DAY, runs[-1][2]) == (day, why):
            runs[-1] = (runs[-1][0], day, why)
        else:
            runs.append((day, day, why))
    closed = [closure for closure in dict.fromkeys(found) if date.fromisoformat(closure.first) not in whole]
    return tuple(sorted([*closed, *(_closure(*run) for run in runs)], key=lambda c: (c.first, c.starts)))


def _closure(first: date, last: date, why: str, starts: str = "", ends: str = "") -> Closure:
    return Closure(first.isoformat(), last.isoformat(), why.strip()[:WHY], starts, ends)


def _days(closure: ClosureSection) -> Iterator[date]:
    last = closure.last or closure.first
    for n in range((last - closure.first).days + 1):
        yield closure.first + n * DAY


def closure_faults(
    given: Sequence[ClosureSection], calendar: CalendarSection, known: Sequence[str]
) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say of closures."""
    faults: list[tuple[str, str]] = []
    for place, closure in enumerate(given):
        path = f"$.closure[{place}]"
        last = closure.last or closure.first
        if not 0 <= (last - closure.first).days <= 366:
            faults.append((f"{path}.last", "last is not before first, and at most a year after it"))
        if not 1990 <= closure.first.year <= 2200:
            faults.append((f"{path}.first", "first lies between 1990 and 2200"))
        faults += [
            (f"{path}.devices", f"{one} is no device of this file") for one in closure.devices if one not in known
        ]
        faults += _part_faults(path, closure)
    faults += [
        ("$.calendar.ics", "name an iCalendar file, such as bank-holidays.ics") for one in calendar.ics if not one
    ]
    return faults


def fitting(
    given: Sequence[ClosureSection], except_dates: Sequence[date], known: Sequence[str], today: date
) -> tuple[tuple[ClosureSection, ...], list[str]]:
    """Return closures of which no device has more than it may have, and what is to be said of those left out.

    Left out are the oldest of those that are past, as few as will do, and then what lies farthest ahead: that is said.
    """
    kept: dict[str, tuple[Closure, ...]] = {}
    said = []
    for device in known:
        all_of_it = closures_of(device, given, except_dates)
        surplus = len(all_of_it) - MAX_CLOSURES
        if surplus <= 0:
            continue
        past = sum(1 for one in all_of_it if one.last < today.isoformat())
        start = min(past, surplus)
        kept[device] = all_of_it[start : start + MAX_CLOSURES]
        if past < surplus:
            said.append(
                f"{device}: {len(all_of_it)} closures, of which {MAX_CLOSURES} are kept: those after "
                f"{kept[device][-1].last} are left out; start the site again before then"
            )
    others = tuple(device for device in known if device not in kept)
    sections = [*given] if not kept else []
    for one in given if kept else ():
        devices = tuple(device for device in one.devices or known if device in others)
        sections += [replace(one, devices=devices)] if devices else []
    for device, closures in kept.items():
        sections += [_section(device, closure) for closure in closures]
    return tuple(sections), said


def _section(device: str, closure: Closure) -> ClosureSection:
    first, last = date.fromisoformat(closure.first), date.fromisoformat(closure.last)
    return ClosureSection(
        first=first, last=last, starts=closure.starts, ends=closure.ends, why=closure.why, devices=(device,)
    )


def _part_faults(path: str, closure: ClosureSection) -> list[tuple[str, str]]:
    if not (closure.starts or closure.ends):
        return []
    if closure.last not in {None, closure.first}:
        return [(f"{path}.last", "starts and ends are of one day: write a [[closure]] for each")]
    hours = []
    for name in ("starts", "ends"):
        text = getattr(closure, name)
        try:
            hours.append(time.fromisoformat(text) if text else None)
        except ValueError:
            return [(f"{path}.{name}", f"{name} is a time such as 12:30")]
    if hours[0] and hours[1] and hours[0] >= hours[1]:
        return [(f"{path}.ends", "a closure ends after it starts")]
    return []


def without_repeats(sections: Iterable[ClosureSection]) -> tuple[ClosureSection, ...]:
    """Return closures in order, each once: the same holiday may stand in two files."""
    kept = {msgspec.json.encode(section): section for section in sections}
    return tuple(sorted(kept.values(), key=lambda closure: (closure.first, closure.starts, closure.why)))
