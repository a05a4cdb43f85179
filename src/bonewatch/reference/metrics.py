"""The page of metrics, from the metrics themselves."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from bonewatch.reference.markdown import page as written
from bonewatch.reference.markdown import table
from dashboards.metrics.certificates import certificates
from dashboards.metrics.gates import gates
from dashboards.metrics.machine import machine
from dashboards.metrics.page import parts_read, site_metrics
from dashboards.metrics.quality import charts, due

PARTS: Final[dict[str, tuple[str, ...]]] = {
    "The log": ("streams.writer",),
    "Scanners and their objects": (
        "collectors.metrics", "collectors.dicom.patients", "collectors.dicom.hologic",
        "collectors.dicom.pacs.metrics", "collectors.dicom.mpps.metrics",
    ),
    "Lines, files, printed reports, fault logs": (
        "collectors.serial.line", "collectors.serial.desk", "collectors.files.intake", "collectors.printed.reports",
        "collectors.fault_logs.metrics", "collectors.fault_logs.listener",
    ),
    "Verdicts": ("dashboards.metrics.verdicts",),
    "Messages to people": ("alerts.metrics",),
    "News to programs": ("publishing.metrics",),
    "The site's database and Kafka": ("storage.site_sink", "storage.sink", "streams.forwarder", "streams.refusal"),
    "The fleet": (
        "streams.fleet.worker", "streams.fleet.combiner", "storage.kafka_sink", "storage.comparison_sink",
    ),
}  # fmt: skip
"""Modules that count, by what they count."""

_BY_ROUTE: Final = "`method`, `path`, `status_code`"
ANSWERS: Final = (
    ("bonewatch_http_request_duration_seconds", "histogram", _BY_ROUTE, "How long an answer takes."),
    ("bonewatch_http_requests_total", "counter", _BY_ROUTE, "Answers."),
    ("bonewatch_http_requests_error_total", "counter", _BY_ROUTE, "Answers that say that the fault is ours."),
    ("bonewatch_http_requests_in_progress", "gauge", _BY_ROUTE, "Requests being answered."),
)
"""Of Litestar; `path` is the route, never the address."""


TITLES: Final = ("Metric", "Type", "Labels", "")


class Described(NamedTuple):
    """One metric: what it is called, of which type, by which labels, and what it says."""

    name: str
    kind: str
    labels: str
    text: str


def page(docs: Path) -> str:
    """Return the page."""
    del docs
    said = (
        "What `/metrics` of a site says, and `--metrics-port` of a forwarder, worker, comparison and sink. No label",
        "holds anything of a patient: labels are devices, phantoms, codes, routes. What is not known is absent, never",
        "0. What wakes somebody: [alarms](../alarms.md).",
    )
    return written(
        "Metrics",
        said,
        *(
            part
            for title, rows in _parts()
            for part in ([f"## {title}"], table(("Metric", "Type", "Labels", ""), rows))
        ),
    )


def _parts() -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    stands = [*site_metrics(), *gates(()), *charts(()), *due((), ZoneInfo("UTC")), *machine(Path.cwd())]
    stands += [*certificates({}), parts_read()]
    yield "How a site stands", [_row(one) for one in _of_families(stands)]
    for title, modules in PARTS.items():
        yield title, sorted(_row(one) for one in _of_modules(modules))
    yield "Answering", [(f"`{name}`", kind, labels, text) for name, kind, labels, text in ANSWERS]


def _row(one: Described) -> tuple[str, str, str, str]:
    return f"`{one.name}`", one.kind, one.labels, one.text


def _of_modules(modules: Iterable[str]) -> set[Described]:
    """Return the metrics that stand in some modules."""
    found = set()
    for name in modules:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, MetricWrapperBase):
                (family,) = value.describe()
                found.add(_described(family, value._labelnames))  # noqa: SLF001 - it tells its labels by no other way
    return found


def _of_families(families: Iterable[Metric]) -> Iterator[Described]:
    yield from (_described(family, getattr(family, "_labelnames", ())) for family in families)


def _described(family: Metric, labels: Iterable[str]) -> Described:
    name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(family.type, family.name)
    named = ", ".join(f"`{label}`" for label in labels)
    return Described(name, family.type, named, family.documentation.rstrip(".") + ".")
