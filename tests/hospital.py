"""A whole hospital in this process at a time that the test sets: site, scanners, a mail server, people at browsers.

Two scanners with a baseline of 1.000 g/cm2 and clinics on weekdays from 08:30 to 16:30, London time.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx
from playwright.sync_api import Browser, Page

from bonewatch.configuration.loading import parse
from bonewatch.data_folder import USERS_FILE
from bonewatch.site import Site
from dashboards.access.scopes import Scope
from dashboards.users import UserStore
from simulators.scanner import PhantomLabel, StoreResult, VirtualScanner, patient_report
from streams.messages import CommissioningSignedOff, DeviceRegistered, Draft, Fact, VendorQcReported, event_id
from streams.roles import Role
from tests.accounts import CHEAP, PASSWORD
from tests.folding import PHYSICIST, baseline
from tests.mail_server import Mail, MailServer
from tests.peers import free_port

LONDON: Final = ZoneInfo("Europe/London")
PEOPLE: Final[Mapping[Role, str]] = {
    Role.OPERATOR: "Olive Operator",
    Role.PHYSICIST: "Phil Physicist",
    Role.ENGINEER: "Eve Engineer",
    Role.MANAGER: "Mona Manager",
    Role.ADMIN: "Ada Admin",
}
"""Invented, and plainly so."""

CONFIGURATION: Final = """
[site]
id = "invented"
name = "Invented Hospital"
time_zone = "Europe/London"

[dicom]
port = 0
patients = "read"

[http]
port = {port}

[database]
enabled = {database}
"""

SCANNER: Final = """
[[device]]
id = "dxa-{n}"
kind = "scanner"
make = "Invented"
model = "Virtual"
serial = "V-{n}"
ae_title = "DXA{n}"
enforcement = "worklist"
ring = "Medical physics, extension 0001"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-000{n}"
  [device.qc]
  plausible_percent = 20.0

[[clinic]]
device = "dxa-{n}"
days = ["mon", "tue", "wed", "thu", "fri"]
starts = "08:30"
ends = "16:30"
slot_minutes = 20
"""


ALERTS: Final = """
[alerts]
console_url = "http://127.0.0.1:{port}"
fallback = ["Mona Manager"]

[alerts.rules]
group_seconds = 1
settle_minutes = 0

[alerts.rules.contacts]
operator = "the DXA office, 0002"
physicist = "medical physics, 0001"

