"""The control chart of a phantom over the period and the weeks before it, with the CUSUM sums below; a pure drawing.

A reading far out (a wrong phantom) is drawn at the edge, so that it does not flatten the rest.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.reports.drawing import Area, Drawing, Ink, Label, Line, Mark, Part, Shape
from dashboards.reports.qa.figures import QaReport, ReadingLine
from dashboards.reports.qa.reckoning import CONTEXT
from streams.fold.schedule import end_of_day, start_of_day, zone

WIDTH: Final = 180.0
LEFT: Final = 17.0
RIGHT: Final = 178.0
TOP: Final = 9.0
BMD: Final = 58.0
CUSUM_TOP: Final = 73.0
CUSUM: Final = 25.0
BOTTOM: Final = 106.0
SERVICE: Final = frozenset({"service", "fault"})

MARKS: Final[dict[str, tuple[Shape, Ink]]] = {
    "pass": ("disc", "good"),
    "pass_with_note": ("ring", "good"),
    "fail": ("cross", "bad"),
    "fail_confirmed": ("cross", "bad"),
    "wrong_phantom": ("triangle", "warn"),
    "implausible": ("triangle", "warn"),
}
"""What is none of these is a faint square."""

Scale = Callable[[float], float]


def phantoms_charted(report: QaReport) -> list[str]:
    """Return the phantoms that have anything to draw."""
    known = [name.rsplit(" (", 1)[0] for name, *_ in report.phantoms]
    return [one for one in known if _charted(report, one)]


def control_chart(report: QaReport, phantom: str) -> Drawing:
    """Draw a phantom's readings with tolerance, centre line, epochs, signals and service."""
    readings = _charted(report, phantom)
    here = zone(report.time_zone)
    begin, end = start_of_day(report.first, report.time_zone) - CONTEXT, end_of_day(report.last, report.time_zone)
    across = _scale(begin.timestamp(), end.timestamp(), LEFT, RIGHT)
    low, high = _range(readings)
    up = _scale(low, high, TOP + BMD, TOP)
    month = across(start_of_day(report.first, report.time_zone).timestamp())
    parts: list[Part] = [
        Area(month, TOP, RIGHT - month, BMD, "month"),
        Area(month, CUSUM_TOP, RIGHT - month, CUSUM, "month"),
    ]
    parts += _levels(low, high, up)
    parts += _days(begin, end, across, here)
    parts += _limits(readings, across, up)
    parts += _epochs(report, phantom, begin, end, across)
    parts += _service(report, across)
    parts += _points(readings, across, up, (low, high))
    parts += _cusum(readings, across)
    parts += _legend(report)
    return Drawing(WIDTH, BOTTOM + 9, tuple(parts))


def _charted(report: QaReport, phantom: str) -> list[ReadingLine]:
    return [one for one in (*report.before, *report.readings) if one.subject == phantom and one.value is not None]


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _range(readings: Sequence[ReadingLine]) -> tuple[float, float]:
    """Return the values that the chart spans: tolerance and what lies near it."""
    judged = [one for one in readings if one.lower is not None and one.upper is not None]
    if judged:
        low, high = min(one.lower or 0.0 for one in judged), max(one.upper or 0.0 for one in judged)
        reach = 1.2 * (high - low)
        near = [one.value for one in readings if one.value is not None and low - reach < one.value < high + reach]
        low, high = min([low, *near]), max([high, *near])
    else:
        values = [one.value for one in readings if one.value is not None]
        low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.01
    return low - margin, high + margin


def _levels(low: float, high: float, up: Scale) -> Iterator[Part]:
    """Yield the value axis: steps of 0.005 g/cm2, doubled until there are few."""
    step = 0.005
    while (high - low) / step > 8:
        step *= 2
    level = step * (int(low / step) + 1)
    while level < high:
        y = up(level)
        yield Line(((LEFT, y), (RIGHT, y)), "grid", 0.15)
        yield Label(LEFT - 1.5, y + 1, f"{level:.3f}", "end")
        level += step
    yield Label(LEFT - 15, TOP - 3.5, "BMD, g/cm²")


def _days(begin: datetime, end: datetime, across: Scale, here: ZoneInfo) -> Iterator[Part]:
    """Yield the time axis: each Monday, named every second week."""
    day = begin.astimezone(here).replace(hour=0, minute=0)
    day += timedelta(days=(7 - day.weekday()) % 7)
    for number in range(60):
        monday = day + timedelta(weeks=number)
        if monday >= end:
            return
        x = across(monday.timestamp())
        for top, height in ((TOP, BMD), (CUSUM_TOP, CUSUM)):
            yield Line(((x, top), (x, top + height)), "grid", 0.15)
        if number % 2 == 0 and x < RIGHT - 6:
            yield Label(x, CUSUM_TOP + CUSUM + 4, f"{monday.day} {monday:%b}", "middle")


