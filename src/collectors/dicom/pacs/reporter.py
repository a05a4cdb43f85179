"""Tells scanners what is committed: over the association on which they asked, or over one to their own address."""

import threading
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final
from weakref import WeakKeyDictionary

import structlog
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from collectors.dicom.exchange import Peer, PeerError
from collectors.dicom.pacs import commitment, metrics
from collectors.dicom.pacs.commitment import Report
from collectors.dicom.pacs.keeping import Judged, Keeping
from collectors.dicom.pacs.promises import Promise, Promises
from collectors.dicom.retrying import Retrying
from collectors.dicom.turns import turn_on
from collectors.errors import CollectorError

TICK_S: Final = 0.5
STOP_S: Final = 10.0
ANSWER_S: Final = 10.0
RETRY_S: Final = 10.0
RETRY_MAX_S: Final = 300.0

Address = tuple[str, int]
"""Host and port."""

_log: Final = structlog.get_logger("collectors.dicom.pacs")


class _Asked:
    """An association on which a scanner asked, and the answers to what we sent on it."""

    def __init__(self, context_id: int, transfer_syntax: str) -> None:
        self.context_id, self.transfer_syntax = context_id, transfer_syntax
        self.last_id = 0
        self.answers: dict[int, int] = {}
        self.heard = threading.Condition()


class CommitmentReporter:
    """Answers scanners' requests for commitment as soon as all of a request is decided.

    Parameters
    ----------
    promises
        What was asked.
    keeping
        Says what is kept.
    own_ae_title
        Ours.
    addresses
        Where scanners listen, by device key; one without an address is told on its own association alone.
    wait_s
        How long what is pending may stay so.
    """

    def __init__(
        self,
        promises: Promises,
        keeping: Keeping,
        *,
        own_ae_title: str,
        addresses: Mapping[str, Address],
        wait_s: float,
    ) -> None:
        self._promises, self._keeping = promises, keeping
        self._own_ae_title, self._addresses, self._wait_s = own_ae_title, addresses, wait_s
        self._open: dict[str, Association] = {}
        self._asked: WeakKeyDictionary[Association, _Asked] = WeakKeyDictionary()
        self._lines: dict[str, Retrying] = {}
        self._faults = Retrying("commitment_reporting", RETRY_S, RETRY_MAX_S)
        self.news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def asked_on(self, device: str, association: Association, context_id: int, transfer_syntax: str) -> None:
        """Remember the association on which a device asked last."""
        self._asked.setdefault(association, _Asked(context_id, transfer_syntax))
        self._open[device] = association
        self.news.set()

    def heard(self, event: evt.Event) -> None:
        """Take note of a scanner's answer to a report; any other message is somebody else's."""
        message: Any = event.message
        asked = self._asked.get(event.assoc)
        if asked is None or not isinstance(message, N_EVENT_REPORT_RSP):
            return
        answered: Any = message.command_set
        with asked.heard:
            asked.answers[int(answered.MessageIDBeingRespondedTo)] = int(answered.Status)
            asked.heard.notify_all()

    def start(self) -> None:
        """Begin to report."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="commitment-reporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self.news.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.news.clear()
            try:
                for promise in self._promises.open():
                    if self._stopping.is_set():
                        return
                    self._keep(promise)
                self._faults.succeeded()
            except Exception as error:  # noqa: BLE001 - whatever it is, what was asked is kept, and is tried again
                self._faults.failed(error)
                self._stopping.wait(self._faults.waits_s)
            self.news.wait(TICK_S)

    def _keep(self, promise: Promise) -> None:
        """Report on a request whose objects are all decided, or have been pending for too long."""
        if not self._can_tell(promise.device):
            return
        judged = self._keeping.judge(promise.device, promise.request)
        is_late = not 0.0 <= self._promises.now() - promise.asked_at < self._wait_s
        if judged.pending and not is_late:
            return
        report = judged.report(promise.request.transaction_uid)
        try:
            status = self._report(promise, report)
        except PeerError as error:
            self._retrying(promise.device).failed(error)
            return
        self._retrying(promise.device).succeeded()
        self._promises.done(promise.id)
        _count(promise.device, judged)
        _log.info("commitment_reported", device=promise.device, objects=len(promise.request.references), status=status)

    def _can_tell(self, device: str) -> bool:
        """Whether there is a way to a scanner now."""
        association = self._open.get(device)
        has_way = device in self._addresses or (association is not None and association.is_established)
        return has_way and not self._retrying(device).is_waiting

    def _report(self, promise: Promise, report: Report) -> int:
        """Return the scanner's answer.

        Raises
        ------
        PeerError
            The scanner does not answer, nor is it where its address says.
        """
        association = self._open.get(promise.device)
        if association is not None and association.is_established:
            status = self._report_on(association, report)
            if status is not None:
                return status
        address = self._addresses.get(promise.device)
        if address is None:
            raise PeerError("the scanner does not answer, and has no dicom_host to be told at")
        return self._report_to(address, promise.calling_ae, report)

    def _report_on(self, association: Association, report: Report) -> int | None:
        """Report over the scanner's own association; None when it does not answer."""
        asked = self._asked[association]
        asked.last_id += 1
        request = _request(report, asked.transfer_syntax)
        number = request.MessageID = asked.last_id
        with turn_on(association):
            association.dimse.send_msg(request, asked.context_id)
        until = time.monotonic() + ANSWER_S
        with asked.heard:
            while number not in asked.answers and association.is_established and time.monotonic() < until:
                asked.heard.wait(TICK_S)
            return asked.answers.pop(number, None)

    def _report_to(self, address: Address, ae_title: str, report: Report) -> int:
        with Peer(
            *address,
            ae_title,
            calling_ae=self._own_ae_title,
            timeout_s=ANSWER_S,
            contexts=[build_context(commitment.PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])],
            roles=[build_role(commitment.PUSH_MODEL, scp_role=True)],
        ) as peer:
            context_id = peer.context_id(commitment.PUSH_MODEL)
            if context_id is None:
                raise PeerError("the scanner does not take reports of Storage Commitment")
            answer = peer.ask(_request(report, peer.transfer_syntax(context_id)), context_id)
        return int(answer.Status) if answer.Status is not None else commitment.PROCESSING_FAILURE

    def _retrying(self, device: str) -> Retrying:
        made = Retrying("commitment_report", RETRY_S, RETRY_MAX_S, device=device)
        return self._lines.setdefault(device, made)


def _request(report: Report, transfer_syntax: str) -> N_EVENT_REPORT:
    syntax = UID(transfer_syntax)
    request = N_EVENT_REPORT()
    request.AffectedSOPClassUID = commitment.PUSH_MODEL
    request.AffectedSOPInstanceUID = commitment.PUSH_MODEL_INSTANCE
    request.EventTypeID = report.event_type
    encoded = encode(report.dataset(), syntax.is_implicit_VR, syntax.is_little_endian)
    if encoded is None:
        raise CollectorError("the report cannot be encoded")
    request.EventInformation = BytesIO(encoded)
    return request


def _count(device: str, judged: Judged) -> None:
    metrics.SCANNER_COMMITMENTS.labels(device, "committed").inc(len(judged.committed))
    metrics.SCANNER_COMMITMENTS.labels(device, "late").inc(len(judged.pending))
    for _, reason in judged.failed:
        metrics.SCANNER_COMMITMENTS.labels(device, f"{reason:04X}").inc()
