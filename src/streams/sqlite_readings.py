"""The `Readings` port served from the site log: its own read-only connection, beside the writer."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from qa_models.baseline import tolerance_limits
from streams import codec
from streams.engine import SiteEngine
from streams.fold.checks import UNITS
from streams.fold.checks import lapses_at as check_lapses_at
from streams.fold.due_work import due_list
from streams.fold.epochs import is_proposed
from streams.fold.gate import lapses_at
from streams.fold.schedule import clinics_on, local_day
from streams.fold.state import VENDOR_QC, DeviceState
from streams.messages import (
    BaselineAccepted,
    BypassDetected,
    CheckJudged,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DeviceReconfigured,
    DeviceRegistered,
    Event,
    PatientMeasured,
    QcJudged,
    RecordedOutcome,
    Verdict,
)
from streams.policy import DeviceKind, Phantom, PhantomRole
from streams.readings import BYPASSES_SHOWN_FOR, DeviceView, Epoch, Fault, PhantomStatus, StandardStatus, WithEngineer
from streams.sqlite_equipment_log import SqliteEquipmentLog
from streams.sqlite_reviews import device_reviews
from streams.sqlite_scans import ScansToday
from streams.studies import DeviceReplaced, StudyVersion, versions

_QC: Final = "bonewatch.qc-judged.v1"
_CHECK: Final = "bonewatch.check-judged.v1"
_BYPASS: Final = "bonewatch.bypass-detected.v1"
_BASELINE: Final = "bonewatch.baseline-accepted.v1"
_STUDY: Final = "bonewatch.cross-calibration-accepted.v1"
_STUDY_WITHDRAWN: Final = "bonewatch.cross-calibration-withdrawn.v1"
_REGISTERED: Final = "bonewatch.device-registered.v1"
_RECONFIGURED: Final = "bonewatch.device-reconfigured.v1"
_HISTORY: Final = b'"verdict":"history"'
_FROM_HISTORY: Final = b'"source":"history"'


class _Charted:
    """Readings of one device decoded so far: the highest revision of each, and the log's place they reach to."""

    def __init__(self) -> None:
        self.position = 0
        self.latest: dict[str, QcJudged] = {}

    def take(self, position: int, body: bytes) -> None:
        judged = codec.decode_outcome(body).outcome
        self.position = position
        if isinstance(judged, QcJudged):
            kept = self.latest.get(judged.subject_event_id)
            if kept is None or judged.revision >= kept.revision:
                self.latest[judged.subject_event_id] = judged


class _Newest:
    """The reading of each chart that was recorded last, and the log's place that was looked at."""

    def __init__(self) -> None:
        self.position = 0
        self.last: dict[str, QcJudged] = {}

    def take(self, body: bytes) -> None:
        judged = codec.decode_outcome(body).outcome
        if isinstance(judged, QcJudged) and judged.revision == 0 and not _is_for_the_record(judged):
            self.last[judged.phantom_id] = judged


