"""Compare scanners over sites: by phantoms that circulate, and by steps that scanners of one make share.

Pure. What a group comes to depends on the set of its readings alone, not on the order in which sites delivered them,
so a comparison made anew from the topics is the comparison that stood.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import fmean, median
from typing import Final, NamedTuple

from qa_models.cross_calibration import circulating_phantom
from qa_models.cross_calibration.circulating import CirculatingPhantom, ScannerLine, Visit
from qa_models.cross_calibration.circulating import Estimate as Estimated
from qa_models.shared_step import FEWEST_SCANNERS, Step, Week, group_signals, shared_step, step_between
from streams.fleet.messages import (
    CirculatingPhantomRead,
    ComparedScanner,
    Comparison,
    CrossCalibrationEstimated,
    Estimate,
    Level,
    Read,
    ScannerRead,
    ScannerStep,
    SharedStepEstimated,
    group_of,
)

REMEMBERED: Final = 500
"""Readings of a scanner's phantom that are looked at: about two years of weekdays."""

SAME_VISIT_DAYS: Final = 7
"""Readings of a circulating phantom no further apart belong to one visit (local policy)."""

FEWEST_SCANS: Final = 10
"""Readings either side of a step (ISCD's number for a change of hardware)."""

MOST_SCANS: Final = 25
"""Readings either side that count: older ones tell of other times."""

DAYS_A_WEEK: Final = 7

LATELY: Final = timedelta(days=180)
"""A scanner's phantom is the one that it read most often in this time: a replaced one is left behind."""


@dataclass
class _Visits:
    """Readings of one circulating phantom: a later analysis of an acquisition takes the place of an earlier one."""

    reads: dict[tuple[str, str, str], CirculatingPhantomRead] = field(default_factory=dict)

    def take(self, read: CirculatingPhantomRead) -> bool:
        place = (read.device, read.acquisition_id, read.region)
        known = self.reads.get(place)
        if known is not None and known.device_seq >= read.device_seq:
            return False
        self.reads[place] = read
        return True


@dataclass
class _Scanners:
    """Readings of the scanners of one make: of each scanner and phantom the last ones, in the order of its log."""

    series: dict[tuple[str, str], deque[ScannerRead]] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    taken: int = 0

    def take(self, read: ScannerRead) -> bool:
        place = (read.device, read.phantom)
        if read.device_seq <= self.last.get(place, 0):
            return False
        self.last[place] = read.device_seq
        self.series.setdefault(place, deque(maxlen=REMEMBERED)).append(read)
        self.taken += 1
        return True

    def by_device(self) -> dict[str, list[ScannerRead]]:
        """Return one phantom's readings of each scanner, by time: of its phantoms the one read most often of late."""
        chosen: dict[str, tuple[int, list[ScannerRead]]] = {}
        latest: dict[str, datetime] = {}
        for (device, _), series in self.series.items():
            newest = max(read.measured_at for read in series)
            latest[device] = max(newest, latest.get(device, newest))
        for device, phantom in sorted(self.series):
            series = self.series[device, phantom]
            lately = sum(latest[device] - read.measured_at <= LATELY for read in series)
            if lately > chosen.get(device, (0, []))[0]:
                chosen[device] = lately, sorted(series, key=lambda read: read.measured_at)
        return {device: reads for device, (_, reads) in chosen.items()}


class News(NamedTuple):
    """Comparisons that changed, by key, and groups that could not be compared, with the reason."""

    comparisons: list[tuple[str, Comparison]]
    failures: list[tuple[str, str]]


class Combination:
    """The groups that one reader has in hand."""

    def __init__(self) -> None:
        self._visits: dict[str, _Visits] = {}
        self._scanners: dict[str, _Scanners] = {}
        self._changed: set[tuple[type[Read], str]] = set()
        self._said: dict[str, Comparison] = {}

    def take(self, read: Read) -> bool:
        """Take in one reading; False if it was there before."""
        group = group_of(read)
        if isinstance(read, CirculatingPhantomRead):
            is_new = self._visits.setdefault(group, _Visits()).take(read)
        else:
            is_new = bool(group) and self._scanners.setdefault(group, _Scanners()).take(read)
        if is_new:
            self._changed.add((type(read), group))
        return is_new

    def news(self) -> News:
        """Return what the readings since the last call have changed; a group that cannot be compared stops no other."""
        found = News([], [])
        for kind, group in sorted(self._changed, key=lambda changed: (changed[0].__name__, changed[1])):
            try:
                comparisons = list(self._compared(kind, group))
            except (ValueError, ArithmeticError) as error:
                found.failures.append((group, str(error)))
                continue
            for key, comparison in comparisons:
                if self._said.get(key) != comparison:
                    self._said[key] = comparison
                    found.comparisons.append((key, comparison))
        self._changed.clear()
        return found

    def _compared(self, kind: type[Read], group: str) -> Iterator[tuple[str, Comparison]]:
        if kind is CirculatingPhantomRead:
            yield from compared_by_phantom(group, self._visits[group].reads.values())
        else:
            scanners = self._scanners[group]
            yield from steps_shared(group, scanners.by_device(), scanners.taken)


