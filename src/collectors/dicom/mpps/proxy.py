"""Takes procedure steps from scanners and hands them on to the RIS; a patient's step that begins becomes a fact.

Values go on as bytes, in whatever character set the scanner wrote them, because all sides speak one transfer syntax.
Names and dates of birth pass through and are neither kept in the clear nor logged.
"""

import re
import threading
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from pydicom.dataset import Dataset

from collectors import metrics as shared
from collectors.dicom.exchange import BrokenOffError, PeerError
from collectors.dicom.mpps import metrics
from collectors.dicom.mpps.ris import Ris, RisAnswer
from collectors.dicom.mpps.rules import (
    ENDED,
    EXISTS,
    IN_PROGRESS,
    NOT_KNOWN,
    PROCESSING_FAILURE,
    Fault,
    fault_at_change,
    fault_at_start,
    given_in,
    status_of,
)
from collectors.dicom.mpps.steps import Operation, Step, StepStore
from collectors.dicom.mpps.teller import LateTeller
from collectors.dicom.requests import mode_of
from collectors.dicom.text import PARSING_ERRORS, items, performed_at, text
from collectors.errors import NoRoomError
from collectors.plausible import EARLIEST, LATEST
from collectors.pseudonym import Pseudonyms, append_once
from collectors.safe_text import accession_number, code_value
from collectors.settings import MppsUpstream
from streams.messages import Draft, PatientScanStarted, event_id
from streams.policy import DevicePolicy
from streams.site import EventConflictError, SitePort, SiteUnavailableError

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_CODES: Final = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")

UNKNOWN_CALLER: Final = Fault(0x0124, "unknown_ae", "this calling AE title is not configured here")
NO_UID: Final = Fault(0x0117, "no_uid", "a procedure step needs a SOP Instance UID")
NOT_RECORDED: Final = Fault(PROCESSING_FAILURE, "not_recorded", "the start cannot be recorded now; send again later")
NO_ROOM: Final = Fault(PROCESSING_FAILURE, "no_room", "cannot be kept now; send again later")
RIS_AWAY: Final = Fault(PROCESSING_FAILURE, "ris_away", "the RIS is away; send again later")
UNDECODABLE: Final = Fault(PROCESSING_FAILURE, "undecodable", "the attributes cannot be decoded")

_log: Final = structlog.get_logger("collectors.dicom.mpps")


class StepMessage(msgspec.Struct, frozen=True):
    """What one N-CREATE or N-SET brought; `attributes` are encoded in Implicit VR Little Endian."""

    operation: Operation
    calling_ae: str
    uid: str
    attributes: bytes
    ds: Dataset
    received_at: datetime


class StepAnswer(msgspec.Struct, frozen=True):
    """What the scanner is told; `code` is ours, for counters and logs."""

    status: int
    code: str
    comment: str = ""
    error_id: int | None = None
    attributes: Dataset | None = None