class SqliteReadings:
    """What people read of a site (see `streams.readings.Readings`); `equipment_log` is its other half.

    Parameters
    ----------
    path
        The site log's file.
    engine
        The running engine, for states and gates.
    names
        Device id within the site (``dxa-1``) to device key (``site/dxa-1``), in configuration order.
    """

    def __init__(self, path: Path, engine: SiteEngine, names: Mapping[str, str]) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._engine = engine
        self._names = names
        self.equipment_log = SqliteEquipmentLog(path, names)
        self._charted: dict[str, _Charted] = {}
        self._newest: dict[str, _Newest] = {}
        self._scans = ScansToday(self._query)
        self._lock = threading.Lock()

    def devices(self) -> Sequence[DeviceView]:
        """Return every configured device with its gate read now."""
        return [view for name in self._names if (view := self.device(name)) is not None]

    def device(self, device_id: str) -> DeviceView | None:
        """Return one device, or None."""
        key = self._names.get(device_id)
        if key is None:
            return None
        gate = self._engine.gate(key)
        state = self._engine.states.get(key)
        if state is None or state.policy is None:
            return None
        policy, now = state.policy, self._engine.now()
        today = clinics_on(state.calendar, local_day(now, state.calendar.time_zone))
        vendor = Phantom(VENDOR_QC, PhantomRole.MANUFACTURER_DAILY)
        last = self._last_judged(key)
        return DeviceView(
            id=device_id,
            device=key,
            kind=policy.kind.value,
            make=policy.make,
            model=policy.model,
            serial=policy.serial,
            ae_title=policy.ae_title,
            enforcement=policy.enforcement.value,
            stage=state.stage,
            ring=policy.ring,
            device_seq=state.device_seq,
            gate=gate,
            gates={mode: self._engine.gate(key, mode) for mode in policy.mode_names},
            phantoms=tuple(
                _phantom_status(state, phantom, last.get(phantom.patient_id)) for phantom in policy.own_phantoms
            ),
            vendor_qc_required=policy.qc.manufacturer_required,
            vendor_qc_last=last.get(VENDOR_QC),
            vendor_qc_due_by=lapses_at(state, vendor, state.chart(VENDOR_QC)),
            vendor_qc_failure_confirmed=state.chart(VENDOR_QC).head.confirmed,
            vendor_qc_passed_since_failure=state.chart(VENDOR_QC).head.passed_since,
            faults=tuple(Fault(f.fault_id, f.text, f.stops_scanning, f.logged_by, f.logged_at) for f in state.faults),
            parked=state.parked,
            first_clinic_today=today[0][0] if today else None,
            clinic_ends=max((end for _, end in today), default=None),
            standards=tuple(self._standards(key, state)),
            session=self._engine.session(key),
            service=WithEngineer(service.engineer, service.company, service.since)
            if (service := state.service)
            else None,
            to_verify=tuple(state.changed.before) if state.changed else (),
            due=due_list(state, now),
            incidents=tuple(self.equipment_log.open_incidents(device_id)),
            bypasses=tuple(self._bypasses(key, now)) if policy.kind is DeviceKind.SCANNER else (),
            reviews=device_reviews(key, state, self._query),
            qc_rules=policy.qc,
            measured_today=self._scans.of(key, now, state.calendar.time_zone),
        )

    def qc(
        self, device_id: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 5000
    ) -> Sequence[QcJudged]:
        """Return judged readings, the highest revision of each, by `measured_at`."""
        key = self._names.get(device_id)
        if key is None:
            return []
        readings = sorted(self._latest(key), key=lambda judged: judged.measured_at)
        within = [
            judged
            for judged in readings
            if (since is None or judged.measured_at >= since) and (until is None or judged.measured_at < until)
        ]
        return within[-limit:]

    def epochs(self, device_id: str) -> Sequence[Epoch]:
        """Return the accepted baselines of all the device's phantoms, oldest first."""
        events = self._events(self._names.get(device_id, ""), _BASELINE)
        return [Epoch(event.recorded_at, event.fact) for event in events if isinstance(event.fact, BaselineAccepted)]

    def measured(self, device_id: str, event_id: str) -> PatientMeasured | None:
        """Return what the record holds of a patient's measurement, or None."""
        query = "SELECT body FROM events WHERE event_id = ? AND device = ? AND type = 'bonewatch.patient-measured.v1'"
        rows = self._query(query, (event_id, self._names.get(device_id, "")))
        fact = codec.decode_event(rows[0][0]).fact if rows else None
        return fact if isinstance(fact, PatientMeasured) else None

    def studies(self, device_id: str) -> Sequence[StudyVersion]:
        """Return every version of every cross-calibration of a device, oldest first."""
        key = self._names.get(device_id, "")
        types = (_STUDY, _STUDY_WITHDRAWN, _REGISTERED, _RECONFIGURED)
        events = sorted((event for name in types for event in self._events(key, name)), key=lambda e: e.device_seq)
        return versions(_of_studies(events))

    def history(self, device_id: str, *, limit: int = 100) -> Sequence[RecordedOutcome]:
        """Return the newest outcomes of a device, newest first."""
        rows = self._query(
            "SELECT body FROM outcomes WHERE device = ? ORDER BY position DESC LIMIT ?",
            (self._names.get(device_id, ""), limit),
        )
        return [codec.decode_outcome(body) for (body,) in rows]

    def _last_judged(self, key: str) -> dict[str, QcJudged]:
        """Return the reading of each chart that was recorded last, by chart key; imported history is none of them."""
        with self._lock:
            newest = self._newest.setdefault(key, _Newest())
            ((top,),) = self._query(
                "SELECT COALESCE(MAX(position), 0) FROM outcomes WHERE device = ? AND type = ?", (key, _QC)
            )
            rows = self._query(
                "SELECT body FROM outcomes WHERE device = ? AND type = ? AND position > ? AND position <= ?"
                " AND instr(body, ?) = 0 ORDER BY position DESC LIMIT 200",
                (key, _QC, newest.position, top, _HISTORY),
            )
            for (body,) in reversed(rows):
                newest.take(body)
            newest.position = top
            return dict(newest.last)

    def _bypasses(self, key: str, now: datetime) -> Iterator[BypassDetected]:
        """Yield the patients scanned while the gate was held, of the last days, newest first."""
        rows = self._query(
            "SELECT o.body, e.recorded_at FROM outcomes o JOIN events e ON e.position = o.event_position"
            " WHERE o.device = ? AND o.type = ? ORDER BY o.position DESC LIMIT 50",
            (key, _BYPASS),
        )
        for body, told_at in rows:
            outcome = codec.decode_outcome(body).outcome
            if isinstance(outcome, BypassDetected) and datetime.fromisoformat(told_at) > now - BYPASSES_SHOWN_FOR:
                yield outcome

    def _standards(self, key: str, state: DeviceState) -> Iterator[StandardStatus]:
        """Yield how each standard of a scale or stadiometer stands."""
        policy = state.policy
        if policy is None or policy.kind not in UNITS or not policy.checks.standards:
            return
        last = self._last_checks(key)
        for standard in policy.checks.standards:
            check = state.checks.get(standard.standard_id)
            yield StandardStatus(
                standard_id=standard.standard_id,
                nominal=standard.nominal,
                unit=UNITS[policy.kind],
                certificate=standard.certificate,
                last=last.get(standard.standard_id),
                last_passed_at=check.passed_at if check else None,
                due_by=check_lapses_at(state, policy.checks, check),
            )

    def _last_checks(self, key: str) -> dict[str, CheckJudged]:
        """Return the check with each standard that was recorded last; history only where there is nothing else."""
        query = (
            "SELECT o.body FROM outcomes o JOIN events e ON e.position = o.event_position"
            " WHERE o.device = ? AND o.type = ? AND (instr(e.fact, ?) = 0) = ? ORDER BY o.position DESC LIMIT 200"
        )
        last: dict[str, CheckJudged] = {}
        for is_live in (True, False):
            for (body,) in self._query(query, (key, _CHECK, _FROM_HISTORY, is_live)):
                outcome = codec.decode_outcome(body).outcome
                if isinstance(outcome, CheckJudged):
                    last.setdefault(outcome.standard_id, outcome)
        return last

    def _latest(self, key: str) -> list[QcJudged]:
        """Return the highest revision of each reading; only what is new in the log is decoded."""
        with self._lock:
            known = self._charted.setdefault(key, _Charted())
            rows = self._query(
                "SELECT position, body FROM outcomes WHERE device = ? AND type = ? AND position > ? ORDER BY position",
                (key, _QC, known.position),
            )
            for position, body in rows:
                known.take(position, body)
            return list(known.latest.values())

    def _events(self, key: str, type_name: str) -> list[Event]:
        rows = self._query("SELECT body FROM events WHERE device = ? AND type = ? ORDER BY position", (key, type_name))
        return [codec.decode_event(body) for (body,) in rows]

    def _query(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self._uri, uri=True)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()


