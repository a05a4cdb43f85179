"""What the browser tests need of a console: its address, and hands to change the department behind it.

`FakeStage` puts the department in memory behind a real server, `SiteStage` the real engine on a real log; the same
tests visit both.
"""

import math
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import msgspec

from dashboards.app import create_app
from dashboards.demo_panel import DemoControls
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import Command
from streams.engine import SiteEngine
from streams.messages import (
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    FaultLogged,
    Person,
    PhantomMeasured,
    VendorQcReported,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy, Phantom, PhantomRole
from streams.readings import Readings
from streams.roles import Role
from streams.site import Receipt, SitePort
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from tests.accounts import CHEAP
from tests.console_fakes import FAILED, NOW, FakeDemo, FakeSite, department, held_gate
from tests.folding import POLICY, WEEKDAY_CLINIC, baseline

PASSWORD: Final = "correct horse battery"  # noqa: S105 - of invented users
OPERATOR: Final = "Pat Nurse"
PHYSICIST: Final = "Dr M Expert"
HISTORY_DAYS: Final = 200


class Stage(Protocol):
    """A console to visit: scanner ``dxa-1`` lacks today's QC and is held, ``dxa-2`` is open and has a chart."""

    @property
    def url(self) -> str:
        """Where it is."""

    def close_gate(self, device_id: str) -> None:
        """Let two phantom scans fail."""

    def touch(self, device_id: str) -> None:
        """Let something else happen to a device, so that pages opened before are stale."""

    def stop(self) -> None:
        """Take the console away."""

    def start_again(self) -> None:
        """Bring it back at the same address."""


class Served:
    """A console on loopback over any site, with accounts for an operator and a physicist."""

    def __init__(
        self,
        folder: Path,
        site: SitePort,
        readings: Readings,
        *,
        clock: Callable[[], datetime],
        demo: DemoControls | None = None,
    ) -> None:
        self._site, self._readings, self._clock, self._demo = site, readings, clock, demo
        self._users = UserStore(folder / "users.sqlite", hasher=CHEAP)
        self._users.add_user(OPERATOR, Role.OPERATOR, PASSWORD)
        self._users.add_user(PHYSICIST, Role.PHYSICIST, PASSWORD)
        self._server = self._serve(port=0)

    @property
    def url(self) -> str:
        return self._server.url

    def stop(self) -> None:
        self._server.stop()

    def start_again(self) -> None:
        self._server = self._serve(port=int(self.url.rsplit(":", 1)[1]))

    def end(self) -> None:
        """Stop for good."""
        self._server.stop()
        self._users.close()

    def _serve(self, port: int) -> ConsoleServer:
        settings = HttpSettings(site_name="Test hospital", port=port, heartbeat_s=1.0)
        app = create_app(
            site=self._site,
            readings=self._readings,
            users=self._users,
            settings=settings,
            demo=self._demo,
            clock=self._clock,
        )
        server = ConsoleServer(app, settings)
        server.start()
        return server


class FakeStage(Served):
    """The department in memory."""

    def __init__(self, folder: Path, *, demo: bool) -> None:
        self.site: FakeSite = department()
        controls = FakeDemo(self.site) if demo else None
        super().__init__(folder, self.site, self.site, clock=lambda: NOW, demo=controls)

    def close_gate(self, device_id: str) -> None:
        self.site.change(device_id, gate=held_gate(FAILED))

    def touch(self, device_id: str) -> None:
        self.site.change(device_id, gate=self.site.views[device_id].gate)


class SiteStage(Served):
    """The real engine and log, on a Friday morning: 200 days of history, the first scanner without today's QC."""

    def __init__(self, folder: Path) -> None:
        began = time.monotonic()
        clock = lambda: NOW + timedelta(seconds=time.monotonic() - began)  # noqa: E731 - it closes over one value
        self._log = SqliteEventLog(folder / "site-log.sqlite")
        self._engine = SiteEngine(self._log, clock=clock)
        phantoms = {"dxa-1": "SPINE-1234", "dxa-2": "SPINE-5678"}
        keys = {device_id: f"bath/{device_id}" for device_id in phantoms}
        devices = {
            keys[device_id]: (
                msgspec.structs.replace(
                    POLICY,
                    ae_title=device_id.upper().replace("-", ""),
                    ring="Medical physics, extension 0001",
                    phantoms=(Phantom(phantom_id, PhantomRole.INDEPENDENT),),
                ),
                WEEKDAY_CLINIC,
            )
            for device_id, phantom_id in phantoms.items()
        }
        entries = [
            (at, Draft(event_id(key, str(place)), key, fact))
            for key, (policy, calendar) in devices.items()
            for place, (at, fact) in enumerate(_life(policy, calendar, with_todays_qc=key.endswith("2")))
        ]
        self._engine.import_history(sorted(entries, key=lambda entry: entry[0]))
        self._engine.start(devices)
        self._phantoms, self._keys = phantoms, keys
        readings = SqliteReadings(folder / "site-log.sqlite", self._engine, keys)
        super().__init__(folder, self._engine, readings, clock=clock)

    def close_gate(self, device_id: str) -> None:
        now = self._engine.now()
        scan = PhantomMeasured(self._phantoms[device_id], "L1-L4", 1.03, now, f"failing-{now.isoformat()}")
        self._append(device_id, scan)

    def touch(self, device_id: str) -> None:
        fault = FaultLogged("f1", "table squeaks", stops_scanning=False, logged_by=Person("Oz", "operator"))
        self._append(device_id, fault)

    def carry_out(self, command: Command) -> None:
        """Let a person do something elsewhere."""
        seq = self._engine.states[command.device].device_seq
        assert isinstance(self._engine.execute(command, expected_device_seq=seq), Receipt)

    def end(self) -> None:
        super().end()
        self._engine.stop()
        self._log.close()

    def _append(self, device_id: str, fact: Fact) -> None:
        key = self._keys[device_id]
        self._engine.append([Draft(event_id(key, str(time.monotonic_ns())), key, fact)])


def _life(policy: DevicePolicy, calendar: ClinicCalendar, *, with_todays_qc: bool) -> Iterator[tuple[datetime, Fact]]:
    start = NOW - timedelta(days=HISTORY_DAYS + 1)
    yield start, DeviceRegistered(policy, calendar)
    yield start, CommissioningSignedOff(Person(PHYSICIST, "physicist"))
    yield from _past(policy.phantoms[0].patient_id, with_todays_qc=with_todays_qc)


def _past(phantom_id: str, *, with_todays_qc: bool) -> Iterator[tuple[datetime, Fact]]:
    """Yield a baseline of 1.000 and a quiet reading and vendor QC each day up to this morning."""
    start = NOW - timedelta(days=HISTORY_DAYS)
    yield start - timedelta(hours=1), baseline(phantom=phantom_id)
    for day in range(HISTORY_DAYS + 1):
        at = start + timedelta(days=day) - timedelta(minutes=30)
        bmd = 1.0 + 0.003 * math.sin(day * 12.9898)
        yield at, PhantomMeasured(phantom_id, "L1-L4", bmd, at, f"{phantom_id}-{day}")
        if day < HISTORY_DAYS or with_todays_qc:
            yield at, VendorQcReported(passed=True, measured_at=at, performed_by="Oz", reviewed_by="Pat")
