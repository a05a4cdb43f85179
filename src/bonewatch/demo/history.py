"""Two years of a demonstration's past: facts as a department would have recorded them, plainly synthetic."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final

import msgspec

from qa_models.baseline import Baseline
from simulators.series import BmdSeries
from streams.fold.schedule import zone
from streams.messages import (
    BaselineAccepted,
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    Person,
    PhantomMeasured,
    QcReleased,
    Source,
    StepReviewed,
    VendorQcReported,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy

HISTORY_DAYS: Final = 730
COMMISSIONING_SCANS: Final = 10
ROUTINE_SCANS: Final = 25
PHYSICIST: Final = Person("Demo Physicist", "physicist")

Entry = tuple[datetime, Draft]


class ScannerStory(msgspec.Struct, frozen=True):
    """What one scanner's phantom has measured, day by day."""

    device_id: str
    phantom_id: str
    series: BmdSeries


def history(
    devices: Mapping[str, tuple[DevicePolicy, ClinicCalendar]],
    site_id: str,
    stories: tuple[ScannerStory, ...],
    now: datetime,
    *,
    days: int = HISTORY_DAYS,
) -> list[Entry]:
    """Return the facts of the `days` before `now`, of all scanners, in order of time."""
    entries: list[Entry] = []
    for story in stories:
        key = f"{site_id}/{story.device_id}"
        policy, calendar = devices[key]
        facts = _facts(story, policy, calendar, now, days)
        entries += [(at, Draft(event_id("demo-history", key, str(n)), key, fact)) for n, (at, fact) in enumerate(facts)]
    return sorted(entries, key=lambda entry: entry[0])


def _facts(
    story: ScannerStory, policy: DevicePolicy, calendar: ClinicCalendar, now: datetime, days: int
) -> Iterator[tuple[datetime, Fact]]:
    here = zone(calendar.time_zone)
    first = now.astimezone(here).date() - timedelta(days=days)
    weekdays = {day for clinic in calendar.clinics for day in clinic.weekdays}
    start = datetime.combine(first, time(9, 0), here).astimezone(UTC)
    yield start, DeviceRegistered(policy, calendar)
    values = []
    for scan in range(COMMISSIONING_SCANS):
        values.append(story.series.bmd_g_cm2(0, scan))
        yield (
            start + timedelta(minutes=5 * (scan + 1)),
            _scan(story, values[-1], start + timedelta(minutes=5 * (scan + 1)), scan),
        )
    baseline = Baseline.from_scans(values)
    yield start + timedelta(hours=2), _accepted(story, baseline, 1, None, "commissioning")
    adopted = CommissioningSignedOff(PHYSICIST, f"{first:%Y-%m-%d}", "Invented for the demonstration")
    yield start + timedelta(hours=2), adopted
    routine: list[float] = []
    for day in range(1, days):
        date = first + timedelta(days=day)
        if date.weekday() not in weekdays:
            continue
        morning = datetime.combine(date, time(7, 40 + day % 12), here).astimezone(UTC)
        yield (
            morning,
            VendorQcReported(
                passed=True,
                measured_at=morning,
                performed_by="Demo Operator",
                reviewed_by="Demo Reviewer",
                source=Source.IMPORT,
            ),
        )
        scans = list(_day_of_scans(story, baseline, day, morning))
        yield from ((at, fact) for at, fact, _ in scans)
        routine.append(scans[-1][2])
        if len(routine) == ROUTINE_SCANS:
            second = Baseline.from_scans(routine)
            step = 100.0 * (second.mean / baseline.mean - 1.0)
            baseline = second
            yield morning + timedelta(hours=1), _accepted(story, second, 2, step, "25 routine days")
            looked_at = StepReviewed(story.phantom_id, 2, is_comparable=True, decision="Small", decided_by=PHYSICIST)
            yield morning + timedelta(hours=1), looked_at


def _day_of_scans(
    story: ScannerStory, baseline: Baseline, day: int, morning: datetime
) -> Iterator[tuple[datetime, Fact, float]]:
    """Yield one morning's scans: repeated once after a failure; after two, until one passes and is released."""
    for scan in range(6):
        value = story.series.bmd_g_cm2(day, scan)
        at = morning + timedelta(minutes=6 * (scan + 1))
        yield at, _scan(story, value, at, scan), value
        if baseline.within_tolerance(value):
            if scan > 1:
                released = QcReleased(story.phantom_id, "phantom not level (demo)", PHYSICIST)
                yield at + timedelta(minutes=30), released, value
            return


def _scan(story: ScannerStory, value: float, at: datetime, scan: int) -> PhantomMeasured:
    return PhantomMeasured(
        phantom_id=story.phantom_id,
        region="L1-L4",
        bmd_g_cm2=value,
        measured_at=at,
        acquisition_id=f"{story.device_id}-{at:%Y%m%d}-{scan}",
        source=Source.IMPORT,
    )


def _accepted(story: ScannerStory, new: Baseline, epoch: int, step: float | None, reason: str) -> BaselineAccepted:
    return BaselineAccepted(
        phantom_id=story.phantom_id,
        epoch=epoch,
        n=new.n,
        mean_g_cm2=new.mean,
        sd_g_cm2=new.sd,
        sigma_g_cm2=new.sigma,
        lower_g_cm2=new.lower,
        upper_g_cm2=new.upper,
        established=new.established,
        accepted_by=PHYSICIST,
        reason=reason,
        step_percent=step,
    )
