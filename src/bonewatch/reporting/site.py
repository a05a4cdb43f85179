"""The reports of a configured site, from its log."""

from pathlib import Path

from bonewatch.configuration.sections import Config
from bonewatch.reporting.uptime import logged_uptime
from dashboards.reports.source import Reports
from streams.record.reader import LoggedRecords, devices_in


def site_reports(config: Config, log: Path) -> Reports:
    """Return what makes a site's reports, also of devices that are configured no more.

    Raises
    ------
    LogError
        There is no log yet.
    """
    uptime = logged_uptime(config, log)
    names = {device.id: config.key(device.id) for device in config.device}
    names |= {name: key for name, key in devices_in(log, config.site.id).items() if name not in names}
    return Reports(config.site.name or config.site.id, LoggedRecords(log, names), uptime)
