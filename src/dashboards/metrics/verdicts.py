"""Counts verdicts as they are committed; a revision of a verdict is counted apart."""

from typing import Final

from prometheus_client import Counter

from streams.messages import CheckJudged, QcJudged
from streams.site import Receipt

VERDICTS: Final = Counter(
    "bonewatch_qc_verdicts_total",
    "Verdicts on readings of phantoms and on scanners' own QC, since the process began.",
    ("device", "role", "verdict"),
)
REVISIONS: Final = Counter(
    "bonewatch_qc_revisions_total", "Verdicts that a late reading or a re-analysis changed.", ("device",)
)
CHECKS: Final = Counter(
    "bonewatch_check_verdicts_total", "Verdicts on checks of scales and stadiometers.", ("device", "verdict")
)


def count_verdicts(receipt: Receipt) -> None:
    """Count what one commit judged; quick, for it runs on the writer's thread."""
    for recorded in receipt.outcomes:
        device, outcome = recorded.device.rpartition("/")[2], recorded.outcome
        if isinstance(outcome, QcJudged) and outcome.revision:
            REVISIONS.labels(device).inc()
        elif isinstance(outcome, QcJudged):
            VERDICTS.labels(device, outcome.role.value, outcome.verdict.value).inc()
        elif isinstance(outcome, CheckJudged):
            CHECKS.labels(device, outcome.verdict.value).inc()
