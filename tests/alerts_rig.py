"""Invented scanners, people and mornings for the tests of alerts; times of Bath, in January those of UTC."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from alerts.book import Book
from alerts.condition import Condition, Findings, Kind, Severity
from alerts.conditions import find
from alerts.notes import Note
from alerts.policy import Step, step
from alerts.rota import Person, Rota
from alerts.rules import AlertRules
from alerts.situation import DeviceSituation, Situation, clinics_ahead
from streams.messages import ChartPoint, GateStatus, QcJudged, Reason, ReasonCode, Verdict
from streams.policy import Clinic, ClinicCalendar, Closure, PhantomRole
from streams.readings import DeviceView, PhantomStatus
from streams.roles import Role
from streams.site import Gate

LONDON: Final = "Europe/London"
RULES: Final = AlertRules()
PHYSICS: Final = "Medical physics, 01225 000 000"
WEEKDAYS: Final = (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),)
CALENDAR: Final = ClinicCalendar(LONDON, WEEKDAYS, (Closure("2026-01-01", "2026-01-01", "New Year"),))
EVERY_DAY: Final = ClinicCalendar(LONDON, (Clinic((0, 1, 2, 3, 4, 5, 6), "08:30", "16:30"),))

OLA: Final = Person("Ola", (Role.OPERATOR,), ("mail",))
OWEN: Final = Person("Owen", (Role.OPERATOR,), ("mail",), tier=2)
PETRA: Final = Person("Petra", (Role.PHYSICIST,), ("mail",), quiet=("20:00", "07:00"))
ADA: Final = Person("Ada", (Role.ADMIN,), ("mail",))
MAX: Final = Person("Max", (Role.MANAGER,), ("mail",))
ROTA: Final = Rota((OLA, OWEN, PETRA, ADA, MAX), ("Ada",), LONDON)

MISSING: Final = Reason(
    ReasonCode.QC_MISSING, "phantom SPINE-1: no pass today", "Scan this phantom; it must be within limits."
)
REPEAT: Final = Reason(
    ReasonCode.QC_FAILED,
    "phantom SPINE-1 failed +1.9 %: repeat once",
    "Reposition the phantom and scan it once more. If it fails again, ring the physicist.",
)
TWICE: Final = Reason(
    ReasonCode.QC_FAILED,
    "phantom SPINE-1 failed twice +1.9 %: ring physicist",
    "Find the cause; a scan of the phantom passes; a physicist releases.",
)


def utc(text: str) -> datetime:
    """``2026-01-05T07:45``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def held(*reasons: Reason, since: datetime) -> Gate:
    return Gate(GateStatus.HELD, since, None, reasons)


def opened(since: datetime) -> Gate:
    return Gate(GateStatus.OPEN, since, since + timedelta(hours=12))


def reading(event_id: str, at: datetime, verdict: Verdict = Verdict.FAIL, percent: float = 1.9) -> QcJudged:
    point = ChartPoint(1, 1.0, 0.005, 0.985, 1.015, percent, 0.0, 0.0, 5.0, signal=False)
    bmd = 1.0 + percent / 100
    return QcJudged(event_id, 0, PhantomRole.INDEPENDENT, "SPINE-1", "L1-L4", at, verdict, bmd, point)


def phantom(
    last: QcJudged | None = None, *, failed: int = 0, confirmed: bool = False, passed_since: bool = False
) -> PhantomStatus:
    return PhantomStatus(
        patient_id="SPINE-1",
        role="independent",
        region="L1-L4",
        frequency="daily",
        serial="1",
        epoch=1,
        mean=1.0,
        sigma=0.005,
        lower=0.985,
        upper=1.015,
        baseline_scans=25,
        baseline_established=True,
        candidates=25,
        candidates_needed=10,
        last=last,
        last_passed_at=None,
        due_by=None,
        failed_scans=failed,
        failure_confirmed=confirmed,
        passed_since_failure=passed_since,
        drift_open=False,
    )


