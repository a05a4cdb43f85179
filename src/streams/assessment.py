"""The estimate that a drift's review rests on: since when, of which shape, how far off at each date.

Made from every reading of the chart since its baseline (or since the last decision that found it wrong), once, when
the review opens; it goes on record as a fact, so that what the physicist saw can be seen again.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from qa_models.onset import MOST, OnsetPosterior, onset_posterior
from streams.messages import BaselineAccepted, Onset, QcJudged, ReviewAssessed, SizeAt, Verdict

METHOD: Final = "onset-posterior-1"
"""Names `qa_models.onset` with its prior; another prior or model is another name."""
SIZES: Final = 9
"""At so many dates the size is told."""
LEAST_READINGS: Final = 2
_COUNTED: Final = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.FAIL_CONFIRMED})
_DAY: Final = timedelta(days=1)


def assess(
    review_id: str,
    baseline: BaselineAccepted,
    readings: Sequence[QcJudged],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> ReviewAssessed | None:
    """Estimate a drift from a phantom's judged readings; None where there are too few to say anything.

    Parameters
    ----------
    baseline
        The one in force: other epochs' readings are left out.
    readings
        The highest revision of each, in any order.
    since, until
        Readings at or before, and after these are left out.
    """
    used = sorted(
        (
            one
            for one in readings
            if one.phantom_id == baseline.phantom_id
            and one.verdict in _COUNTED
            and one.chart is not None
            and one.chart.epoch == baseline.epoch
            and (since is None or one.measured_at > since)
            and (until is None or one.measured_at <= until)
        ),
        key=lambda one: one.measured_at,
    )[-MOST:]
    if len(used) < LEAST_READINGS:
        return None
    first, last = used[0].measured_at, used[-1].measured_at
    deviations = [one.chart.deviation_percent for one in used if one.chart is not None]
    days = [(one.measured_at - first) / _DAY for one in used]
    posterior = onset_posterior(
        deviations,
        days,
        baseline_scans=baseline.n,
        baseline_sd=100.0 * baseline.sd_g_cm2 / baseline.mean_g_cm2,
    )
    times = [one.measured_at for one in used]
    spans = _spans(posterior.credible, times)
    is_ramp = posterior.p_ramp > 0.5
    slope = posterior.slope() if is_ramp else None
    return ReviewAssessed(
        review_id=review_id,
        method=METHOD,
        onset=Onset(
            likeliest=_before(posterior.likeliest, times),
            spans=spans,
            shape="drift" if is_ramp else "step",
            readings=len(used),
            slope_per_day=slope.estimate if slope else None,
            slope_low=slope.low if slope else None,
            slope_high=slope.high if slope else None,
            is_open=0 in posterior.credible,
        ),
        unit="percent",
        sizes=tuple(_sizes(posterior, spans[0][0], first, last)),
        data_digest=_digest(used),
    )


def _before(observation: int, times: Sequence[datetime]) -> datetime:
    """Return the time of the last reading before a change, the earliest that it can have come."""
    return times[max(0, observation - 1)]


def _spans(credible: Sequence[int], times: Sequence[datetime]) -> tuple[tuple[datetime, datetime], ...]:
    """Return the times between readings in which the change may have come, joined where they touch."""
    spans: list[tuple[datetime, datetime]] = []
    for observation in credible:
        begin, end = _before(observation, times), times[observation]
        if spans and spans[-1][1] >= begin:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return tuple(spans)


def _sizes(posterior: OnsetPosterior, since: datetime, first: datetime, last: datetime) -> list[SizeAt]:
    told = []
    for place in range(SIZES):
        at = since + (last - since) * place / (SIZES - 1)
        low, estimate, high = posterior.size_at((at - first) / _DAY)
        told.append(SizeAt(at, estimate, low, high))
    return told


def _digest(used: Sequence[QcJudged]) -> str:
    """Return the SHA-256 of what was looked at: each reading's event, revision and value."""
    lines = (f"{one.subject_event_id} {one.revision} {one.bmd_g_cm2!r}\n" for one in used)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
