"""Asks the PACS to commit to what it has taken, and takes its report: on that association or on one it opens to us."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Final

import structlog
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from collectors.dicom.exchange import Peer, PeerError
from collectors.dicom.pacs import commitment, metrics
from collectors.dicom.pacs.commitment import Reference, Request
from collectors.dicom.pacs.outbox import Outbox, Waiting
from collectors.settings import Pacs

REFERENCES_AT_ONCE: Final = 500
_LOOK_S: Final = 0.05

_log: Final = structlog.get_logger("collectors.dicom.pacs")


class CommitmentAsker:
    """Asks for commitment; for one thread.

    Parameters
    ----------
    outbox
        What was delivered and is not committed.
    settings
        The PACS.
    calling_ae
        The title that asks.
    """

    def __init__(self, outbox: Outbox, settings: Pacs, calling_ae: str) -> None:
        self._outbox, self._settings, self._calling_ae = outbox, settings, calling_ae

    def ask(self, is_stopping: Callable[[], bool]) -> bool:
        """Ask about what is due; return whether there was any. The answer may come now or at any later time.

        Raises
        ------
        PeerError
            The PACS is away, or does not do Storage Commitment.
        """
        objects = self._outbox.uncommitted(REFERENCES_AT_ONCE)
        if not objects:
            return False
        settings = self._settings
        with Peer(
            settings.host,
            settings.port,
            settings.ae_title,
            calling_ae=self._calling_ae,
            timeout_s=settings.timeout_s,
            contexts=[build_context(commitment.PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])],
            handlers=[(evt.EVT_N_EVENT_REPORT, lambda event: (take_report(self._outbox, event), None))],
        ) as peer:
            context_id = peer.context_id(commitment.PUSH_MODEL)
            if context_id is None:
                raise PeerError("the PACS does not accept Storage Commitment")
            transaction_uid = generate_uid(prefix=None)
            self._outbox.asked(transaction_uid, objects)
            status = self._request(peer, context_id, transaction_uid, objects)
            metrics.COMMITMENT_ASKED.labels("accepted" if status == 0x0000 else f"{status:04X}").inc()
            if status != 0x0000:
                raise PeerError("the PACS refuses the request for commitment")
            self._linger(peer, transaction_uid, is_stopping)
        return True

    @staticmethod
    def _request(peer: Peer, context_id: int, transaction_uid: str, objects: list[Waiting]) -> int:
        references = tuple(Reference(one.sop_class_uid, one.sop_instance_uid) for one in objects)
        syntax = UID(peer.transfer_syntax(context_id))
        request = N_ACTION()
        request.RequestedSOPClassUID = commitment.PUSH_MODEL
        request.RequestedSOPInstanceUID = commitment.PUSH_MODEL_INSTANCE
        request.ActionTypeID = commitment.REQUEST_COMMITMENT
        ds = Request(transaction_uid, references).dataset()
        encoded = encode(ds, syntax.is_implicit_VR, syntax.is_little_endian)
        request.ActionInformation = BytesIO(encoded or b"")
        answer = peer.ask(request, context_id)
        return int(answer.Status) if answer.Status is not None else commitment.PROCESSING_FAILURE

    def _linger(self, peer: Peer, transaction_uid: str, is_stopping: Callable[[], bool]) -> None:
        """Keep the association for a report on it, but not while objects wait to be sent."""
        until = time.monotonic() + self._settings.commitment_linger_s
        while time.monotonic() < until and peer.is_there and not is_stopping():
            if not self._outbox.is_asked(transaction_uid) or self._outbox.news.wait(_LOOK_S):
                return


def take_report(outbox: Outbox, event: evt.Event) -> int:
    """Take the PACS's report of a transaction; return the status of the answer.

    A transaction's UID was made by chance and told to the PACS alone, so whoever names one is believed.
    """
    try:
        report = commitment.report_from(event.event_information)
        if not outbox.is_asked(report.transaction_uid):
            metrics.COMMITMENT_ASKED.labels("unknown_transaction").inc()
            return commitment.PROCESSING_FAILURE
        committed = [one.sop_instance_uid for one in report.committed]
        outbox.commit(report.transaction_uid, committed, [one.sop_instance_uid for one, _ in report.failed])
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever its parser stumbles over; the PACS says it again
        _log.error("commitment_report_failed", error=type(error).__name__)
        return commitment.PROCESSING_FAILURE
    return 0x0000
