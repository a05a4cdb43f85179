"""When the next patient is booked on a scanner, asked of the RIS's worklist; of each item a time is kept, no more."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from pydicom.dataset import Dataset

from collectors.dicom.text import PARSING_ERRORS, items, scheduled_at, text
from collectors.dicom.upstream import PendingItem, QueryCancelledError, UpstreamError, WorklistSource
from streams.policy import DevicePolicy

ASKED_EVERY: Final = timedelta(minutes=10)
KEPT: Final = timedelta(minutes=30)
"""An answer that is older says nothing: the RIS may have been away since."""

_log: Final = structlog.get_logger("collectors.dicom.bookings")


class _Known(msgspec.Struct, frozen=True):
    """When a scanner was asked for last, and the starts of its day as they were answered last."""

    asked_at: datetime
    answered_at: datetime | None = None
    starts: tuple[datetime, ...] = ()


class Bookings:
    """Knows when patients are booked on scanners; safe from any thread.

    Who asks gets what is known and never waits for the RIS: it is asked by a thread of its own, for each scanner that
    somebody wanted to know of, every ten minutes at most.

    Parameters
    ----------
    source
        The RIS's worklist.
    devices
        Policy by device key; those without an AE title are never asked for.
    zone
        Where appointments are, unless an item says otherwise.
    clock
        Says what time it is, UTC.
    """

    def __init__(
        self, source: WorklistSource, devices: Mapping[str, DevicePolicy], zone: ZoneInfo, clock: Callable[[], datetime]
    ) -> None:
        self._source, self._zone, self._clock = source, zone, clock
        self._devices = {key: policy for key, policy in devices.items() if policy.ae_title}
        self._known: dict[str, _Known] = {}
        self._wanted: dict[str, None] = {}
        self._lock = threading.Lock()
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_asking, name="bookings", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """End it; a question that is on its way is cancelled."""
        self._stopped.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def first_after(self, device: str, at: datetime) -> datetime | None:
        """Return the first start that is booked at `at` or later, as far as the RIS has said lately; else None."""
        with self._lock:
            known = self._known.get(device)
            if device in self._devices and (known is None or not timedelta() <= at - known.asked_at < ASKED_EVERY):
                self._wanted[device] = None
                self._woken.set()
        if known is None or known.answered_at is None or not timedelta() <= at - known.answered_at < KEPT:
            return None
        return min((start for start in known.starts if start >= at), default=None)

    def _keep_asking(self) -> None:
        while True:
            self._woken.wait()
            if self._stopped.is_set():
                return
            with self._lock:
                device = next(iter(self._wanted), None)
                if device is None:
                    self._woken.clear()
                    continue
                del self._wanted[device]
                asked_at = self._clock()
                before = self._known.get(device, _Known(asked_at))
                self._known[device] = msgspec.structs.replace(before, asked_at=asked_at)
            starts = self._ask(device, asked_at)
            if starts is not None:
                with self._lock:
                    self._known[device] = _Known(asked_at, self._clock(), starts)

    def _ask(self, device: str, at: datetime) -> tuple[datetime, ...] | None:
        policy = self._devices[device]
        query = _query(policy.ae_title, at.astimezone(self._zone))
        try:
            found = self._source.query(query, policy.ae_title, self._stopped.is_set)
        except (UpstreamError, QueryCancelledError) as error:
            _log.info("bookings_not_known", device=device, code=error.code)
            return None
        except Exception as error:  # noqa: BLE001 - pynetdicom raises whatever its parser stumbles over
            _log.warning("bookings_not_known", device=device, error=type(error).__name__)
            return None
        return tuple(start for one in found for start in self._starts(one, policy.ae_title))

    def _starts(self, pending: PendingItem, ae_title: str) -> tuple[datetime, ...]:
        """Return when an item's steps on this scanner begin; a phantom's item is nobody's appointment."""
        try:
            patient_id = text(pending.item, "PatientID")
            if any(policy.phantom(patient_id) for policy in self._devices.values()):
                return ()
            here = [
                step
                for step in items(pending.item, "ScheduledProcedureStepSequence")
                if ae_title in map(str.strip, text(step, "ScheduledStationAETitle").split("\\"))
            ]
            return tuple(start for step in here if (start := scheduled_at(step, self._zone)) is not None)
        except PARSING_ERRORS:
            return ()


def _query(ae_title: str, local: datetime) -> Dataset:
    """Return the question for a scanner's day: start and station, and the id that tells phantoms from patients."""
    step = Dataset()
    step.ScheduledStationAETitle = ae_title
    step.ScheduledProcedureStepStartDate = local.strftime("%Y%m%d")
    step.ScheduledProcedureStepStartTime = ""
    step.Modality = ""
    query = Dataset()
    query.PatientID = ""
    query.ScheduledProcedureStepSequence = [step]
    return query
