"""Kafka topics as code: names, partitions, how long they keep, who may use them.

A site has a topic of its own with one partition: an access list can bind a site to its devices, and its log arrives
in the log's own order, chain and all. Scale-out is sites over workers. Outcome topics are keyed by device.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from streams.fleet.messages import (
    CirculatingPhantomRead,
    Comparison,
    CrossCalibrationEstimated,
    Read,
    ScannerRead,
    SharedStepEstimated,
)
from streams.messages import (
    BaselineProposed,
    BypassDetected,
    CheckJudged,
    DutyChanged,
    GateChanged,
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    Outcome,
    QcJudged,
    ReviewEnded,
    ReviewOpened,
    StateChanged,
)

DEVICE_EVENTS: Final = "bonewatch.device-events.v1."
"""What the topic of a site begins with; the site's id follows."""

GATES: Final = "bonewatch.gate.v1"
SITE_HEADS: Final = "bonewatch.site-heads.v1"
DEAD_LETTERS: Final = "bonewatch.dead-letters.v1"
"""What belongs to no device of the site on whose topic it stood."""
WORKER_STATES: Final = "bonewatch.worker-states.v1"
"""States of the devices as the workers folded them: compacted, read by a worker that takes a site over."""

OUTCOMES: Final[dict[type[Outcome], str]] = {
    QcJudged: "bonewatch.qc-judged.v1",
    CheckJudged: "bonewatch.check-judged.v1",
    GateChanged: GATES,
    ReviewOpened: "bonewatch.review-opened.v1",
    ReviewEnded: "bonewatch.review-ended.v1",
    BypassDetected: "bonewatch.bypass-detected.v1",
    StateChanged: "bonewatch.state-changed.v1",
    BaselineProposed: "bonewatch.baseline-proposed.v1",
    DutyChanged: "bonewatch.duty-changed.v1",
    MeasurementValidated: "bonewatch.measurement-validated.v1",
    MeasurementWithheld: "bonewatch.measurement-withheld.v1",
    MeasurementsAmended: "bonewatch.measurements-amended.v1",
}
"""The topic of each kind of outcome."""

READS: Final[dict[type[Read], str]] = {
    CirculatingPhantomRead: "bonewatch.circulating-phantom-reads.v1",
    ScannerRead: "bonewatch.scanner-reads.v1",
}
"""The topic of what is compared between scanners; keyed by what is compared together."""

COMPARISONS: Final[dict[type[Comparison], str]] = {
    CrossCalibrationEstimated: "bonewatch.cross-calibrations.v1",
    SharedStepEstimated: "bonewatch.shared-steps.v1",
}
"""The topic of what comparisons of scanners come to; the latest of each is kept."""

FOR_EVER: Final = "-1"
AN_HOUR: Final = str(3600 * 1000)
"""Milliseconds after which a segment of a compacted topic is closed: only closed ones are compacted."""
SAFE_REPLICAS: Final = 3
"""From so many copies on, two must have a record before it counts as written."""
COMPARED_FOR: Final = str(800 * 24 * 3600 * 1000)
"""Milliseconds that a scanner's readings are kept for comparison; each stands in its site's topic for ever."""
MAX_RECORD_BYTES: Final = 1_000_000
"""A larger event does not travel; its place is taken by a notice, and the device is parked (DESIGN 6.4)."""

_SITE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it ought to be on the broker."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)

    def config_with(self, replicas: int) -> dict[str, str]:
        """Return its settings where each partition has so many copies."""
        return self.config | ({"min.insync.replicas": "2"} if replicas >= SAFE_REPLICAS else {})


def device_events(site: str) -> str:
    """Return the topic of a site.

    Raises
    ------
    ValueError
        If the id is no site's: lower-case letters, digits and hyphens, at most 63.
    """
    if not _SITE.fullmatch(site):
        raise ValueError(f"{site!r} is no site id: lower-case letters, digits and hyphens, at most 63")
    return DEVICE_EVENTS + site


def site_of(topic: str) -> str | None:
    """Return the site whose topic this is, or None."""
    site = topic.removeprefix(DEVICE_EVENTS)
    return site if topic != site and _SITE.fullmatch(site) else None


def site_topic(site: str) -> Topic:
    """Return the topic of a site's device events, kept for ever."""
    config = {"cleanup.policy": "delete", "retention.ms": FOR_EVER, "max.message.bytes": str(MAX_RECORD_BYTES)}
    return Topic(device_events(site), 1, config)


def fleet_topics(partitions: int) -> tuple[Topic, ...]:
    """Return the topics that all sites share.

    Parameters
    ----------
    partitions
        Of each outcome topic; never reduced later, and a change moves devices to other partitions.
    """
    kept = {"cleanup.policy": "delete", "retention.ms": FOR_EVER}
    compacted = {"cleanup.policy": "compact", "segment.ms": AN_HOUR}
    outcomes = [Topic(name, partitions, compacted if name == GATES else kept) for name in OUTCOMES.values()]
    retention = {CirculatingPhantomRead: FOR_EVER, ScannerRead: COMPARED_FOR}
    reads = [
        Topic(name, partitions, {"cleanup.policy": "delete", "retention.ms": retention[kind]})
        for kind, name in READS.items()
    ]
    return (
        *outcomes,
        *reads,
        *(Topic(name, 1, compacted) for name in COMPARISONS.values()),
        Topic(SITE_HEADS, 1, compacted),
        Topic(DEAD_LETTERS, 1, kept),
        Topic(WORKER_STATES, partitions, {**compacted, "max.message.bytes": str(MAX_RECORD_BYTES)}),
    )
