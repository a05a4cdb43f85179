"""An outbox with its forwarder, and patients' objects to put in; all patients are invented."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from collectors.dicom.pacs.forwarder import Forwarder
from collectors.dicom.pacs.outbox import Outbox
from collectors.dicom.received import ReceivedObject
from collectors.settings import Pacs
from simulators.scanner import patient_report
from tests.integration.dicom_rig import MEASURED
from tests.virtual_pacs import VirtualPacs

DEVICE = "site/dxa-1"
QUICK = {"retry_s": 0.05, "retry_max_s": 0.2, "timeout_s": 5.0, "max_tries": 3, "min_free_bytes": 0}


def pacs_settings(port: int, **changes: object) -> Pacs:
    return Pacs(**{"ae_title": "PACS", "host": "127.0.0.1", "port": port, **QUICK, **changes})  # type: ignore[arg-type]


def received(ds: Dataset, *, syntax: str = ExplicitVRLittleEndian, calling_ae: str = "DXA1") -> ReceivedObject:
    uid = UID(syntax)
    data = encode(ds, uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    assert data
    return ReceivedObject(calling_ae, str(ds.SOPClassUID), str(ds.SOPInstanceUID), syntax, data, MEASURED)


def patient(number: int, *, syntax: str = ExplicitVRLittleEndian, calling_ae: str = "DXA1") -> ReceivedObject:
    ds = patient_report(number, MEASURED + timedelta(minutes=number))
    return received(ds, syntax=syntax, calling_ae=calling_ae)


@contextmanager
def forwarding(outbox: Outbox, settings: Pacs) -> Iterator[Forwarder]:
    forwarder = Forwarder(outbox, settings, "BONEWATCH")
    forwarder.start()
    try:
        yield forwarder
    finally:
        forwarder.stop()


@contextmanager
def opened(data_dir: Path, settings: Pacs) -> Iterator[Outbox]:
    outbox = Outbox(data_dir, settings)
    try:
        yield outbox
    finally:
        outbox.close()


def waited(is_so: Callable[[], object], *, within_s: float = 60.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def is_empty(outbox: Outbox) -> bool:
    totals = outbox.totals()
    return totals.waiting + totals.sent + totals.set_aside == 0


def has(pacs: VirtualPacs, count: int) -> bool:
    return len(pacs.uids) == count
