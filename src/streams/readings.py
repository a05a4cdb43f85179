"""The port through which people's views read: the site log serves it, a database may later.

Plain values for pages and programs; no fold state leaks through.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from streams.due import DueItem
from streams.equipment_log import OpenIncident
from streams.messages import (
    BaselineAccepted,
    BypassDetected,
    CheckJudged,
    Onset,
    PatientMeasured,
    QcJudged,
    RecordedOutcome,
    SizeAt,
)
from streams.policy import QcRules
from streams.site import CurrentSession, Gate
from streams.studies import StudyVersion

BYPASSES_SHOWN_FOR: Final = timedelta(days=7)
"""How long it stays in sight that a patient was scanned past a held gate, from when it was told."""


class PhantomStatus(msgspec.Struct, frozen=True):
    """How one phantom's chart stands; times of `measured_at`, BMD in g/cm2."""

    patient_id: str
    role: str
    region: str
    frequency: str
    serial: str
    epoch: int | None
    mean: float | None
    sigma: float | None
    lower: float | None
    upper: float | None
    baseline_scans: int
    baseline_established: bool
    candidates: int
    candidates_needed: int
    last: QcJudged | None
    last_passed_at: datetime | None
    due_by: datetime | None
    failed_scans: int
    failure_confirmed: bool
    passed_since_failure: bool
    drift_open: bool
    is_proposed: bool = False
    unreviewed_step: tuple[int, float] | None = None


class StandardStatus(msgspec.Struct, frozen=True):
    """How the checks with one standard stand; kg of a weight, cm of a rod."""

    standard_id: str
    nominal: float
    unit: str
    certificate: str
    last: CheckJudged | None
    last_passed_at: datetime | None
    due_by: datetime | None


class Fault(msgspec.Struct, frozen=True):
    """An open fault."""

    fault_id: str
    text: str
    stops_scanning: bool
    logged_by: str
    logged_at: datetime


class WithEngineer(msgspec.Struct, frozen=True):
    """Who has a device, or had it before the decision on its return."""

    engineer: str
    company: str
    since: datetime


class Epoch(msgspec.Struct, frozen=True):
    """One accepted baseline and since when it binds."""

    accepted_at: datetime
    baseline: BaselineAccepted


class MeasuredToday(msgspec.Struct, frozen=True):
    """How many patients a device has measured on the site's day so far, in how many scans; it names nobody."""

    patients: int = 0
    scans: int = 0


class ReviewStatus(msgspec.Struct, frozen=True):
    """A review as it stands: what told of it, what it covers, how far off the device was, what was decided.

    `sizes` are in `unit` (percent of BMD, kg, cm), the estimate where one is on record, else what the reading told;
    `verdict` is empty while it waits. `outcome_id` names what opened it in the log. `is_assessed` is false while a
    drift's onset is not estimated yet.
    """

    review_id: str
    device: str
    subject: str
    bases: tuple[str, ...]
    text: str
    opened_at: datetime
    since: datetime | None
    until: datetime | None
    modes: tuple[str, ...] = ()
    unit: str = ""
    sizes: tuple[SizeAt, ...] = ()
    onset: Onset | None = None
    is_assessed: bool = False
    verdict: str = ""
    decision: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    outcome_id: str = ""


class DeviceView(msgspec.Struct, frozen=True):
    """One device as people see it: configuration in force, gate now, each phantom, faults, sequence number.

    `to_verify` are the phantoms whose measurement work could have changed. `bypasses` are the patients scanned while
    it was held, of which was told in the last `BYPASSES_SHOWN_FOR`, newest first. `incidents` are those that are open;
    `reviews` those that wait for a physicist, then those lately decided. `due` is everything that comes round on it, QC
    and checks too, the most urgent first.
    """

    id: str
    device: str
    kind: str
    make: str
    model: str
    serial: str
    ae_title: str
    enforcement: str
    stage: str
    ring: str
    device_seq: int
    gate: Gate
    gates: dict[str, Gate]
    phantoms: tuple[PhantomStatus, ...]
    vendor_qc_required: bool
    vendor_qc_last: QcJudged | None
    vendor_qc_due_by: datetime | None
    vendor_qc_failure_confirmed: bool
    vendor_qc_passed_since_failure: bool
    faults: tuple[Fault, ...]
    parked: str | None
    first_clinic_today: datetime | None
    clinic_ends: datetime | None
    standards: tuple[StandardStatus, ...] = ()
    session: CurrentSession | None = None
    bypasses: tuple[BypassDetected, ...] = ()
    service: WithEngineer | None = None
    to_verify: tuple[str, ...] = ()
    due: tuple[DueItem, ...] = ()
    incidents: tuple[OpenIncident, ...] = ()
    reviews: tuple[ReviewStatus, ...] = ()
    measured_today: MeasuredToday = MeasuredToday()
    qc_rules: QcRules = QcRules()

    @property
    def title(self) -> str:
        """What people call it: ``Scanner DXA1`` or ``Scale scale-1``."""
        return f"{self.kind.capitalize()} {self.ae_title or self.id}"


class Readings(Protocol):
    """What a console, an API and a report can read."""

    def devices(self) -> Sequence[DeviceView]:
        """Return every configured device, in configuration order, with its gate read now."""

    def device(self, device_id: str) -> DeviceView | None:
        """Return one device by its id within the site (``dxa-1``), or None."""

    def qc(
        self,
        device_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 5000,
    ) -> Sequence[QcJudged]:
        """Return the judged QC readings, highest revision of each, by `measured_at`, the newest `limit` of them."""

    def epochs(self, device_id: str) -> Sequence[Epoch]:
        """Return the accepted baselines of all the device's phantoms, oldest first."""

    def measured(self, device_id: str, event_id: str) -> PatientMeasured | None:
        """Return what the record holds of a patient's measurement on a device, or None."""

    def studies(self, device_id: str) -> Sequence[StudyVersion]:
        """Return every version of every cross-calibration of a device, oldest first."""

    def history(self, device_id: str, *, limit: int = 100) -> Sequence[RecordedOutcome]:
        """Return the newest outcomes of a device, newest first."""
