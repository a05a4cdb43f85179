"""What no type can say of the PACS, procedure steps and scanners' addresses."""

from bonewatch.configuration.sections import Config, DeviceSection
from collectors.settings import PROMISES_KEPT_S, MppsUpstream, Pacs, Upstream
from streams.policy import DeviceKind


def dicom_faults(config: Config) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say about the PACS, procedure steps and scanners' addresses."""
    faults, dicom = list[tuple[str, str]](), config.dicom
    if dicom.patients == "forward" and dicom.pacs is None:
        faults.append(("$.dicom.patients", 'patients = "forward" needs a [dicom.pacs] to forward to'))
    if not 0 <= dicom.commitment_wait_s <= PROMISES_KEPT_S / 2:
        faults.append(("$.dicom.commitment_wait_s", "commitment_wait_s lies between 0 and a day, 86400"))
    if dicom.upstream is not None:
        faults += _reach_faults("$.dicom.upstream", dicom.upstream, config)
        if dicom.upstream.max_items < 1:
            faults.append(("$.dicom.upstream.max_items", "max_items is at least 1"))
    if dicom.pacs is not None:
        faults += _peer_faults("$.dicom.pacs", dicom.pacs, config) + _pacs_faults("$.dicom.pacs", dicom.pacs)
    if dicom.mpps is not None:
        faults += _peer_faults("$.dicom.mpps", dicom.mpps, config) + _mpps_faults("$.dicom.mpps", dicom.mpps)
    for place, device in enumerate(config.device):
        faults += _address_faults(f"$.device[{place}]", device)
    return faults


def _reach_faults(path: str, peer: Upstream | Pacs | MppsUpstream, config: Config) -> list[tuple[str, str]]:
    faults = [
        (f"{path}.{name}", f"{name} has 1 to 16 characters, without spaces around them")
        for name, title in (("ae_title", peer.ae_title), ("present_as", peer.present_as or "-"))
        if not 1 <= len(title) <= 16 or title != title.strip()
    ]
    if not peer.host:
        faults.append((f"{path}.host", "host is the peer's name or address"))
    if not 1 <= peer.port <= 65_535:
        faults.append((f"{path}.port", "port lies between 1 and 65535"))
    if (peer.host, peer.port) == (config.dicom.host, config.dicom.port):
        faults.append((f"{path}.port", "this is the site's own address: what is sent there would come back for ever"))
    if not 0 < peer.timeout_s <= 300:
        faults.append((f"{path}.timeout_s", "timeout_s lies above 0, up to 300"))
    return faults


def _peer_faults(path: str, peer: Pacs | MppsUpstream, config: Config) -> list[tuple[str, str]]:
    faults = _reach_faults(path, peer, config)
    limits = (
        ("retry_s", 0 < peer.retry_s <= 3600, "lies above 0, up to 3600"),
        ("retry_max_s", peer.retry_s <= peer.retry_max_s <= 86_400, "lies between retry_s and 86400"),
        ("min_free_bytes", peer.min_free_bytes >= 0, "is 0 or more"),
    )
    return faults + [(f"{path}.{name}", f"{name} {words}") for name, good, words in limits if not good]


def _pacs_faults(path: str, pacs: Pacs) -> list[tuple[str, str]]:
    limits = (
        ("max_tries", 1 <= pacs.max_tries <= 1000, "lies between 1 and 1000"),
        ("set_aside_retry_s", 60 <= pacs.set_aside_retry_s <= 30 * 86_400, "lies between a minute and 30 days"),
        ("max_objects", pacs.max_objects >= 1, "is at least 1"),
        ("max_bytes", pacs.max_bytes >= 1024 * 1024, "is at least 1 MB"),
        ("commitment_timeout_s", 1 <= pacs.commitment_timeout_s <= 30 * 86_400, "lies between 1 s and 30 days"),
        ("commitment_asks", 1 <= pacs.commitment_asks <= 1000, "lies between 1 and 1000"),
        ("commitment_linger_s", 0 <= pacs.commitment_linger_s <= 60, "lies between 0 and 60"),
        ("delivered_days", 0 < pacs.delivered_days <= 3650, "lies above 0, up to 3650"),
        ("delivered_max", pacs.delivered_max >= 1, "is at least 1"),
    )
    return [(f"{path}.{name}", f"{name} {words}") for name, good, words in limits if not good]


def _mpps_faults(path: str, mpps: MppsUpstream) -> list[tuple[str, str]]:
    limits = (
        ("max_waiting", mpps.max_waiting >= 1, "is at least 1"),
        ("kept_days", 0 < mpps.kept_days <= 3650, "lies above 0, up to 3650"),
    )
    return [(f"{path}.{name}", f"{name} {words}") for name, good, words in limits if not good]


def _address_faults(path: str, device: DeviceSection) -> list[tuple[str, str]]:
    if bool(device.dicom_host) != bool(device.dicom_port):
        return [(path, "dicom_host and dicom_port go together: where the scanner takes reports of commitment")]
    if device.dicom_host and device.kind is not DeviceKind.SCANNER:
        return [(f"{path}.dicom_host", "dicom_host is a scanner's")]
    if not 0 <= device.dicom_port <= 65_535:
        return [(f"{path}.dicom_port", "dicom_port lies between 1 and 65535")]
    return []
