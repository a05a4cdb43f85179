"""A department with something of everything that the console shows, on loopback, with an account for each role."""

import math
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from litestar.routes import HTTPRoute

from alerts.condition import Severity
from alerts.desk import Desk
from alerts.queue import Queue
from dashboards.app import create_app
from dashboards.reports.source import Reports
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import Command, MakeLogEntry
from streams.engine import SiteEngine
from streams.messages import (
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    EntryKind,
    Fact,
    FaultLogged,
    IncidentRecorded,
    PatientMeasured,
    Person,
    PhantomMeasured,
    VendorQcReported,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy, Phantom, PhantomRole
from streams.record.reader import LoggedRecords
from streams.roles import Role
from streams.site import Receipt
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from streams.uptime.reader import LoggedUptime
from streams.what_if.reader import LoggedPast
from tests.accounts import CHEAP, PASSWORD
from tests.alert_rig import CONSOLE, alert, keep, links, note, tell
from tests.console_fakes import NOW
from tests.fake_measurements import FakeMeasurements
from tests.folding import POLICY, WEEKDAY_CLINIC, baseline
from tests.unit.test_fold_checks import SCALE

DAYS: Final = 90
DRIFTS: Final = 40
KEYS: Final = {name: f"bath/{name}" for name in ("dxa-1", "dxa-2", "scale-1")}
PHYSICIST: Final = Person("The physicist", "physicist")


class AccessibleSite:
    """dxa-1 lacks today's QC and has a fault and an incident, dxa-2 drifts and is in review, a scale was never checked.

    `entry_id` is an entry of dxa-1's log with a comment, `review_id` the review of dxa-2.
    """

    def __init__(self, folder: Path, *, public_status: bool = True) -> None:
        began = time.monotonic()
        self.clock = lambda: NOW + timedelta(seconds=time.monotonic() - began)
        self._log = SqliteEventLog(folder / "site-log.sqlite")
        self.engine = SiteEngine(self._log, clock=self.clock)
        self.engine.import_history(sorted(_history(), key=lambda entry: entry[0]))
        self.engine.start(_devices())
        self.readings = SqliteReadings(folder / "site-log.sqlite", self.engine, KEYS)
        self.users = UserStore(folder / "users.sqlite", hasher=CHEAP)
        for role in Role:
            self.users.add_user(f"The {role.value}", role, PASSWORD)
        self.entry_id = self._commented()
        self._patients()
        settings = HttpSettings(site_name="Test hospital", port=0, heartbeat_s=1.0, public_status=public_status)
        log = folder / "site-log.sqlite"
        uptime = LoggedUptime(log, "Test hospital", "Europe/London", KEYS, {})
        self.app = create_app(
            site=self.engine,
            readings=self.readings,
            users=self.users,
            settings=settings,
            clock=self.clock,
            uptime=uptime,
            equipment_log=self.readings.equipment_log,
            measurements=self.measurements,
            alerts=self._alerts(folder),
            reports=Reports("Test hospital", LoggedRecords(log, KEYS), uptime),
            past=LoggedPast(folder),
        )
        self._server = ConsoleServer(self.app, settings)
        self._server.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    @property
    def review_id(self) -> str:
        """The review of dxa-2 that waits, or waited."""
        view = self.readings.device("dxa-2")
        assert view is not None
        return view.reviews[0].review_id

    def pages(self) -> set[str]:
        """Return the routes of the console that answer a GET."""
        answered = [route for route in self.app.routes if isinstance(route, HTTPRoute) and "GET" in route.methods]
        return {route.path for route in answered if not route.path.startswith(("/api", "/fhir", "/static", "/schema"))}

    def carry_out(self, command: Command) -> None:
        """Let a person do something elsewhere."""
        seq = self.engine.states[command.device].device_seq
        assert isinstance(self.engine.execute(command, expected_device_seq=seq), Receipt)

    def happens(self, device_id: str, fact: Fact) -> str:
        """Record a fact; return its event's id."""
        key = KEYS[device_id]
        name = event_id(key, str(time.monotonic_ns()))
        self.engine.append([Draft(name, key, fact)])
        return name

    def end(self) -> None:
        """Take everything away."""
        self._server.stop()
        self.users.close()
        self.engine.stop()
        self._log.close()
        self._queue.close()

    def _alerts(self, folder: Path) -> Desk:
        """Keep an urgent alert that nobody took, one that somebody took and one for the daily message."""
        self._queue = Queue(folder)
        taken = msgspec.structs.replace(alert("taken"), acknowledged_by="The physicist", acknowledged_at=NOW)
        keep(self._queue, alert("urgent"), taken, alert("daily", severity=Severity.DIGEST), at=NOW)
        tell(self._queue, note("told", "The operator", alerts=("urgent",)), at=NOW)
        self.link = links().link("told", "The operator", NOW).removeprefix(CONSOLE)
        return Desk(self._queue, links(), unreached_s=600.0, clock=self.clock)

    def _commented(self) -> str:
        fault = self.happens("dxa-1", FaultLogged("f1", "Table squeaks", stops_scanning=False, logged_by=PHYSICIST))
        self.happens("dxa-1", IncidentRecorded("near_miss", "A cable lay in the way", PHYSICIST))
        for number, (about, text) in enumerate(((fault, "Oil ordered"), (self._verdict(), "The room was cold"))):
            comment = MakeLogEntry(
                device="bath/dxa-1",
                actor=PHYSICIST,
                request_id=f"{number:032}",
                kind=EntryKind.COMMENT,
                text=text,
                about=about,
            )
            self.carry_out(comment)
        return fault

    def _verdict(self) -> str:
        return self.readings.qc("dxa-1")[-1].subject_event_id

    def _patients(self) -> None:
        """Let two invented patients have been measured this morning, one of them in two scans."""
        for number, (accession, person) in enumerate((("ACC-1", "1.a"), ("ACC-1", "1.a"), ("ACC-2", "1.b"))):
            fact = PatientMeasured(accession, NOW - timedelta(minutes=9 - number), f"scan-{number}", pseudonym=person)
            validated_id = self.happens("dxa-2", fact)
        held = PatientMeasured("ACC-3", NOW - timedelta(minutes=5), "scan-held", pseudonym="1.c", anatomy="spine")
        self.withheld_id = self.happens("dxa-1", held)
        self.measurements = FakeMeasurements("bath/dxa-2", validated_id, "bath/dxa-1", self.withheld_id)


def _devices() -> dict[str, tuple[DevicePolicy, ClinicCalendar]]:
    scanners = {
        KEYS[name]: msgspec.structs.replace(
            POLICY,
            ae_title=name.upper().replace("-", ""),
            ring="Medical physics, extension 0001",
            phantoms=(Phantom(phantom, PhantomRole.INDEPENDENT),),
        )
        for name, phantom in (("dxa-1", "SPINE-1234"), ("dxa-2", "SPINE-5678"))
    }
    return {key: (policy, WEEKDAY_CLINIC) for key, policy in {**scanners, KEYS["scale-1"]: SCALE}.items()}


def _history() -> Iterator[tuple[datetime, Draft]]:
    for key, (policy, calendar) in _devices().items():
        for place, (at, fact) in enumerate(_life(key, policy, calendar)):
            yield at, Draft(event_id(key, str(place)), key, fact)


def _life(key: str, policy: DevicePolicy, calendar: ClinicCalendar) -> Iterator[tuple[datetime, Fact]]:
    start = NOW - timedelta(days=DAYS + 1)
    yield start, DeviceRegistered(policy, calendar)
    if not policy.phantoms:
        return
    phantom = policy.phantoms[0].patient_id
    yield start, CommissioningSignedOff(PHYSICIST)
    yield start + timedelta(hours=1), baseline(phantom=phantom)
    for day in range(1, DAYS + 2):
        at = start + timedelta(days=day, minutes=-30)
        drift = 0.007 if key.endswith("2") and day > DAYS - DRIFTS else 0.0
        bmd = 1.0 + 0.003 * math.sin(day * 12.9898) + drift
        yield at, PhantomMeasured(phantom, "L1-L4", bmd, at, f"{phantom}-{day}")
        if day <= DAYS or key.endswith("2"):
            yield at, VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")
