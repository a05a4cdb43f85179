"""Commitment, forwarding and procedure steps by the site's configuration, and what is wrong with it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from bonewatch.configuration.sections import Config
from collectors.archive import Archive
from collectors.dicom.mpps.service import StepService
from collectors.dicom.pacs.outbox import Outbox
from collectors.dicom.pacs.service import CommitmentService
from collectors.dicom.services import DicomService
from streams.fold.schedule import zone
from streams.site import SitePort


class DicomServices(NamedTuple):
    """Services for the application entity, and where patients' objects go on to."""

    services: tuple[DicomService, ...]
    outbox: Outbox | None


@contextmanager
def dicom_services(
    config: Config, site: SitePort, archive: Archive, *, clock: Callable[[], datetime]
) -> Iterator[DicomServices]:
    """Open commitment, forwarding and procedure steps for the length of a block.

    Raises
    ------
    StoreUnusableError
        What an earlier run left cannot be read.
    """
    devices = {key: policy for key, (policy, _) in config.devices().items()}
    addresses = {
        config.key(device.id): (device.dicom_host, device.dicom_port) for device in config.device if device.dicom_host
    }
    commitment = CommitmentService(config.dicom, devices, archive, addresses=addresses, clock=clock)
    try:
        steps = StepService(
            site,
            devices,
            archive.data_dir,
            zone=zone(config.site.time_zone),
            upstream=config.dicom.mpps,
            clock=clock,
        )
        try:
            yield DicomServices((commitment, steps), commitment.outbox if config.dicom.forwards_patients else None)
        finally:
            steps.close()
    finally:
        commitment.close()


def unknown_hosts(config: Config) -> list[str]:
    """Return a note on each DICOM peer whose name says nothing on this machine."""
    dicom, found = config.dicom, list[str]()
    for key, peer in (("upstream", dicom.upstream), ("pacs", dicom.pacs), ("mpps", dicom.mpps)):
        if peer is None:
            continue
        try:
            socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            words = f"[dicom] {key}: the host {peer.host} is not known on this machine"
            found.append(f"{words}; correct the name, or give its address")
    return found
