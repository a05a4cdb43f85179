"""A year of an invented department up to now, for dashboards: everything that a panel shows has happened in it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from streams.messages import (
    Affected,
    CalibrationCheckRead,
    EquipmentHandedBack,
    EquipmentHandedOver,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    HandoverForm,
    PatientMeasured,
    PatientScanStarted,
    PhantomMeasured,
    RegionMeasured,
    ReturnDecided,
    ReviewDecided,
    ServiceKind,
    StepReviewed,
)
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Frequency, Phantom, PhantomRole, Standard
from tests.folding import OPERATOR, PHANTOM, PHYSICIST, POLICY, baseline
from tests.postgres import MemoryLog, Recorded

SITE: Final = "bath"
ACCESSION: Final = "ACC-GRAFANA-SECRET"
PSEUDONYM: Final = "pseudonym-grafana-secret"
DAYS: Final = 364
NOTHING: Final = Affected(dose=False, image_quality=False, safety=False, measurement=False)
SCALE: Final = DevicePolicy(
    DeviceKind.SCALE, make="Invented", checks=CheckRules((Standard("W20", 20.0),), Frequency.WEEKLY, limit_kg=0.1)
)
RODS: Final = DevicePolicy(
    DeviceKind.STADIOMETER, make="Invented", checks=CheckRules((Standard("R100", 100.0),), Frequency.WEEKLY)
)


def story(now: datetime) -> MemoryLog:
    """Return the log; its last day is that of `now`, which ought to be a weekday's noon or later."""
    log = MemoryLog()
    start = now.astimezone(UTC).replace(hour=7, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    _drifting(log, start)
    _troubled(log, start)
    _checked(log, start)
    return log


def scanner(log: MemoryLog, name: str, start: datetime) -> Recorded:
    """A scanner with a baseline of 1.000, signed off at the start."""
    policy = msgspec.structs.replace(
        POLICY, ae_title=name.upper(), phantoms=(Phantom(PHANTOM, PhantomRole.INDEPENDENT),)
    )
    made = Recorded(policy, start=start, log=log, device=f"{SITE}/{name}")
    made.fact(baseline())
    return made


def _morning(one: Recorded, start: datetime, day: int) -> bool:
    """Go to a day's 07:30; say whether it is a weekday."""
    one.until(start + timedelta(days=day, minutes=30))
    return one.now.weekday() < 5


def _drifting(log: MemoryLog, start: datetime) -> None:
    """dxa-1: a service with a new baseline after 100 days; drifts from day 200; fails twice on its last day."""
    one = scanner(log, "dxa-1", start)
    for day in range(DAYS):
        if not _morning(one, start, day):
            continue
        one.vendor_qc()
        one.fact(
            PhantomMeasured(
                PHANTOM, "L1-L4", _reading(day), one.now, f"d1-{day}", k=1.2 + day / 10_000, d0=100.0, scan_mode="array"
            )
        )
        one.now += timedelta(hours=2)
        if day % 7 == _weekday_offset(start):
            one.fact(_patient(one.now, f"p{day}"))
        if 98 <= day <= 104 and day % 7 == _weekday_offset(start):
            _serviced(one)
        if 228 <= day <= 234 and day % 7 == _weekday_offset(start):
            one.fact(ReviewDecided(PHANTOM, "within what a follow-up can tell", PHYSICIST))
    one.scan(1.03)
    one.now += timedelta(minutes=5)
    one.scan(1.03)


def _weekday_offset(start: datetime) -> int:
    """The place in the story's weeks of a Wednesday."""
    return (2 - start.weekday()) % 7


def _reading(day: int) -> float:
    """A scanner's year: within a third of a percent, then 0.9 % high."""
    wobble = (0.0, 0.003, -0.002, 0.001, -0.003)[day % 5]
    return round(1.0 + wobble + (0.009 if day >= 200 else 0.0), 4)


def _patient(at: datetime, name: str) -> PatientMeasured:
    region = RegionMeasured("L1-L4", 0.95)
    return PatientMeasured(f"{ACCESSION}-{name}", at, f"scan-{name}", pseudonym=PSEUDONYM, regions=(region,))


def _serviced(one: Recorded) -> None:
    planned = ServiceKind.PLANNED_MAINTENANCE
    form = HandoverForm.CONTROLLED_AREA
    one.fact(EquipmentHandedOver("h1", form, "yearly service", OPERATOR, "Eve", "Invented Ltd", "", "", planned))
    one.now += timedelta(hours=4)
    one.fact(EquipmentHandedBack("h1", "Eve", "cleaned", NOTHING, is_working=True, recorded_by=OPERATOR))
    one.fact(ReturnDecided("h1", returns=True, decided_by=OPERATOR))
    again = msgspec.structs.replace(baseline(epoch=2), reason="after service", step_percent=0.1)
    one.fact(again)
    one.fact(StepReviewed(PHANTOM, 2, is_comparable=True, decision="a step of 0.1 %", decided_by=PHYSICIST))


def _troubled(log: MemoryLog, start: datetime) -> None:
    """dxa-2: a fault of an hour on day 50, an override, a patient scanned while held, and a fault that stays."""
    one = scanner(log, "dxa-2", start)
    first = 49 + _weekday_offset(start)
    for day in range(DAYS):
        if not _morning(one, start, day):
            continue
        one.vendor_qc()
        one.scan(1.0)
        if day == first:
            one.fact(FaultLogged("f1", "laser off", stops_scanning=True, logged_by=OPERATOR))
            one.now += timedelta(hours=1)
            one.fact(PatientScanStarted(f"{ACCESSION}-bypass", one.now, "2.25.1"))
            one.now += timedelta(hours=1)
            one.fact(FaultCleared("f1", "replaced", PHYSICIST))
        if day == first + 7:
            one.until(one.now + timedelta(hours=23))  # that evening the gate closed by itself: QC is missing
            until = one.now + timedelta(hours=6)
            one.fact(GateOverridden(("qc_missing", "independent_overdue"), PHYSICIST, "the phantom is away", until))
    one.fact(FaultLogged("f2", "the table squeaks", stops_scanning=False, logged_by=OPERATOR))
    one.fact(
        EquipmentHandedOver(
            "h2", HandoverForm.CONTROLLED_AREA, "squeaks", OPERATOR, "Eve", "Invented Ltd", "", "f2",
            ServiceKind.BREAKDOWN,
        )
    )  # fmt: skip


def _checked(log: MemoryLog, start: datetime) -> None:
    """scale-1 and rod-1: a check a week, the scale's last one out of its limit."""
    for name, policy, standard, nominal in (("scale-1", SCALE, "W20", 20.0), ("rod-1", RODS, "R100", 100.0)):
        one = Recorded(policy, start=start, log=log, device=f"{SITE}/{name}")
        for week in range(DAYS // 7):
            one.until(start + timedelta(days=7 * week, hours=1))
            read = nominal + 0.02 * (week % 3 - 1) + (0.5 if week == DAYS // 7 - 1 else 0.0)
            one.fact(CalibrationCheckRead(standard, round(read, 3), one.now, "Oz"))
