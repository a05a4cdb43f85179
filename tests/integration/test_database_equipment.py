"""What people did with a device and wrote of it can be asked for in views."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from storage.sink import Sink
from streams.messages import (
    Affected,
    Attachment,
    AttachmentAdded,
    ClinicCalendarChanged,
    CommissioningRecorded,
    CommissioningSignedOff,
    CrossCalibrationWithdrawn,
    DeviceReconfigured,
    DutyDone,
    EntryKind,
    EquipmentHandedBack,
    EquipmentHandedOver,
    FaultLogged,
    HandoverForm,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    PatientScanStarted,
    Person,
    PhantomMeasured,
    ReturnDecided,
    Severity,
    StepReviewed,
)
from streams.policy import Closure, CommissioningStep, Duty, DutyKind
from tests.folding import MONDAY, PHYSICIST, POLICY, WEEKDAY_CLINIC, baseline
from tests.integration.test_studies import accepted
from tests.postgres import Recorded, ServerDatabase


def test_a_handover_can_be_asked_for_in_its_stages(database: ServerDatabase) -> None:
    device = Recorded()
    affected = Affected(dose=False, image_quality=True, safety=False, measurement=False)
    operator, engineer = Person("Oz Operator", "operator"), Person("Eve Engineer", "engineer")
    device.fact(EquipmentHandedOver("h1", HandoverForm.CONTROLLED_AREA, "stuck", operator, engineer.name, "Ltd"))
    device.fact(EquipmentHandedBack("h1", engineer.name, "belt", affected, is_working=True, recorded_by=engineer))
    device.fact(ReturnDecided("h1", returns=False, decided_by=operator, note="waits"))
    device.fact(ReturnDecided("h1", returns=True, decided_by=PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute(
        "SELECT handed_over_by, engineer, company, reason, work_done, affected, is_working, decided_by, returned"
        " FROM handovers"
    ).fetchall() == [
        ("Oz Operator", "Eve Engineer", "Ltd", "stuck", "belt", ["image_quality"], True, "Pat Physicist", True)
    ]
    assert db.execute("SELECT device, stage FROM stages ORDER BY recorded_at").fetchall()[-1][1] == "commissioning"
    db.close()


def test_commissioning_steps_and_studies_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    tests = CommissioningStep.ACCEPTANCE_TESTS
    for is_good in (False, True):
        device.fact(CommissioningRecorded(tests, "2026-10-30", "Ines Taller", "Ltd", is_good, PHYSICIST))
    device.fact(CommissioningSignedOff(PHYSICIST, "2021-03-01", "red folder"))
    for epoch, step in ((1, None), (2, 0.4), (3, -0.9)):
        device.fact(msgspec.structs.replace(baseline(epoch=epoch), step_percent=step))
    device.fact(StepReviewed("SPINE-0001", 2, is_comparable=True, decision="small", decided_by=PHYSICIST))
    for study, version in (("old", 1), ("old", 2), ("gone", 1)):
        device.fact(msgspec.structs.replace(accepted(version, since=MONDAY), study_id=study))
    device.fact(CrossCalibrationWithdrawn("gone", "wrong file", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute("SELECT step, is_satisfactory, done_on FROM commissioning ORDER BY step").fetchall() == [
        ("acceptance_tests", True, "2026-10-30"),
        ("signed_off", True, "2021-03-01"),
    ]
    assert db.execute("SELECT epoch, step_percent, is_comparable FROM epochs_compared ORDER BY epoch").fetchall() == [
        (1, None, None),
        (2, 0.4, True),
        (3, -0.9, None),
    ]
    assert db.execute("SELECT study_id, version, slope FROM studies_in_force").fetchall() == [("old", 2, 1.0)]
    db.close()


def test_due_work_can_be_asked_for_as_it_stands_and_as_it_was_done(database: ServerDatabase) -> None:
    device = Recorded()
    service = Duty("service", "Maintenance", "2026-11-02", 6, "months", holds=True, kind=DutyKind.MAINTENANCE)
    gone = Duty("gone", "Gone", "2026-11-02", 0)
    device.fact(DeviceReconfigured(msgspec.structs.replace(POLICY, duties=(service, gone))))
    device.fact(DeviceReconfigured(msgspec.structs.replace(POLICY, duties=(service,))))
    closures = (Closure("2026-12-25", "2026-12-25", "Christmas Day"),)
    device.fact(ClinicCalendarChanged(msgspec.structs.replace(WEEKDAY_CLINIC, closures=closures)))
    device.fact(DutyDone("service", "2026-11-02", "Eve of Invented Ltd", PHYSICIST, reference="R 17"))
    device.fact(DutyDone("service", "some day", "Eve", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    now = db.execute("SELECT device_id, duty_id, name, kind, holds, standing, due_at, done_on FROM duty_now").fetchall()
    due_at, done_on = datetime(2027, 5, 3, tzinfo=UTC) - timedelta(hours=1), date(2026, 11, 2)
    assert now == [("dxa-1", "service", "Maintenance", "maintenance", True, "ok", due_at, done_on)]
    assert db.execute(
        "SELECT standing, effective_at = recorded_at FROM duty_changes WHERE duty_id = 'service' ORDER BY device_seq"
    ).fetchall() == [("due", True), ("ok", True)]
    assert db.execute("SELECT done_on, done_by, reference, person FROM duty_history ORDER BY done_on").fetchall() == [
        (done_on, "Eve of Invented Ltd", "R 17", "Pat Physicist"),
        (None, "Eve", "", "Pat Physicist"),
    ]
    assert db.execute("SELECT closures->0->>'why' FROM clinic_calendars ORDER BY device_seq").fetchall() == [
        (None,),
        ("Christmas Day",),
    ]
    db.close()


HELD = "qc_missing, independent_overdue, no_baseline, not_commissioned"
"""What holds a scanner that was only registered."""


def test_incidents_entries_and_files_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    operator = Person("Oz Operator", "operator")
    device.fact(LogEntryMade(EntryKind.DAILY, "quiet", operator))
    entry = device.log.rows[-1].event.event_id
    device.fact(LogEntryMade(EntryKind.COMMENT, "seen", PHYSICIST, entry))
    device.fact(IncidentRecorded("near_miss", "wrong side", operator))
    incident = device.log.rows[-1].event.event_id
    device.fact(AttachmentAdded(Attachment("a" * 64, "photo.png", "image/png", 1200), incident, operator, "the table"))
    device.fact(PatientScanStarted("A1", device.now, "1.2.3"))
    bypass = device.log.rows[-1].outcomes[-1].outcome_id
    device.fact(IncidentClosed(incident, "marked anew", PHYSICIST))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    asked = "incident_id, kind, text, opened_by, finding, closed_by, is_open, files"
    assert db.execute(f"SELECT {asked} FROM incidents ORDER BY opened_at, kind DESC").fetchall() == [
        (incident, "near_miss", "wrong side", "Oz Operator", "marked anew", "Pat Physicist", False, 1),
        (bypass, "bypass", HELD, "", None, None, True, 0),
    ]
    assert db.execute("SELECT kind, title, text, about FROM equipment_log ORDER BY device_seq").fetchall() == [
        ("entry", "daily", "quiet", ""),
        ("comment", "comment", "seen", entry),
        ("incident", "near_miss", "wrong side", ""),
        ("file", "photo.png", "the table", incident),
        ("incident", "bypass", HELD, ""),
        ("incident", "closed", "marked anew", incident),
    ]
    assert db.execute("SELECT digest, media_type, size FROM attachments").fetchall() == [("a" * 64, "image/png", 1200)]
    db.close()


def test_a_fault_of_a_log_and_the_constants_of_a_scan_can_be_asked_for(database: ServerDatabase) -> None:
    device = Recorded()
    by = Person("the device's log", "service")
    said = {"code": "E17", "severity": Severity.ERROR, "component": "c-arm"}
    device.fact(FaultLogged("f", "C-arm", stops_scanning=True, logged_by=by, **said))  # type: ignore[arg-type]
    scan = PhantomMeasured("SPINE-0001", "L1-L4", 1.0, device.now, "a", software="13.6")
    device.fact(msgspec.structs.replace(scan, scan_mode="Array", k=1.13, d0=48.6))
    sink = Sink(database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    db = database.connect()
    assert db.execute("SELECT code, severity, component, is_open FROM faults").fetchall() == [
        ("E17", "error", "c-arm", True)
    ]
    assert db.execute("SELECT phantom_id, k, d0, scan_mode, software FROM scan_constants").fetchall() == [
        ("SPINE-0001", 1.13, 48.6, "Array", "13.6")
    ]
    db.close()
