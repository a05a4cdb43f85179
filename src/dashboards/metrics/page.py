"""Renders the process's registry and how the site stands as one page; a part that fails is said, and costs no other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboards.live import LiveHub
from dashboards.metrics.certificates import certificates
from dashboards.metrics.families import labelled, plain
from dashboards.metrics.gates import gates
from dashboards.metrics.machine import machine
from dashboards.metrics.quality import charts, due
from streams.readings import Readings
from streams.site import SitePort


class SiteCollector(Collector):
    """Gauges of the site as people see it, read anew at each scrape.

    Parameters
    ----------
    site, readings, live
        The site.
    zone
        In which days end.
    data_dir
        Where the log stands; None where that is nowhere on a disk.
    certificate_files
        Files of certificates, by what they are used for.
    """

    def __init__(
        self,
        site: SitePort,
        readings: Readings,
        live: LiveHub,
        *,
        zone: ZoneInfo,
        data_dir: Path | None = None,
        certificate_files: Mapping[str, Path] | None = None,
    ) -> None:
        self._site, self._readings, self._live = site, readings, live
        self._zone, self._data_dir, self._certificate_files = zone, data_dir, certificate_files or {}

    def collect(self) -> Iterable[Metric]:
        """Read the site now."""
        parts: dict[str, Callable[[], Iterable[Metric]]] = {
            "site": self._process,
            "devices": self._devices,
            "machine": lambda: machine(self._data_dir),
            "certificates": lambda: certificates(self._certificate_files),
        }
        read: list[tuple[Sequence[str], float]] = []
        for name, part in parts.items():
            metrics = _or_none(name, part)
            yield from metrics or ()
            read.append(((name,), float(metrics is not None)))
        yield parts_read(read)

    def _process(self) -> Iterable[Metric]:
        return site_metrics(ready=self._site.ready, pages=self._live.pages, streams=self._live.watchers)

    def _devices(self) -> Iterable[Metric]:
        views = self._readings.devices()
        return chain(gates(views), charts(views), due(views, self._zone))


def parts_read(read: Iterable[tuple[Sequence[str], float]] = ()) -> Metric:
    """Return which parts of the page could be read."""
    return labelled("bonewatch_metrics_part_read", "Whether a part of this page could be read.", ("part",), read)


def site_metrics(*, ready: bool = False, pages: int = 0, streams: int = 0) -> Iterable[Metric]:
    """Yield what is known of the process as a whole."""
    yield InfoMetricFamily("bonewatch_build", "What runs here.", value={"version": version("bonewatch")})
    yield plain("bonewatch_site_ready", "Every device's state is known and commits succeed.", ready)
    yield plain("bonewatch_live_pages", "Pages connected for live updates.", pages)
    yield plain("bonewatch_event_streams", "Streams of events over the API.", streams)


class MetricsPage:
    """Renders the default registry and this site's gauges as one page."""

    def __init__(self, collector: SiteCollector) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter began is known from when the process did
        self._own = CollectorRegistry()
        self._own.register(collector)

    def collect(self) -> Iterable[Metric]:
        """Both registries, one after the other."""
        return chain(REGISTRY.collect(), self._own.collect())

    def render(self) -> bytes:
        """Return the text exposition."""
        return generate_latest(self)


def _or_none(name: str, part: Callable[[], Iterable[Metric]]) -> list[Metric] | None:
    try:
        return list(part())
    except Exception as error:  # noqa: BLE001 - a scrape says what it can, whatever fails
        structlog.get_logger("bonewatch.metrics").error("metrics_not_read", part=name, error=type(error).__name__)
        return None
