"""A small DXA department that comes to life: the real site, with virtual scanners and a virtual RIS around it."""

import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Self
from zlib import crc32

from msgspec.structs import replace
from rich.console import Console

from bonewatch.configuration.loading import parse
from bonewatch.data_folder import LOG_FILE
from bonewatch.demo.alerts import alert_sections
from bonewatch.demo.corner import WeighingCorner
from bonewatch.demo.due import due_sections
from bonewatch.demo.history import HISTORY_DAYS, ScannerStory, history
from bonewatch.site import Site
from dashboards.demo_panel import DemoAction
from simulators.patient_objects import PatientScan, objects_of
from simulators.ris import Appointment, VirtualRis, invented_clinic
from simulators.scanner import PhantomLabel, ScannerConnectionError, VirtualScanner
from simulators.series import BmdSeries
from streams.fold.schedule import local_day, zone
from streams.messages import ClinicCalendarChanged, Draft, VendorQcReported, event_id
from streams.policy import Clinic, ClinicCalendar

TIME_ZONE: Final = "Europe/London"
WORKLIST_EVERY_S: Final = 20.0

CONFIGURATION: Final = """
[site]
id = "{site}"
name = "{name}"
time_zone = "{zone}"

[dicom]
port = {dicom_port}
patients = "read"
upstream = {{ ae_title = "RIS", host = "127.0.0.1", port = {ris_port} }}

[http]
host = "{host}"
port = {port}

[database]
enabled = {database}

[kafka]
bootstrap_servers = "{kafka}"

[[device]]
id = "dxa-1"
kind = "scanner"
make = "Invented"
model = "Virtual A"
serial = "V-0001"
ae_title = "DXA1"
enforcement = "worklist"
ring = "Medical physics (demo), extension 0001"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
  serial = "0001"

[[device]]
id = "dxa-2"
kind = "scanner"
make = "Invented"
model = "Virtual B"
serial = "V-0002"
ae_title = "DXA2"
enforcement = "worklist"
ring = "Medical physics (demo), extension 0001"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0002"
  serial = "0002"

[[clinic]]
device = "dxa-1"
days = ["mon", "tue", "wed", "thu", "fri"]
starts = "08:30"
ends = "16:30"

[[clinic]]
device = "dxa-2"
days = ["mon", "tue", "wed", "thu", "fri"]
starts = "08:30"
ends = "16:30"
"""

STORIES: Final = (
    ScannerStory("dxa-1", "SPINE-0001", BmdSeries(target_g_cm2=1.012, cv_percent=0.35, seed=11)),
    ScannerStory(
        "dxa-2",
        "SPINE-0002",
        BmdSeries(
            target_g_cm2=0.987,
            cv_percent=0.35,
            drift_percent_per_day=0.006,
            drift_from_day=HISTORY_DAYS - 150,
            seed=23,
        ),
    ),
)
"""One scanner in control; one that has drifted upwards, slowly, for the last 150 days."""


class ShiftedClock:
    """The real clock, moved forward when a visitor lets the night pass."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """Return the department's time, UTC."""
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True, slots=True)
class Department:
    """Which department is brought to life; by default one that stands alone.

    `site` is its id, `kafka` where its log is sent to, `database` whether it keeps one of its own.
    """

    site: str = "demo"
    host: str = "127.0.0.1"
    kafka: str = ""
    database: bool = True

    def stories(self) -> tuple[ScannerStory, ...]:
        """Return its scanners' stories: the same scatter nowhere twice."""
        if self.site == "demo":
            return STORIES
        other = crc32(self.site.encode()) % 1000
        return tuple(replace(story, series=replace(story.series, seed=story.series.seed + other)) for story in STORIES)

    def configuration(self, *, port: int, dicom_port: int, ris_port: int) -> str:
        """Return its configuration file."""
        name = "Bonewatch demo department" if self.site == "demo" else f"{self.site.title()} demo hospital"
        return CONFIGURATION.format(
            site=self.site,
            name=name,
            zone=TIME_ZONE,
            host=self.host,
            port=port,
            dicom_port=dicom_port,
            ris_port=ris_port,
            database=str(self.database).lower(),
            kafka=self.kafka,
        )


