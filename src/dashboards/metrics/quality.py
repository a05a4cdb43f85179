"""Last verdicts and drift of every chart, what is due when, and reviews that wait."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from prometheus_client.metrics_core import Metric

from dashboards.metrics.families import labelled, per_chart, per_device, timestamp
from streams.messages import ChartPoint
from streams.readings import DeviceView, PhantomStatus

PERCENT: Final = 100.0


def charts(views: Sequence[DeviceView]) -> Iterable[Metric]:
    """Yield where the last reading of each phantom stands on its chart."""
    yield labelled(
        "bonewatch_qc_last_verdict",
        "The verdict on the last reading of a phantom: 1 for the one that it has.",
        ("device", "phantom", "verdict"),
        (
            ((view.id, chart.patient_id, chart.last.verdict.value), 1.0)
            for view in views
            for chart in view.phantoms
            if chart.last is not None
        ),
    )
    yield per_chart(
        "bonewatch_qc_last_measured_timestamp_seconds",
        "When a phantom was measured last.",
        views,
        lambda chart: timestamp(chart.last.measured_at if chart.last else None),
    )
    yield per_chart(
        "bonewatch_qc_last_passed_timestamp_seconds",
        "When a phantom passed last.",
        views,
        lambda chart: timestamp(chart.last_passed_at),
    )
    yield per_chart(
        "bonewatch_qc_deviation_ratio",
        "How far the last reading is from the baseline's mean, as a share of it.",
        views,
        _of_point(lambda point: point.deviation_percent / PERCENT),
    )
    yield per_chart(
        "bonewatch_qc_deviation_sigmas",
        "How far the last reading is from the baseline's mean, in the chart's sigmas.",
        views,
        _sigmas,
    )
    yield _cusums(views)
    yield per_chart(
        "bonewatch_qc_cusum_limit_sigmas",
        "The CUSUM's decision interval.",
        views,
        _of_point(lambda point: point.cusum_h),
    )
    yield per_chart(
        "bonewatch_qc_signal",
        "Whether CUSUM or run rules signal at the last reading.",
        views,
        _of_point(lambda point: float(point.signal)),
    )


def due(views: Sequence[DeviceView], zone: ZoneInfo) -> Iterable[Metric]:
    """Yield when QC, checks and other work are due, and what waits for a physicist."""
    rows = [((view.id, item.kind.value, item.name), _ends(item.due_on, zone)) for view in views for item in view.due]
    yield labelled(
        "bonewatch_due_timestamp_seconds",
        "The end of the day on which work falls due, by kind and name.",
        ("device", "kind", "work"),
        rows,
    )
    yield per_device(
        "bonewatch_reviews_waiting",
        "Reviews that wait for a physicist's decision.",
        views,
        lambda view: sum(not review.verdict for review in view.reviews),
    )
    yield per_device(
        "bonewatch_review_oldest_opened_timestamp_seconds",
        "When the oldest review that waits was opened.",
        views,
        lambda view: min((one.opened_at.timestamp() for one in view.reviews if not one.verdict), default=None),
    )


def _point(chart: PhantomStatus) -> ChartPoint | None:
    return chart.last.chart if chart.last is not None else None


def _of_point(value: Callable[[ChartPoint], float]) -> Callable[[PhantomStatus], float | None]:
    """Return what reads something off a chart's last point, where there is one."""

    def read(chart: PhantomStatus) -> float | None:
        point = _point(chart)
        return None if point is None else value(point)

    return read


def _sigmas(chart: PhantomStatus) -> float | None:
    point = _point(chart)
    if point is None or chart.last is None or chart.last.bmd_g_cm2 is None or point.sigma <= 0:
        return None
    return (chart.last.bmd_g_cm2 - point.target) / point.sigma


def _cusums(views: Sequence[DeviceView]) -> Metric:
    rows: list[tuple[Sequence[str], float | None]] = []
    for view in views:
        for chart in view.phantoms:
            if (point := _point(chart)) is not None:
                rows.append(((view.id, chart.patient_id, "upper"), point.cusum_upper))
                rows.append(((view.id, chart.patient_id, "lower"), point.cusum_lower))
    text = "The CUSUM's sums, in sigmas; it signals past its decision interval."
    return labelled("bonewatch_qc_cusum_sigmas", text, ("device", "phantom", "side"), rows)


def _ends(day: date | None, zone: ZoneInfo) -> float | None:
    return None if day is None else datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
