"""Tells the RIS later what it could not be told at once: in order for each step, in the background."""

import threading
import time
from typing import Final

import structlog

from collectors.dicom.exchange import Peer, PeerError
from collectors.dicom.mpps import metrics
from collectors.dicom.mpps.ris import Ris, RisAnswer
from collectors.dicom.mpps.rules import DUPLICATE
from collectors.dicom.mpps.steps import Operation, Queued, StepStore
from collectors.dicom.retrying import Retrying
from collectors.errors import CollectorError
from collectors.sealing import SealBrokenError
from collectors.settings import MppsUpstream
from streams.patience import doubled_s

MESSAGES_AT_ONCE: Final = 200
TICK_S: Final = 1.0
TIDY_S: Final = 600.0
STOP_S: Final = 10.0
MAX_TRIES: Final = 300
"""A RIS that cannot take a message so often (a day, at five minutes each) never will."""

_log: Final = structlog.get_logger("collectors.dicom.mpps")


class LateTeller:
    """Empties a queue of procedure steps into the RIS; `start` it, `stop` it.

    Parameters
    ----------
    steps
        What waits.
    settings
        The RIS.
    """

    def __init__(self, steps: StepStore, settings: MppsUpstream) -> None:
        self._steps, self._settings, self._ris = steps, settings, Ris(settings)
        self._titles: dict[str, Retrying] = {}
        self._faults = Retrying("mpps_telling", settings.retry_s, settings.retry_max_s)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._tidied_at = time.monotonic()
        self._thread: threading.Thread | None = None

    def is_ris_away(self, calling_ae: str) -> bool:
        """Whether the RIS was just away for a title: then nobody waits for it, and what comes is queued."""
        with self._lock:
            return self._retrying(calling_ae).is_waiting

    def failed(self, calling_ae: str, error: CollectorError) -> None:
        """Note that the RIS is away, or rejects a title."""
        with self._lock:
            self._retrying(calling_ae).failed(error)

    def succeeded(self, calling_ae: str) -> None:
        """Note that the RIS is there."""
        with self._lock:
            self._retrying(calling_ae).succeeded()

    def _retrying(self, calling_ae: str) -> Retrying:
        settings, title = self._settings, self._settings.present_as or calling_ae
        made = Retrying("mpps_ris", settings.retry_s, settings.retry_max_s, peer=settings.ae_title, line=title)
        return self._titles.setdefault(title, made)

    def start(self) -> None:
        """Begin; what an earlier run left goes first."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="mpps-teller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the message that is on its way."""
        self._stopping.set()
        self._steps.news.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._steps.news.clear()
            is_busy = False
            try:
                is_busy = self._tell_all()
                self._show()
                self._faults.succeeded()
            except Exception as error:  # noqa: BLE001 - whatever it is, what waits is safe, and is tried again
                self._faults.failed(error)
                self._stopping.wait(self._faults.waits_s)
            if not is_busy:
                self._steps.news.wait(min(TICK_S, self._settings.retry_s))

    def _tell_all(self) -> bool:
        """Send the first message of each step, over one association for each title; return whether any was sent."""
        messages = self._steps.next_messages(MESSAGES_AT_ONCE)
        titles = dict.fromkeys(message.calling_ae for message in messages)
        told = [self._tell_under(title, [one for one in messages if one.calling_ae == title]) for title in titles]
        return any(told)

    def _tell_under(self, calling_ae: str, messages: list[Queued]) -> bool:
        """Send messages under one title, unless the RIS was just away for it."""
        if self.is_ris_away(calling_ae):
            return False
        try:
            with self._ris.associate(calling_ae) as peer:
                self._ris.context_id(peer)  # before anything is noted as sent
                for message in messages:
                    if self._stopping.is_set():
                        return False
                    self._tell(peer, message)
        except PeerError as error:
            self.failed(calling_ae, error)
            return False
        self.succeeded(calling_ae)
        return True

    def _tell(self, peer: Peer, message: Queued) -> None:
        try:
            attributes = self._steps.attributes(message)
        except SealBrokenError:
            self._refuse(message, SealBrokenError.code)
            return
        self._steps.unsure(message)
        answer = self._ris.tell(peer, message.operation, message.uid, attributes)
        if answer.is_success or _was_known(message, answer):
            self._steps.sent(message)
            metrics.SENT_LATER.labels(message.device).inc()
        elif answer.is_transient and message.tries + 1 < MAX_TRIES:
            self._postpone(message, f"{answer.status:04X}")
        else:
            self._refuse(message, f"{answer.status:04X}")

    def _postpone(self, message: Queued, reason: str) -> None:
        settings, tries = self._settings, message.tries + 1
        self._steps.postponed(message, doubled_s(settings.retry_s, tries, settings.retry_max_s))
        metrics.POSTPONED.labels(message.device).inc()
        if tries == 1:
            _log.warning(
                "mpps_postponed",
                device=message.device,
                operation=message.operation.value,
                reason=reason,
                sop_instance_uid=message.uid,
            )

    def _refuse(self, message: Queued, reason: str) -> None:
        self._steps.refused(message)
        metrics.REFUSED_LATER.labels(message.device).inc()
        _log.error(
            "mpps_refused_later",
            device=message.device,
            operation=message.operation.value,
            reason=reason,
            sop_instance_uid=message.uid,
        )

    def _show(self) -> None:
        waiting, oldest_s = self._steps.waiting()
        metrics.WAITING.set(waiting)
        metrics.OLDEST_SECONDS.set(oldest_s)
        if time.monotonic() - self._tidied_at > TIDY_S:
            self._tidied_at = time.monotonic()
            self._steps.tidy()


def _was_known(message: Queued, answer: RisAnswer) -> bool:
    """Whether a refusal says that the RIS had the message already: its answer was lost, or ours to it was."""
    if message.operation is Operation.CREATE:
        return answer.status == DUPLICATE
    return message.unsure and answer.says_ended
