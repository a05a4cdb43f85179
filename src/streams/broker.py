"""Where Kafka is and how to sign in to it; the same for every client library."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BrokerError(Exception):
    """Kafka cannot be used as configured, or is away; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One Kafka cluster.

    Parameters
    ----------
    servers
        ``host:port``, several separated by commas.
    ca_file
        PEM of who signed the brokers' certificates; None: no TLS.
    username, password
        Of SASL/SCRAM-SHA-512; None: no sign-in.
    """

    servers: str
    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None

    @property
    def protocol(self) -> str:
        """Kafka's name of the security in use."""
        sasl, tls = self.username is not None, self.ca_file is not None
        return {(False, False): "PLAINTEXT", (False, True): "SSL", (True, False): "SASL_PLAINTEXT"}.get(
            (sasl, tls), "SASL_SSL"
        )

    def options(self) -> dict[str, Any]:
        """Return the keywords that kafka-python's and aiokafka's clients share.

        Raises
        ------
        BrokerError
            If the CA's file cannot be read.
        """
        options: dict[str, Any] = {"bootstrap_servers": self.servers.split(","), "security_protocol": self.protocol}
        if self.ca_file is not None:
            try:
                options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file)
            except OSError as error:
                raise BrokerError(f"{self.ca_file} cannot be read as the broker's CA: {error}") from error
        if self.username is not None:
            options |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password or "",
            }
        return options