def _of_studies(
    events: Iterable[Event],
) -> Iterator[tuple[datetime, CrossCalibrationAccepted | CrossCalibrationWithdrawn | DeviceReplaced]]:
    """Yield what happened to a device's studies; by the rule of the fold, another serial number is another device."""
    serial = ""
    for event in events:
        fact = event.fact
        if isinstance(fact, CrossCalibrationAccepted | CrossCalibrationWithdrawn):
            yield event.recorded_at, fact
        elif isinstance(fact, DeviceRegistered | DeviceReconfigured):
            if serial and fact.policy.serial != serial:
                yield event.recorded_at, DeviceReplaced()
            serial = fact.policy.serial


def _is_for_the_record(judged: QcJudged) -> bool:
    """Whether a reading was kept as history and has no place on its chart."""
    strange = judged.verdict in {Verdict.IMPLAUSIBLE, Verdict.WRONG_PHANTOM}
    return judged.verdict is Verdict.HISTORY or (strange and judged.chart is None)


def _phantom_status(state: DeviceState, phantom: Phantom, last: QcJudged | None) -> PhantomStatus:
    assert state.policy is not None  # noqa: S101 - the caller has checked
    chart = state.chart(phantom.patient_id)
    head, baseline = chart.head, chart.baseline
    limits = tolerance_limits(baseline.mean_g_cm2, state.policy.qc.tolerance_percent) if baseline else (None, None)
    return PhantomStatus(
        patient_id=phantom.patient_id,
        role=phantom.role.value,
        region=phantom.region,
        frequency=phantom.frequency.value,
        serial=phantom.serial,
        epoch=baseline.epoch if baseline else None,
        mean=baseline.mean_g_cm2 if baseline else None,
        sigma=baseline.sigma_g_cm2 if baseline else None,
        lower=limits[0],
        upper=limits[1],
        baseline_scans=baseline.n if baseline else 0,
        baseline_established=baseline.established if baseline else False,
        candidates=len(chart.candidates),
        candidates_needed=state.policy.qc.min_scans,
        last=last,
        last_passed_at=head.passed_at,
        due_by=lapses_at(state, phantom, chart),
        failed_scans=head.failures,
        failure_confirmed=head.confirmed,
        passed_since_failure=head.passed_since,
        drift_open=head.drift_open,
        is_proposed=is_proposed(chart, state.policy.qc.established_at),
        unreviewed_step=chart.unreviewed_step,
    )
