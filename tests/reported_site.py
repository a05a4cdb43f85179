"""A scanner's log with a November in it whose QA is known by hand, and a console over it."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pypdfium2
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from dashboards.app import create_app
from dashboards.audit.trail import MemoryTrail
from dashboards.reports.source import Reports
from dashboards.settings import HttpSettings, StreamSettings
from dashboards.users import UserStore
from publishing.published import PublishedLog
from streams.engine import SiteEngine
from streams.messages import (
    Affected,
    Attachment,
    AttachmentAdded,
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    EntryKind,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    FaultCleared,
    FaultLogged,
    HandoverForm,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    PatientMeasured,
    PatientScanStarted,
    PhantomMeasured,
    QcReleased,
    RegionMeasured,
    ReturnDecided,
    VendorQcReported,
    event_id,
)
from streams.policy import Clinic, ClinicCalendar, Closure, DevicePolicy, Duty, DutyKind
from streams.record.reader import LoggedRecords
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from streams.uptime.reader import LoggedUptime
from tests.accounts import CHEAP, PASSWORD
from tests.console_client import Visitor
from tests.folding import OPERATOR, PHANTOM, PHYSICIST, POLICY, baseline

BASIC: Final = {"Authorization": f"Basic {b64encode(f'The physicist:{PASSWORD}'.encode()).decode()}"}
KEY: Final = "bath/dxa-1"
OTHER: Final = "bath/dxa-2"
NAMES: Final = {"dxa-1": KEY, "dxa-2": OTHER}
NOW: Final = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
CLINIC: Final = ClinicCalendar(
    "Europe/London",
    (Clinic((0, 1, 2, 3, 4), "09:00", "17:00"),),
    (Closure("2026-11-12", "2026-11-12", "Invented holiday"),),
)
DUTIES: Final = (Duty("maintenance", "Yearly maintenance", "2027-02-01", 12, kind=DutyKind.MAINTENANCE),)
SECRETS: Final = ("ACC-BYPASS", "ACC-GOOD", "PSEUDO-1", "2.25.77", "1.1234")
"""What is about the invented patients of this log: requests, a pseudonym, UIDs, a density."""

_AFFECTED: Final = Affected(dose=False, image_quality=False, safety=False, measurement=False)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def write_log(path: Path, policy_name: str = "Virtual 1") -> None:
    """Write the log of bath/dxa-1, and of bath/dxa-2, which nobody ever used.

    In use from 30 October. QC at 07:30 on every clinic day but Wednesday 4th.
    3rd: the phantom fails, its repeat passes. 4th: a patient is scanned while it is held.
    5th: two failures, a pass, a release. 6th: a fault from 10:00, with the engineer from 12:00 to 14:00, QC at 15:00.
    12th: closed.
    """
    policy = replace(POLICY, model=policy_name, serial="300123", duties=DUTIES)
    came = datetime(2026, 10, 30, 7, 0, tzinfo=UTC)
    facts: list[tuple[datetime, str, Fact]] = [
        (came, KEY, DeviceRegistered(policy, CLINIC)),
        (came + timedelta(minutes=1), KEY, CommissioningSignedOff(PHYSICIST)),
        (came + timedelta(minutes=2), KEY, baseline()),
        (came, OTHER, DeviceRegistered(replace(policy, ae_title="DXA2"), CLINIC)),
    ]
    for day in range(1, 31):
        if at(day, 0).weekday() < 5 and day not in {3, 4, 5, 12}:
            facts += _qc(at(day, 7, 30), 1.0 + 0.001 * (day % 3))
    facts += [(moment, KEY, fact) for moment, fact in _special()]
    facts += [*_qc(at(3, 7, 30), 1.02), _scan(at(3, 7, 40), 1.001)]
    facts += [*_qc(at(5, 7, 30), 1.03), _scan(at(5, 7, 40), 1.029), _scan(at(5, 8, 20), 1.0)]
    facts += _qc(at(6, 15), 1.002)
    facts.sort(key=lambda one: one[0])
    with SqliteEventLog(path) as log:
        SiteEngine(log, clock=lambda: NOW).import_history(
            (moment, Draft(_id(key, n, fact), key, fact)) for n, (moment, key, fact) in enumerate(facts)
        )


def _id(key: str, n: int, fact: Fact) -> str:
    """Name an event: an incident so that what is about it can say so."""
    return event_id("incident") if isinstance(fact, IncidentRecorded) else event_id(key, str(n))


def _scan(moment: datetime, bmd: float) -> tuple[datetime, str, Fact]:
    scan = PhantomMeasured(PHANTOM, "L1-L4", bmd, moment, f"scan-{moment.isoformat()}", software="1.2.3")
    return moment, KEY, scan


def _qc(moment: datetime, bmd: float) -> list[tuple[datetime, str, Fact]]:
    vendor = VendorQcReported(passed=True, measured_at=moment, performed_by="Łucja Operator", reviewed_by="Pat")
    return [_scan(moment, bmd), (moment, KEY, vendor)]


def _patient(moment: datetime, accession: str, pseudonym: str) -> PatientMeasured:
    regions = (RegionMeasured("L1-L4", 1.1234),)
    return PatientMeasured(accession, moment, f"2.25.77.{accession}", pseudonym, regions)


def _special() -> list[tuple[datetime, Fact]]:
    form = HandoverForm.CONTROLLED_AREA
    file = Attachment("ab" * 32, "report of the engineer.pdf", "application/pdf", 1200)
    incident = event_id("incident")
    return [
        (at(4, 10), PatientScanStarted("ACC-BYPASS", at(4, 10), "2.25.77.1")),
        (at(4, 10, 5), _patient(at(4, 10, 5), "ACC-BYPASS", "PSEUDO-1")),
        (at(5, 8, 30), QcReleased(PHANTOM, "The phantom was not level", PHYSICIST)),
        (at(6, 10), FaultLogged("f1", "The table is stuck", stops_scanning=True, logged_by=OPERATOR)),
        (at(6, 12), EquipmentHandedOver("h1", form, "stuck", OPERATOR, "Eve", "Invented Ltd", "", "f1")),
        (at(6, 14), EquipmentHandedBack("h1", "Eve", "table freed", _AFFECTED, is_working=True, recorded_by=OPERATOR)),
        (at(6, 14), FaultCleared("f1", "table freed", OPERATOR)),
        (at(6, 14, 30), ReturnDecided("h1", returns=True, decided_by=OPERATOR)),
        (at(9, 10), _patient(at(9, 10), "ACC-GOOD", "PSEUDO-1")),
        (at(10, 9), IncidentRecorded("near_miss", "A trolley stood in the way", OPERATOR)),
        (at(10, 10), LogEntryMade(EntryKind.DAILY, "=1+1 on the whiteboard", OPERATOR)),
        (at(11, 9), AttachmentAdded(file, incident, OPERATOR)),
        (at(11, 10), IncidentClosed(incident, "Moved", PHYSICIST)),
    ]


def reports_of(log: Path, names: Mapping[str, str] = NAMES) -> Reports:
    """What makes the site's reports."""
    uptime = LoggedUptime(log, "Bath", "Europe/London", names, {})
    return Reports("Bath", LoggedRecords(log, names), uptime)


