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
from collectors.dicom.mpps.rules import NO_LONGER_UPDATED, PROCESSING_FAILURE
from collectors.dicom.mpps.steps import Operation
from collectors.settings import MppsUpstream

MPPS: Final = UID(ModalityPerformedProcedureStep)
WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})
_NO_RESOURCES: Final = 0x0213


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

    @property
    def says_ended(self) -> bool:
        """Whether the step may no longer be updated: 0x0110 alone does not say so, its Error ID does."""
        return self.status == PROCESSING_FAILURE and self.error_id == NO_LONGER_UPDATED

    @property
    def is_transient(self) -> bool:
        """Whether the same message may be taken later: the RIS failed at it, or has no room."""
        failed = self.status in {PROCESSING_FAILURE, _NO_RESOURCES} or 0xA700 <= self.status <= 0xA7FF
        return failed and not self.says_ended


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
    def context_id(peer: Peer) -> int:
        """Return the context for procedure steps; NoContextError when the RIS takes none."""
        context_id = peer.context_id(MPPS)
        if context_id is None:
            raise NoContextError("the RIS does not accept procedure steps")
        return context_id

    @classmethod
    def tell(cls, peer: Peer, operation: Operation, uid: str, attributes: bytes) -> RisAnswer:
        """Send one message; BrokenOffError when there is no answer."""
        answer = peer.ask(_request(operation, uid, attributes), cls.context_id(peer))
        given = getattr(answer, "AttributeList", None)
        return RisAnswer(
            int(answer.Status) if answer.Status is not None else PROCESSING_FAILURE,
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
