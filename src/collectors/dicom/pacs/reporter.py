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
from collectors.sealing import SealBrokenError
from streams.patience import Patience

TICK_S: Final = 0.5
STOP_S: Final = 10.0
ANSWER_S: Final = 10.0
RETRY_S: Final = 10.0
RETRY_MAX_S: Final = 300.0
JUDGE_S: Final = 10.0
"""What is pending is judged again when an object has gone to the PACS, and so often in any case."""
REST: Final = 10.0
"""After a pass over what is pending there is none for so many times the processor time that it took."""
MAX_TELLS: Final = 6
"""A scanner that answers a report with a failure so often does not want it."""

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
        self._open: dict[str, list[Association]] = {}
        self._open_lock = threading.Lock()
        self._undecided: set[int] = set()
        self._troubles: dict[int, Patience] = {}
        self._let_go = 0
        self._judge_at = self._rest_until = 0.0
        self._asked: WeakKeyDictionary[Association, _Asked] = WeakKeyDictionary()
        self._lines: dict[str, Retrying] = {}
        self._faults = Retrying("commitment_reporting", RETRY_S, RETRY_MAX_S)
        self.news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def asked_on(self, device: str, association: Association, context_id: int, transfer_syntax: str) -> None:
        """Remember an association on which a device asked, as long as it stands."""
        self._asked.setdefault(association, _Asked(context_id, transfer_syntax))
        with self._open_lock:
            others = [one for one in self._standing(device) if one is not association]
            self._open[device] = [association, *others]
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
                self._keep_all()
                self._faults.succeeded()
            except Exception as error:  # noqa: BLE001 - whatever it is, what was asked is kept, and is tried again
                self._faults.failed(error)
                self._stopping.wait(self._faults.waits_s)
            self.news.wait(TICK_S)

    def _keep_all(self) -> None:
        """Keep what can be kept; no promise stops another."""
        promises = self._promises.open()
        ids = {one.id for one in promises}
        self._undecided &= ids
        self._troubles = {number: trouble for number, trouble in self._troubles.items() if number in ids}
        began_s, judges_again = time.thread_time(), self._is_time_to_judge()
        for promise in promises:
            if self._stopping.is_set():
                return
            if judges_again or promise.id not in self._undecided or self._is_late(promise):
                self._try_to_keep(promise)
        if judges_again:
            self._rest_until = time.monotonic() + REST * (time.thread_time() - began_s)

    def _is_time_to_judge(self) -> bool:
        """Whether something may have changed for what is pending, and the last pass was long enough ago."""
        now, let_go = time.monotonic(), self._keeping.let_go
        if now < self._rest_until or (let_go == self._let_go and now < self._judge_at):
            return False
        self._let_go, self._judge_at = let_go, now + JUDGE_S
        return True

    def _is_late(self, promise: Promise) -> bool:
        return not 0.0 <= self._promises.now() - promise.asked_at < self._wait_s

    def _try_to_keep(self, promise: Promise) -> None:
        """Keep one promise; one that cannot be read is dropped, with any other error it is tried again later."""
        trouble = self._troubles.get(promise.id)
        if not self._can_tell(promise.device) or (trouble and not trouble.is_over):
            return
        try:
            self._keep(promise)
        except SealBrokenError as error:
            self._give_up(promise, error.code)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are kept, and this one is tried again
            trouble = self._troubles.setdefault(promise.id, Patience(RETRY_S, RETRY_MAX_S))
            trouble.failed()
            if trouble.tries == 1:
                code = error.code if isinstance(error, CollectorError) else type(error).__name__
                _log.error("commitment_not_reported", device=promise.device, code=code)

    def _keep(self, promise: Promise) -> None:
        """Report on a request whose objects are all decided, or have been pending for too long."""
        request = self._promises.request(promise)
        judged = self._keeping.judge(promise.device, request)
        if judged.pending and not self._is_late(promise):
            self._undecided.add(promise.id)
            return
        try:
            status = self._report(promise, judged.report(request.transaction_uid))
        except PeerError as error:
            self._retrying(promise.device).failed(error)
            return
        self._retrying(promise.device).succeeded()
        if _is_success(status):
            self._promises.done(promise)
            _count(promise.device, judged)
            _log.info("commitment_reported", device=promise.device, objects=promise.objects, status=status)
            return
        trouble = self._troubles.setdefault(promise.id, Patience(RETRY_S, RETRY_MAX_S))
        trouble.failed()
        if trouble.tries >= MAX_TELLS:
            self._give_up(promise, f"refused_{status:04X}")

    def _give_up(self, promise: Promise, reason: str) -> None:
        """Let go of a promise that nobody can be told of."""
        self._promises.done(promise)
        metrics.SCANNER_COMMITMENTS.labels(promise.device, "not_told").inc(promise.objects)
        _log.error("commitment_given_up", device=promise.device, objects=promise.objects, reason=reason)

    def _standing(self, device: str) -> list[Association]:
        """Return the associations on which a device asked and that still stand, the latest first."""
        return [one for one in self._open.get(device, ()) if one.is_established]

    def _can_tell(self, device: str) -> bool:
        """Whether there is a way to a scanner now."""
        has_way = device in self._addresses or bool(self._standing(device))
        return has_way and not self._retrying(device).is_waiting

    def _report(self, promise: Promise, report: Report) -> int:
        """Return the scanner's answer: its first success, over one of its associations or at its address.

        Raises
        ------
        PeerError
            The scanner does not answer, nor is it where its address says.
        """
        answer = None
        for association in self._standing(promise.device):
            status = self._report_on(association, report)
            if status is not None and _is_success(status):
                return status
            answer = answer if status is None else status
        try:
            return self._report_to(self._addresses.get(promise.device), promise.calling_ae, report)
        except PeerError:
            if answer is None:
                raise
        return answer

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

    def _report_to(self, address: Address | None, ae_title: str, report: Report) -> int:
        if address is None:
            raise PeerError("the scanner does not answer, and has no dicom_host to be told at")
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


def _is_success(status: int) -> bool:
    """Whether a scanner took a report, with or without a warning."""
    return status in {0x0000, 0x0001, 0x0107, 0x0116} or 0xB000 <= status <= 0xBFFF


def _count(device: str, judged: Judged) -> None:
    metrics.SCANNER_COMMITMENTS.labels(device, "committed").inc(len(judged.committed))
    metrics.SCANNER_COMMITMENTS.labels(device, "late").inc(len(judged.pending))
    for _, reason in judged.failed:
        metrics.SCANNER_COMMITMENTS.labels(device, f"{reason:04X}").inc()
