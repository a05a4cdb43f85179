"""The fault logs of a site, by its configuration: what is wrong with it, and what follows them."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from bonewatch.config_file import Config, DeviceSection, LogSection
from collectors.fault_logs.follower import FileFollower
from collectors.fault_logs.intake import Source, SyslogIntake
from collectors.fault_logs.keeper import LogKeeper
from collectors.fault_logs.listener import SyslogListener, server_context
from collectors.fault_logs.rules import load
from collectors.fault_logs.settings import SyslogSettings
from streams.site import SitePort

MOST_FACTS_AN_HOUR: Final = 100_000_000


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


def log_faults(path: str, device: DeviceSection, syslog: SyslogSettings) -> list[tuple[str, str]]:
    """Return (path, words) of what is wrong with a device's logs."""
    return [
        (f"{path}.log[{place}]{key}", words)
        for place, log in enumerate(device.log)
        for key, words in _faults(log, syslog)
    ]


def syslog_faults(path: str, syslog: SyslogSettings) -> list[tuple[str, str]]:
    """Return (path, words) of what is wrong with ``[syslog]``."""
    faults = []
    if (syslog.tls_port is not None) and not (syslog.certificate_file and syslog.key_file):
        faults.append((f"{path}.tls_port", "tls_port needs certificate_file and key_file"))
    if syslog.client_ca_file and syslog.tls_port is None:
        faults.append((f"{path}.client_ca_file", "client_ca_file goes with tls_port"))
    limits = (
        ("max_connections", 1 <= syslog.max_connections <= 1000, "lies between 1 and 1000"),
        ("max_connections_each", 1 <= syslog.max_connections_each <= 1000, "lies between 1 and 1000"),
        ("max_line_bytes", 1024 <= syslog.max_line_bytes <= 1_048_576, "lies between 1024 and 1048576"),
        ("idle_timeout_s", syslog.idle_timeout_s > 0, "is above 0"),
    )
    return faults + [(f"{path}.{name}", f"{name} {words}") for name, good, words in limits if not good]


def _faults(log: LogSection, syslog: SyslogSettings) -> list[tuple[str, str]]:
    faults = []
    if bool(log.address) == bool(log.file):
        faults.append(("", "a log comes from an address (syslog) or is a file: give one of them"))
    if log.address and not syslog.listens:
        faults.append((".address", "set udp_port, tcp_port or tls_port in [syslog]"))
    try:
        ip_network(log.address or "127.0.0.1")
    except ValueError:
        faults.append((".address", f"{log.address} is no address such as 10.1.2.3 and no network such as 10.1.2.0/24"))
    if log.host and not log.address:
        faults.append((".host", "a name in a message proves nothing: give the address that it comes from too"))
    if not 1 <= log.facts_an_hour <= MOST_FACTS_AN_HOUR:
        faults.append((".facts_an_hour", "facts_an_hour is at least 1"))
    return faults


def _name(device_id: str, path: Path) -> str:
    return f"{device_id}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.json"
