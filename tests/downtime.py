"""A device's log for reckoning uptime, written by hand: what held which mode from when."""

from datetime import UTC, datetime

from msgspec.structs import replace

from streams.messages import (
    Affected,
    DeviceRegistered,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    GateChanged,
    GateStatus,
    HandoverForm,
    Message,
    Person,
    Reason,
    ReasonCode,
    ServiceKind,
    StateChanged,
)
from streams.policy import Clinic, ClinicCalendar, DeviceKind, DevicePolicy, Mode
from streams.uptime.history import Entry

OPERATOR = Person("Oz Operator", "operator")
ONE_MODE = DevicePolicy(DeviceKind.SCANNER, make="Invented", model="Virtual 1")
TWO_MODES = replace(ONE_MODE, modes=(Mode("spine-hip"), Mode("forearm")))
NINE_TO_SIX = ClinicCalendar("UTC", (Clinic((0, 1, 2, 3, 4), "09:00", "18:00", slot_minutes=30),))
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)

FAULT, QC_FAILED, QC_MISSING = ReasonCode.FAULT_STOPS_SCANNING, ReasonCode.QC_FAILED, ReasonCode.QC_MISSING
WITH_ENGINEER, VERIFY = ReasonCode.WITH_ENGINEER, ReasonCode.VERIFICATION_REQUIRED


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def gate(mode: str, at: datetime, *codes: ReasonCode, overridden: bool = False) -> GateChanged:
    status = GateStatus.OPEN
    if codes:
        status = GateStatus.OVERRIDDEN if overridden else GateStatus.HELD
    return GateChanged(mode, status, at, None, tuple(Reason(code, "as the test says", "") for code in codes))


class Told:
    """Entries in the making; a device that is registered and in clinical use, with open gates."""

    def __init__(
        self,
        policy: DevicePolicy = ONE_MODE,
        calendar: ClinicCalendar = NINE_TO_SIX,
        *,
        registered: datetime = LONG_AGO,
        clinical: datetime | None = None,
    ) -> None:
        self.modes = policy.mode_names
        closed = [gate(mode, registered, ReasonCode.NOT_COMMISSIONED) for mode in self.modes]
        commissioning = StateChanged(stage="commissioning", previous="unknown")
        self.entries = [Entry(registered, (DeviceRegistered(policy, calendar), commissioning, *closed))]
        at = clinical or registered
        in_use = StateChanged(stage="clinical", previous="commissioning")
        self.entries.append(Entry(at, (in_use, *(gate(mode, at) for mode in self.modes))))

    def then(self, at: str, *messages: Message) -> "Told":
        self.entries.append(Entry(utc(at), messages))
        return self

    def gates(
        self, at: str, *codes: ReasonCode, modes: tuple[str, ...] = (), first: tuple[Message, ...] = ()
    ) -> "Told":
        """All modes, or those named, are held for these codes from here, or open if there is none."""
        return self.then(at, *first, *(gate(mode, utc(at), *codes) for mode in modes or self.modes))

    def held(self, since: str, until: str, *codes: ReasonCode, modes: tuple[str, ...] = ()) -> "Told":
        return self.gates(since, *codes, modes=modes).gates(until, modes=modes)

    def staged(self, at: str, stage: str, fact: Fact | None, *codes: ReasonCode) -> "Told":
        changed = StateChanged(stage=stage, previous="")
        return self.gates(at, *codes, first=(*([fact] if fact else []), changed))


def handed_over(kind: ServiceKind, fault_id: str = "") -> EquipmentHandedOver:
    form = HandoverForm.CONTROLLED_AREA
    return EquipmentHandedOver("h1", form, "as the test says", OPERATOR, "Eve", "Invented Ltd", "", fault_id, kind)


def handed_back(*, is_working: bool = True) -> EquipmentHandedBack:
    nothing = Affected(dose=False, image_quality=False, safety=False, measurement=False)
    return EquipmentHandedBack("h1", "Eve", "as the test says", nothing, is_working, OPERATOR)
