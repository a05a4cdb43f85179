"""Short ways to make gauges with the labels that the site's metrics share."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from streams.readings import DeviceView, PhantomStatus


def timestamp(at: datetime | None) -> float | None:
    """Return seconds since 1970, as Prometheus counts time."""
    return None if at is None else at.timestamp()


def plain(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels."""
    return GaugeMetricFamily(name, text, value=value)


def labelled(name: str, text: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], float | None]]) -> Metric:
    """Return a gauge with a sample for each row that has a value: what is not known is absent, never 0."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in {tuple(values): value for values, value in rows}.items():  # no sample twice, whatever is named
        if value is not None:
            family.add_metric(values, value)
    return family


def per_device(
    name: str, text: str, views: Sequence[DeviceView], value: Callable[[DeviceView], float | None]
) -> Metric:
    """Return a gauge of each device."""
    return labelled(name, text, ("device",), (((view.id,), value(view)) for view in views))


def per_chart(
    name: str, text: str, views: Sequence[DeviceView], value: Callable[[PhantomStatus], float | None]
) -> Metric:
    """Return a gauge of each phantom's chart."""
    rows = (((view.id, chart.patient_id), value(chart)) for view in views for chart in view.phantoms)
    return labelled(name, text, ("device", "phantom"), rows)
