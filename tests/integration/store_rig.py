"""Reports of the phantom as a scanner stores them, and peers that send odd bytes or leave rudely."""

import socket
import struct
import time
from collections.abc import Callable
from io import BytesIO

from prometheus_client import REGISTRY
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import EnhancedSRStorage  # type: ignore[attr-defined]

from collectors.dicom.deadline_socket import RequestingEntity
from simulators.phantom_sr import IMAGE, ReportSpec, build_report
from tests.integration.dicom_rig import MEASURED, DicomRig


def report(**changes: object) -> Dataset:
    fields: dict[str, object] = {
        "patient_id": "SPINE-1234",
        "patient_name": "PHANTOM^SPINE",
        "measured_at": MEASURED,
        "readings": {"L1": 0.955, "L1-L4": 1.0},
        "acquisition": "first",
    }
    return build_report(ReportSpec(**{**fields, **changes}))  # type: ignore[arg-type] # as each test chooses


def phantom_image() -> Dataset:
    ds = report(readings={})
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(IMAGE)
    ds.Modality = "OT"
    for keyword in ("ContentSequence", "ConceptNameCodeSequence", "ValueType"):
        del ds[keyword]
    return ds


def counter(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def send_bytes(
    rig: DicomRig,
    change: Callable[[bytes], bytes],
    *,
    announced: str = "",
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> int | None:
    """Send a report whose encoded data set was changed; return the status, or None if the association ended."""
    ds = report()
    association = associate(rig.port, transfer_syntax)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = ds.SOPClassUID
    request.AffectedSOPInstanceUID = announced or ds.SOPInstanceUID
    request.DataSet = BytesIO(change(_encoded(ds)))
    context = association.accepted_contexts[0].context_id
    assert context is not None
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    if not isinstance(answer, C_STORE):
        association.abort()
        return None
    association.release()
    return answer.Status


def send_in_other_syntax(rig: DicomRig) -> int | None:
    data = _encoded(report(), implicit=True)
    return send_bytes(rig, lambda _: data, transfer_syntax=ImplicitVRLittleEndian)


def _encoded(ds: Dataset, *, implicit: bool = False) -> bytes:
    encoded = encode(ds, is_implicit_vr=implicit, is_little_endian=True)
    assert encoded is not None
    return encoded


def associate(port: int, transfer_syntax: str = ExplicitVRLittleEndian) -> Association:
    entity = RequestingEntity("DXA1", timeout_s=20.0)
    entity.add_requested_context(EnhancedSRStorage, transfer_syntax)
    return entity.associate("127.0.0.1", port, ae_title="BONEWATCH")


def leave_rudely(port: int, attempt: int) -> None:
    """Connect, get more or less far, and go without a word, or with an abort."""
    if attempt % 10 == 0:
        associate(port).abort()
        return
    with socket.create_connection(("127.0.0.1", port)) as peer:
        if attempt % 5 == 1:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not close
        elif attempt % 5 == 2:
            peer.sendall(struct.pack(">BBL", 1, 0, 5_000) + b"half a request")
        elif attempt % 5 == 3:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        elif attempt % 5 == 4:
            peer.shutdown(socket.SHUT_WR)


def settle(measure: Callable[[], int], at_most: int) -> None:
    """Wait until a number has fallen and stays: peers may still wait in the kernel's backlog to be accepted."""
    deadline, stayed = time.monotonic() + 30, 0
    while stayed < 20 and time.monotonic() < deadline:
        stayed = stayed + 1 if measure() <= at_most else 0
        time.sleep(0.05)