def scanner(
    gate: Gate, *phantoms: PhantomStatus, device_id: str = "dxa-2", name: str = "2", **changed: object
) -> DeviceView:
    view = DeviceView(
        id=device_id,
        device=f"bath/{device_id}",
        kind="scanner",
        make="Hologic",
        model="Horizon W",
        serial="1",
        ae_title=name,
        enforcement="worklist",
        stage="clinical",
        ring=PHYSICS,
        device_seq=1,
        gate=gate,
        gates={"all": gate},
        phantoms=phantoms,
        vendor_qc_required=True,
        vendor_qc_last=None,
        vendor_qc_due_by=None,
        vendor_qc_failure_confirmed=False,
        vendor_qc_passed_since_failure=False,
        faults=(),
        parked=None,
        first_clinic_today=None,
        clinic_ends=None,
    )
    return replace(view, **changed)


def failed_at(at: datetime, event_id: str = "scan-1", **changed: object) -> DeviceView:
    """A scanner whose phantom failed once."""
    return scanner(held(REPEAT, since=at), phantom(reading(event_id, at), failed=1), **changed)  # type: ignore[arg-type]


def situation(
    at: datetime, *views: DeviceView, calendar: ClinicCalendar = CALENDAR, first_patient_at: datetime | None = None
) -> Situation:
    clinics = clinics_ahead(calendar, at, RULES.assumed_clinic)
    devices = tuple(DeviceSituation(view, clinics, first_patient_at=first_patient_at) for view in views)
    return Situation(at, LONDON, devices)


def condition(
    key: str = "gate:dxa-2", *, severity: Severity = Severity.URGENT, news: str = "failed:scan-1", **changed: object
) -> Condition:
    """A condition of no particular device, for what the policy makes of any."""
    at = utc("2026-01-05T07:00")
    one = Condition(key, Kind.GATE_HELD, severity, (Role.OPERATOR,), at, news, f"{key} is wrong")
    return replace(one, **changed)


def findings(*conditions: Condition, endings: Iterable[str] = ()) -> Findings:
    return Findings(conditions, {key: f"{key} is cleared." for key in endings})


class Watch:
    """A site that is looked at: keeps the book, and every note with when it was made."""

    def __init__(self, rules: AlertRules = RULES, rota: Rota = ROTA) -> None:
        self.rules, self.rota = rules, rota
        self.book = Book()
        self.sent: list[tuple[datetime, Note]] = []

    def look(self, at: datetime, found: Findings) -> Step:
        """Step once."""
        result = step(self.book, found, at, self.rules, self.rota)
        self.book = result.book
        self.sent += [(at, note) for note in result.notes]
        return result

    def stand(self, since: datetime, until: datetime, found: Findings) -> None:
        """Let it stand: look now, and whenever there is something to do, up to `until`."""
        at: datetime | None = since
        while at is not None and at <= until:
            at = self.look(at, found).next_at

    def see(self, at: datetime, *views: DeviceView, calendar: ClinicCalendar = CALENDAR) -> Sequence[Note]:
        """Look at devices, and again when the time of gathering is over; return what was sent."""
        return self.seen([situation(one, *views, calendar=calendar) for one in (at, at + self.gathering)])

    def seen(self, situations: Iterable[Situation]) -> Sequence[Note]:
        before = len(self.sent)
        for one in situations:
            self.look(one.at, find(one, self.rules))
        return [note for _, note in self.sent[before:]]

    @property
    def gathering(self) -> timedelta:
        """How long one message is gathered."""
        return timedelta(seconds=self.rules.group_seconds)

    def told(self, person: str) -> list[tuple[str, str]]:
        """When somebody was told, in UTC, and why."""
        return [(f"{at:%d %H:%M:%S}", note.reason.value) for at, note in self.sent if note.person == person]
