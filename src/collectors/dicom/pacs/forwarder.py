"""Sends what waits in the outbox to the PACS, as it came: many objects over one association, in the background."""

import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from io import BytesIO
from typing import Final

import structlog
from pydicom.uid import UID
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context

from collectors.dicom.exchange import MAX_CONTEXTS, BrokenOffError, NoContextError, Peer, PeerError
from collectors.dicom.pacs import metrics
from collectors.dicom.pacs.asking import CommitmentAsker
from collectors.dicom.pacs.outbox import Outbox, State, Waiting
from collectors.dicom.retrying import Retrying
from collectors.errors import CollectorError
from collectors.sealing import SealBrokenError
from collectors.settings import Pacs

OBJECTS_AT_ONCE: Final = 500
TICK_S: Final = 1.0
TIDY_S: Final = 600.0
STOP_S: Final = 10.0
LINGER_S: Final = 0.3
"""How long an association is kept for the next object of a scanner that is sending."""
AT_MOST_S: Final = 60.0
"""And at most in all, so that other titles and commitment have their turn."""
DUPLICATE: Final = 0x0111

_log: Final = structlog.get_logger("collectors.dicom.pacs")


class Forwarder:
    """Empties an outbox into a PACS; `start` it, `stop` it.

    Parameters
    ----------
    outbox
        What waits.
    settings
        The PACS.
    own_ae_title
        Under which commitment is asked for where `present_as` is empty.
    """

    def __init__(self, outbox: Outbox, settings: Pacs, own_ae_title: str) -> None:
        self._outbox, self._settings = outbox, settings
        self._asker = CommitmentAsker(outbox, settings, settings.present_as or own_ae_title)
        self._lines: dict[str, Retrying] = {}
        self._faults = Retrying("forwarding", settings.retry_s, settings.retry_max_s)
        self._stopping = threading.Event()
        self._tidied_at = time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send; what an earlier run left goes first."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="pacs-forwarder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the object that is on its way."""
        self._stopping.set()
        self._outbox.news.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._outbox.news.clear()
            is_busy = False
            try:
                is_busy = self._send_due()
                if self._settings.commitment:
                    is_busy |= self._alone("commitment", partial(self._asker.ask, self._stopping.is_set))
                self._show()
                self._faults.succeeded()
            except Exception as error:  # noqa: BLE001 - whatever it is, what waits is safe, and is tried again
                self._faults.failed(error)
                self._stopping.wait(self._faults.waits_s)
            if not is_busy:
                self._outbox.news.wait(min(TICK_S, self._settings.retry_s))

    def _send_due(self) -> bool:
        """Send one association's worth for each title; return whether any was sent."""
        titles: Iterable[tuple[str, str | None]] = ((title, title) for title in self._outbox.callers())
        if self._settings.present_as:
            titles = [(self._settings.present_as, None)]
        results = [self._alone(title, partial(self._send, title, caller)) for title, caller in titles]
        return any(results)

    def _alone(self, line: str, work: Callable[[], bool]) -> bool:
        """Do the work of one line unless it waits after trouble: no line stops another."""
        settings = self._settings
        retrying = self._lines.setdefault(
            line, Retrying("pacs", settings.retry_s, settings.retry_max_s, peer=settings.ae_title, line=line)
        )
        if retrying.is_waiting:
            return False
        try:
            is_busy = work()
        except PeerError as error:
            metrics.REACHABLE.set(0)
            retrying.failed(error)
            return False
        if is_busy:
            metrics.REACHABLE.set(1)
            retrying.succeeded()
        return is_busy

    def _send(self, calling_ae: str, caller: str | None) -> bool:
        """Send what waits over one association; PeerError when the PACS is in trouble."""
        batch = _of_one_association(self._outbox.due(OBJECTS_AT_ONCE, caller))
        if not batch:
            return False
        try:
            with self._peer(calling_ae, batch) as peer:
                self._send_over(peer, batch, caller)
        except NoContextError as error:
            for waiting in batch:
                self._outbox.refused(waiting, error.code)
        return True

    def _send_over(self, peer: Peer, batch: list[Waiting], caller: str | None) -> None:
        """Send a batch, and what comes meanwhile that fits the association."""
        until = time.monotonic() + AT_MOST_S
        while batch:
            for waiting in batch:
                if self._stopping.is_set():
                    return
                self._send_one(peer, waiting)
            self._outbox.news.clear()
            more = self._outbox.due(OBJECTS_AT_ONCE, caller)
            if not more and self._outbox.news.wait(LINGER_S):
                more = self._outbox.due(OBJECTS_AT_ONCE, caller)
            known = [one for one in more if peer.context_id(one.sop_class_uid, one.transfer_syntax) is not None]
            batch = known if time.monotonic() < until else []

    def _peer(self, calling_ae: str, batch: list[Waiting]) -> Peer:
        settings = self._settings
        pairs = dict.fromkeys((one.sop_class_uid, one.transfer_syntax) for one in batch)
        return Peer(
            settings.host,
            settings.port,
            settings.ae_title,
            calling_ae=calling_ae,
            timeout_s=settings.timeout_s,
            contexts=[build_context(UID(sop_class), UID(syntax)) for sop_class, syntax in pairs],
        )

    def _send_one(self, peer: Peer, waiting: Waiting) -> None:
        context_id = peer.context_id(waiting.sop_class_uid, waiting.transfer_syntax)
        if context_id is None:
            self._outbox.refused(waiting, NoContextError.code)
            return
        try:
            contents = self._outbox.contents(waiting)
            self._outbox.sending(waiting)
            status = _stored(peer, waiting, contents, context_id)
        except SealBrokenError:
            self._outbox.refused(waiting, SealBrokenError.code)
            return
        except BrokenOffError:
            self._outbox.broke_off(waiting, BrokenOffError.code)
            raise
        if status == DUPLICATE and self._outbox.is_known_there(waiting):
            status = 0x0000  # delivered before, and its answer was lost or never noted
        if status == 0x0000 or 0xB000 <= status <= 0xBFFF:
            self._outbox.delivered(waiting)
        elif 0xA700 <= status <= 0xA7FF:
            self._outbox.postponed(waiting, "no_room")
        else:
            self._outbox.refused(waiting, f"{status:04X}")

    def _show(self) -> None:
        """Say what waits, and tidy now and then."""
        totals = self._outbox.totals()
        for state, count in (
            (State.WAITING, totals.waiting),
            (State.SENT, totals.sent),
            (State.SET_ASIDE, totals.set_aside),
        ):
            metrics.WAITING_OBJECTS.labels(state.value).set(count)
        metrics.WAITING_BYTES.set(totals.bytes)
        metrics.OLDEST_SECONDS.set(totals.oldest_s)
        if time.monotonic() - self._tidied_at > TIDY_S:
            self._tidied_at = time.monotonic()
            try:
                self._outbox.tidy()
            except CollectorError as error:
                _log.warning("outbox_not_tidied", error=error.code)


def _of_one_association(waiting: list[Waiting]) -> list[Waiting]:
    """Return those whose classes and transfer syntaxes fit one association; the others wait for the next."""
    pairs: set[tuple[str, str]] = set()
    batch = []
    for one in waiting:
        pair = (one.sop_class_uid, one.transfer_syntax)
        if pair in pairs or len(pairs) < MAX_CONTEXTS:
            pairs.add(pair)
            batch.append(one)
    return batch


def _stored(peer: Peer, waiting: Waiting, data: bytes, context_id: int) -> int:
    """Send one object by C-STORE, its bytes as they are; return the status."""
    request = C_STORE()
    request.AffectedSOPClassUID = UID(waiting.sop_class_uid)
    request.AffectedSOPInstanceUID = UID(waiting.sop_instance_uid)
    request.Priority = 2
    request.DataSet = BytesIO(data)
    answer = peer.ask(request, context_id)
    return int(answer.Status) if answer.Status is not None else 0xC000
