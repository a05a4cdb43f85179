"""What no type can say of fault logs."""

from ipaddress import ip_network

from bonewatch.configuration.sections import DeviceSection, LogSection
from collectors.fault_logs.settings import MOST_FACTS_AN_HOUR, SyslogSettings


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
