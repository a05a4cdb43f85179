"""Counters of what is forwarded; labels are device keys and our own codes, nothing of an object."""

from typing import Final

from prometheus_client import Counter, Gauge

WAITING_OBJECTS: Final = Gauge(
    "bonewatch_pacs_waiting_objects", "Objects kept until the PACS has them, by state", ["state"]
)
WAITING_BYTES: Final = Gauge("bonewatch_pacs_waiting_bytes", "Bytes of the objects kept until the PACS has them")
OLDEST_SECONDS: Final = Gauge(
    "bonewatch_pacs_oldest_waiting_seconds", "Age of the oldest object that the PACS does not have yet; 0 without one"
)
REACHABLE: Final = Gauge("bonewatch_pacs_reachable", "Whether the last attempt to talk to the PACS succeeded")
KEPT: Final = Counter("bonewatch_pacs_kept_total", "Objects taken from scanners for the PACS", ["device", "code"])
FORWARDED: Final = Counter("bonewatch_pacs_forwarded_total", "Objects that the PACS has taken", ["device"])
REFUSED: Final = Counter(
    "bonewatch_pacs_refused_total", "Attempts that the PACS answered with a refusal, by reason", ["device", "reason"]
)
SET_ASIDE: Final = Counter("bonewatch_pacs_set_aside_total", "Objects set aside after too many refusals", ["device"])
COMMITTED: Final = Counter("bonewatch_pacs_committed_total", "Objects that the PACS has committed to keep", ["device"])
NOT_COMMITTED: Final = Counter(
    "bonewatch_pacs_not_committed_total", "Objects that the PACS did not commit to keep; sent again", ["device"]
)
COMMITMENT_ASKED: Final = Counter(
    "bonewatch_pacs_commitment_requests_total", "Requests to the PACS for commitment, by how they went", ["code"]
)
SCANNER_COMMITMENTS: Final = Counter(
    "bonewatch_dicom_commitment_total", "Commitments that scanners asked of us, object by object", ["device", "code"]
)
