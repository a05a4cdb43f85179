"""Counters of fault logs; labels are device keys and our own words, nothing of a line and no sender's address."""

from typing import Final

from prometheus_client import Counter, Gauge

LINES: Final = Counter(
    "bonewatch_log_lines_total", "Lines of devices' logs, by what became of them", ["device", "became"]
)
LOST: Final = Counter(
    "bonewatch_log_lost_total",
    "Lines that could not be taken in, by reason: flood, overlong, rotated",
    ["device", "why"],
)
UNKNOWN: Final = Counter(
    "bonewatch_log_unknown_senders_total", "Datagrams and connections of senders that are not configured", ["transport"]
)
REFUSED: Final = Counter("bonewatch_log_refused_connections_total", "Connections refused or cut, by reason", ["why"])
CONNECTIONS: Final = Gauge("bonewatch_log_connections", "Connections that are open")
