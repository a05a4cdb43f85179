"""A step that several scanners share: what one site alone would take for its own, or not see at all.

Each scanner's step is its mean after less its mean before. Over scanners they are combined by random effects, so
that scanners may differ by more than their noise; the step counts as shared only if no single scanner carries it.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qa_models.cross_calibration.line_fit import Interval, interval_about
from qa_models.cusum import TabularCusum
from qa_models.quantiles import two_sided_t
from qa_models.series import Series, finite_number, named_series, positive_number

FEWEST_SCANNERS: Final = 3
"""Fewer cannot tell a shared step from one scanner's own: with one left out, two must still agree."""

WITHOUT_ONE: Final = 0.9
"""Confidence at which the others must show the step when one scanner is left out."""


class Step(NamedTuple):
    """What one scanner's mean changed by, in the unit of its readings.

    Parameters
    ----------
    size, standard_error
        Of the mean after less the mean before.
    n_before, n_after
        Readings that these rest on.
    """

    size: float
    standard_error: float
    n_before: int
    n_after: int


def step_between(before: Series, after: Series, *, min_scans: int = 10) -> Step:
    """Return the change of a scanner's mean, with Welch's standard error [1]_.

    Raises
    ------
    ValueError
        If either series is too short, has no spread or a value that is not finite.

    Examples
    --------
    >>> step = step_between([0.1, -0.2, 0.3, -0.1, 0.0], [0.6, 0.4, 0.9, 0.5, 0.6], min_scans=5)
    >>> round(step.size, 6), round(step.standard_error, 6)
    (0.58, 0.12)

    References
    ----------
    .. [1] B. L. Welch, "The generalization of Student's problem when several different population variances are
       involved", Biometrika 34 (1947) 28-35.
    """
    first, second = (
        named_series(name, x, at_least=max(2, min_scans)) for name, x in (("before", before), ("after", after))
    )
    error = math.sqrt(statistics.variance(first) / len(first) + statistics.variance(second) / len(second))
    if error == 0:
        raise ValueError("neither series has any spread: its error cannot be told")
    return Step(statistics.fmean(second) - statistics.fmean(first), error, len(first), len(second))


@dataclass(frozen=True, slots=True)
class SharedStep:
    """Steps of several scanners combined.

    Parameters
    ----------
    scanners
        How many.
    size, interval
        Of the mean step of such scanners, with its confidence interval.
    between_sd
        Standard deviation of the scanners' true steps.
    shared
        Whether the interval leaves out zero, and does so at 90 % whichever scanner is left out.
    """

    scanners: int
    size: float
    interval: Interval
    between_sd: float
    shared: bool


def shared_step(steps: Sequence[Step], *, confidence: float = 0.99) -> SharedStep:
    """Combine steps by random effects: DerSimonian and Laird [1]_, interval by Hartung and Knapp [2]_.

    The interval is never narrower than that of the known errors alone (the factor of Hartung and Knapp is held at 1
    or more): a few scanners that agree by chance do not make a step certain.

    Parameters
    ----------
    steps
        One of each scanner, at least three.
    confidence
        Of the interval. 0.99 leaves room for looking again whenever another scanner has changed.

    Raises
    ------
    ValueError
        If there are fewer than three, a size is not finite, or a standard error is not above zero.

    Examples
    --------
    >>> steps = [Step(0.62, 0.15, 25, 12), Step(0.48, 0.14, 25, 14), Step(0.71, 0.18, 25, 10), Step(0.55, 0.15, 25, 11)]
    >>> found = shared_step(steps)
    >>> round(found.size, 3), found.shared, found.between_sd
    (0.576, True, 0.0)
    >>> shared_step([Step(2.4, 0.15, 25, 12), Step(0.05, 0.15, 25, 12), Step(-0.1, 0.15, 25, 12)]).shared
    False

    References
    ----------
    .. [1] R. DerSimonian and N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986) 177-188.
    .. [2] G. Knapp and J. Hartung, "Improved tests for a random effects meta-regression with a single covariate",
       Statistics in Medicine 22 (2003) 2693-2710.
    """
    taken = [
        Step(
            finite_number(step.size, f"size {i + 1}"),
            positive_number(step.standard_error, f"standard error {i + 1}"),
            step.n_before,
            step.n_after,
        )
        for i, step in enumerate(steps)
    ]
    if len(taken) < FEWEST_SCANNERS:
        raise ValueError(f"{len(taken)} scanners are too few to share a step: at least {FEWEST_SCANNERS}")
    size, half_width, between = _combined(taken, confidence)
    others = ([step for j, step in enumerate(taken) if j != i] for i in range(len(taken)))
    shared = abs(size) > half_width and all(_leaves_out_zero(rest, size) for rest in others)
    return SharedStep(len(taken), size, interval_about(size, half_width), math.sqrt(between), shared)


def _leaves_out_zero(steps: Sequence[Step], like: float) -> bool:
    """Whether these alone show a step of the same direction."""
    size, half_width, _ = _combined(steps, WITHOUT_ONE)
    return abs(size) > half_width and size * like > 0


