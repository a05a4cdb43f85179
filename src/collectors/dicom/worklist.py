"""The worklist proxy: patients only to a scanner whose gate lets them through, and a reason when it does not.

A console shows an empty worklist as "no patients", so a refusal is always a failure status with an ErrorComment,
and an upstream that is down is a failure too. Names and dates of birth pass through and are never looked at.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
import structlog
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from collectors import metrics
from collectors.dicom.refusals import Refused
from collectors.dicom.requests import mode_of, procedure_codes, station_ae_titles
from collectors.dicom.text import text
from collectors.dicom.upstream import PendingItem, QueryCancelledError, UpstreamError, UpstreamWorklist, WorklistSource
from collectors.errors import CollectorError
from collectors.settings import Upstream
from streams.policy import DevicePolicy, Enforcement
from streams.site import Gate, SitePort

SUCCESS: Final = 0x0000
HELD: Final = 0xC100
UNKNOWN_CALLER: Final = 0xC101
UPSTREAM_FAILED: Final = 0xC102
CANCELLED: Final = 0xFE00

Response = tuple[int, str, Dataset | None]
"""Status, ErrorComment and, when pending, the item."""

_log: Final = structlog.get_logger("collectors.dicom.worklist")


class _Sorted(msgspec.Struct, frozen=True):
    """Items sorted by the gates as they are now: the caller's own, and the first that withheld an item."""

    passed: tuple[PendingItem, ...]
    own: Gate
    withholding: Gate | None
    withheld: tuple[Dataset, ...] | None = None
    """What the caller's own gates withheld, where it was fetched."""


