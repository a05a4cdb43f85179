"""Counters and gauges of alerts: by severity and result, never by person."""

from typing import Final

from prometheus_client import Counter, Gauge

OPEN: Final = Gauge("bonewatch_alerts_open", "Alerts that stand, by severity.", ("severity",))
UNTAKEN: Final = Gauge("bonewatch_alerts_unacknowledged", "Open alerts that nobody has acknowledged.", ("severity",))
NOTES: Final = Counter(
    "bonewatch_alert_notes_total", "Messages by result: queued, sent, retried, given up, passed on.", ("result",)
)
OLDEST: Final = Gauge(
    "bonewatch_alert_oldest_waiting_seconds", "How long the oldest message has waited that no channel has taken."
)
STEPPED: Final = Gauge(
    "bonewatch_alert_last_step_timestamp_seconds",
    "When it was last looked for what people must be told; 0 where nobody is told.",
)
FAILED: Final = Counter("bonewatch_alert_steps_failed_total", "Times that looking failed; it is tried again.")

QUEUED: Final = "queued"
SENT: Final = "sent"
RETRIED: Final = "retried"
GIVEN_UP: Final = "given_up"
PASSED_ON: Final = "passed_on"
RESULTS: Final = (QUEUED, SENT, RETRIED, GIVEN_UP, PASSED_ON)


def begin() -> None:
    """Let every result be 0 until it happens, not absent."""
    for result in RESULTS:
        NOTES.labels(result)