def _combined(steps: Sequence[Step], confidence: float) -> tuple[float, float, float]:
    """Return mean, half width of its interval, and variance between scanners."""
    fixed = [1.0 / step.standard_error**2 for step in steps]
    total = math.fsum(fixed)
    centre = math.fsum(w * step.size for w, step in zip(fixed, steps, strict=True)) / total
    q = math.fsum(w * (step.size - centre) ** 2 for w, step in zip(fixed, steps, strict=True))
    scale = total - math.fsum(w * w for w in fixed) / total
    between = max(0.0, (q - (len(steps) - 1)) / scale)
    weights = [1.0 / (step.standard_error**2 + between) for step in steps]
    total = math.fsum(weights)
    mean = math.fsum(w * step.size for w, step in zip(weights, steps, strict=True)) / total
    freedom = len(steps) - 1
    spread = math.fsum(w * (step.size - mean) ** 2 for w, step in zip(weights, steps, strict=True)) / freedom
    error = math.sqrt(max(1.0, spread) / total)
    return mean, two_sided_t(confidence, freedom) * error, between


class Week(NamedTuple):
    """One scanner's readings of one week.

    Parameters
    ----------
    mean
        In sigmas of its chart.
    n
        How many.
    """

    mean: float
    n: int


@dataclass(frozen=True, slots=True)
class GroupSignal:
    """A CUSUM over scanners of one kind has signalled.

    Parameters
    ----------
    week
        Week of the signal.
    last_in_control
        Last week before the sum began to rise: the step is thought to lie after it.
    upward
        Whether the scanners read more since.
    """

    week: int
    last_in_control: int
    upward: bool


def group_signals(
    weeks: Mapping[str, Mapping[int, Week]], *, k: float = 0.5, h: float = 5.0, min_scans: int = 10, clip: float = 3.0
) -> tuple[GroupSignal, ...]:
    """Return every signal of a CUSUM on the weekly mean of scanners, each against its own past.

    A scanner's week counts by how far its mean lies from the mean of its earlier weeks, in standard errors of
    that difference [1]_: estimated baselines, which a group of scanners would add up to a false alarm, cancel. It is
    clipped, so that one scanner far off does not speak for all; the week's sum over scanners, divided by the root of
    their number, goes into a tabular CUSUM. After a signal the sums begin anew, and the past with the weeks of the
    step: what came to stay signals once.

    Parameters
    ----------
    weeks
        Of each scanner, by week number.
    k, h
        Of the CUSUM.
    min_scans
        Readings a scanner must have before it counts.
    clip
        Furthest that a scanner's week counts.

    Raises
    ------
    ValueError
        If a mean is not finite.

    Examples
    --------
    Five scanners, five scans a week, up by half a sigma from week 20 on: each alone hides it in its noise.

    >>> noise = [0.1, -0.2, 0.3, -0.1, -0.3, 0.2, 0.0]
    >>> weeks = {
    ...     f"scanner {s}": {w: Week(noise[(3 * w + s) % 7] + (0.5 if w >= 20 else 0.0), 5) for w in range(40)}
    ...     for s in range(5)
    ... }
    >>> group_signals(weeks)
    (GroupSignal(week=23, last_in_control=19, upward=True),)

    References
    ----------
    .. [1] D. M. Hawkins, "Self-starting CUSUM charts for location and scale", The Statistician 36 (1987) 299-316.
    """
    found, seen = list[GroupSignal](), list[int]()
    cusum = TabularCusum(0.0, 1.0, k=k, h=h)
    past = {scanner: _Past() for scanner in weeks}
    for week in sorted({week for own in weeks.values() for week in own}):
        scores = list[float]()
        for scanner, own in weeks.items():
            if (reading := own.get(week)) is not None and reading.n > 0:
                finite_number(reading.mean, f"{scanner}, week {week}")
                score = past[scanner].score(reading, min_scans)
                scores += [] if score is None else [max(-clip, min(clip, score))]
                past[scanner].add(week, reading)
        if not scores:
            continue
        seen.append(week)
        point = cusum.update(math.fsum(scores) / math.sqrt(len(scores)))
        if point.signal:
            upward = point.upper > point.lower
            rising = point.n_upper if upward else point.n_lower
            last = seen[-1 - rising] if rising < len(seen) else seen[0] - 1
            found.append(GroupSignal(week, last, upward))
            cusum, seen = TabularCusum(0.0, 1.0, k=k, h=h), [last]
            for earlier in past.values():
                earlier.forget(last)
    return tuple(found)


class _Past:
    """A scanner's weeks so far: their sum, kept as it grows."""

    def __init__(self) -> None:
        self._weeks: list[tuple[int, Week]] = []
        self._total, self._n = 0.0, 0

    def add(self, week: int, reading: Week) -> None:
        self._weeks.append((week, reading))
        self._total += reading.mean * reading.n
        self._n += reading.n

    def forget(self, up_to: int) -> None:
        """Leave behind the weeks before a step."""
        kept = [one for one in self._weeks if one[0] > up_to]
        self._weeks, self._total, self._n = [], 0.0, 0
        for week, reading in kept:
            self.add(week, reading)

    def score(self, reading: Week, min_scans: int) -> float | None:
        """Return a week's distance from the past in standard errors; None while that is thin."""
        if self._n < min_scans:
            return None
        return (reading.mean - self._total / self._n) / math.sqrt(1 / reading.n + 1 / self._n)