# --- circulating phantoms ----------------------------------------------------------------------------------


class _Visit(NamedTuple):
    device: str
    days: tuple[date, ...]
    regions: dict[str, float]


def compared_by_phantom(
    phantom: str, reads: Iterable[CirculatingPhantomRead]
) -> Iterator[tuple[str, CrossCalibrationEstimated]]:
    """Yield the comparison of the scanners that a phantom visited, once it visited two.

    Visits without the regions that most visits have are left out and counted.
    """
    reads = sorted(reads, key=lambda read: (read.measured_at, read.device, read.event_id))
    visits = [visit for device in _in_order(reads) for visit in _visits_of(device, reads)]
    regions = _usual_regions(visits)
    whole = [visit for visit in visits if visit.regions.keys() >= set(regions)]
    if not regions or len({visit.device for visit in whole}) < 2:
        return
    found = circulating_phantom(
        [
            Visit(visit.device, fmean(d.toordinal() for d in visit.days), tuple(visit.regions[r] for r in regions))
            for visit in whole
        ]
    )
    yield (
        phantom,
        CrossCalibrationEstimated(
            phantom=phantom,
            readings=len(reads),
            levels=tuple(_levels(regions, found)),
            degrees_of_freedom=found.degrees_of_freedom,
            compared_at=date.fromordinal(round(found.day)),
            scanners=tuple(_compared(line, found, reads, whole) for line in found.scanners),
            visits_left_out=len(visits) - len(whole),
        ),
    )


def _in_order(reads: list[CirculatingPhantomRead]) -> list[str]:
    return list(dict.fromkeys(read.device for read in reads))


def _visits_of(device: str, reads: list[CirculatingPhantomRead]) -> Iterator[_Visit]:
    """Yield a scanner's visits: runs of readings with no week between them."""
    own = [read for read in reads if read.device == device]
    breaks = [
        i + 1
        for i, (a, b) in enumerate(pairwise(own))
        if (b.measured_at.date() - a.measured_at.date()).days > SAME_VISIT_DAYS
    ]
    for start, end in pairwise([0, *breaks, len(own)]):
        of_visit = own[start:end]
        regions: dict[str, list[float]] = {}
        for read in of_visit:
            regions.setdefault(read.region, []).append(read.bmd_g_cm2)
        days = tuple(read.measured_at.date() for read in of_visit)
        yield _Visit(device, days, {region: fmean(values) for region, values in regions.items()})


def _usual_regions(visits: list[_Visit]) -> tuple[str, ...]:
    """Return the regions that most visits have: of sets equally common, the larger."""
    counted = Counter(tuple(sorted(visit.regions)) for visit in visits)
    return max(counted, key=lambda regions: (counted[regions], len(regions), regions), default=())


def _levels(regions: tuple[str, ...], found: CirculatingPhantom) -> Iterator[Level]:
    for j, region in enumerate(regions):
        trend = _said(found.trend_per_year[j]) if found.trend_per_year else None
        yield Level(region, found.levels[j], trend, found.visit_sd[j])


def _compared(
    line: ScannerLine, found: CirculatingPhantom, reads: list[CirculatingPhantomRead], visits: list[_Visit]
) -> ComparedScanner:
    latest = next(read for read in reversed(reads) if read.device == line.scanner)
    days = [day for visit in visits if visit.device == line.scanner for day in visit.days]
    return ComparedScanner(
        device=line.scanner,
        make=latest.make,
        model=latest.model,
        visits=line.visits,
        first_visit=min(days),
        last_visit=max(days),
        differences_percent=tuple(
            _said(difference, 100.0 / level) if level > 0 else None
            for difference, level in zip(line.differences, found.levels, strict=True)
        ),
        slope=_said(line.slope) if line.slope else None,
        intercept_g_cm2=_said(line.intercept) if line.intercept else None,
        residual_sd_g_cm2=line.residual_sd,
    )


def _said(estimate: Estimated, times: float = 1.0) -> Estimate:
    if estimate.interval is None:
        return Estimate(estimate.value * times)
    return Estimate(estimate.value * times, estimate.interval.lower * times, estimate.interval.upper * times)


