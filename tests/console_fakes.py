"""A department in memory behind the ports that the console is built against."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from dashboards.demo_panel import DemoAction
from streams.commands import Command, EndOverride, EnterVendorQc, LogFault, OverrideGate, Refusal
from streams.messages import (
    BaselineAccepted,
    BypassDetected,
    ChartPoint,
    Draft,
    Event,
    GateChanged,
    GateStatus,
    Onset,
    PatientMeasured,
    Person,
    QcJudged,
    Reason,
    ReasonCode,
    RecordedOutcome,
    SizeAt,
    TimeReached,
    Verdict,
)
from streams.policy import PhantomRole
from streams.readings import DeviceView, Epoch, Fault, PhantomStatus, ReviewStatus
from streams.site import CurrentSession, Gate, Receipt
from streams.studies import StudyVersion

NOW: Final = datetime(2026, 11, 20, 7, 45, tzinfo=UTC)
"""A Friday morning in winter: site time is UTC."""

MEAN: Final = 1.0
MISSING: Final = Reason(
    ReasonCode.QC_MISSING,
    "The scanner's own QC has not been reported today",
    "Run the daily QC, then enter it here or let the scanner send it",
)
FAILED: Final = Reason(
    ReasonCode.QC_FAILED,
    "SPINE-1234 failed twice: 1.0600 g/cm², 6.0 % above its baseline",
    "A passing scan, then a physicist's release with the cause recorded",
)
STOPPED: Final = Reason(
    ReasonCode.FAULT_STOPS_SCANNING, "A fault stops scanning", "An engineer or a physicist clears the fault"
)
DRIFT: Final = Reason(
    ReasonCode.DRIFT_UNREVIEWED, "SPINE-5678 drifts: CUSUM signal", "A physicist decides the review", holds=False
)


def open_gate(*reasons: Reason, since: datetime = NOW - timedelta(minutes=20)) -> Gate:
    return Gate(GateStatus.OPEN, since, datetime(2026, 11, 21, tzinfo=UTC), reasons)


def held_gate(*reasons: Reason, since: datetime = NOW - timedelta(minutes=5)) -> Gate:
    return Gate(GateStatus.HELD, since, None, reasons)


class FakeSite:
    """A site and what people read of it: commands move gates by the simplest rules, listeners are told at once."""

    def __init__(self, views: Sequence[DeviceView], qc: dict[str, list[QcJudged]] | None = None) -> None:
        self.views = {view.id: view for view in views}
        self.judged = qc or {}
        self.commands: list[Command] = []
        self.listeners: list[Callable[[Receipt], None]] = []
        self.ready = True
        self.fails_with: Exception | None = None
        self.answers_after_s = 0.0
        self.accepted: dict[str, list[Epoch]] = {}
        self._history: list[RecordedOutcome] = []

    # --- SitePort ---

    def studies(self, device_id: str) -> Sequence[StudyVersion]:
        del device_id
        return ()

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        raise AssertionError(f"the console records no readings by itself: {drafts}")

    def session(self, device: str) -> CurrentSession | None:
        return next((view.session for view in self.views.values() if view.device == device), None)

    def open_faults(self, device: str) -> dict[str, bool]:
        view = next((view for view in self.views.values() if view.device == device), None)
        return {} if view is None else {fault.fault_id: fault.stops_scanning for fault in view.faults}

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        if self.fails_with is not None:
            raise self.fails_with
        view = next(view for view in self.views.values() if view.device == command.device)
        if expected_device_seq != view.device_seq:
            return Refusal("stale", "This page is out of date: the device has changed since it was loaded.")
        if isinstance(command, OverrideGate) and view.gate.holding and not command.advised_by:
            return Refusal("missing", "Name the physicist who advised it (by telephone if need be).")
        self.commands.append(command)
        receipt = self.change(view.id, gate=_gate_after(command, view.gate))
        time.sleep(self.answers_after_s)
        return receipt

    def gate(self, device: str, mode: str | None = None) -> Gate:
        view = next(view for view in self.views.values() if view.device == device)
        return view.gate if mode is None else view.gates[mode]

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    # --- Readings ---

    def devices(self) -> Sequence[DeviceView]:
        return list(self.views.values())

    def device(self, device_id: str) -> DeviceView | None:
        return self.views.get(device_id)

    def qc(
        self, device_id: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 5000
    ) -> Sequence[QcJudged]:
        return [
            judged
            for judged in self.judged.get(device_id, [])
            if (since is None or judged.measured_at >= since) and (until is None or judged.measured_at < until)
        ][-limit:]

    def epochs(self, device_id: str) -> Sequence[Epoch]:
        if device_id in self.accepted:
            return self.accepted[device_id]
        firsts: dict[tuple[str, int], QcJudged] = {}
        for judged in self.judged.get(device_id, []):
            if judged.chart:
                firsts.setdefault((judged.phantom_id, judged.chart.epoch), judged)
        return [
            Epoch(judged.measured_at, accepted(phantom_id, epoch)) for (phantom_id, epoch), judged in firsts.items()
        ]

    def measured(self, device_id: str, event_id: str) -> PatientMeasured | None:
        del device_id, event_id
        return None

    def history(self, device_id: str, *, limit: int = 100) -> Sequence[RecordedOutcome]:
        return [recorded for recorded in reversed(self._history) if recorded.device.endswith(f"/{device_id}")][:limit]

    # --- what a test makes happen ---

    def bypassed(self, device_id: str, *bypasses: BypassDetected) -> None:
        """Let patients have been scanned while a device was held."""
        self.views[device_id] = msgspec.structs.replace(self.views[device_id], bypasses=bypasses)

    def change(self, device_id: str, *, gate: Gate) -> Receipt:
        """Give a device a gate, as a commit would, and tell the listeners."""
        view = self.views[device_id]
        seq = view.device_seq + 1
        self.views[device_id] = msgspec.structs.replace(view, gate=gate, gates={"all": gate}, device_seq=seq)
        changed = GateChanged("all", gate.status, gate.since or NOW, gate.valid_until, gate.reasons)
        recorded = RecordedOutcome(f"o{seq}", f"e{seq}", view.device, seq, changed)
        event = Event(f"e{seq}", view.device, "log", seq, NOW, 1, TimeReached(NOW))
        self._history.append(recorded)
        receipt = Receipt((event,), (recorded,))
        for listener in list(self.listeners):
            listener(receipt)
        return receipt


class FakeDemo:
    """A demonstration that fails the first scanner's QC on request."""

    def __init__(self, site: FakeSite) -> None:
        self._site = site

    def actions(self) -> Sequence[DemoAction]:
        return (
            DemoAction("fail-qc", "Fail a QC on DXA1", "Two phantom scans 6 % too high.", "dxa-1"),
            DemoAction("drift", "Start a drift on DXA2", "0.3 % a week from now on.", "dxa-2"),
            DemoAction("silence", "Silence DXA2", "It stops sending anything.", "dxa-2"),
            DemoAction("clinic", "A clinic is about to start", "In a quarter of an hour."),
        )

    def run(self, name: str, device_id: str | None) -> str:
        if name == "fail-qc" and device_id:
            self._site.change(device_id, gate=held_gate(FAILED))
            return "DXA1 has sent two phantom scans that fail."
        return "Done."