class Demo:
    """The demonstration: enter it to start, leave it to stop. Its controls are a visitor's panel."""

    def __init__(
        self, *, port: int, dicom_port: int, data_dir: Path | None, department: Department | None = None
    ) -> None:
        self._department = department or Department()
        self._stories = self._department.stories()
        self._clock = ShiftedClock()
        self._stack = ExitStack()
        self._ris = VirtualRis()
        self._ports = (port, dicom_port)
        self._data_dir = data_dir
        self._silent: set[str] = set()
        self._entries = 0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._stack.close()

    def _start(self) -> None:
        data_dir = self._folder()
        self._ris.start()
        self._stack.callback(self._ris.stop)
        port, dicom_port = self._ports
        text = self._department.configuration(port=port, dicom_port=dicom_port, ris_port=self._ris.port)
        corner = WeighingCorner()
        self._stack.callback(corner.stop)
        text += corner.configuration() + due_sections(local_day(self._clock(), TIME_ZONE)) + alert_sections()
        config = parse(text, "the demo's configuration")
        self._devices = config.devices()
        past = []
        if not (data_dir / LOG_FILE).exists():
            past = history(self._devices, config.site.id, self._stories, self._clock())
        said = Console(stderr=True)
        with said.status("living through two years of phantom scans" if past else "opening the department"):
            self._site = Site(config, data_dir, clock=self._clock, demo=self).start(past)
        self._stack.callback(self._site.stop)
        self.url = self._site.url
        self._scanners = {story.device_id: self._scanner(story) for story in self._stories}
        self._corner = corner
        self._morning()
        corner.follow(self._site.engine, self._site.lines, self._key)
        thread = threading.Thread(target=self._live, name="demo-department", daemon=True)
        thread.start()
        self._stack.callback(thread.join, 10.0)
        self._stack.callback(self._stopped.set)

    def _folder(self) -> Path:
        if self._data_dir is not None:
            return self._data_dir
        folder = Path(tempfile.mkdtemp(prefix="bonewatch-demo-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _scanner(self, story: ScannerStory) -> VirtualScanner:
        label = PhantomLabel(story.phantom_id, "PHANTOM^SYNTHETIC SPINE")
        title = self._devices[self._key(story.device_id)][0].ae_title
        return VirtualScanner(title, self._site.dicom_port, phantom=label, series=story.series)

    # --- what happens by itself ----------------------------------------------------------------------------

    def _morning(self) -> None:
        """Do today's work: book the clinics, scan the phantoms, run the first scanner's own QC."""
        today = self._clock().astimezone(zone(TIME_ZONE)).date()
        booked = [self._clinic(place, today) for place in range(len(self._stories))]
        self._ris.book([item for clinic in booked for item in clinic])
        for story in self._stories:
            if story.device_id not in self._silent:
                self._scan(story.device_id, self._day())
        if self._stories[0].device_id not in self._silent:
            self._vendor_qc(self._stories[0].device_id)
        self._corner.morning()

    def _clinic(self, place: int, today: date) -> tuple[Appointment, ...]:
        title = self._devices[self._key(self._stories[place].device_id)][0].ae_title
        return invented_clinic(title, 8, first=1 + 100 * place, day=today)

    def _live(self) -> None:
        """Ask for the worklists now and then, as consoles do."""
        while not self._stopped.wait(WORKLIST_EVERY_S):
            for device_id, scanner in self._scanners.items():
                if device_id not in self._silent:
                    try:
                        scanner.query_worklist()
                    except ScannerConnectionError:
                        return

    # --- the visitor's panel -------------------------------------------------------------------------------

    def actions(self) -> Sequence[DemoAction]:
        """Return what a visitor can make happen."""
        each = (
            ("fail", "Fail the phantom", "Its next phantom scan reads 2.5 % too high."),
            ("pass", "Pass the phantom", "It is scanned once more, repositioned, and reads as it should."),
            ("drift", "Drift", "Eight scans, each within tolerance, 0.8 % too high: the CUSUM notices."),
            ("silent", "Fall silent", "It scans no phantom any more and asks for no worklist, until it passes again."),
            ("clinic", "Clinic in 45 minutes", "A clinic is about to start on it."),
            ("patient", "Scan a patient", "An invented patient, typed in by hand, is scanned whatever its gate says."),
        )
        scanners = [story.device_id for story in self._stories]
        actions = [DemoAction(name, title, text, scanner) for scanner in scanners for name, title, text in each]
        night = DemoAction(
            "night", "Let the night pass", "It becomes 07:45 tomorrow; scanners that are not silent do their QC."
        )
        return [*actions, night]

    def run(self, name: str, device_id: str | None) -> str:
        """Make it happen; KeyError for what is not offered."""
        if name == "night":
            return self._night()
        if device_id not in self._scanners:
            raise KeyError(device_id)
        act = {
            "fail": self._fail,
            "pass": self._pass,
            "drift": self._drift,
            "silent": self._fall_silent,
            "clinic": self._soon,
            "patient": self._patient,
        }[name]
        return act(device_id)

    def _fail(self, device_id: str) -> str:
        self._scan(device_id, self._day(), percent=2.5)
        return "The phantom scan was 2.5 % too high: the worklist is refused until a repeat passes."

    def _pass(self, device_id: str) -> str:
        self._silent.discard(device_id)
        self._scan(device_id, self._day())
        return "The phantom was repositioned and scanned again."

    def _drift(self, device_id: str) -> str:
        for _ in range(8):
            self._scan(device_id, self._day(), percent=0.8)
        return "Eight scans, each within tolerance; look at the CUSUM."

    def _fall_silent(self, device_id: str) -> str:
        self._silent.add(device_id)
        return "It is silent now. Let the night pass, and nobody will have scanned its phantom."

    def _soon(self, device_id: str) -> str:
        now = self._clock().astimezone(zone(TIME_ZONE))
        starts = min(now + timedelta(minutes=45), datetime.combine(now.date(), time(23, 30), now.tzinfo))
        ends = min(starts + timedelta(hours=4), datetime.combine(now.date(), time(23, 59), now.tzinfo))
        today = Clinic((now.weekday(),), f"{starts:%H:%M}", f"{ends:%H:%M}")
        calendar = ClinicCalendar(TIME_ZONE, (today,))
        self._record(device_id, ClinicCalendarChanged(calendar))
        return f"The first patient is at {starts:%H:%M}."

    def _patient(self, device_id: str) -> str:
        """Scan somebody who was typed in at the console: a refused worklist does not stop that."""
        self._entries += 1
        scanner = self._scanners[device_id]
        person = PatientScan(
            self._clock(),
            acquisition=f"demo-{self._entries}",
            accession_number=f"DEMO-{self._entries:06}",
            patient_id=f"INVENTED-{self._entries:04}",
            station=scanner.ae_title,
        )
        was_open = self._site.engine.gate(self._key(device_id)).lets_patients_through
        for ds in objects_of(person):
            scanner.send(ds)
        if was_open:
            return "A patient was scanned; the report was read into a measurement."
        return "A patient was scanned though the scanner is held: the board says so, and it will not be forgotten."

    def _night(self) -> str:
        now = self._clock().astimezone(zone(TIME_ZONE))
        wake = datetime.combine(now.date() + timedelta(days=1), time(7, 45), zone(TIME_ZONE))
        self._clock.ahead += wake - now
        self._morning()
        return f"It is {wake:%A} 07:45."

    # --- hands ---------------------------------------------------------------------------------------------

    def _scan(self, device_id: str, day: int, *, percent: float = 0.0) -> None:
        scanner = self._scanners[device_id]
        self._entries += 1
        series = scanner.series
        if percent:
            series = replace(series, cv_percent=0.05, step_percent=percent, drift_percent_per_day=0.0)
        scanner.send(scanner.report(series.bmd_g_cm2(day, self._entries), self._clock()))

    def _vendor_qc(self, device_id: str) -> None:
        fact = VendorQcReported(
            passed=True, measured_at=self._clock(), performed_by="Demo Operator", reviewed_by="Demo Reviewer"
        )
        self._record(device_id, fact)

    def _record(self, device_id: str, fact: VendorQcReported | ClinicCalendarChanged) -> None:
        self._entries += 1
        identity = event_id("demo", device_id, str(self._entries), self._clock().isoformat())
        self._site.engine.append([Draft(identity, self._key(device_id), fact)])

    def _day(self) -> int:
        """Return today as the series counts days: history ends on the day before the demo's first."""
        return HISTORY_DAYS + self._clock.ahead.days

    def _key(self, device_id: str) -> str:
        return f"{self._department.site}/{device_id}"
