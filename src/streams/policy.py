"""Policy of a device and its clinics, as it stands in the log.

Policy travels in events (`messages.DeviceReconfigured`, `messages.ClinicCalendarChanged`): what was in force
at a place in the log is what counts there. Numbers without a source in the service guideline (Royal
Osteoporosis Society, v3, August 2025) are local policy.
"""

from enum import StrEnum
from typing import Final, Literal

import msgspec

SECONDS_AHEAD_SUSPECT: Final = 300
"""A reading dated further ahead than this is not believed (DESIGN 4)."""


class DeviceKind(StrEnum):
    """What a device is."""

    SCANNER = "scanner"
    SCALE = "scale"
    STADIOMETER = "stadiometer"
    HOIST = "hoist"


class Enforcement(StrEnum):
    """How far a scanner's gate reaches."""

    SHADOW = "shadow"
    ADVISORY = "advisory"
    WORKLIST = "worklist"


class PhantomRole(StrEnum):
    """Which duty a phantom's scans fulfil; a circulating one fulfils none, it compares scanners (DESIGN 2)."""

    MANUFACTURER_DAILY = "manufacturer_daily"
    INDEPENDENT = "independent"
    CIRCULATING = "circulating"


class Frequency(StrEnum):
    """How often a duty is due."""

    DAILY = "daily"
    WEEKLY = "weekly"