# --- steps that scanners share -----------------------------------------------------------------------------


def steps_shared(
    make: str, scanners: dict[str, list[ScannerRead]], readings: int
) -> Iterator[tuple[str, SharedStepEstimated]]:
    """Yield the step that came with each software version, and the latest that came to all at one time.

    Parameters
    ----------
    scanners
        Of each scanner its readings, by time.
    readings
        How many were taken in.
    """
    versions = sorted({read.software for reads in scanners.values() for read in reads if read.software})
    for software in versions:
        places = {device: _changed_to(software, reads) for device, reads in scanners.items()}
        estimate = _estimate(make, software, scanners, places, readings)
        if estimate is not None:
            yield f"{make}#software#{software}", estimate
    latest: SharedStepEstimated | None = None
    for signal in group_signals({device: _weeks(reads) for device, reads in scanners.items()}):
        since = date.fromordinal((signal.last_in_control + 1) * DAYS_A_WEEK + 1)  # weeks begin on Mondays
        places = {
            device: next((i for i, read in enumerate(reads) if read.measured_at.date() >= since), None)
            for device, reads in scanners.items()
        }
        estimate = _estimate(make, "", scanners, places, readings)
        if estimate is not None and (estimate.shared or latest is None or not latest.shared):
            latest = estimate  # a later signal of nothing does not hide a step that is shared
    if latest is not None:
        yield f"{make}#time", latest


def _changed_to(software: str, reads: list[ScannerRead]) -> int | None:
    """Return where a scanner first reads with a version after another one; None if it never changed to it."""
    first = next((i for i, read in enumerate(reads) if read.software == software), None)
    return first if first and any(read.software for read in reads[:first]) else None


def _weeks(reads: list[ScannerRead]) -> dict[int, Week]:
    """Return a scanner's readings by week, in sigmas from its first; one sigma for all: a new baseline is no step."""
    origin, sigma, weeks = reads[0].bmd_g_cm2, median(read.sigma_g_cm2 for read in reads), dict[int, list[float]]()
    if not sigma > 0:
        return {}
    for read in reads:
        week = (read.measured_at.date().toordinal() - 1) // DAYS_A_WEEK
        weeks.setdefault(week, []).append((read.bmd_g_cm2 - origin) / sigma)
    return {week: Week(fmean(values), len(values)) for week, values in weeks.items()}


def _estimate(
    make: str,
    software: str,
    scanners: dict[str, list[ScannerRead]],
    places: dict[str, int | None],
    readings: int,
) -> SharedStepEstimated | None:
    """Combine the steps of the scanners that have enough readings either side of their place."""
    steps = [
        step
        for device, place in sorted(places.items())
        if place is not None and (step := _step(device, scanners[device], place, software)) is not None
    ]
    if len(steps) < FEWEST_SCANNERS:
        return None
    found = shared_step([Step(s.percent, s.standard_error_percent, s.n_before, s.n_after) for s in steps])
    return SharedStepEstimated(
        make=make,
        software=software,
        since=min(step.since for step in steps),
        readings=readings,
        percent=Estimate(found.size, found.interval.lower, found.interval.upper),
        between_sd_percent=found.between_sd,
        shared=found.shared,
        scanners=tuple(steps),
    )


def _step(device: str, reads: list[ScannerRead], place: int, software: str) -> ScannerStep | None:
    """Return a scanner's step at a place, in percent of its mean before; None where there are too few readings."""
    earlier = _just_before(reads[:place]) if software else reads[:place]
    before = [read.bmd_g_cm2 for read in earlier[-MOST_SCANS:]]
    after = [read.bmd_g_cm2 for read in reads[place:][:MOST_SCANS] if not software or read.software == software]
    if min(len(before), len(after)) < FEWEST_SCANS or len(set(before)) == 1 == len(set(after)):
        return None
    level = fmean(before) / 100.0
    found = step_between([x / level for x in before], [x / level for x in after], min_scans=FEWEST_SCANS)
    return ScannerStep(
        device=device,
        since=reads[place].measured_at.date(),
        percent=found.size,
        standard_error_percent=found.standard_error,
        n_before=found.n_before,
        n_after=found.n_after,
    )


def _just_before(reads: list[ScannerRead]) -> list[ScannerRead]:
    """Return the readings of the version that stood last: what an older one read, or an unnamed one, is not its."""
    versions = [read.software for read in reads if read.software]
    if not versions:
        return []
    found: list[ScannerRead] = []
    for read in reversed(reads):
        if read.software == versions[-1]:
            found.append(read)
        elif read.software:
            break
    return found[::-1]
