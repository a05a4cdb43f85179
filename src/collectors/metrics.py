"""Counters and timings of the device front ends; labels are device keys and our own codes, nothing of a data set."""

from typing import Final

from prometheus_client import Counter, Histogram

UNKNOWN_DEVICE: Final = "unknown"
"""The device label of a caller that is not configured: its AE title is the caller's choice."""

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

OBJECTS: Final = Counter(
    "bonewatch_dicom_objects_total", "Objects received by C-STORE, by what became of them", ["device", "code"]
)
BYPASS: Final = Counter(
    "bonewatch_dicom_bypass_total", "Patient objects that came from a scanner while its gate was held", ["device"]
)
QUERIES: Final = Counter(
    "bonewatch_worklist_queries_total", "Worklist queries, by how they were answered", ["device", "code"]
)
WOULD_REFUSE: Final = Counter(
    "bonewatch_worklist_would_refuse_total",
    "Worklist queries that enforcement would have refused in part or whole, in shadow or advisory mode",
    ["device"],
)
QUARANTINE_DROPPED: Final = Counter(
    "bonewatch_quarantine_dropped_total", "Refused objects no longer or never kept, by reason", ["reason"]
)
QUARANTINE_STUCK: Final = Counter(
    "bonewatch_quarantine_not_removed_total", "Refused objects that could not be removed, by error", ["error"]
)
CONNECTIONS_CUT: Final = Counter(
    "bonewatch_dicom_connections_cut_total", "Connections ended by a limit of ours, by reason", ["reason"]
)
PARSE_SECONDS: Final = Histogram("bonewatch_dicom_parse_seconds", "Time to parse one object", buckets=_FAST)
ARCHIVE_SECONDS: Final = Histogram(
    "bonewatch_dicom_archive_seconds", "Time to make one object durable in the archive", buckets=_FAST
)
COMMIT_SECONDS: Final = Histogram(
    "bonewatch_dicom_commit_seconds", "Time until event, verdict and gate of one object were committed", buckets=_FAST
)
STORE_SECONDS: Final = Histogram(
    "bonewatch_dicom_store_seconds", "Time from an object's last byte to its status", buckets=_FAST
)
WORKLIST_SECONDS: Final = Histogram(
    "bonewatch_worklist_upstream_seconds", "Time the upstream worklist took to answer a query"
)
