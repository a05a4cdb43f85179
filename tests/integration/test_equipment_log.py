"""The equipment log as it is read from a real site log: what stands in it, what is open, what may be written about."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from streams.commands import (
    AddAttachment,
    CloseIncident,
    Command,
    DecideReturn,
    EnterPhantomScan,
    EnterVendorQc,
    HandBack,
    HandOver,
    LogFault,
    MakeLogEntry,
    OverrideGate,
    RecordIncident,
    Refusal,
    SaidAffected,
)
from streams.engine import SiteEngine
from streams.equipment_log import LogItem, LogKind
from streams.fold.decisions.records import MAX_FILES
from streams.messages import (
    Attachment,
    CommissioningSignedOff,
    Draft,
    EntryKind,
    FaultLogged,
    PatientScanStarted,
    Person,
    PhantomMeasured,
    ServiceKind,
    Source,
    VendorQcReported,
    event_id,
)
from streams.policy import DevicePolicy, Enforcement
from streams.site import Receipt
from streams.sqlite_equipment_log import SqliteEquipmentLog
from streams.sqlite_log import SqliteEventLog
from tests.folding import DEVICE, ENGINEER, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, WEEKDAY_CLINIC, baseline

OTHER = "test-site/dxa-2"
FILE = Attachment("a" * 64, "report.pdf", "application/pdf", 1200)
LATER = (
    "bonewatch.log-entry-made.v1",
    "bonewatch.attachment-added.v1",
    "bonewatch.fault-logged.v1",
    "bonewatch.equipment-handed-back.v1",
    "bonewatch.return-decided.v1",
    "bonewatch.incident-closed.v1",
)
NOTHING = SaidAffected(dose=False, image_quality=False, safety=False, measurement=False)


class Department:
    """Two scanners on a real log; each command is a request of its own, a minute after the last."""

    def __init__(self, path: Path, policy: DevicePolicy = POLICY) -> None:
        self.now = MONDAY
        self.path = path
        self.asked = 0
        self.file = SqliteEventLog(path)
        self.engine = SiteEngine(self.file, clock=lambda: self.now)
        self.engine.start({DEVICE: (policy, WEEKDAY_CLINIC), OTHER: (policy, WEEKDAY_CLINIC)})
        self.log = SqliteEquipmentLog(path, {"dxa-1": DEVICE, "dxa-2": OTHER})

    def ask(self, command: type[Command], actor: Person = OPERATOR, /, **fields: Any) -> Receipt | Refusal:
        self.asked += 1
        self.now += timedelta(minutes=1)
        device = fields.pop("device", DEVICE)
        whole: Any = {"device": device, "actor": actor, "request_id": f"request-{self.asked}", **fields}
        seq = self.engine.states[device].device_seq
        return self.engine.execute(command(**whole), expected_device_seq=seq)

    def id_of(self, command: type[Command], actor: Person = OPERATOR, /, **fields: Any) -> str:
        """Ask for something that becomes one fact; return that event's id."""
        receipt = self.ask(command, actor, **fields)
        assert isinstance(receipt, Receipt)
        return receipt.events[-1].event_id

    def refusal(self, command: type[Command], actor: Person = OPERATOR, /, **fields: Any) -> str:
        refusal = self.ask(command, actor, **fields)
        assert isinstance(refusal, Refusal)
        return refusal.text

    def patient(self, number: str) -> None:
        scan = PatientScanStarted(number, self.now, f"1.2.{number}")
        self.engine.append([Draft(event_id(number), DEVICE, scan)])

    def kinds(self, **asked: Any) -> list[str]:
        return [item.kind.value for item in self.log.items("dxa-1", **asked)]

    def stop(self) -> None:
        self.engine.stop()
        self.file.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Department]:
    department = Department(tmp_path / "log.sqlite")
    yield department
    department.stop()


def only(items: Any) -> LogItem:
    (item,) = items
    assert isinstance(item, LogItem)
    return item


def test_what_people_did_stands_in_one_list_newest_first_and_by_kind(site: Department) -> None:
    assert site.kinds() == []  # configuration and time are none of it
    entry = site.id_of(MakeLogEntry, kind=EntryKind.DAILY, text="Quiet day")
    site.id_of(MakeLogEntry, PHYSICIST, kind=EntryKind.COMMENT, text="Seen", about=entry)
    site.id_of(LogFault, text="Table squeaks", stops_scanning=False)
    site.id_of(AddAttachment, attachment=FILE, about=entry)
    site.id_of(RecordIncident, kind="near_miss", text="Wrong side")
    assert site.kinds() == ["incident", "file", "fault", "comment", "entry"]
    assert site.kinds(kinds=[LogKind.COMMENT]) == ["comment"]
    assert site.kinds(kinds=[LogKind.ENTRY, LogKind.FAULT]) == ["fault", "entry"]
    first = site.log.items("dxa-1", limit=2)
    assert site.kinds(before=first[-1].place) == ["fault", "comment", "entry"]
    item = site.log.item("dxa-1", entry)
    assert item is not None
    assert (item.comments, item.files) == (1, 1)
    assert [one.kind.value for one in site.log.about("dxa-1", entry)] == ["comment", "file"]
    assert site.log.items("dxa-2") == []
    assert site.log.item("dxa-2", entry) is None


