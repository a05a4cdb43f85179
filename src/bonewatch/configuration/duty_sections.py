"""Work that comes round in the configuration: ``[[duty]]``, ready-made kinds, certificates, equipment replacement."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

from bonewatch.configuration.section import Section
from streams.policy import DeviceKind, Duty, DutyKind, DutyUnit

MAX_DUTIES: Final = 12
"""So many a device may have: they stand in its state, which is bounded."""
MAX_NAME: Final = 60
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_SHORTEST: Final = {"days": 1, "weeks": 7, "months": 28, "years": 365}
SCALES: Final = frozenset({DeviceKind.SCALE, DeviceKind.STADIOMETER, DeviceKind.HOIST})
SCANNERS: Final = frozenset({DeviceKind.SCANNER})


class Ready(NamedTuple):
    """What a kind of work is where the configuration says nothing else; all of it local policy (docs/due-work.md)."""

    name: str
    every: int
    unit: DutyUnit
    warn_days: int
    grace_days: int
    fits: frozenset[DeviceKind]


READY: Final = {
    DutyKind.MAINTENANCE: Ready("Maintenance by the manufacturer", 12, "months", 30, 0, SCANNERS),
    DutyKind.CALIBRATION: Ready("Calibration", 12, "months", 30, 0, SCALES),
    DutyKind.CERTIFICATE: Ready("Certificate", 0, "years", 60, 0, SCALES),
    DutyKind.REPLACEMENT: Ready("Replacement", 0, "years", 365, 0, frozenset(DeviceKind)),
    DutyKind.DAILY_ARCHIVE: Ready("Daily archive", 1, "days", 0, 0, SCANNERS),
    DutyKind.DATABASE_ARCHIVE: Ready("Database archive, second place", 1, "weeks", 2, 1, SCANNERS),
    DutyKind.RECORD_ARCHIVE: Ready("Archive of Bonewatch's record", 1, "weeks", 2, 1, SCANNERS),
    DutyKind.OTHER: Ready("", 12, "months", 14, 0, frozenset(DeviceKind)),
}


class DutySection(Section, frozen=True):
    """``[[duty]]``: work that comes round on the named devices, or on all that its kind fits.

    What is not given is that of the kind.
    """

    first_due: date
    kind: DutyKind = DutyKind.OTHER
    id: str = ""
    name: str = ""
    devices: tuple[str, ...] = ()
    every: int | None = None
    unit: DutyUnit | None = None
    warn_days: int | None = None
    grace_days: int | None = None
    holds: bool = False


class Life(NamedTuple):
    """What the configuration of a device says of its certificates and its end."""

    installed: date | None
    service_life_years: int
    end_of_life: date | None
    certificates: tuple[tuple[str, date], ...]


def duties_of(device: str, kind: DeviceKind, sections: Iterable[DutySection], life: Life) -> tuple[Duty, ...]:
    """Return everything that comes round on a device by its configuration."""
    return (*(_duty(one) for one in sections if applies(one, device, kind)), *_of_life(life))


def applies(section: DutySection, device: str, kind: DeviceKind) -> bool:
    """Whether work comes round on a device: it is named, or nothing is and the kind of work fits."""
    return device in section.devices if section.devices else kind in READY[section.kind].fits


def _duty(section: DutySection) -> Duty:
    ready = READY[section.kind]
    return Duty(
        duty_id=duty_id(section),
        name=section.name.strip() or ready.name,
        first_due=section.first_due.isoformat(),
        every=ready.every if section.every is None else section.every,
        unit=section.unit or ready.unit,
        warn_days=ready.warn_days if section.warn_days is None else section.warn_days,
        grace_days=ready.grace_days if section.grace_days is None else section.grace_days,
        holds=section.holds,
        kind=section.kind,
    )


def duty_id(section: DutySection) -> str:
    """Return the id of work, by default that of its kind: ``daily-archive``."""
    return section.id or section.kind.value.replace("_", "-")


def _of_life(life: Life) -> list[Duty]:
    certificate, replacement = READY[DutyKind.CERTIFICATE], READY[DutyKind.REPLACEMENT]
    found = [
        Duty(
            f"certificate-{standard}",
            f"Certificate of {standard}",
            until.isoformat(),
            0,
            certificate.unit,
            certificate.warn_days,
            certificate.grace_days,
            kind=DutyKind.CERTIFICATE,
        )
        for standard, until in life.certificates
    ]
    ends = [("end-of-life", "Replacement: the maker's end of life", life.end_of_life)]
    if life.installed and life.service_life_years:
        ends.insert(0, ("service-life", "Replacement: end of service life", _years_after(life)))
    found += [
        Duty(name, words, day.isoformat(), 0, replacement.unit, replacement.warn_days, kind=DutyKind.REPLACEMENT)
        for name, words, day in ends
        if day is not None
    ]
    return found


def _years_after(life: Life) -> date | None:
    if life.installed is None:
        return None
    year = life.installed.year + life.service_life_years
    try:
        return life.installed.replace(year=year)
    except ValueError:
        return date(year, 2, 28)  # installed on 29 February


def duty_faults(sections: Sequence[DutySection], devices: Sequence[tuple[str, DeviceKind]]) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say of due work."""
    faults: list[tuple[str, str]] = []
    known = {device for device, _ in devices}
    for place, section in enumerate(sections):
        path = f"$.duty[{place}]"
        faults += [
            (f"{path}.devices", f"{one} is no device of this file") for one in section.devices if one not in known
        ]
        faults += [(f"{path}.{name}", f"{name} {words}") for name, words in _section_faults(section)]
        if not any(applies(section, device, kind) for device, kind in devices):
            faults.append((path, f"no device of this file has {section.kind.value}: name its devices"))
        for device, kind in devices:
            before = [duty_id(one) for one in sections[:place] if applies(one, device, kind)]
            if applies(section, device, kind) and duty_id(section) in before:
                faults.append((path, f"{device} has {duty_id(section)} twice: give this one another id"))
                break
    return faults


