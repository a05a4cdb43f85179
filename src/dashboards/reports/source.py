"""Where reports come from: a site's log, its name and zone, and the devices that are configured."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from dashboards.reports.qa.figures import QaReport
from dashboards.reports.qa.reckoning import qa_report
from dashboards.uptime.figures import figures_of
from streams.record.reader import LoggedRecords
from streams.uptime.clinic_hours import period_of
from streams.uptime.reader import LoggedUptime

_MONTH: Final = re.compile(r"(2[01]\d{2})-(0[1-9]|1[0-2])", re.ASCII)

LONGEST: Final = timedelta(days=366)
"""Of a pack that is made while somebody waits; local policy."""


@dataclass(frozen=True)
class Reports:
    """Makes a site's reports from its log; safe from any thread.

    Parameters
    ----------
    site
        Its name, as it stands on the reports.
    """

    site: str
    records: LoggedRecords
    uptime: LoggedUptime

    @property
    def time_zone(self) -> str:
        """In which its days begin and end."""
        return self.uptime.time_zone

    def qa(self, device_id: str, first: date, last: date, now: datetime) -> QaReport:
        """Return what the log says of a device's QA from one day to another, both included.

        Raises
        ------
        ValueError
            There is no such device, or the days cannot be.
        LogError
            The log cannot be read.
        """
        record = self.records.device(device_id, period_of(first, last, self.time_zone))
        lines = figures_of(self.uptime.report(first, last, now, device_id)).devices
        uptime = lines[0] if lines else None
        return qa_report(record, uptime, site=self.site, time_zone=self.time_zone, days=(first, last), now=now)


def pack_within(reports: Reports, device_id: str, first: date, last: date) -> bytes:
    """Return an evidence pack that somebody waits for; raise ValueError where it is of more than a year."""
    from dashboards.reports.evidence.pack import evidence_pack  # noqa: PLC0415 - a site starts sooner without it

    if last - first > LONGEST:
        raise ValueError("a pack is of a year at most here: the command line takes more")
    return evidence_pack(reports, device_id, first, last)


def month_from(text: str) -> date:
    """Return the first day of a month that is written as ``2026-11``; raise ValueError for anything else."""
    asked = _MONTH.fullmatch(text)
    if asked is None:
        raise ValueError("a month is written as year and month, such as 2026-11")
    return date(int(asked[1]), int(asked[2]), 1)


def days_of(month: date) -> tuple[date, date]:
    """Return the first and the last day of a day's month."""
    return month.replace(day=1), month.replace(day=monthrange(month.year, month.month)[1])


def month_before(month: date, months: int = 1) -> date:
    """Return the first day of the month so many before; later ones for less than nothing."""
    count = month.year * 12 + month.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)