def department() -> FakeSite:
    """Two scanners with two years of readings, one without today's QC; a scale with a fault."""
    first = scanner("dxa-1", "DXA1", "Horizon W", held_gate(MISSING), (phantom("SPINE-1234"), phantom("FOREARM-1")))
    second = scanner("dxa-2", "DXA2", "Prodigy", open_gate(DRIFT), (phantom("SPINE-5678", drift_open=True),))
    scale = msgspec.structs.replace(
        scanner("scale-1", "", "MS4971", open_gate(), ()),
        kind="scale",
        make="Charder",
        faults=(Fault("f1", "Display flickers", stops_scanning=False, logged_by="P. Nurse", logged_at=NOW),),
        vendor_qc_required=False,
    )
    qc = {
        "dxa-1": sorted([*series("SPINE-1234", days=730), failed("SPINE-1234"), *vendor_qc(5)], key=_measured_at),
        "dxa-2": series("SPINE-5678", days=730, drift_percent=1.4),
    }
    return FakeSite([first, second, scale], qc)


def _measured_at(judged: QcJudged) -> datetime:
    return judged.measured_at


def scanner(device_id: str, ae_title: str, model: str, gate: Gate, phantoms: tuple[PhantomStatus, ...]) -> DeviceView:
    return DeviceView(
        id=device_id,
        device=f"bath/{device_id}",
        kind="scanner",
        make="Hologic" if model.startswith("Horizon") else "GE",
        model=model,
        serial="300123",
        ae_title=ae_title,
        enforcement="worklist",
        stage="clinical",
        ring="Medical physics, 01225 428 331 (Monday to Friday, 08:00 to 17:00)",
        device_seq=7,
        gate=gate,
        gates={"all": gate},
        phantoms=phantoms,
        vendor_qc_required=True,
        vendor_qc_last=vendor_qc(1)[0],
        vendor_qc_due_by=NOW.replace(hour=23, minute=59),
        vendor_qc_failure_confirmed=False,
        vendor_qc_passed_since_failure=False,
        faults=(),
        parked=None,
        first_clinic_today=NOW.replace(hour=8, minute=30),
        clinic_ends=NOW.replace(hour=16, minute=30),
        reviews=tuple(review(f"bath/{device_id}", one.patient_id) for one in phantoms if one.drift_open),
    )