def _limits(readings: Sequence[ReadingLine], across: Scale, up: Scale) -> Iterator[Part]:
    """Yield each epoch's centre line and tolerance, from its first reading drawn to its last."""
    judged = [one for one in readings if one.target is not None]
    for _, group in groupby(judged, key=lambda one: one.epoch):
        of_epoch = list(group)
        first, last = of_epoch[0], of_epoch[-1]
        x, to = across(first.measured_at.timestamp()) - 1.5, across(last.measured_at.timestamp()) + 1.5
        upper, lower, target = first.upper or 0.0, first.lower or 0.0, first.target or 0.0
        yield Area(x, up(upper), to - x, up(lower) - up(upper), "band")
        yield Line(((x, up(target)), (to, up(target))), "accent", 0.3)
        for value in (upper, lower):
            yield Line(((x, up(value)), (to, up(value))), "bad", 0.3, (2.0, 1.2))


def _epochs(report: QaReport, phantom: str, begin: datetime, end: datetime, across: Scale) -> Iterator[Part]:
    for one in report.epochs:
        if one.phantom_id == phantom and begin <= one.accepted_at < end:
            x = across(one.accepted_at.timestamp())
            yield Line(((x, TOP), (x, TOP + BMD)), "accent", 0.4, (0.8, 0.8))
            yield Label(x, TOP - 0.8, f"Epoch {one.epoch}", "middle", "accent")


def _service(report: QaReport, across: Scale) -> Iterator[Part]:
    """Yield a mark for each fault and each stage of service, at the foot of the chart."""
    for one in report.log:
        if one.kind in SERVICE:
            x = across(one.at.timestamp())
            yield Line(((x, TOP), (x, TOP + BMD)), "warn", 0.25, (0.6, 1.0))
            yield Mark(x, TOP + BMD, "diamond", "warn")


def _points(readings: Sequence[ReadingLine], across: Scale, up: Scale, bounds: tuple[float, float]) -> Iterator[Part]:
    placed = [
        (one, across(one.measured_at.timestamp()), up(min(max(one.value or 0.0, bounds[0]), bounds[1])))
        for one in readings
    ]
    run = tuple((x, y) for one, x, y in placed if one.target is not None)
    if len(run) > 1:
        yield Line(run, "faint", 0.12)
    for one, x, y in placed:
        shape, ink = MARKS.get(one.verdict, ("square", "faint"))
        yield Mark(x, y, shape, ink)
    for before, (one, x, y) in zip([None, *(one for one, *_ in placed)], placed, strict=False):
        if one.signal and not (before and before.signal):
            yield Mark(x, y, "halo", "signal")


def _cusum(readings: Sequence[ReadingLine], across: Scale) -> Iterator[Part]:
    """Yield both sums, the lower one downwards, with the decision interval; beyond twice that they end at the edge."""
    judged = [one for one in readings if one.cusum_h is not None]
    if not judged:
        return
    h = max(one.cusum_h or 0.0 for one in judged)
    down = _scale(-2 * h, 2 * h, CUSUM_TOP + CUSUM, CUSUM_TOP)
    yield Label(LEFT - 15, CUSUM_TOP - 1.5, "CUSUM, in sigmas")
    for level in (-h, 0.0, h):
        y = down(level)
        yield Line(((LEFT, y), (RIGHT, y)), "bad" if level else "grid", 0.2, (2.0, 1.2) if level else ())
        yield Label(LEFT - 1.5, y + 1, f"{level:+g}" if level else "0", "end")
    upper, lower = [one.cusum_upper or 0.0 for one in judged], [-abs(one.cusum_lower or 0.0) for one in judged]
    sums: tuple[tuple[list[float], Ink], ...] = ((upper, "accent"), (lower, "warn"))
    for values, ink in sums:
        points = [
            (across(one.measured_at.timestamp()), down(min(max(value, -2 * h), 2 * h)))
            for one, value in zip(judged, values, strict=True)
        ]
        yield from _runs(judged, points, ink)


def _runs(judged: Sequence[ReadingLine], points: Sequence[tuple[float, float]], ink: Ink) -> Iterator[Part]:
    """Yield a line an epoch: a new baseline begins the sums anew."""
    run = [points[0]]
    for (before, one), point in zip(pairwise(judged), points[1:], strict=True):
        if before.epoch != one.epoch:
            yield Line(tuple(run), ink, 0.4)
            run = []
        run.append(point)
    yield Line(tuple(run), ink, 0.4)


def _legend(report: QaReport) -> Iterable[Part]:
    """Yield what the marks mean, in one line."""
    x, y = LEFT - 8, BOTTOM + 4.0
    keys: tuple[tuple[Shape, Ink, str], ...] = (
        ("disc", "good", "pass"),
        ("ring", "good", "pass with note"),
        ("cross", "bad", "fail"),
        ("triangle", "warn", "not this phantom"),
        ("square", "faint", "not judged"),
        ("halo", "signal", "a signal begins"),
        ("diamond", "warn", "fault or service"),
    )
    for shape, ink, words in keys:
        yield Mark(x, y - 1, shape, ink)
        yield Label(x + (3.2 if shape == "halo" else 2.4), y, words)
        x += 6.0 + 1.5 * len(words)
    yield Label(RIGHT, TOP - 3.5, f"{report.first:%B %Y} shaded", "end")
