"""Prometheus metrics: the process's own and, read at each scrape, where every gate stands."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboards.live import LiveHub
from streams.messages import GateStatus, ReasonCode
from streams.readings import DeviceView, Readings
from streams.site import SitePort


class SiteCollector(Collector):
    """Gauges of the site as people see it; labels are devices and reason codes, nothing else."""

    def __init__(self, site: SitePort, readings: Readings, live: LiveHub) -> None:
        self._site = site
        self._readings = readings
        self._live = live

    def collect(self) -> Iterable[Metric]:
        """Read the site now."""
        views = self._readings.devices()
        yield _plain("bonewatch_site_ready", "Every device's state is known and commits succeed.", self._site.ready)
        yield _plain("bonewatch_live_pages", "Pages connected for live updates.", self._live.pages)
        yield _plain("bonewatch_event_streams", "Streams of events over the API.", self._live.watchers)
        yield _per_device(
            "bonewatch_gate_open",
            "Open by its own evidence: 1. Held or overridden: 0.",
            views,
            lambda view: view.gate.status is GateStatus.OPEN,
        )
        yield _per_device(
            "bonewatch_gate_overridden",
            "Opened by a person against a reason that holds.",
            views,
            lambda view: view.gate.status is GateStatus.OVERRIDDEN,
        )
        yield _held_reasons(views)
        yield _per_device(
            "bonewatch_device_sequence",
            "Place of the device's last event in its log.",
            views,
            lambda view: view.device_seq,
        )
        yield _per_device(
            "bonewatch_device_parked",
            "Its events cannot be folded; held until they are.",
            views,
            lambda view: view.parked is not None,
        )
        yield _per_device("bonewatch_open_faults", "Faults not cleared.", views, lambda view: len(view.faults))
        yield _per_device(
            "bonewatch_bypasses",
            "Patients scanned while the gate was held, in the last seven days.",
            views,
            lambda view: len(view.bypasses),
        )
        valid = GaugeMetricFamily(
            "bonewatch_gate_valid_until_timestamp_seconds", "When the gate closes by itself.", labels=["device"]
        )
        for view in views:
            if view.gate.valid_until is not None:
                valid.add_metric([view.id], view.gate.valid_until.timestamp())
        yield valid


class MetricsPage:
    """Renders the default registry and this site's gauges as one page."""

    def __init__(self, collector: SiteCollector) -> None:
        self._own = CollectorRegistry()
        self._own.register(collector)

    def collect(self) -> Iterable[Metric]:
        """Both registries, one after the other."""
        return chain(REGISTRY.collect(), self._own.collect())

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self)


def _plain(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _per_device(name: str, text: str, views: Sequence[DeviceView], value: Callable[[DeviceView], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["device"])
    for view in views:
        family.add_metric([view.id], value(view))
    return family


def _held_reasons(views: Sequence[DeviceView]) -> Metric:
    family = GaugeMetricFamily(
        "bonewatch_gate_held_reason", "Whether this reason holds the gate now.", labels=["device", "code"]
    )
    for view in views:
        holding = {reason.code for reason in view.gate.holding}
        for code in ReasonCode:
            family.add_metric([view.id, code.value], code in holding)
    return family
