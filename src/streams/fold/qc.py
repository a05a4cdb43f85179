"""Judge one QC reading against where its chart stands: tolerance, repeats, CUSUM, run rules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from qa_models.baseline import tolerance_limits
from qa_models.cusum import CusumState, TabularCusum
from qa_models.run_rules import RULE_SETS, longest_window
from qa_models.shewhart import ShewhartChart, ShewhartPoint, ShewhartState
from streams.fold.schedule import local_day
from streams.fold.state import Head, Reading
from streams.messages import BaselineAccepted, ChartPoint, Verdict
from streams.policy import QcRules

QC_DAYS_WATCHED: Final = 10
"""Two first-scan failures in this many QC days warn the physicist (DESIGN 5.1; local policy)."""

ALIKE: Final = 3.0
"""Phantoms that lie closer than so many tolerances cannot be told apart from a failing scanner (local policy)."""


CUSUM: Final = "cusum"
"""The CUSUM's name among what signalled; run rules have their own."""

WARNINGS: Final = frozenset(rule.name for rules in RULE_SETS.values() for rule in rules if rule.warning)
"""Rules that mark a reading and open no review."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reading is judged by: rules, baseline in force, BMD of the other known phantoms, the site's zone.

    The limits follow from the baseline's mean and the tolerance in force now; those that stand in the accepted
    baseline are a record of the day it was accepted.
    """

    rules: QcRules
    baseline: BaselineAccepted | None
    other_phantoms_g_cm2: tuple[float, ...]
    time_zone: str
    window_readings: int


class Judgement(NamedTuple):
    """A verdict, its place on the chart, words for people, and the chart's head after it."""

    head: Head
    verdict: Verdict
    point: ChartPoint | None
    note: str


def judge(head: Head, reading: Reading, terms: Terms) -> Judgement:
    """Judge one reading of a phantom, or of the scanner's own QC (which has no value)."""
    head = replace(head, unresolved=None)
    if reading.value is None:
        return _conclude(head, reading, terms, None, failed=reading.failed)
    if terms.baseline is None:
        return Judgement(head, Verdict.NO_BASELINE, None, "No baseline yet: this scan counts towards one.")
    deviation = deviation_percent(reading.value, terms.baseline)
    if is_within(reading.value, terms):
        return _conclude(head, reading, terms, deviation, failed=reading.failed)
    strange = _strange(reading.value, deviation, terms)
    if strange is None:
        return _conclude(head, reading, terms, deviation, failed=True)
    verdict, note = strange
    return Judgement(replace(head, unresolved=verdict), verdict, _point(head, terms, deviation), note)


def deviation_percent(value: float, baseline: BaselineAccepted) -> float:
    """Return how far a BMD is from the baseline's mean, in percent of it."""
    return 100.0 * (value / baseline.mean_g_cm2 - 1.0)


def is_within(value: float, terms: Terms) -> bool:
    """Whether a BMD is within tolerance of the baseline in force; without one, it is not."""
    if terms.baseline is None:
        return False
    lower, upper = tolerance_limits(terms.baseline.mean_g_cm2, terms.rules.tolerance_percent)
    return lower <= value <= upper


def is_plausible(value: float | None, terms: Terms) -> bool:
    """Whether a value can be this phantom's, or another known phantom's, at all."""
    strange = strangeness(value, terms)
    return strange is None or strange[0] is not Verdict.IMPLAUSIBLE


def strangeness(value: float | None, terms: Terms) -> tuple[Verdict, str] | None:
    """Return the verdict and the words on a value that says nothing about this scanner; None on any other."""
    if value is None or terms.baseline is None or is_within(value, terms):
        return None
    return _strange(value, deviation_percent(value, terms.baseline), terms)


def _strange(value: float, deviation: float, terms: Terms) -> tuple[Verdict, str] | None:
    """Tell a reading that says nothing about this scanner from one that fails it.

    A phantom too like this one (within `ALIKE` tolerances) is no excuse: the scanner may just be that far off.
    """
    assert terms.baseline is not None  # noqa: S101 - the callers have checked
    tolerance = terms.rules.tolerance_percent
    for other in terms.other_phantoms_g_cm2:
        is_alike = abs(deviation_percent(other, terms.baseline)) <= ALIKE * tolerance
        if not is_alike and abs(value / other - 1.0) * 100.0 <= tolerance:
            return Verdict.WRONG_PHANTOM, "The value is that of another known phantom. Scan the right one."
    if abs(deviation) > terms.rules.plausible_percent:
        return (
            Verdict.IMPLAUSIBLE,
            f"{deviation:+.1f} % is too far off for this phantom: was a patient scanned under the phantom's id?",
        )
    return None


def _conclude(head: Head, reading: Reading, terms: Terms, deviation: float | None, *, failed: bool) -> Judgement:
    """Apply the rule of repeats, then the charts."""
    if failed:
        head, verdict, note = _failed(head, reading, terms)
        is_out = reading.value is not None and not is_within(reading.value, terms)
        head = replace(head, failed_percent=deviation if is_out else None)
    else:
        head, verdict, note = _passed(head, reading, terms)
    if deviation is None or verdict is Verdict.FAIL:
        # A first failure awaits its repeat: positioning is not drift, and the repeat speaks for the scanner.
        return Judgement(head, verdict, _point(head, terms, deviation), note)
    head, seen = _ruled(head, reading, terms)
    head = _charted(head, reading, terms, seen)
    return Judgement(head, verdict, _point(head, terms, deviation, seen), note)


