"""Counters of procedure steps; labels are device keys and our own codes."""

from typing import Final

from prometheus_client import Counter, Gauge

ANSWERED: Final = Counter(
    "bonewatch_mpps_total", "Procedure steps' messages, by how they were answered", ["device", "operation", "code"]
)
STARTED: Final = Counter("bonewatch_mpps_patient_scans_total", "Patients' scans that scanners said begin", ["device"])
WAITING: Final = Gauge("bonewatch_mpps_waiting", "Messages of procedure steps that the RIS does not have yet")
OLDEST_SECONDS: Final = Gauge(
    "bonewatch_mpps_oldest_waiting_seconds", "Age of the oldest message that the RIS does not have yet; 0 without one"
)
SENT_LATER: Final = Counter("bonewatch_mpps_sent_later_total", "Queued messages that the RIS has taken", ["device"])
POSTPONED: Final = Counter(
    "bonewatch_mpps_postponed_total",
    "Answers of the RIS to queued messages that it cannot take now; they are sent again",
    ["device"],
)
REFUSED_LATER: Final = Counter(
    "bonewatch_mpps_refused_later_total",
    "Queued messages that the RIS refused after the scanner had gone on",
    ["device"],
)