class StepProxy:
    """Takes procedure steps; safe from any thread.

    Parameters
    ----------
    site
        Where starts are recorded.
    devices
        Policy by device key.
    steps
        What is known of steps, and the queue.
    zone
        The site's time zone.
    pseudonyms
        Of persons.
    upstream
        The RIS; none: steps are checked by the standard's rules, answered, and go nowhere.
    teller
        Empties the queue.
    """

    def __init__(
        self,
        site: SitePort,
        devices: Mapping[str, DevicePolicy],
        steps: StepStore,
        *,
        zone: ZoneInfo,
        pseudonyms: Pseudonyms,
        upstream: MppsUpstream | None = None,
        teller: LateTeller | None = None,
    ) -> None:
        self._site, self._steps, self._zone, self._pseudonyms = site, steps, zone, pseudonyms
        self._by_ae = {policy.ae_title: (key, policy) for key, policy in devices.items() if policy.ae_title}
        self._upstream, self._teller = upstream, teller
        self._ris = Ris(upstream) if upstream else None
        self._lock = threading.Lock()

    def take(self, message: StepMessage) -> StepAnswer:
        """Take or refuse one message; what it became is durable, or known to the RIS, when this returns."""
        device, policy = self._by_ae.get(message.calling_ae, (shared.UNKNOWN_DEVICE, None))
        answer = self._answer(device, policy, message)
        metrics.ANSWERED.labels(device, message.operation.value, answer.code).inc()
        uid = message.uid if _UID.fullmatch(message.uid) else "invalid"
        _log.info(
            "mpps_answered", device=device, operation=message.operation.value, code=answer.code, sop_instance_uid=uid
        )
        return answer

    def _answer(self, device: str, policy: DevicePolicy | None, message: StepMessage) -> StepAnswer:
        if policy is None:
            return _refusal(UNKNOWN_CALLER)
        if not _UID.fullmatch(message.uid):
            return _refusal(NO_UID)
        try:
            with self._lock if self._ris is None else nullcontext():
                return self._decide(device, policy, message)
        except NoRoomError:
            return _refusal(NO_ROOM)
        except PARSING_ERRORS as error:
            _log.warning("mpps_undecodable", device=device, error=type(error).__name__)
            return _refusal(UNDECODABLE)

    def _decide(self, device: str, policy: DevicePolicy, message: StepMessage) -> StepAnswer:
        step = self._steps.step(message.uid)
        if self._ris is None and (fault := _fault(message, step)) is not None:
            return _refusal(fault)
        if message.operation is Operation.CREATE and not self._record_start(device, policy, message):
            return _refusal(NOT_RECORDED)
        if self._ris is None:
            self._note(device, message, step)
            return StepAnswer(0x0000, "taken")
        answer = self._hand_on(self._ris, device, message, step)
        if answer.code in {"taken", "queued"}:
            with suppress(NoRoomError):  # it is with the RIS or in the queue: how it stands is for better answers alone
                self._note(device, message, step)
        return answer

    def _note(self, device: str, message: StepMessage, step: Step | None) -> None:
        """Keep how the step stands."""
        before = step or Step(message.uid, device, IN_PROGRESS)
        status = status_of(message.ds) or before.status
        self._steps.note(Step(message.uid, device, status, before.given | given_in(message.ds)))

    # --- to the RIS ----------------------------------------------------------------------------------------

    def _hand_on(self, ris: Ris, device: str, message: StepMessage, step: Step | None) -> StepAnswer:
        teller = self._teller
        may_queue = teller is not None and self._upstream is not None and self._upstream.when_away == "queue"
        if may_queue and (
            self._steps.waits(message.uid) or (teller is not None and teller.is_ris_away(message.calling_ae))
        ):
            return self._queue(device, message, step, unsure=False)
        try:
            with ris.associate(message.calling_ae) as peer:
                answer = ris.tell(peer, message.operation, message.uid, message.attributes)
        except PeerError as error:
            if teller is not None:
                teller.failed(message.calling_ae, error)
            if may_queue:
                return self._queue(device, message, step, unsure=isinstance(error, BrokenOffError))
            return _refusal(RIS_AWAY)
        if teller is not None:
            teller.succeeded(message.calling_ae)
        return _handed_back(answer)

    def _queue(self, device: str, message: StepMessage, step: Step | None, *, unsure: bool) -> StepAnswer:
        """Keep a message for the RIS, unless what is known of its step already says that the RIS would refuse it."""
        if message.operation is Operation.CREATE and step is not None:
            return _refusal(EXISTS)
        if message.operation is Operation.SET and step is not None and step.status != IN_PROGRESS:
            return _refusal(ENDED)
        self._steps.queue(message.uid, message.operation, device, message.calling_ae, message.attributes, unsure=unsure)
        return StepAnswer(0x0000, "queued")

    # --- the fact ------------------------------------------------------------------------------------------

    def _record_start(self, device: str, policy: DevicePolicy, message: StepMessage) -> bool:
        """Record that a patient's scan began; return whether it is in the log. A phantom's is none."""
        patient_id = text(message.ds, "PatientID")
        if policy.phantom(patient_id) is not None:
            return True
        fact = self._start(policy, message, patient_id)
        try:
            draft = Draft(event_id(message.uid, "started"), device, fact)
            names = self._pseudonyms.all_of(patient_id) if fact.pseudonym else ()
            if draft.event_id not in append_once(self._site, [draft], names).duplicates:
                metrics.STARTED.labels(device).inc()
        except EventConflictError:  # announced before, in other words: the first stands
            _log.warning("mpps_start_differs", device=device, sop_instance_uid=message.uid)
        except SiteUnavailableError:
            return False
        return True

    def _start(self, policy: DevicePolicy, message: StepMessage, patient_id: str) -> PatientScanStarted:
        scheduled = tuple(items(message.ds, "ScheduledStepAttributesSequence"))
        accessions = {text(item, "AccessionNumber") for item in scheduled} - {""}
        codes = frozenset(
            code_value(text(code, "CodeValue"))
            for one in (message.ds, *scheduled)
            for name in (*_CODES, "PerformedProtocolCodeSequence")
            for code in items(one, name)
        ) - {""}
        known = sorted(codes & {code for mode in policy.modes for code in mode.procedure_codes})
        started_at = performed_at(message.ds, self._zone)
        is_plausible = started_at is not None and EARLIEST <= started_at < LATEST
        return PatientScanStarted(
            accession_number=accession_number(accessions.pop()) if len(accessions) == 1 else "",
            started_at=started_at if started_at is not None and is_plausible else message.received_at,
            mpps_uid=message.uid,
            mode=mode_of(policy, codes) or "",
            procedure_code=known[0] if known else next(iter(codes)) if len(codes) == 1 else "",
            pseudonym=self._pseudonyms.of(patient_id) if patient_id.strip() else "",
        )


def _fault(message: StepMessage, step: Step | None) -> Fault | None:
    """Return why a site without a RIS refuses a message."""
    if message.operation is Operation.CREATE:
        return EXISTS if step is not None else fault_at_start(message.ds)
    return NOT_KNOWN if step is None else fault_at_change(message.ds, step)


def _refusal(fault: Fault) -> StepAnswer:
    return StepAnswer(fault.status, fault.code, fault.comment, fault.error_id)


def _handed_back(answer: RisAnswer) -> StepAnswer:
    """Return the RIS's answer as the scanner's."""
    code = "taken" if answer.is_success else "ris_refused"
    return StepAnswer(answer.status, code, answer.comment, answer.error_id, answer.attributes)