def test_an_override_opens_an_incident_that_is_closed_once_with_a_finding(site: Department) -> None:
    signed = CommissioningSignedOff(PHYSICIST)
    site.engine.append([Draft("baseline", DEVICE, baseline()), Draft("signed", DEVICE, signed)])
    site.id_of(EnterVendorQc, passed=True, reviewed_by="Pat")
    for bmd in (1.0, 1.06):
        site.id_of(EnterPhantomScan, phantom_id=PHANTOM, bmd_g_cm2=bmd)
    site.id_of(OverrideGate, PHYSICIST, reason="Six patients wait")
    opened = only(site.log.items("dxa-1", kinds=[LogKind.INCIDENT]))
    assert opened.is_open is True
    (incident,) = site.log.open_incidents("dxa-1")
    assert (incident.id, incident.kind, incident.opened_by) == (opened.id, "override", "Pat Physicist")
    site.id_of(CloseIncident, PHYSICIST, incident_id=opened.id, finding="Right to do")
    assert site.log.open_incidents("dxa-1") == []
    assert "closed already" in site.refusal(CloseIncident, PHYSICIST, incident_id=opened.id, finding="Again")
    item = site.log.item("dxa-1", opened.id)
    assert item is not None
    assert item.is_open is False
    assert [one.kind.value for one in site.log.about("dxa-1", opened.id)] == ["incident"]


def test_a_patient_scanned_past_a_held_gate_opens_an_incident_named_by_the_outcome(site: Department) -> None:
    site.patient("A1")
    site.patient("A1")  # told of once for a request
    bypass = only(site.log.items("dxa-1", kinds=[LogKind.BYPASS]))
    (incident,) = site.log.open_incidents("dxa-1")
    assert (incident.id, incident.kind, incident.text, bypass.is_open) == (bypass.id, "bypass", "A1", True)
    assert "no such incident" in site.refusal(
        CloseIncident, PHYSICIST, device=OTHER, incident_id=bypass.id, finding="Not here"
    )
    site.id_of(CloseIncident, PHYSICIST, incident_id=bypass.id, finding="Downtime path")
    assert site.log.open_incidents("dxa-1") == []


def test_in_shadow_a_bypass_is_told_and_opens_no_incident(tmp_path: Path) -> None:
    site = Department(tmp_path / "log.sqlite", replace(POLICY, enforcement=Enforcement.SHADOW))
    site.patient("A1")
    bypass = only(site.log.items("dxa-1"))
    assert (bypass.kind, bypass.is_open) == (LogKind.BYPASS, None)
    assert site.log.open_incidents("dxa-1") == []
    assert "no such incident" in site.refusal(CloseIncident, PHYSICIST, incident_id=bypass.id, finding="x")
    site.stop()


def test_nothing_is_written_about_what_the_device_s_log_does_not_hold(site: Department) -> None:
    entry = site.id_of(MakeLogEntry, kind=EntryKind.DAILY, text="Quiet day")
    elsewhere = {"device": OTHER, "about": entry}
    assert "not in the log" in site.refusal(MakeLogEntry, kind=EntryKind.COMMENT, text="x", **elsewhere)
    assert "not in the log" in site.refusal(AddAttachment, attachment=FILE, **elsewhere)
    assert "no such incident" in site.refusal(CloseIncident, PHYSICIST, incident_id=entry, finding="x")
    site.id_of(MakeLogEntry, kind=EntryKind.DAILY, text=f'"incident_id":"{entry}"')
    assert "no such incident" in site.refusal(CloseIncident, PHYSICIST, incident_id="x", finding="x")


def test_so_many_files_and_no_more_are_added_to_one_thing(site: Department) -> None:
    entry = site.id_of(MakeLogEntry, kind=EntryKind.DAILY, text="Photos follow")
    for place in range(MAX_FILES):
        site.id_of(AddAttachment, attachment=replace(FILE, digest=f"{place:064x}"), about=entry)
    assert "20 files were added" in site.refusal(AddAttachment, attachment=FILE, about=entry)


def test_the_same_form_twice_and_a_page_out_of_date_write_nothing(site: Department) -> None:
    seq = site.engine.states[DEVICE].device_seq
    command = MakeLogEntry(device=DEVICE, actor=OPERATOR, request_id="once", kind=EntryKind.DAILY, text="Quiet")
    assert isinstance(site.engine.execute(command, expected_device_seq=seq), Receipt)
    again = site.engine.execute(command, expected_device_seq=seq)
    assert isinstance(again, Refusal)
    assert again.code == "stale"
    assert len(site.log.items("dxa-1")) == 1


