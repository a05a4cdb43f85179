"""The port through which people read a device's equipment log: everything that was done to it, by time."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

import msgspec

from streams.messages import (
    AttachmentAdded,
    BaselineAccepted,
    BypassDetected,
    CalibrationCheckRead,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DecisionWithdrawn,
    DeviceRetired,
    DutyDone,
    EntryKind,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Fact,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    MeasurementReleased,
    MeasurementVerified,
    Message,
    OverrideEnded,
    PhantomMeasured,
    QcReleased,
    ReturnDecided,
    ReviewDecided,
    ServicedRemotely,
    Source,
    StepReviewed,
    VendorQcReported,
    WatchInterrupted,
)


class LogKind(StrEnum):
    """What people look for in the log."""

    FAULT = "fault"
    SERVICE = "service"
    QC = "qc"
    OVERRIDE = "override"
    BYPASS = "bypass"
    INCIDENT = "incident"
    DECISION = "decision"
    ENTRY = "entry"
    COMMENT = "comment"
    FILE = "file"


KINDS: Final[dict[type[Message], LogKind]] = {
    FaultLogged: LogKind.FAULT,
    FaultCleared: LogKind.FAULT,
    EquipmentHandedOver: LogKind.SERVICE,
    EquipmentHandedBack: LogKind.SERVICE,
    ReturnDecided: LogKind.SERVICE,
    ServicedRemotely: LogKind.SERVICE,
    MeasurementVerified: LogKind.SERVICE,
    VendorQcReported: LogKind.QC,
    PhantomMeasured: LogKind.QC,
    CalibrationCheckRead: LogKind.QC,
    GateOverridden: LogKind.OVERRIDE,
    OverrideEnded: LogKind.OVERRIDE,
    BypassDetected: LogKind.BYPASS,
    IncidentRecorded: LogKind.INCIDENT,
    IncidentClosed: LogKind.INCIDENT,
    BaselineAccepted: LogKind.DECISION,
    QcReleased: LogKind.DECISION,
    ReviewDecided: LogKind.DECISION,
    DecisionWithdrawn: LogKind.DECISION,
    MeasurementReleased: LogKind.DECISION,
    StepReviewed: LogKind.DECISION,
    CommissioningRecorded: LogKind.DECISION,
    CommissioningSignedOff: LogKind.DECISION,
    CrossCalibrationAccepted: LogKind.DECISION,
    CrossCalibrationWithdrawn: LogKind.DECISION,
    DutyDone: LogKind.DECISION,
    DeviceRetired: LogKind.DECISION,
    WatchInterrupted: LogKind.DECISION,
    LogEntryMade: LogKind.ENTRY,
    AttachmentAdded: LogKind.FILE,
}
"""Facts and outcomes that stand in the equipment log; of QC what was entered by hand, of entries comments apart."""


def kind_of(matter: Fact | BypassDetected) -> LogKind | None:
    """Return under which kind something stands in the equipment log; None if it does not."""
    if isinstance(matter, LogEntryMade) and matter.kind is EntryKind.COMMENT:
        return LogKind.COMMENT
    if isinstance(matter, VendorQcReported | PhantomMeasured | CalibrationCheckRead):
        return LogKind.QC if matter.source is Source.MANUAL else None
    return KINDS.get(type(matter))


class LogItem(msgspec.Struct, frozen=True):
    """One line: `id` is that of the event or outcome, `place` that of the event in the log.

    `comments` and `files` count what was said about it and added to it; `is_open` says of an incident whether it is.
    """

    id: str
    place: int
    at: datetime
    kind: LogKind
    matter: Fact | BypassDetected
    comments: int = 0
    files: int = 0
    is_open: bool | None = None


class OpenIncident(msgspec.Struct, frozen=True):
    """An incident that nobody has closed; `text` of a bypass is the request's number, if it had one."""

    id: str
    kind: str
    text: str
    opened_by: str
    opened_at: datetime


class Handover(msgspec.Struct, frozen=True):
    """A handover as far as it stands; the last decision counts. `fault` is the text of the fault that it is about.

    `verified_at` is when every duty had passed after the return: from then the device was in clinical use.
    """

    id: str
    over_at: datetime
    over: EquipmentHandedOver
    fault: str = ""
    back_at: datetime | None = None
    back: EquipmentHandedBack | None = None
    decided_at: datetime | None = None
    decision: ReturnDecided | None = None
    verified_at: datetime | None = None


class EquipmentLog(Protocol):
    """What people read of the equipment log; devices by their id within the site (``dxa-1``)."""

    def items(
        self, device_id: str, *, kinds: Collection[LogKind] = (), before: int | None = None, limit: int = 50
    ) -> Sequence[LogItem]:
        """Return the newest items of some kinds (none named: all), newest first; `before` is a place in the log."""

    def item(self, device_id: str, item_id: str) -> LogItem | None:
        """Return one item, or None where the device's equipment log has none of this id."""

    def about(self, device_id: str, item_id: str) -> Sequence[LogItem]:
        """Return the comments, files and the closing that name an item, oldest first."""

    def open_incidents(self, device_id: str) -> Sequence[OpenIncident]:
        """Return the incidents that nobody has closed, oldest first."""

    def handover(self, device_id: str, handover_id: str = "") -> Handover | None:
        """Return a handover, the last one where none is named, or None."""


class NoEquipmentLog:
    """A site without a log to read."""

    def items(
        self,
        device_id: str,  # noqa: ARG002 - the port's form
        *,
        kinds: Collection[LogKind] = (),  # noqa: ARG002
        before: int | None = None,  # noqa: ARG002
        limit: int = 50,  # noqa: ARG002
    ) -> Sequence[LogItem]:
        """Return nothing."""
        return ()

    def item(self, device_id: str, item_id: str) -> LogItem | None:  # noqa: ARG002 - the port's form
        """Return None."""
        return None

    def about(self, device_id: str, item_id: str) -> Sequence[LogItem]:  # noqa: ARG002 - the port's form
        """Return nothing."""
        return ()

    def open_incidents(self, device_id: str) -> Sequence[OpenIncident]:  # noqa: ARG002 - the port's form
        """Return nothing."""
        return ()

    def handover(self, device_id: str, handover_id: str = "") -> Handover | None:  # noqa: ARG002 - the port's form
        """Return None."""
        return None


NO_EQUIPMENT_LOG: Final = NoEquipmentLog()
