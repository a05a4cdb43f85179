"""March 2027 at an invented site, written down so that it can be counted by hand: summer time begins on the 28th.

Clinics: weekdays 09:00 to 17:00, Sundays 00:30 to 03:30; closed on Friday 26th and Monday 29th. So QC is due on 25
days (21 weekdays, four Sundays), and there are 21 * 8 h + 3 * 3 h + 2 h = 179 h of clinic: the 28th lacks an hour.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from streams.engine import SiteEngine
from streams.messages import (
    Affected,
    CalibrationCheckRead,
    CommissioningSignedOff,
    DeviceRegistered,
    DeviceRetired,
    Draft,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    HandoverForm,
    IncidentRecorded,
    OverrideEnded,
    PatientMeasured,
    PatientScanStarted,
    PhantomMeasured,
    RegionMeasured,
    ReturnDecided,
    StepReviewed,
    VendorQcReported,
    event_id,
)
from streams.policy import (
    CheckRules,
    Clinic,
    ClinicCalendar,
    Closure,
    DeviceKind,
    DevicePolicy,
    Frequency,
    Phantom,
    PhantomRole,
    Standard,
)
from streams.sqlite_log import SqliteEventLog
from tests.folding import OPERATOR, PHANTOM, PHYSICIST, POLICY, baseline

WEEKLY: Final = "SPINE-0002"
HERE: Final = ZoneInfo("Europe/London")
FIRST, LAST = date(2027, 3, 1), date(2027, 3, 31)
NOW: Final = datetime(2027, 4, 2, 12, 0, tzinfo=UTC)
CALENDAR: Final = ClinicCalendar(
    "Europe/London",
    (Clinic((0, 1, 2, 3, 4), "09:00", "17:00"), Clinic((6,), "00:30", "03:30")),
    (Closure("2027-03-26", "2027-03-26", "Good Friday"), Closure("2027-03-29", "2027-03-29", "Easter Monday")),
)
SCANNER: Final = replace(
    POLICY,
    serial="S-1",
    phantoms=(
        Phantom(PHANTOM, PhantomRole.INDEPENDENT),
        Phantom(WEEKLY, PhantomRole.INDEPENDENT, frequency=Frequency.WEEKLY),
    ),
)
SCALE: Final = DevicePolicy(
    kind=DeviceKind.SCALE,
    make="Invented",
    checks=CheckRules((Standard("W20", 20.0), Standard("W80", 80.0)), Frequency.WEEKLY, limit_kg=0.2),
)
POLICIES: Final = {
    "dxa-1": SCANNER,
    "dxa-2": replace(SCANNER, phantoms=SCANNER.phantoms[:1], ae_title="DXA2"),
    "scale-1": SCALE,
}
NAMES: Final = {name: f"bath/{name}" for name in POLICIES}
QC_DAYS: Final = (1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 28, 30, 31)
"""Every day with a clinic but Wednesday 3rd, on which nobody did anything."""

Told = tuple[datetime, str, Fact]


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """A time of March 2027 by the clock on the wall."""
    return datetime(2027, 3, day, hour, minute, tzinfo=HERE).astimezone(UTC)


def write_march(path: Path, reason: str = "Six patients wait") -> None:
    """Write the log of the month; `reason` is what somebody gave for an override."""
    came = datetime(2027, 2, 22, 7, 0, tzinfo=UTC)
    facts: list[Told] = [(came, name, DeviceRegistered(policy, CALENDAR)) for name, policy in POLICIES.items()]
    for name in ("dxa-1", "dxa-2"):
        facts += [(came, name, CommissioningSignedOff(PHYSICIST)), (came, name, baseline())]
    facts += [(came, "dxa-1", baseline(mean=1.2, phantom=WEEKLY)), *_checked(came, W20=20.0, W80=80.0)]
    facts += _first_scanner(reason) + _second_scanner() + _scale()
    facts.sort(key=lambda one: one[0])
    with SqliteEventLog(path) as log:
        SiteEngine(log, clock=lambda: NOW).import_history(
            (at, Draft(event_id(name, str(n)), NAMES[name], fact)) for n, (at, name, fact) in enumerate(facts)
        )


def morning(day: int) -> datetime:
    """When QC is done: at 07:30, on Sundays at 00:10."""
    return local(day, 0, 10) if date(2027, 3, day).weekday() == 6 else local(day, 7, 30)


def _scan(at: datetime, bmd: float, name: str = "dxa-1", phantom: str = PHANTOM) -> Told:
    return at, name, PhantomMeasured(phantom, "L1-L4", bmd, at, f"scan-{phantom}-{at.isoformat()}")


def _vendor(at: datetime, name: str = "dxa-1") -> Told:
    return at, name, VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")


def _checked(at: datetime, **reads: float) -> list[Told]:
    return [(at, "scale-1", CalibrationCheckRead(standard, read, at, "Oz")) for standard, read in reads.items()]


def _first_scanner(reason: str) -> list[Told]:
    """QC each morning, 0.5 % high on the 1st, 5th, 9th, 17th, 21st and 25th; the weekly phantom on five days.

    11th: a fault at 10:00, with the engineer 11:00 to 13:00, QC at 14:00. 17th, 18:00: a new baseline, 0.4 % higher.
    From midnight of the 20th to the morning of the 24th the weekly phantom is overdue. 30th: the first scan fails.
    """
    facts: list[Told] = []
    for day in QC_DAYS:
        target = 1.0 if day <= 17 else 1.004
        value = 1.03 if day == 30 else target * (1.005 if day % 4 == 1 else 1.0)
        facts += [_scan(morning(day), value), _vendor(morning(day))]
    facts += [_scan(morning(day), 1.2, phantom=WEEKLY) for day in (1, 8, 24, 31)]
    facts += [_scan(local(11, 14), 1.0), _scan(local(11, 14), 1.2, phantom=WEEKLY), _vendor(local(11, 14))]
    facts += [_scan(local(23, 14, 30), 1.03), _scan(local(23, 14, 40), 1.004), _scan(local(30, 12), 1.004)]
    return facts + [(at, "dxa-1", fact) for at, fact in (*_service(), *_overrides(reason), *_patients())]


def _service() -> list[tuple[datetime, Fact]]:
    nothing = Affected(dose=False, image_quality=False, safety=False, measurement=False)
    second = replace(baseline(mean=1.004, epoch=2), step_percent=0.4)
    return [
        (local(11, 10), FaultLogged("f1", "The arm is stuck", stops_scanning=True, logged_by=OPERATOR)),
        (
            local(11, 11),
            EquipmentHandedOver("h1", HandoverForm.CONTROLLED_AREA, "stuck", OPERATOR, "Eve", "Invented Ltd", "", "f1"),
        ),
        (
            local(11, 13),
            EquipmentHandedBack("h1", "Eve", "arm freed", nothing, is_working=True, recorded_by=OPERATOR),
        ),
        (local(11, 13), FaultCleared("f1", "arm freed", OPERATOR)),
        (local(11, 13, 30), ReturnDecided("h1", returns=True, decided_by=OPERATOR)),
        (local(17, 18), second),
        (local(18, 9), StepReviewed(PHANTOM, 2, is_comparable=True, decision="small", decided_by=PHYSICIST)),
    ]


def _overrides(reason: str) -> list[tuple[datetime, Fact]]:
    """Four: to its end, ended by a person, ended by a failure, ended by a pass."""
    overdue, failed = ("independent_overdue",), ("qc_failed", "independent_overdue")
    told = [
        (local(22, 9, 30), GateOverridden(overdue, OPERATOR, reason, local(22, 12))),
        (local(23, 10), GateOverridden(overdue, OPERATOR, "The phantom is lent out", local(23, 16))),
        (local(23, 14), GateOverridden(overdue, OPERATOR, "The phantom is lent out", local(23, 17))),
        (local(30, 9, 30), GateOverridden(failed, PHYSICIST, "Phantom was not level", local(30, 17), "Dr M Expert")),
    ]
    incidents = [(at, IncidentRecorded("override", f"Gate overridden: {one.reason}", OPERATOR)) for at, one in told]
    return [*told, *incidents, (local(23, 11, 15), OverrideEnded(PHYSICIST))]


def _patients() -> list[tuple[datetime, Fact]]:
    """One as it should be, one on an override, one past a held gate, one at the month's last hour, one after it."""
    times = [local(2, 10), local(22, 10), local(22, 14), local(31, 23, 30), local(31, 23, 59) + timedelta(minutes=1)]
    region = (RegionMeasured("L1-L4", 1.1234),)
    measured: list[tuple[datetime, Fact]] = [
        (at, PatientMeasured(f"ACC-{n}", at, f"2.25.{n}", f"PSEUDO-{n}", region)) for n, at in enumerate(times)
    ]
    return [*measured, (local(22, 13, 50), PatientScanStarted("ACC-2", local(22, 13, 50), "2.25.9"))]


def _second_scanner() -> list[Told]:
    """QC each morning, the 3rd too, until it is retired on Monday 15th at noon."""
    facts: list[Told] = []
    for day in (3, *(day for day in QC_DAYS if day <= 15)):
        facts += [_scan(morning(day), 1.0, "dxa-2"), _vendor(morning(day), "dxa-2")]
    return [*facts, (local(15, 12), "dxa-2", DeviceRetired("worn out", PHYSICIST))]


def _scale() -> list[Told]:
    """Both weights on the 1st, 8th, 15th and 24th, one on the 31st; on the 8th one fails and passes when repeated."""
    facts = [one for day in (1, 15, 24) for one in _checked(local(day, 8), W20=20.0, W80=80.0)]
    facts += [*_checked(local(8, 8), W20=20.0, W80=80.4), *_checked(local(8, 8, 30), W80=80.0)]
    facts += _checked(local(31, 8), W20=20.0)
    weights = [(local(8, 8, 10), "W-1"), (local(9, 10), "W-2")]
    return facts + [(at, "scale-1", PatientMeasured(name, at, name, weight_kg=71.4)) for at, name in weights]