class Served(NamedTuple):
    """A console over the log, and the record of who used it."""

    client: TestClient[Litestar]
    trail: MemoryTrail
    users: UserStore

    def visitor(self, role: Role) -> Visitor:
        """Sign somebody in."""
        visitor = Visitor(self.client)
        visitor.sign_in(f"The {role.value}", PASSWORD)
        return visitor


def devices_here() -> dict[str, tuple[DevicePolicy, ClinicCalendar]]:
    """The devices of the log, as they are configured."""
    policy = replace(POLICY, serial="300123", duties=DUTIES)
    return {KEY: (policy, CLINIC), OTHER: (replace(policy, ae_title="DXA2"), CLINIC)}


@contextmanager
def serving(
    folder: Path,
    log_file: Path,
    devices: Mapping[str, tuple[DevicePolicy, ClinicCalendar]] | None = None,
    now: datetime = NOW,
) -> Iterator[Served]:
    """Serve console and API over a log; unless told otherwise it is the first of December, at noon."""
    devices = devices or devices_here()
    names = {key.rpartition("/")[2]: key for key in devices}
    users = UserStore(folder / "users.sqlite", hasher=CHEAP)
    for role in Role:
        users.add_user(f"The {role.value}", role, PASSWORD)
    trail = MemoryTrail()
    with SqliteEventLog(log_file) as log, PublishedLog(log_file) as published:
        engine = SiteEngine(log, clock=lambda: now)
        engine.start(devices)
        readings = SqliteReadings(log_file, engine, names)
        reports = reports_of(log_file, names)
        app = create_app(
            site=engine,
            readings=readings,
            users=users,
            settings=HttpSettings(site_name="Bath", streams=StreamSettings(lasts_s=0)),
            clock=lambda: now,
            uptime=reports.uptime,
            reports=reports,
            equipment_log=readings.equipment_log,
            audit=trail,
            published=published,
        )
        with TestClient(app) as client:
            yield Served(client, trail, users)
        engine.stop()
    users.close()


def text_of(pdf: bytes) -> str:
    """Return what stands on the pages of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    text = " ".join(page.get_textpage().get_text_range() for page in document)
    document.close()
    return " ".join(text.split())


def words_of(html: str) -> str:
    """Return what stands on a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html.rsplit("</style>", maxsplit=1)[-1]).replace("&#39;", "'").split())


def asked(served: Served, path: str, **query: str) -> Any:
    """Ask the API as a physicist."""
    answer = served.client.get(f"/api/v1{path}", params=query, headers=BASIC)
    assert answer.status_code == 200, answer.text
    return answer