def _failed(head: Head, reading: Reading, terms: Terms) -> tuple[Head, Verdict, str]:
    failures = head.failures + 1
    confirmed = failures > terms.rules.repeats
    head = replace(_seen(head, reading.measured_at, terms, failed=failures == 1), failures=failures)
    if confirmed:
        head = replace(head, confirmed=True, passed_since=False)
        return head, Verdict.FAIL_CONFIRMED, "Failed again: no patients until it passes and the cause is released."
    again = "Run it once more." if reading.value is None else "Repeat once, with repositioning."
    return head, Verdict.FAIL, again


def _passed(head: Head, reading: Reading, terms: Terms) -> tuple[Head, Verdict, str]:
    head = replace(_seen(head, reading.measured_at, terms, failed=False), passed_at=reading.measured_at)
    if head.confirmed:
        note = "Passes after a confirmed failure; a physicist must record the cause and release."
        return replace(head, passed_since=True), Verdict.PASS, note
    if head.failures:
        return replace(head, failures=0), Verdict.PASS_WITH_NOTE, "Passed on repeat after a failed scan."
    return head, Verdict.PASS, ""


def _seen(head: Head, measured_at: datetime, terms: Terms, *, failed: bool) -> Head:
    """Remember the QC day, and whether its first scan failed."""
    day = local_day(measured_at, terms.time_zone).toordinal()
    if head.qc_days and head.qc_days[-1] == day and not failed:
        return head
    days = head.qc_days if day in head.qc_days else (*head.qc_days, day)[-QC_DAYS_WATCHED:]
    failures = tuple(d for d in head.first_failure_days if d in days)
    if failed and day not in failures:
        failures = (*failures, day)
    return replace(head, qc_days=days, first_failure_days=failures)


def spoken(signalled: tuple[str, ...]) -> str:
    """Return the names of the charts and rules that signalled, as people say them."""
    return ", ".join("CUSUM" if name == CUSUM else f"rule {name}" for name in signalled)


def _ruled(head: Head, reading: Reading, terms: Terms) -> tuple[Head, ShewhartPoint | None]:
    """Take the reading into the run rules, if there are any."""
    assert terms.baseline is not None and reading.value is not None  # noqa: S101, PT018 - judged before
    rules = RULE_SETS.get(terms.rules.rules, ())
    if not rules:
        return head, None
    back = longest_window(rules) - 1
    recent = ShewhartState(head.recent[-back:] if back else ())
    chart = ShewhartChart(terms.baseline.mean_g_cm2, terms.baseline.sigma_g_cm2, rules, state=recent)
    point = chart.update(reading.value)
    return replace(head, recent=chart.state.recent), point


def _charted(head: Head, reading: Reading, terms: Terms, seen: ShewhartPoint | None) -> Head:
    """Take the reading into the CUSUM; freeze the onset at the first signal of an episode, whichever gave it."""
    assert terms.baseline is not None and reading.value is not None  # noqa: S101, PT018 - judged before
    cusum = TabularCusum(
        terms.baseline.mean_g_cm2,
        terms.baseline.sigma_g_cm2,
        k=terms.rules.cusum_k,
        h=terms.rules.cusum_h,
        state=CusumState(head.cusum_upper, head.cusum_lower, head.n_upper, head.n_lower),
    )
    point = cusum.update(reading.value)
    onset_upper = head.onset_upper if point.n_upper else reading.measured_at
    onset_lower = head.onset_lower if point.n_lower else reading.measured_at
    signals: tuple[str, ...] = (CUSUM,) if point.signal else ()
    if seen is not None and seen.signal:
        signals += tuple(name for name in seen.violated if name not in WARNINGS)
    drift_since = head.drift_since
    if signals and not head.drift_open:
        drift_since = onset_upper if point.upper > point.lower else onset_lower
    return replace(
        head,
        cusum_upper=point.upper,
        cusum_lower=point.lower,
        n_upper=point.n_upper,
        n_lower=point.n_lower,
        onset_upper=onset_upper,
        onset_lower=onset_lower,
        drift_open=head.drift_open or bool(signals),
        drift_since=drift_since,
        signalled=(*head.signalled, *(name for name in signals if name not in head.signalled)),
    )


def _point(head: Head, terms: Terms, deviation: float | None, seen: ShewhartPoint | None = None) -> ChartPoint | None:
    if terms.baseline is None or deviation is None:
        return None
    h = terms.rules.cusum_h
    lower, upper = tolerance_limits(terms.baseline.mean_g_cm2, terms.rules.tolerance_percent)
    return ChartPoint(
        epoch=terms.baseline.epoch,
        target=terms.baseline.mean_g_cm2,
        sigma=terms.baseline.sigma_g_cm2,
        lower=lower,
        upper=upper,
        deviation_percent=deviation,
        cusum_upper=head.cusum_upper,
        cusum_lower=head.cusum_lower,
        cusum_h=h,
        signal=head.cusum_upper > h or head.cusum_lower > h or (seen is not None and seen.signal),
        violated=seen.violated if seen is not None else (),
    )
