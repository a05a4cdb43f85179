"""The RIS behind the procedure steps: each message goes on with its own bytes, its answer comes back as it is."""

from io import BytesIO
from typing import Final

import msgspec
from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import N_CREATE, N_SET
from pynetdicom.dsutils import decode
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import ModalityPerformedProcedureStep  # type: ignore[attr-defined]

from collectors.dicom.exchange import NoContextError, Peer
from collectors.dicom.mpps.steps import Operation
from collectors.settings import MppsUpstream

MPPS: Final = UID(ModalityPerformedProcedureStep)
WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})


class RisAnswer(msgspec.Struct, frozen=True):
    """What the RIS answered; `attributes` is what it gave back with a success."""

    status: int
    comment: str = ""
    error_id: int | None = None
    attributes: Dataset | None = None

    @property
    def is_success(self) -> bool:
        """Whether the RIS took the message, with or without a warning."""
        return self.status == 0x0000 or self.status in WARNINGS or 0xB000 <= self.status <= 0xBFFF


class Ris:
    """The RIS's procedure step SCP at an address, over an association for each message or for some.

    Parameters
    ----------
    settings
        Where it is and how long to wait.
    """

    def __init__(self, settings: MppsUpstream) -> None:
        self._settings = settings

    def associate(self, calling_ae: str) -> Peer:
        """Return an association, to be used as a block; PeerError when the RIS is away."""
        settings = self._settings
        return Peer(
            settings.host,
            settings.port,
            settings.ae_title,
            calling_ae=settings.present_as or calling_ae,
            timeout_s=settings.timeout_s,
            contexts=[build_context(MPPS, ImplicitVRLittleEndian)],
        )

    @staticmethod
    def tell(peer: Peer, operation: Operation, uid: str, attributes: bytes) -> RisAnswer:
        """Send one message; BrokenOffError when there is no answer."""
        context_id = peer.context_id(MPPS)
        if context_id is None:
            raise NoContextError("the RIS does not accept procedure steps")
        answer = peer.ask(_request(operation, uid, attributes), context_id)
        given = getattr(answer, "AttributeList", None)
        return RisAnswer(
            int(answer.Status) if answer.Status is not None else 0x0110,
            str(getattr(answer, "ErrorComment", None) or "")[:64],
            getattr(answer, "ErrorID", None),
            decode(given, is_implicit_vr=True, is_little_endian=True) if given is not None else None,
        )


def _request(operation: Operation, uid: str, attributes: bytes) -> N_CREATE | N_SET:
    if operation is Operation.CREATE:
        create = N_CREATE()
        create.AffectedSOPClassUID, create.AffectedSOPInstanceUID = MPPS, UID(uid)
        create.AttributeList = BytesIO(attributes)
        return create
    change = N_SET()
    change.RequestedSOPClassUID, change.RequestedSOPInstanceUID = MPPS, UID(uid)
    change.ModificationList = BytesIO(attributes)
    return change
