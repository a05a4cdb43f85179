"""What the syslog front end is configured with."""

from typing import Final

import msgspec

MOST_FACTS_AN_HOUR: Final = 100_000_000


class SyslogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where syslog is listened for, and how much of it is held.

    A port that is None is not listened on; port 0 takes a free one. With `client_ca_file` a TLS sender must show a
    certificate that this authority signed.
    """

    host: str = "127.0.0.1"
    udp_port: int | None = None
    tcp_port: int | None = None
    tls_port: int | None = None
    certificate_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    max_connections: int = 64
    max_connections_each: int = 8
    max_line_bytes: int = 65_536
    idle_timeout_s: float = 86_400.0

    @property
    def listens(self) -> bool:
        """Whether any port is listened on."""
        return any(port is not None for port in (self.udp_port, self.tcp_port, self.tls_port))
