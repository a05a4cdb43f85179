"""What is told of a scanner as its real log says it stands: engine, log and readings as in a running site."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.condition import Condition, Findings, Kind, Severity
from alerts.conditions import find
from alerts.situation import DeviceSituation, Situation, clinics_ahead
from streams.commands import HandOver, OverrideGate, ReleaseQc
from streams.messages import CommissioningSignedOff, Draft, PhantomMeasured, VendorQcReported, event_id
from streams.site import Receipt
from streams.sqlite_readings import SqliteReadings
from tests.alerts_rig import RULES
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, WEEKDAY_CLINIC, baseline
from tests.integration.test_equipment_log import OTHER, Department

LONDON = "Europe/London"


class Watched(Department):
    """A scanner in clinical use on a Monday at 07:45, and one that is not commissioned."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.readings = SqliteReadings(path, self.engine, {"dxa-1": DEVICE, "dxa-2": OTHER})
        self.tell("baseline", baseline())
        self.tell("signed", CommissioningSignedOff(PHYSICIST))

    def tell(self, name: str, fact: object) -> None:
        self.engine.append([Draft(event_id(name), DEVICE, fact)])  # type: ignore[arg-type]

    def scan(self, name: str, bmd: float) -> None:
        self.tell(name, PhantomMeasured(PHANTOM, "L1-L4", bmd, self.now, name))

    def found(self) -> Findings:
        clinics = clinics_ahead(WEEKDAY_CLINIC, self.now, RULES.assumed_clinic)
        devices = tuple(DeviceSituation(view, clinics) for view in self.readings.devices())
        return find(Situation(self.now, LONDON, devices), RULES)

    def by_key(self) -> dict[str, Condition]:
        return {one.key: one for one in self.found().conditions}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    department = Watched(tmp_path / "log.sqlite")
    yield department
    department.stop()


def test_a_morning_from_qc_not_done_to_cleared(watched: Watched) -> None:
    not_done = watched.by_key()["gate:dxa-1"]
    assert not_done.kind is Kind.QC_NOT_DONE
    assert list(watched.by_key()) == ["gate:dxa-1"]  # the other is not in clinical use: nobody is told of it

    watched.tell("own", VendorQcReported(passed=True, measured_at=watched.now, performed_by="Oz", reviewed_by="Pat"))
    watched.scan("first", 1.019)
    failed = watched.by_key()["gate:dxa-1"]
    assert failed.headline == "Scanner DXA1 is not cleared: this morning's phantom failed (+1.9 %)"
    assert failed.advice.startswith("Reposition the phantom and scan it once more.")
    assert not_done.parts == {"not_done"}
    assert failed.parts == {f"failed:{event_id('first')}"}

    watched.now += timedelta(minutes=5)
    watched.scan("repeat", 1.0)
    assert watched.by_key() == {}
    assert watched.found().endings["gate:dxa-1"] == "Scanner DXA1 is cleared."


def test_a_failure_that_is_confirmed_goes_to_the_physicist_until_it_is_released(watched: Watched) -> None:
    watched.tell("own", VendorQcReported(passed=True, measured_at=watched.now, performed_by="Oz", reviewed_by="Pat"))
    for name in ("first", "second"):
        watched.now += timedelta(minutes=2)
        watched.scan(name, 1.019)
    told = watched.by_key()
    key = f"qc_failed:dxa-1:{PHANTOM}"
    assert told[key].headline == f"Scanner DXA1: phantom {PHANTOM} failed twice (+1.9 %)"
    assert told[key].severity is Severity.URGENT
    assert told["gate:dxa-1"].headline.endswith("this morning's phantom failed again (+1.9 %)")
    assert any(one.kind is Kind.REVIEW_WAITING for one in told.values())

    watched.now += timedelta(minutes=2)
    watched.scan("pass", 1.0)
    assert watched.by_key()[key].news == "awaits_release"
    release = watched.ask(ReleaseQc, PHYSICIST, phantom_id=PHANTOM, cause="loose phantom holder")
    assert isinstance(release, Receipt), release
    assert key not in watched.by_key()
    assert watched.found().endings[key] == f"Scanner DXA1: phantom {PHANTOM} is released."


def test_a_patient_scanned_past_the_held_gate_is_told_and_never_who(watched: Watched) -> None:
    watched.patient("ACC-4711")
    bypass = watched.by_key()["bypass:dxa-1"]
    assert bypass.headline == "A patient was scanned on Scanner DXA1 while it was held"
    assert "4711" not in repr(watched.found())


def test_a_scanner_with_an_engineer_is_told_once_it_is_away_for_long(watched: Watched) -> None:
    over = watched.ask(HandOver, reason="stuck", engineer="Eve Engineer", company="Invented Ltd", engineer_signed=True)
    assert isinstance(over, Receipt), over
    assert watched.by_key() == {}
    watched.now += timedelta(hours=48)
    assert list(watched.by_key()) == ["handover:dxa-1"]


def test_an_override_about_to_end_is_told(watched: Watched) -> None:
    until = MONDAY.replace(hour=10, minute=0)
    watched.tell("own", VendorQcReported(passed=True, measured_at=watched.now, performed_by="Oz", reviewed_by="Pat"))
    assert watched.by_key()["gate:dxa-1"].kind is Kind.QC_NOT_DONE
    given = watched.ask(OverrideGate, PHYSICIST, reason="engineer on the way", until=until)
    assert isinstance(given, Receipt), given
    assert watched.by_key() == {}
    assert watched.found().endings["gate:dxa-1"] == "Scanner DXA1 may be used on an override until 10:00 today."
    watched.now = until - timedelta(minutes=30)
    assert list(watched.by_key()) == ["override:dxa-1"]
    watched.now = until + timedelta(seconds=1)
    assert list(watched.by_key()) == ["gate:dxa-1"]
