"""Invented people whom the demonstration tells: into a file, so that nobody real is."""

from typing import Final

TOLD_FILE: Final = "told.txt"
"""Where the demonstration's messages go, in its data folder."""

_SECTIONS: Final = """
[alerts]
fallback = ["Demo Manager"]

[alerts.rules.contacts]
operator = "the DXA office (demo), extension 0002"
physicist = "medical physics (demo), extension 0001"

[[alerts.channel]]
name = "file"
file = "{file}"

[[alerts.person]]
name = "Demo Operator"
roles = ["operator"]
channels = ["file"]

[[alerts.person]]
name = "Demo Senior Operator"
roles = ["operator"]
tier = 2
channels = ["file"]

[[alerts.person]]
name = "Demo Physicist"
roles = ["physicist"]
channels = ["file"]
quiet = ["19:00", "07:00"]

[[alerts.person]]
name = "Demo Manager"
roles = ["manager"]
channels = ["file"]
quiet = ["18:00", "08:00"]
"""


def alert_sections() -> str:
    """Return the demonstration's people and channel, as in a site's file."""
    return _SECTIONS.format(file=TOLD_FILE)