def life_faults(path: str, life: Life, duties: Sequence[Duty]) -> list[tuple[str, str]]:
    """Return (path, words) of what is wrong with a device's certificates, its end, or how much comes round on it."""
    faults: list[tuple[str, str]] = []
    if bool(life.installed) != bool(life.service_life_years):
        faults.append((f"{path}.installed", "installed and service_life_years go together"))
    if not 0 <= life.service_life_years <= 60:
        faults.append((f"{path}.service_life_years", "service_life_years lies between 0 and 60"))
    for name, day in (("installed", life.installed), ("end_of_life", life.end_of_life)):
        if day is not None and not 1990 <= day.year <= 2200:
            faults.append((f"{path}.{name}", f"{name} lies between 1990 and 2200"))
    ids = [duty.duty_id for duty in duties]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        if not faults:
            faults.append((path, f"{twice} comes round twice: give the [[duty]] another id"))
    if len(duties) > MAX_DUTIES:
        faults.append((path, f"{len(duties)} duties come round on it; at most {MAX_DUTIES} are kept"))
    return faults


def _section_faults(section: DutySection) -> list[tuple[str, str]]:
    duty = _duty(section)
    interval = duty.every * _SHORTEST[duty.unit]
    limits = (
        ("id", bool(_ID.fullmatch(duty.duty_id)), "is a short word of letters, digits, dots and dashes"),
        ("name", bool(duty.name), "is missing: say what is to be done"),
        ("name", len(duty.name) <= MAX_NAME, f"has at most {MAX_NAME} characters"),
        ("first_due", 1990 <= section.first_due.year <= 2200, "lies between 1990 and 2200"),
        ("every", 0 <= duty.every <= 600, "lies between 0 (due once) and 600"),
        ("grace_days", 0 <= duty.grace_days <= 366, "lies between 0 and 366"),
        ("warn_days", 0 <= duty.warn_days <= 1100, "lies between 0 and 1100"),
        ("warn_days", not interval or duty.warn_days < interval, f"is less than the interval, {interval} days"),
    )
    return [(name, words) for name, good, words in limits if not good]