[[alerts.channel]]
name = "mail"
url_file = "mail.url"
"""

SOMEBODY: Final = """
[[alerts.person]]
name = "{name}"
roles = ["{role}"]
channels = ["mail"]
address = "{role}@invented.example"
"""


class HospitalClock:
    """Goes on from the time that the test has set, second by second; safe from any thread."""

    def __init__(self, at: datetime) -> None:
        self._lock = threading.Lock()
        self._base, self._began = at, time.monotonic()

    def __call__(self) -> datetime:
        with self._lock:
            return self._base + timedelta(seconds=time.monotonic() - self._began)

    def set(self, at: datetime) -> None:
        """Go forward to a time."""
        with self._lock:
            self._base, self._began = at, time.monotonic()

    def skip(self, seconds: float) -> None:
        """Go forward by so much."""
        self.set(self() + timedelta(seconds=seconds))


class Hospital:
    """One site with what stands around it."""

    def __init__(self, folder: Path, at: datetime, mail: MailServer, *, more: str = "", database: bool = False) -> None:
        self.clock, self.mail, self._patients = HospitalClock(at), mail, 0
        port = free_port()
        text = CONFIGURATION.format(port=port, database=str(database).lower())
        text += SCANNER.format(n=1) + SCANNER.format(n=2) + ALERTS.format(port=port)
        text += "".join(SOMEBODY.format(name=name, role=role.value) for role, name in PEOPLE.items())
        self._config = parse(text + more, "site.toml")
        folder.mkdir(exist_ok=True)
        (folder / "mail.url").write_text(mail.url())
        self._site = Site(self._config, folder / "var", clock=self.clock, folder=folder)
        (folder / "var").mkdir(mode=0o700)
        users = UserStore(folder / "var" / USERS_FILE, hasher=CHEAP)
        for role, name in PEOPLE.items():
            users.add_user(name, role, PASSWORD)
        self._token = users.tokens.create("pathway", [Scope.MEASUREMENTS_READ], timedelta(days=400))
        users.close()
        self._site.start(self._history(at))
        self.url = self._site.url

    def _history(self, at: datetime) -> Sequence[tuple[datetime, Draft]]:
        entries = []
        for key, (device_policy, calendar) in self._config.devices().items():
            facts: tuple[Fact, ...] = (
                DeviceRegistered(device_policy, calendar),
                CommissioningSignedOff(PHYSICIST),
                *(baseline(phantom=phantom.patient_id) for phantom in device_policy.phantoms),
            )
            begun = at - timedelta(days=30)
            entries += [(begun, Draft(event_id("hospital", key, str(n)), key, fact)) for n, fact in enumerate(facts)]
        return entries

    def later(self, hours: int, minutes: int = 0, *, days: int = 0) -> None:
        """Let it become a time of day in London, some days on."""
        here = self.clock().astimezone(LONDON)
        then = datetime.combine(here.date() + timedelta(days=days), datetime.min.time(), LONDON)
        self.clock.set((then.replace(hour=hours, minute=minutes)).astimezone(UTC))

    def scan(self, n: int, bmd_g_cm2: float) -> StoreResult:
        """Scan the phantom of the n-th scanner now, by DICOM."""
        scanner = VirtualScanner(
            f"DXA{n}", self._site.dicom_port, phantom=PhantomLabel(f"SPINE-000{n}", "PHANTOM^INVENTED")
        )
        return scanner.send(scanner.report(bmd_g_cm2, self.clock()))

    def vendor_qc(self, n: int) -> None:
        """Let the scanner's own QC pass."""
        now = self.clock()
        fact = VendorQcReported(passed=True, measured_at=now, performed_by="Oz", reviewed_by="Pat")
        self._site.engine.append([Draft(event_id("vendor", str(n), now.isoformat()), f"invented/dxa-{n}", fact)])

    def told(self, role: Role, *words: str, within_s: float = 45.0) -> Mail:
        """Wait for a message to somebody of a role that holds all the words; return it."""
        address = f"{role.value}@invented.example"

        def found() -> list[Mail]:
            return [
                mail
                for mail in list(self.mail.came)
                if address in mail.to and all(word in f"{mail.subject}\n{mail.text}" for word in words)
            ]

        until = time.monotonic() + within_s
        while not found():
            came = "\n\n".join(f"{mail.to}: {mail.subject}\n{mail.text}" for mail in self.mail.came)
            assert time.monotonic() < until, f"{role.value} was not told {words}; what came:\n{came}"
            time.sleep(0.1)
        return found()[-1]

    def as_service(self, path: str, *, until: Callable[[Any], bool]) -> Any:
        """Ask the API with the pathway's token until the answer is as wanted; the database follows the log."""
        deadline = time.monotonic() + 30.0
        while True:
            answer = httpx.get(self.url + path, headers={"Authorization": f"Bearer {self._token}"})
            if answer.status_code == httpx.codes.OK and until(answer.json()):
                return answer.json()
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)

    def patient(self, n: int) -> StoreResult:
        """Let the n-th scanner measure an invented patient, whatever its gate says."""
        title = f"DXA{n}"
        self._patients += 1
        return VirtualScanner(title, self._site.dicom_port).send(
            patient_report(self._patients, self.clock(), station=title)
        )

    def stop(self) -> None:
        """Close it."""
        self._site.stop()

    @contextmanager
    def at_desk(self, browser: Browser, role: Role, *, width: int = 1280) -> Iterator[Page]:
        """Somebody of a role, signed in at a browser."""
        context = browser.new_context(viewport={"width": width, "height": 1100}, locale="en-GB")
        context.set_default_timeout(15_000)
        try:
            page = context.new_page()
            page.goto(f"{self.url}/sign-in")
            page.get_by_label("Name").fill(PEOPLE[role])
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{self.url}/")
            yield page
        finally:
            context.close()