class WorklistProxy:
    """Answers worklist queries from an upstream, through the gates; safe from any thread.

    Parameters
    ----------
    site
        Where gates are read.
    devices
        Policy by device key.
    upstream
        The RIS, or None: then every query that no gate refuses fails, saying so.
    source
        What to ask instead of an association to `upstream`.
    on_refused
        Told of each refusal by the caller's own gate, after it was answered; must not wait.
    """

    def __init__(
        self,
        site: SitePort,
        devices: Mapping[str, DevicePolicy],
        upstream: Upstream | None,
        *,
        source: WorklistSource | None = None,
        on_refused: Callable[[Refused], None] = lambda _: None,
    ) -> None:
        self._site = site
        self._by_ae = {policy.ae_title: (key, policy) for key, policy in devices.items() if policy.ae_title}
        self._source = source or (UpstreamWorklist(upstream) if upstream else None)
        self._on_refused = on_refused

    def answer(self, calling_ae: str, query: Dataset, is_cancelled: Callable[[], bool]) -> Iterator[Response]:
        """Yield the responses to one query: pending items, then the final status unless it is success."""
        device, policy = self._by_ae.get(calling_ae, (metrics.UNKNOWN_DEVICE, None))
        if policy is None:
            yield self._final(device, UNKNOWN_CALLER, "unknown_ae", "unknown_ae: this AE title is not configured here")
            return
        try:
            ours = self._collect(device, policy, query, is_cancelled)
            for pending in ours.passed:
                if is_cancelled():
                    yield self._final(device, CANCELLED, "cancelled", "")
                    return
                yield pending.status, "", pending.item
            final = self._outcome(device, policy, query, ours)
            try:
                yield final
            finally:  # whoever sends a failure does not come back for more
                if final[0] == HELD and not _is_for_phantom(query, policy):
                    self._tell(device, policy, ours)
        except QueryCancelledError:
            yield self._final(device, CANCELLED, "cancelled", "")
        except UpstreamError as error:
            yield self._without_upstream(device, policy, error)

    def _tell(self, device: str, policy: DevicePolicy, ours: _Sorted) -> None:
        """Say what was refused, unless it was for other scanners' gates alone."""
        if not ours.own.lets_patients_through and (ours.withheld is None or ours.withheld):
            passed = tuple(pending.item for pending in ours.passed)
            self._on_refused(Refused(device, policy, ours.own, ours.withheld, passed))

    def _collect(self, device: str, policy: DevicePolicy, query: Dataset, is_cancelled: Callable[[], bool]) -> _Sorted:
        """Ask upstream, then read the gates; from a held scanner only for what may pass: its phantoms' items.

        A gate that opens meanwhile makes it ask again, for everything.
        """
        if self._is_held_for_all(device, policy):
            found = [
                pending
                for one in _for_phantoms_only(query, policy)
                for pending in self._ask_for_phantom(device, one, policy.ae_title, is_cancelled)
            ]
            if self._is_held_for_all(device, policy):
                own = self._site.gate(device)
                return _Sorted(tuple(found), own, own)
        return self._sort(device, policy, self._ask(query, policy.ae_title, is_cancelled))

    def _is_held_for_all(self, device: str, policy: DevicePolicy) -> bool:
        """Whether no mode of an enforced scanner lets a patient through."""
        if policy.enforcement is not Enforcement.WORKLIST:
            return False
        return not any(self._site.gate(device, mode).lets_patients_through for mode in policy.mode_names)

    def _ask_for_phantom(
        self, device: str, query: Dataset, calling_ae: str, is_cancelled: Callable[[], bool]
    ) -> tuple[PendingItem, ...]:
        """Ask for one phantom and drop what is not exactly it: a RIS may ignore the PatientID that it is asked for."""
        found = self._ask(query, calling_ae, is_cancelled)
        phantom_id = text(query, "PatientID")
        own = tuple(pending for pending in found if text(pending.item, "PatientID").strip() == phantom_id)
        if len(own) < len(found):
            _log.warning("upstream_ignores_patient_id", device=device, dropped=len(found) - len(own))
        return own

    def _ask(self, query: Dataset, calling_ae: str, is_cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        if self._source is None:
            raise UpstreamError("no upstream worklist is configured")
        try:
            return self._source.query(query, calling_ae, is_cancelled)
        except CollectorError:
            raise
        except Exception as error:  # pynetdicom raises whatever its parser stumbles over
            raise UpstreamError("the upstream worklist's answer cannot be read") from error

    def _sort(self, device: str, policy: DevicePolicy, found: tuple[PendingItem, ...]) -> _Sorted:
        """Sort by the gates, read now: all items are in, none has been sent."""
        gates = _Gates(self._site)
        verdicts = [(pending, self._withheld_by(device, policy, pending.item, gates)) for pending in found]
        own = gates.read(device)
        withholding = next((gate for _, gate in verdicts if gate is not None), None)
        if policy.enforcement is Enforcement.WORKLIST:
            passed = tuple(pending for pending, gate in verdicts if gate is None)
            modes = (
                (one.item, mode_of(policy, procedure_codes(one.item))) for one, gate in verdicts if gate is not None
            )
            by_own = tuple(item for item, mode in modes if not gates.read(device, mode).lets_patients_through)
            return _Sorted(passed, own, withholding, by_own)
        if withholding is not None or not own.lets_patients_through:
            metrics.WOULD_REFUSE.labels(device).inc()
        return _Sorted(found, own, None)

    def _withheld_by(self, device: str, policy: DevicePolicy, item: Dataset, gates: "_Gates") -> Gate | None:
        """Return the gate that withholds an item, or None if it passes."""
        stations = station_ae_titles(item)
        named = [self._by_ae[title] for title in stations if title in self._by_ae]
        patient_id = text(item, "PatientID")
        if any(known.phantom(patient_id) for known in (policy, *(other for _, other in named))):
            return None
        codes = procedure_codes(item)
        own = gates.read(device, mode_of(policy, codes))
        if not own.lets_patients_through:
            return own
        if not stations or policy.ae_title in stations or len(named) < len(stations):
            return None
        held = [
            gate
            for key, other in named
            if other.enforcement is Enforcement.WORKLIST
            and not (gate := gates.read(key, mode_of(other, codes))).lets_patients_through
        ]
        return held[0] if len(held) == len(named) else None

    def _outcome(self, device: str, policy: DevicePolicy, query: Dataset, ours: _Sorted) -> Response:
        """Return the final status after the items that passed."""
        if policy.enforcement is not Enforcement.WORKLIST:
            return self._final(device, SUCCESS, "success", "")
        asked_for_phantom = _is_for_phantom(query, policy)
        withheld_all = ours.withholding is not None and not ours.passed
        if ours.own.lets_patients_through:
            is_refused = withheld_all
        else:
            is_refused = not ours.passed or (ours.withholding is not None and not asked_for_phantom)
        if is_refused:
            return self._final(device, HELD, "held", (ours.withholding or ours.own).error_comment())
        return self._final(device, SUCCESS, "success", "")

    def _without_upstream(self, device: str, policy: DevicePolicy, error: UpstreamError) -> Response:
        gate = self._site.gate(device)
        if policy.enforcement is Enforcement.WORKLIST and not gate.lets_patients_through:
            return self._final(device, HELD, "held", gate.error_comment())
        return self._final(device, UPSTREAM_FAILED, error.code, str(error)[:64])

    @staticmethod
    def _final(device: str, status: int, code: str, comment: str) -> Response:
        metrics.QUERIES.labels(device, code).inc()
        _log.info("worklist_answered", device=device, code=code)
        return status, comment, None


class _Gates:
    """The gates as one answer sees them: each read once."""

    def __init__(self, site: SitePort) -> None:
        self._site = site
        self._read: dict[tuple[str, str | None], Gate] = {}

    def read(self, device: str, mode: str | None = None) -> Gate:
        key = (device, mode)
        if key not in self._read:
            self._read[key] = self._site.gate(device, mode)
        return self._read[key]


def _is_for_phantom(query: Dataset, policy: DevicePolicy) -> bool:
    return policy.phantom(text(query, "PatientID")) is not None


def _for_phantoms_only(query: Dataset, policy: DevicePolicy) -> list[Dataset]:
    """Return the query once for each phantom it may mean: a held scanner's patients are not even fetched."""
    asked = text(query, "PatientID").strip()
    wanted = [p.patient_id for p in policy.phantoms if asked in {"", "*", p.patient_id} or {"*", "?"} & set(asked)]
    narrowed = []
    for patient_id in wanted:
        one = Dataset()
        one.update(query)
        one["PatientID"] = DataElement(0x00100020, "LO", patient_id)  # a new element: the query keeps its own
        narrowed.append(one)
    return narrowed
