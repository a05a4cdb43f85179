"""Due work of the demonstration's department: something overdue, something due soon, something to come."""

from datetime import date, timedelta
from typing import Final

DUTIES: Final = (
    # kind, days from today, devices, more
    ("maintenance", 9, '"dxa-1"', ""),
    ("maintenance", 121, '"dxa-2"', ""),
    ("database_archive", 1, '"dxa-1", "dxa-2"', ""),
    ("calibration", -3, '"scale-1"', 'name = "Yearly calibration"'),
    ("certificate", 40, '"scale-1"', 'id = "certificate-W20"\nname = "Certificate of W20"'),
    ("replacement", 800, '"dxa-1"', 'name = "Replacement: end of service life"'),
)


def due_sections(today: date) -> str:
    """Return the sections of what is due, counted from the day on which the demonstration begins."""
    return "".join(
        f'[[duty]]\nkind = "{kind}"\nfirst_due = {today + timedelta(days=days)}\ndevices = [{devices}]\n{more}\n'
        for kind, days, devices, more in DUTIES
    )
