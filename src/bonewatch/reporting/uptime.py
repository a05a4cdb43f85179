"""The uptime of a configured site, from its log."""

from pathlib import Path

from bonewatch.configuration.sections import Config
from streams.record.reader import devices_in
from streams.sqlite_log import LogError
from streams.uptime.reader import LoggedUptime


def logged_uptime(config: Config, log: Path) -> LoggedUptime:
    """Return what reads a site's uptime from its log.

    Raises
    ------
    LogError
        There is no log yet.
    """
    if not log.is_file():
        raise LogError(f"{log} is not there: the site has not run yet, or its data_dir is another")
    names = {device.id: config.key(device.id) for device in config.device}
    site = config.site
    former = devices_in(log, site.id)
    return LoggedUptime(log, site.name or site.id, site.time_zone, names, config.targets(), former=former)
