"""What is told of a scanner as its real log says it stands: engine, log and readings as in a running site."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts.condition import Condition, Findings, Kind, Severity
from alerts.conditions import find
from alerts.desk import Desk
from alerts.queue import Queue
from alerts.rota import Person, Rota
from alerts.situation import DeviceSituation, Situation, clinics_ahead
from alerts.watch import Plan, Watch
from streams.commands import HandOver, OverrideGate, ReleaseQc
from streams.messages import CommissioningSignedOff, Draft, PhantomMeasured, VendorQcReported, event_id
from streams.refold import replay
from streams.roles import Role
from streams.site import Receipt
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from tests.alert_rig import BY_MAIL, Clock, Wire, deliverer, links
from tests.alerts_rig import RULES
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, WEEKDAY_CLINIC, baseline
from tests.integration.test_equipment_log import OTHER, Department

LONDON = "Europe/London"


class Watched(Department):
    """A scanner in clinical use on a Monday at 07:45, and one that is not commissioned."""

    def __init__(self, path: Path, *, is_new: bool = True) -> None:
        super().__init__(path)
        self.readings = SqliteReadings(path, self.engine, {"dxa-1": DEVICE, "dxa-2": OTHER})
        if not is_new:
            return
        self.tell("baseline", baseline())
        self.tell("signed", CommissioningSignedOff(PHYSICIST))

    def tell(self, name: str, fact: object) -> None:
        self.engine.append([Draft(event_id(name), DEVICE, fact)])  # type: ignore[arg-type]

    def scan(self, name: str, bmd: float) -> None:
        self.tell(name, PhantomMeasured(PHANTOM, "L1-L4", bmd, self.now, name))

    def situation(self, at: datetime) -> Situation:
        self.now = at
        clinics = clinics_ahead(WEEKDAY_CLINIC, at, RULES.assumed_clinic)
        return Situation(at, LONDON, tuple(DeviceSituation(view, clinics) for view in self.readings.devices()))

    def found(self) -> Findings:
        return find(self.situation(self.now), RULES)

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


def copy_of(folder: Path, name: str, kept: str) -> None:
    """Keep a database as it is now, by SQLite's own backup."""
    with closing(sqlite3.connect(folder / name)) as of, closing(sqlite3.connect(folder / kept)) as to:
        of.backup(to)


def told_from(watched: Watched, folder: Path) -> list[str]:
    """Let a process run the site's alerts for five minutes of the clock; return the subjects that went out."""
    clock, wire, rules = Clock(watched.now), Wire(), RULES
    with Queue(folder) as queue:
        desk = Desk(queue, links(), unreached_s=600.0, clock=clock)
        delivers = deliverer(queue, {"mail": wire}, clock)
        rota = Rota((Person("Anna Example", (Role.OPERATOR,), ("mail",)),), (), LONDON)
        plan = Plan(rules, rota, {"Anna Example": BY_MAIL}, timedelta(minutes=10), timedelta(days=400))
        watch = Watch(queue, desk, delivers, watched.situation, plan, clock=clock)
        for _ in range(20):
            watch.look()
            delivers.deliver("mail")
            clock.pass_(seconds=15)
    watched.now = clock.now
    return [one.subject for one in wire.taken]


def test_an_older_log_or_a_replay_tells_nobody_what_they_were_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "log.sqlite")
    watched.now = MONDAY  # 07:45
    assert len(told_from(watched, tmp_path)) == 1  # QC is not done
    copy_of(tmp_path, "log.sqlite", "older.sqlite")
    copy_of(tmp_path, "alerts.sqlite", "older-alerts.sqlite")
    watched.tell("own", VendorQcReported(passed=True, measured_at=watched.now, performed_by="Oz", reviewed_by="Pat"))
    watched.scan("first", 1.019)
    assert len(told_from(watched, tmp_path)) == 1  # the phantom failed
    assert told_from(watched, tmp_path) == []
    now = watched.now
    watched.stop()
    with closing(SqliteEventLog(tmp_path / "log.sqlite")) as log:
        assert replay(log).differences == ()

    older = Watched(tmp_path / "older.sqlite", is_new=False)  # its backup, with what people were told since
    older.now = now
    assert older.by_key()["gate:dxa-1"].kind is Kind.QC_NOT_DONE
    assert told_from(older, tmp_path) == []
    older.stop()

    newer, folder = Watched(tmp_path / "log.sqlite", is_new=False), tmp_path / "restored"
    newer.now = now
    folder.mkdir()
    (tmp_path / "older-alerts.sqlite").rename(folder / "alerts.sqlite")
    assert len(told_from(newer, folder)) == 1  # what is not known to have been told is told once more
    assert told_from(newer, folder) == []
    newer.stop()
