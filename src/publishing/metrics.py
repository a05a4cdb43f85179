"""Counters and gauges of what is published, by subscription: as many as the configuration names."""

from typing import Final

from prometheus_client import Counter, Gauge

_LABELS: Final = ("subscription",)

DELIVERED: Final = Counter("bonewatch_publish_delivered_total", "Messages that their receiver has.", _LABELS)
RETRIED: Final = Counter("bonewatch_publish_retries_total", "Attempts in vain; each is made again.", _LABELS)
DIED: Final = Counter("bonewatch_publish_given_up_total", "Messages given up; they are kept.", _LABELS)
TROUBLE: Final = Gauge("bonewatch_publish_in_trouble", "1 while a subscription does not go through.", _LABELS)
WAITING: Final = Gauge("bonewatch_publish_waiting_messages", "Messages queued and not delivered.", _LABELS)
DEAD: Final = Gauge("bonewatch_publish_dead_letters", "Messages given up and kept.", _LABELS)
LAG: Final = Gauge("bonewatch_publish_lag_seconds", "How long the oldest queued message has waited.", _LABELS)
FORKED: Final = Gauge("bonewatch_publish_log_forked", "1 where the queue was filled from another log.", _LABELS)
