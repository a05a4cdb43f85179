"""Which files of certificates a site uses, for Prometheus to say when they end."""

from collections.abc import Iterator
from pathlib import Path

from bonewatch.configuration.sections import Config


def certificate_files(config: Config, folder: Path) -> dict[str, Path]:
    """Return where each use's certificates stand: this site's own, and those of the authorities that it believes.

    Parameters
    ----------
    folder
        What the configuration's files are relative to; Kafka's alone to where the program was started.
    """
    return {use: folder / file for use, file in _named(config) if file}


def _named(config: Config) -> Iterator[tuple[str, str]]:
    kafka = config.kafka.ca_file
    yield "kafka, authority", str(Path(kafka).absolute()) if kafka else ""
    yield "syslog", config.syslog.certificate_file
    yield "syslog, senders' authority", config.syslog.client_ca_file
    for one in config.webhook:
        yield f"{one.name}, authority", one.ca_file
    for receiver in config.mllp:
        yield receiver.name, receiver.certificate_file
        yield f"{receiver.name}, authority", receiver.ca_file