def test_of_qc_only_what_was_entered_by_hand_stands_in_it(site: Department) -> None:
    sent = PhantomMeasured("SPINE-0001", "L1-L4", 1.0, site.now, "sent")
    told = VendorQcReported(passed=True, measured_at=site.now, performed_by="", reviewed_by="", source=Source.DICOM)
    site.engine.append([Draft("sent", DEVICE, sent), Draft("told", DEVICE, told)])
    assert site.kinds() == []
    site.id_of(EnterVendorQc, passed=True, reviewed_by="Pat")
    site.id_of(EnterPhantomScan, phantom_id="SPINE-0001", bmd_g_cm2=1.0)
    assert site.kinds() == ["qc", "qc"]


def test_a_handover_is_read_as_far_as_it_stands(site: Department) -> None:
    assert site.log.handover("dxa-1") is None
    site.id_of(LogFault, text="Table is stuck", stops_scanning=True)
    fault = site.engine.states[DEVICE].faults[0].fault_id
    over = {"engineer": "Eve Engineer", "company": "Invented Ltd", "engineer_signed": True}
    site.id_of(HandOver, reason="stuck", fault_id=fault, kind=ServiceKind.BREAKDOWN, **over)
    begun = site.log.handover("dxa-1")
    assert begun is not None
    assert (begun.fault, begun.over.company, begun.back, begun.decision) == (
        "Table is stuck",
        "Invented Ltd",
        None,
        None,
    )
    site.id_of(
        HandBack,
        ENGINEER,
        engineer="Eve Engineer",
        work_done="belt",
        affected=NOTHING,
        is_working=True,
        engineer_signed=True,
    )
    site.id_of(DecideReturn, returns=False, note="waits for parts")
    site.id_of(DecideReturn, returns=True)
    done = site.log.handover("dxa-1", begun.over.handover_id)
    assert done is not None
    assert done.back is not None
    assert done.decision is not None
    assert (done.back.work_done, done.decision.returns, done.verified_at) == ("belt", True, None)
    site.id_of(HandOver, reason="yearly", kind=ServiceKind.PLANNED_MAINTENANCE, **over)
    last = site.log.handover("dxa-1")
    assert last is not None
    assert (last.over.reason, last.back, last.decision) == ("yearly", None, None)
    assert site.log.handover("dxa-1", "nothing") is None


@pytest.mark.parametrize("is_first", [True, False], ids=["QC before the decision", "QC after it"])
def test_a_handover_says_from_when_the_device_is_in_clinical_use(site: Department, *, is_first: bool) -> None:
    signed = CommissioningSignedOff(PHYSICIST)
    site.engine.append([Draft("baseline", DEVICE, baseline()), Draft("signed", DEVICE, signed)])
    site.id_of(HandOver, reason="stuck", engineer="Eve Engineer", company="Invented Ltd", engineer_signed=True)
    back = {"engineer": "Eve Engineer", "work_done": "belt", "is_working": True, "engineer_signed": True}
    site.id_of(HandBack, ENGINEER, affected=NOTHING, **back)

    def qc() -> None:
        site.id_of(EnterVendorQc, passed=True, reviewed_by="Pat")
        site.id_of(EnterPhantomScan, phantom_id=PHANTOM, bmd_g_cm2=1.0)

    if is_first:
        qc()
    site.id_of(DecideReturn, returns=True)
    if not is_first:
        qc()
    done = site.log.handover("dxa-1")
    assert done is not None
    assert site.engine.states[DEVICE].stage == "clinical"
    assert done.verified_at == site.now


def test_what_a_later_version_wrote_is_left_out_and_takes_no_view_down(site: Department) -> None:
    site.id_of(LogFault, text="Table is stuck", stops_scanning=True)
    fault = site.engine.states[DEVICE].faults[0].fault_id
    entry = site.id_of(RecordIncident, kind="incident", text="Fell")
    site.id_of(MakeLogEntry, kind=EntryKind.COMMENT, text="Seen", about=entry)
    site.id_of(AddAttachment, attachment=FILE, about=entry)
    over = {"reason": "stuck", "engineer": "Eve Engineer", "company": "Invented Ltd", "engineer_signed": True}
    site.id_of(HandOver, fault_id=fault, **over)
    back = {"engineer": "Eve Engineer", "work_done": "belt", "is_working": True, "engineer_signed": True}
    site.id_of(HandBack, ENGINEER, affected=NOTHING, **back)
    site.id_of(DecideReturn, returns=True)
    with closing(sqlite3.connect(site.path)) as db, db:
        db.execute("DROP TRIGGER events_stand")
        db.execute("UPDATE events SET body = x'7b7d' WHERE type IN (?, ?, ?, ?, ?, ?)", LATER)
    assert site.kinds() == ["service", "incident"]
    item = site.log.item("dxa-1", entry)
    assert item is not None
    assert (item.comments, item.files, item.is_open) == (0, 0, True)
    begun = site.log.handover("dxa-1")
    assert begun is not None
    assert (begun.fault, begun.back, begun.decision) == ("", None, None)
    assert [one.id for one in site.log.open_incidents("dxa-1")] == [entry]


def test_a_fault_of_the_log_stands_beside_one_of_a_person(site: Department) -> None:
    fact = FaultLogged("f1", "E17", stops_scanning=False, logged_by=Person("the device's log", "service"), code="E17")
    site.engine.append([Draft("f1", DEVICE, fact)])
    assert site.kinds() == ["fault"]
