"""A small site's log with a November to reckon: a fault with its repair, a planned service, refused and scanned."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from streams.engine import SiteEngine
from streams.messages import (
    Affected,
    CommissioningSignedOff,
    Draft,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    FaultCleared,
    FaultLogged,
    HandoverForm,
    PatientScanStarted,
    PhantomMeasured,
    RefusedRequest,
    ReturnDecided,
    ServiceKind,
    VendorQcReported,
    WorklistRefused,
    event_id,
)
from streams.messages.facts import DeviceRegistered
from streams.policy import Clinic, ClinicCalendar, Phantom, PhantomRole
from streams.sqlite_log import SqliteEventLog
from tests.folding import OPERATOR, PHYSICIST, POLICY, baseline

MONDAY: Final = datetime(2026, 11, 2, tzinfo=UTC)
NOW: Final = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
CLINIC: Final = ClinicCalendar("Europe/London", (Clinic((0, 1, 2, 3, 4), "09:00", "17:00", slot_minutes=20),))
NOTHING: Final = Affected(dose=False, image_quality=False, safety=False, measurement=False)


def write_log(path: Path) -> None:
    """Write the log of bath/dxa-1 and bath/dxa-2.

    Both are in use from Monday 2 November, 07:30, with QC at 07:30 on each weekday of four weeks: 20 clinics of 8 h.
    dxa-1: a fault on Tuesday 3rd from 10:00; the engineer has it from 12:00 to 14:00; cleared at 14:00; QC passes at
    15:00: 5 h lost. On Wednesday 11th QC is done at 09:30: half an hour lost. On Thursday 19th planned maintenance
    takes 09:00 to 13:00, and QC passes at 13:30: 4.5 h, planned. dxa-2: nothing is lost.
    """
    facts: list[tuple[datetime, str, Fact]] = []
    for name in ("dxa-1", "dxa-2"):
        policy = msgspec.structs.replace(
            POLICY,
            ae_title=name.replace("-", "").upper(),
            phantoms=(Phantom(f"SPINE-{name}", PhantomRole.INDEPENDENT),),
        )
        facts.append((MONDAY + timedelta(hours=7), name, DeviceRegistered(policy, CLINIC)))
        facts.append((MONDAY + timedelta(hours=7, minutes=5), name, CommissioningSignedOff(PHYSICIST)))
        facts.append((MONDAY + timedelta(hours=7, minutes=10), name, baseline(phantom=f"SPINE-{name}")))
        for day in range(28):
            at = MONDAY + timedelta(days=day, hours=7, minutes=30)
            if day % 7 < 5:
                late = timedelta(hours=2) if (name, day) == ("dxa-1", 9) else timedelta()
                facts += _qc(at + late, name)
    facts += [(at, "dxa-1", fact) for at, fact in _events()]
    facts += _qc(_at(3, 15), "dxa-1") + _qc(_at(19, 13, 30), "dxa-1")
    facts.append((_at(4, 10), "dxa-2", PatientScanStarted("ACC2", _at(4, 10), "2.25.1")))
    facts.sort(key=lambda entry: entry[0])
    with SqliteEventLog(path) as log:
        engine = SiteEngine(log, clock=lambda: NOW)
        engine.import_history(
            (at, Draft(event_id(name, str(n)), f"bath/{name}", fact)) for n, (at, name, fact) in enumerate(facts)
        )


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def _qc(at: datetime, name: str) -> list[tuple[datetime, str, Fact]]:
    scan = PhantomMeasured(f"SPINE-{name}", "L1-L4", 1.0, at, f"{name}-{at.isoformat()}")
    return [
        (at, name, scan),
        (at, name, VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")),
    ]


def _events() -> list[tuple[datetime, Fact]]:
    form, breakdown = HandoverForm.CONTROLLED_AREA, ServiceKind.BREAKDOWN
    planned = ServiceKind.PLANNED_MAINTENANCE
    refused = (
        RefusedRequest("ACC1", _at(3, 11)),
        RefusedRequest("ACC2", _at(3, 11, 20)),  # scanned on the other scanner the day after
        RefusedRequest("ACC3", _at(3, 16)),  # open again by then
    )
    return [
        (_at(3, 10), FaultLogged("f1", "The table is stuck", stops_scanning=True, logged_by=OPERATOR)),
        (_at(3, 10, 30), WorklistRefused(_at(3, 10), ("fault_stops_scanning",), refused)),
        (_at(3, 12), EquipmentHandedOver("h1", form, "stuck", OPERATOR, "Eve", "Invented Ltd", "", "f1", breakdown)),
        (_at(3, 14), EquipmentHandedBack("h1", "Eve", "table freed", NOTHING, is_working=True, recorded_by=OPERATOR)),
        (_at(3, 14), FaultCleared("f1", "table freed", OPERATOR)),
        (_at(3, 14, 30), ReturnDecided("h1", returns=True, decided_by=OPERATOR)),
        (_at(19, 9), EquipmentHandedOver("h2", form, "yearly", OPERATOR, "Eve", "Invented Ltd", "", "", planned)),
        (_at(19, 13), EquipmentHandedBack("h2", "Eve", "cleaned", NOTHING, is_working=True, recorded_by=OPERATOR)),
        (_at(19, 13), ReturnDecided("h2", returns=True, decided_by=OPERATOR)),
    ]
