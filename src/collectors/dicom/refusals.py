"""Puts on record which requests a held scanner was refused: afterwards, in the background, by accession number.

A held scanner's patients are not fetched to answer it, so what it was refused is asked of the RIS later, without any
attribute of a patient; its phantoms' requests are asked for by their ids, and left out. The refusal itself never waits
for this and cannot fail by it: at worst nothing is recorded.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from collectors.dicom.requests import mode_of, procedure_codes, station_ae_titles
from collectors.dicom.text import first_item, scheduled_at, text
from collectors.dicom.upstream import WorklistSource
from collectors.errors import CollectorError
from streams.messages import Draft, RefusedRequest, WorklistRefused, event_id
from streams.policy import DevicePolicy
from streams.site import EventConflictError, Gate, SiteError, SitePort

LOOK_AFTER_S: Final = 5.0
"""A refused scanner may ask again at once, and goes first."""
LOOK_EVERY_S: Final = 300.0
"""How often the RIS is asked about one held scanner."""
WAITING: Final = 64
REQUESTS: Final = 200
"""Requests that one fact lists."""
REQUESTS_A_HELD_TIME: Final = 500
ACCESSION_CHARACTERS: Final = 64

_log: Final = structlog.get_logger("collectors.dicom.worklist")


class Refused(msgspec.Struct, frozen=True):
    """One refused query: by which gate; what it withheld where that is known, and what it let pass."""

    device: str
    policy: DevicePolicy
    gate: Gate
    withheld: tuple[Dataset, ...] | None
    passed: tuple[Dataset, ...]


class RefusalTeller:
    """Records `WorklistRefused`: each request once in a held time; `start` it, `stop` it.

    Parameters
    ----------
    site
        Where it is recorded.
    source
        The RIS; None: then only what a query itself brought is recorded.
    zone
        The site's zone: a worklist's times are local.
    clock
        Says what time it is, UTC.
    look_after_s
        Pause before the RIS is asked.
    """

    def __init__(
        self,
        site: SitePort,
        source: WorklistSource | None,
        zone: ZoneInfo,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_after_s: float = LOOK_AFTER_S,
    ) -> None:
        self._site, self._source, self._zone, self._clock = site, source, zone, clock
        self._look_after_s = look_after_s
        self._waiting: queue.Queue[Refused] = queue.Queue(WAITING)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, tuple[datetime | None, set[str]]] = {}
        self._looked_at: dict[str, float] = {}

    def refused(self, refused: Refused) -> None:
        """Take note of a refusal; never waits, never fails."""
        with suppress(queue.Full):
            self._waiting.put_nowait(refused)

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="refusal-teller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what was not told yet is told after the next refusal."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                refused = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._tell(refused)
            except (CollectorError, SiteError) as error:
                _log.info("refusal_not_recorded", device=refused.device, error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a RIS may answer anything; the next refusal tries again
                _log.warning("refusal_not_recorded", device=refused.device, error=type(error).__name__)

    def _tell(self, refused: Refused) -> None:
        items = refused.withheld if refused.withheld is not None else self._look(refused)
        since, told = self._told.get(refused.device, (None, set[str]()))
        if since != refused.gate.since:
            told = set()
        phantoms = {text(item, "AccessionNumber") for item in refused.passed}
        found = {one.accession_number: one for one in self._requests(refused, items)}
        new = sorted(found.keys() - told - phantoms)[: max(REQUESTS_A_HELD_TIME - len(told), 0)]
        if not new:
            return
        since_text = refused.gate.since.isoformat() if refused.gate.since else ""
        fact = WorklistRefused(
            held_since=refused.gate.since,
            reasons=tuple(dict.fromkeys(reason.code.value for reason in refused.gate.holding)),
            requests=tuple(found[accession] for accession in new[:REQUESTS]),
            left_out=max(len(new) - REQUESTS, 0),
        )
        identity = event_id("worklist-refused", refused.device, since_text, *new)
        with suppress(EventConflictError):  # told before this program was started anew, when other reasons held too
            self._site.append([Draft(identity, refused.device, fact)])
        self._told[refused.device] = (refused.gate.since, told | set(new))

    def _look(self, refused: Refused) -> tuple[Dataset, ...]:
        """Ask the RIS for today's requests of a scanner; nothing where it was asked a moment ago."""
        looked_at = self._looked_at.get(refused.device)
        if self._source is None or (looked_at is not None and time.monotonic() - looked_at < LOOK_EVERY_S):
            return ()
        if self._stopping.wait(self._look_after_s):
            return ()
        self._looked_at[refused.device] = time.monotonic()
        ae_title, today = refused.policy.ae_title, f"{self._today():%Y%m%d}"
        phantoms = {
            text(item, "AccessionNumber")
            for phantom in refused.policy.phantoms
            for item in self._ask(_for_phantom(ae_title, today, phantom.patient_id), ae_title)
            if text(item, "PatientID").strip() == phantom.patient_id  # a RIS may ignore what it is asked for
        }
        found = self._ask(_without_patients(ae_title, today), ae_title)
        return tuple(item for item in found if text(item, "AccessionNumber") not in phantoms)

    def _ask(self, query: Dataset, ae_title: str) -> tuple[Dataset, ...]:
        if self._source is None:
            return ()
        return tuple(pending.item for pending in self._source.query(query, ae_title, self._stopping.is_set))

    def _today(self) -> datetime:
        return self._clock().astimezone(self._zone)

    def _requests(self, refused: Refused, items: Iterable[Dataset]) -> Iterator[RefusedRequest]:
        """Yield what was scheduled on this scanner for today; a RIS may answer more than it was asked."""
        today, policy = self._today().date(), refused.policy
        for item in items:
            accession, stations = text(item, "AccessionNumber"), station_ae_titles(item)
            step = first_item(item, "ScheduledProcedureStepSequence")
            at = scheduled_at(step, self._zone)
            if not 0 < len(accession) <= ACCESSION_CHARACTERS or (stations and policy.ae_title not in stations):
                continue
            if at is None or at.astimezone(self._zone).date() == today:
                yield RefusedRequest(accession, at, mode_of(policy, procedure_codes(item)) or "")


def _for_phantom(station: str, day: str, patient_id: str) -> Dataset:
    """Return a query for the requests of one phantom, which `_without_patients` cannot tell from a patient's."""
    query = _without_patients(station, day)
    query.PatientID = patient_id
    return query


def _without_patients(station: str, day: str) -> Dataset:
    """Return a query for a station's requests of one day that asks for nothing about a patient."""
    step = Dataset()
    step.ScheduledStationAETitle = station
    step.ScheduledProcedureStepStartDate = day
    step.ScheduledProcedureStepStartTime = ""
    step.ScheduledProtocolCodeSequence = Sequence([])
    query = Dataset()
    query.AccessionNumber = ""
    query.RequestedProcedureCodeSequence = Sequence([])
    query.ScheduledProcedureStepSequence = Sequence([step])
    return query
