"""What must hold while a gate is open, by the rules of DESIGN 5.2 and 5.3; it knows facts and no state of the fold."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from streams.messages import (
    Affected,
    BaselineAccepted,
    CommissioningRecorded,
    CommissioningSignedOff,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    FaultCleared,
    FaultLogged,
    MeasurementVerified,
    PhantomMeasured,
    ReturnDecided,
    ServicedRemotely,
    VendorQcReported,
)

LONDON = ZoneInfo("Europe/London")
TOO_FAR_AHEAD = timedelta(minutes=5)
OUT_OF_CUSTODY = {"engineer", "back"}
RECORDS = {
    "critical_examination",
    "output_and_scatter",
    "electrical_safety",
    "acceptance_tests",
    "archive_recovery",
}
"""What DESIGN 5.3 asks for before a new scanner first measures patients."""


@dataclass
class Reading:
    """A QC reading: when it was measured and recorded, and whether it passed by the numbers."""

    measured_at: datetime
    recorded_at: datetime
    passed: bool

    @property
    def at(self) -> datetime:
        """When it was, as far as it is believed: a clock a little fast makes nothing newer than its arrival."""
        return min(self.measured_at, self.recorded_at)


@dataclass
class Oracle:
    """One scanner with one independent phantom (baseline 1.000 g/cm2, 1.5 %) and the manufacturer's QC."""

    custody: str = "department"
    workers: set[str] = field(default_factory=set)
    affected: bool = False
    retired: bool = False
    has_baseline: bool = False
    is_signed_off: bool = False
    on_record: set[str] = field(default_factory=set)
    stopping: set[str] = field(default_factory=set)
    serviced_at: datetime | None = None
    compares: bool = False
    vendor: list[Reading] = field(default_factory=list)
    phantom: list[Reading] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def take(self, fact: Fact, now: datetime) -> None:
        """Take in what was recorded."""
        match fact:
            case BaselineAccepted():
                self.has_baseline, self.compares = True, False
            case CommissioningRecorded() | CommissioningSignedOff():
                self._take_commissioning(fact)
            case VendorQcReported(passed=passed, measured_at=measured_at):
                self.vendor.append(Reading(measured_at, now, passed))
            case PhantomMeasured(bmd_g_cm2=bmd, measured_at=measured_at):
                self.phantom.append(Reading(measured_at, now, 0.985 <= bmd <= 1.015))
            case FaultLogged(fault_id=fault_id, stops_scanning=True):
                self.stopping.add(fault_id)
            case FaultCleared(fault_id=fault_id) if fault_id in self.stopping:
                self.stopping.remove(fault_id)
                self.serviced_at = now
            case EquipmentHandedOver() | EquipmentHandedBack() | ReturnDecided() | ServicedRemotely():
                self._take_service(fact, now)
            case MeasurementVerified():
                self.compares = False

    def _take_service(
        self, fact: EquipmentHandedOver | EquipmentHandedBack | ReturnDecided | ServicedRemotely, now: datetime
    ) -> None:
        match fact:
            case EquipmentHandedOver(handed_over_by=by, engineer=engineer):
                if self.custody == "department":
                    self.workers, self.affected = set(), False
                self.custody = "engineer"
                self.workers.add(_plain(engineer))
                self._only({"operator", "physicist"}, by.role, "handed over")
            case EquipmentHandedBack(affected=affected, engineer=engineer):
                self.custody, self.serviced_at = "back", now
                self.workers.add(_plain(engineer))
                self.affected |= _any(affected)
                self.compares |= affected.measurement and self.has_baseline
            case ReturnDecided(returns=returns, decided_by=by):
                self._only({"operator", "physicist"}, by.role, "returned")
                if _plain(by.name) in self.workers:
                    self.broken.append("who did the work decided on the return")
                if returns and self.affected and by.role != "physicist":
                    self.broken.append("affected, and no physicist decided")
                self.custody = "department" if returns else self.custody
            case ServicedRemotely(affected=affected, engineer=engineer):
                self.serviced_at = now
                self.affected |= _any(affected)
                self.workers.add(_plain(engineer))
                self.compares |= affected.measurement and self.has_baseline

    def _take_commissioning(self, fact: CommissioningRecorded | CommissioningSignedOff) -> None:
        if isinstance(fact, CommissioningRecorded):
            self._only({"operator", "physicist"}, fact.recorded_by.role, "put on record")
            self.on_record.discard(fact.step.value)
            self.on_record |= {fact.step.value} if fact.is_satisfactory else set()
            if fact.step.value == "critical_examination" and not fact.endorsed_by.strip():
                self.broken.append("a critical examination that no adviser endorsed")
            return
        self._only({"physicist"}, fact.signed_by.role, "signed off")
        self.is_signed_off = True
        if not self.has_baseline:
            self.broken.append("signed off without a baseline")
        if not fact.in_service_since and self.on_record != RECORDS:
            self.broken.append("signed off without the records of commissioning")

    def why_not_open(self, now: datetime) -> list[str]:
        """Return every rule by which no patient may be scanned now."""
        found = list(self.broken)
        found += ["retired"] if self.retired else []
        found += ["not in the department's custody"] if self.custody in OUT_OF_CUSTODY else []
        found += [] if self.has_baseline else ["no baseline"]
        found += [] if self.is_signed_off else ["not signed off"]
        found += ["a fault stops scanning"] if self.stopping else []
        found += ["work on the measurement is not compared"] if self.compares else []
        for name, readings in (("manufacturer's QC", self.vendor), ("independent phantom", self.phantom)):
            found += [] if self._passed_today(readings, now) else [f"{name}: no pass of today after service"]
            found += [f"{name}: its newest reading failed"] if self._newest_failed(readings) else []
        return found

    def may_never_be_overridden(self) -> list[str]:
        """Return what no override may let a patient past."""
        found = ["retired"] if self.retired else []
        found += ["not in the department's custody"] if self.custody in OUT_OF_CUSTODY else []
        found += [] if self.has_baseline and self.is_signed_off else ["not commissioned"]
        found += ["a fault stops scanning"] if self.stopping else []
        return found

    def _counts(self, reading: Reading) -> bool:
        """Whether a reading is evidence: believable, and measured and recorded after the last service."""
        if reading.measured_at > reading.recorded_at + TOO_FAR_AHEAD:
            return False
        return self.serviced_at is None or reading.at >= self.serviced_at

    def _passed_today(self, readings: list[Reading], now: datetime) -> bool:
        today = now.astimezone(LONDON).date()
        return any(
            reading.passed and self._counts(reading) and reading.at.astimezone(LONDON).date() == today
            for reading in readings
        )

    def _newest_failed(self, readings: list[Reading]) -> bool:
        counting = [(reading.at, place, reading) for place, reading in enumerate(readings) if self._counts(reading)]
        return bool(counting) and not max(counting)[2].passed

    def _only(self, roles: set[str], role: str, what: str) -> None:
        if role not in roles:
            self.broken.append(f"{what} by a {role}")


def _any(affected: Affected) -> bool:
    return affected.dose or affected.image_quality or affected.safety or affected.measurement


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
