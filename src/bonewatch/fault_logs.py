"""The fault logs of a site, by its configuration: what is wrong with it, and what follows them."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

from bonewatch.configuration.sections import Config
from collectors.fault_logs.follower import FileFollower
from collectors.fault_logs.intake import Source, SyslogIntake
from collectors.fault_logs.keeper import LogKeeper
from collectors.fault_logs.listener import SyslogListener, server_context
from collectors.fault_logs.rules import load
from streams.site import SitePort


class FaultLogs:
    """What follows the logs of a site's devices, from `start` to `stop`.

    Parameters
    ----------
    config
        The checked configuration.
    site
        Where facts go.
    data_dir
        Where it is kept how far files were read, in ``logs/``.
    folder
        Where relative paths of the configuration start.
    clock
        Says what time it is, UTC.

    Raises
    ------
    CertificateError
        If what ``[syslog]`` needs for TLS cannot be read.
    RulesError
        If a file of rules does not hold.
    """

    def __init__(
        self, config: Config, site: SitePort, data_dir: Path, *, folder: Path, clock: Callable[[], datetime]
    ) -> None:
        self._keepers: list[LogKeeper] = []
        sources: list[Source] = []
        self._followers: list[FileFollower] = []
        for device in config.device:
            for log in device.log:
                keeper = LogKeeper(
                    site, config.key(device.id), load(folder / log.rules), facts_an_hour=log.facts_an_hour
                )
                self._keepers.append(keeper)
                if log.address:
                    sources.append(Source(ip_network(log.address), log.host, keeper))
                else:
                    path = folder / log.file
                    self._followers.append(FileFollower(keeper, path, data_dir / "logs" / _name(device.id, path)))
        self._intake = SyslogIntake(sources, clock=clock)
        self._listener = SyslogListener(config.syslog, self._intake, server_context(config.syslog, folder))

    @property
    def ports(self) -> dict[str, int]:
        """The ports that syslog is listened for on: ``udp``, ``tcp``, ``tls``."""
        return self._listener.ports

    def last_unmatched(self, device: str) -> list[str]:
        """Return the last lines of a device's logs that no rule fitted; they may name patients."""
        return [line for keeper in self._keepers if keeper.device == device for line in keeper.last_unmatched]

    def start(self) -> None:
        """Listen and follow; raise OSError where a port cannot be listened on."""
        self._intake.start()
        self._listener.start()
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """Listen no more, record what has come, let go of files."""
        self._listener.stop()
        self._intake.stop()
        for follower in self._followers:
            follower.stop()


def _name(device_id: str, path: Path) -> str:
    return f"{device_id}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.json"