class Phantom(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One phantom of one scanner.

    `nominal_g_cm2` is the certificate's value, if known: a scan is compared with every phantom of the
    device to tell a wrong phantom from a drifting scanner. `patient_name` is the name under which the
    console files the phantom; when given, a scan under another name is refused as a patient's.
    `modes` are the scan modes it vouches for; none named: all of them.
    """

    patient_id: str
    role: PhantomRole
    region: str = "L1-L4"
    frequency: Frequency = Frequency.DAILY
    serial: str = ""
    nominal_g_cm2: float | None = None
    patient_name: str | None = None
    modes: tuple[str, ...] = ()


RunRules = Literal["none", "dxa", "western_electric", "westgard", "nelson"]
"""Sets of sensitising rules by the name they have in the configuration."""


class QcRules(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How phantom scans of a device are judged; local policy but for the guideline's tolerance and ten scans."""

    tolerance_percent: float = 1.5
    sigma_floor_percent: float = 0.5
    min_scans: int = 10
    established_at: int = 25
    repeats: int = 1
    plausible_percent: float = 10.0
    cusum_k: float = 0.5
    cusum_h: float = 5.0
    hold_on_signal: bool = False
    manufacturer_required: bool = True
    independent_grace_days: int = 1
    rules: RunRules = "none"


class Standard(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A weight (kg) or rod (cm) of known value that a device is checked with, and its certificate."""

    standard_id: str
    nominal: float
    certificate: str = ""


class CheckRules(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a scale or stadiometer is checked; all of it local policy but the errors of class III.

    Each of `standards` must pass once a period: together they span the patients' range. A scale is judged by
    `limit_kg`, by the permitted errors in service of class III for its `ranges` (largest kg and e in g of each), or by
    the stricter of both; a stadiometer by `warn_mm` and `fail_mm`.
    """

    standards: tuple[Standard, ...] = ()
    frequency: Frequency = Frequency.WEEKLY
    grace_days: int = 1
    ranges: tuple[tuple[float, float], ...] = ()
    limit_kg: float | None = None
    warn_mm: float = 2.0
    fail_mm: float = 5.0

    def standard(self, standard_id: str) -> Standard | None:
        """Return a standard by its id, or None."""
        return next((s for s in self.standards if s.standard_id == standard_id), None)


class LeastSignificantChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The change of a region's BMD that is significant at 95 %, as somebody found it, and where it says so.

    In `unit`: ``percent`` or ``g_cm2``; of measurements of this `population` in these `modes` (none named: all), and
    of this `anatomy` (``spine``, ``hip``, ``forearm``, ``whole_body``): a hip and a whole body both have a ``Total``.
    Without one there is no claim of significance.
    """

    region: str
    value: float
    source: str
    anatomy: str
    unit: str = "percent"
    population: str = "adult"
    modes: tuple[str, ...] = ()


class Mode(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A scan mode and the procedure codes that ask for it."""

    name: str
    procedure_codes: tuple[str, ...] = ()


class DutyKind(StrEnum):
    """What kind of work comes round; `RECORD_ARCHIVE` is of Bonewatch's own record, the other archives of a device."""

    MAINTENANCE = "maintenance"
    CALIBRATION = "calibration"
    CERTIFICATE = "certificate"
    REPLACEMENT = "replacement"
    DAILY_ARCHIVE = "daily_archive"
    DATABASE_ARCHIVE = "database_archive"
    RECORD_ARCHIVE = "record_archive"
    OTHER = "other"


DutyUnit = Literal["days", "weeks", "months", "years"]


class Duty(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Work that comes round on a device, beside its QC: maintenance, a certificate, an archive; local policy.

    Due first on `first_due` (ISO 8601), then every `every` units of days, weeks, months or years from there: doing it
    late does not shift it. It is due soon `warn_days` before, overdue `grace_days` after, and holds the gate then if
    `holds`. ``every = 0`` is due once; what is due every day is due on days with a clinic.
    """

    duty_id: str
    name: str
    first_due: str
    every: int = 1
    unit: DutyUnit = "months"
    warn_days: int = 14
    grace_days: int = 0
    holds: bool = False
    kind: DutyKind = DutyKind.OTHER


class CommissioningStep(StrEnum):
    """What is on record before a scanner first measures patients (DESIGN 5.3)."""

    CRITICAL_EXAMINATION = "critical_examination"
    OUTPUT_AND_SCATTER = "output_and_scatter"
    ELECTRICAL_SAFETY = "electrical_safety"
    ACCEPTANCE_TESTS = "acceptance_tests"
    ARCHIVE_RECOVERY = "archive_recovery"


class DevicePolicy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything configured about one device that decisions depend on.

    `commissioning_waived` are the steps that local policy does not ask for, `adult_from_years` from which age on a
    patient is measured against what was found in adults.
    """

    kind: DeviceKind
    make: str = ""
    model: str = ""
    serial: str = ""
    ae_title: str = ""
    enforcement: Enforcement = Enforcement.SHADOW
    phantoms: tuple[Phantom, ...] = ()
    qc: QcRules = QcRules()
    modes: tuple[Mode, ...] = ()
    ring: str = ""
    checks: CheckRules = CheckRules()
    duties: tuple[Duty, ...] = ()
    commissioning_waived: tuple[CommissioningStep, ...] = ()
    significant_changes: tuple[LeastSignificantChange, ...] = ()
    adult_from_years: int = 20

    @property
    def mode_names(self) -> tuple[str, ...]:
        """Names of the modes the gate is kept for; a device without modes has the one mode ``all``."""
        return tuple(mode.name for mode in self.modes) or (ALL_MODES,)

    @property
    def own_phantoms(self) -> tuple[Phantom, ...]:
        """The phantoms with a duty here: all but those that circulate."""
        return tuple(p for p in self.phantoms if p.role is not PhantomRole.CIRCULATING)

    def duty(self, duty_id: str) -> Duty | None:
        """Return the work that comes round under `duty_id`, or None."""
        return next((duty for duty in self.duties if duty.duty_id == duty_id), None)

    def phantom(self, patient_id: str) -> Phantom | None:
        """Return the phantom filed under `patient_id`, or None."""
        return next((p for p in self.phantoms if p.patient_id == patient_id), None)


ALL_MODES: Final = "all"
"""The one mode of a device for which none is configured."""


class Clinic(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Regular clinic hours: `weekdays` 0 (Monday) to 6, times ``HH:MM`` in the site's zone."""

    weekdays: tuple[int, ...]
    starts: str
    ends: str
    slot_minutes: int = 20


class Closure(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """No clinic from one day to another, both included (ISO 8601), and why.

    Where `starts` or `ends` (``HH:MM`` in the site's zone) is given, it is a part of one day: from its beginning, or to
    its end, where the other is empty.
    """

    first: str
    last: str
    why: str = ""
    starts: str = ""
    ends: str = ""


class ClinicCalendar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The site's time zone and a device's clinics in it."""

    time_zone: str = "UTC"
    clinics: tuple[Clinic, ...] = ()
    closures: tuple[Closure, ...] = ()