def review(device: str, phantom_id: str) -> ReviewStatus:
    """A drift of half a percent over two months, told four days ago."""
    since, told = NOW - timedelta(days=60), NOW - timedelta(days=4)
    onset = Onset(since, ((NOW - timedelta(days=75), NOW - timedelta(days=40)),), "drift", 400, 0.01, 0.005, 0.015)
    return ReviewStatus(
        review_id="R00000000001",
        device=device,
        subject=phantom_id,
        bases=("drift",),
        text=f"CUSUM signal on phantom {phantom_id}",
        opened_at=told,
        since=NOW - timedelta(days=75),
        until=None,
        unit="percent",
        sizes=(SizeAt(since, 0.0, 0.0, 0.2), SizeAt(told, 0.55, 0.31, 0.82)),
        onset=onset,
        is_assessed=True,
    )


def phantom(patient_id: str, *, drift_open: bool = False, failure_confirmed: bool = False) -> PhantomStatus:
    return PhantomStatus(
        patient_id=patient_id,
        role="independent",
        region="L1-L4",
        frequency="daily",
        serial=patient_id[-4:],
        epoch=2,
        mean=MEAN,
        sigma=0.005,
        lower=MEAN * 0.985,
        upper=MEAN * 1.015,
        baseline_scans=25,
        baseline_established=True,
        candidates=12,
        candidates_needed=10,
        last=failed(patient_id) if failure_confirmed else series(patient_id, days=1)[-1],
        last_passed_at=NOW - timedelta(days=1),
        due_by=NOW.replace(hour=23, minute=59),
        failed_scans=2 if failure_confirmed else 0,
        failure_confirmed=failure_confirmed,
        passed_since_failure=failure_confirmed,
        drift_open=drift_open,
    )


def series(phantom_id: str, *, days: int, drift_percent: float = 0.0) -> list[QcJudged]:
    """Daily readings up to yesterday with a repeatable scatter, and a drift over the last 120 days."""
    readings, upper, lower = [], 0.0, 0.0
    for day in range(days):
        left = days - day
        noise = 0.0034 * (math.sin(day * 12.9898) + math.sin(day * 4.1414) * 0.7)
        drift = drift_percent / 100 * max(0.0, 1 - left / 120)
        bmd, epoch = MEAN * (1 + noise + drift), 1 if left > 400 else 2
        z = (bmd - MEAN) / 0.005
        upper, lower = max(0.0, upper + z - 0.5), max(0.0, lower - z - 0.5)
        signal = upper > 5 or lower > 5
        point = ChartPoint(epoch, MEAN, 0.005, 0.985, 1.015, (bmd - MEAN) * 100, upper, lower, 5.0, signal)
        verdict = Verdict.FAIL if abs(bmd - MEAN) > 0.015 else Verdict.PASS
        readings.append(_judged(phantom_id, day, NOW - timedelta(days=left, minutes=12), verdict, bmd=bmd, point=point))
    return readings


def failed(phantom_id: str) -> QcJudged:
    point = ChartPoint(2, MEAN, 0.005, 0.985, 1.015, 1.9, 3.3, 0.0, 5.0, signal=False)
    at = NOW - timedelta(minutes=15)
    return _judged(phantom_id, 9999, at, Verdict.FAIL_CONFIRMED, bmd=1.019, point=point, note="Repeat failed too")


def vendor_qc(count: int) -> list[QcJudged]:
    return [
        QcJudged(
            subject_event_id=f"vendor-{day}",
            revision=0,
            role=PhantomRole.MANUFACTURER_DAILY,
            phantom_id="vendor-qc",
            region="",
            measured_at=NOW - timedelta(days=count - day, minutes=40),
            verdict=Verdict.PASS,
        )
        for day in range(count)
    ]


def _judged(
    phantom_id: str, place: int, at: datetime, verdict: Verdict, *, bmd: float, point: ChartPoint, note: str = ""
) -> QcJudged:
    return QcJudged(
        subject_event_id=f"{phantom_id}-{place}",
        revision=0,
        role=PhantomRole.INDEPENDENT,
        phantom_id=phantom_id,
        region="L1-L4",
        measured_at=at,
        verdict=verdict,
        bmd_g_cm2=bmd,
        chart=point,
        note=note,
    )


def accepted(phantom_id: str, epoch: int) -> BaselineAccepted:
    return BaselineAccepted(
        phantom_id=phantom_id,
        epoch=epoch,
        n=25,
        mean_g_cm2=MEAN,
        sd_g_cm2=0.004,
        sigma_g_cm2=0.005,
        lower_g_cm2=0.985,
        upper_g_cm2=1.015,
        established=True,
        accepted_by=Person("M. Expert", "physicist"),
        reason="routine",
    )


def _gate_after(command: Command, gate: Gate) -> Gate:
    if isinstance(command, EnterVendorQc):
        return open_gate(since=NOW) if command.passed else held_gate(FAILED)
    if isinstance(command, OverrideGate):
        until = command.until or NOW.replace(hour=16, minute=30)
        return Gate(GateStatus.OVERRIDDEN, NOW, until, gate.reasons, command.actor.name, until)
    if isinstance(command, EndOverride):
        return held_gate(*gate.reasons)
    if isinstance(command, LogFault) and command.stops_scanning:
        return held_gate(STOPPED)
    return gate
