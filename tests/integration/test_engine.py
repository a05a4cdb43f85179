"""The site's engine on a real SQLite file: what is acknowledged is kept, once, and unknown is held."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from streams import codec
from streams.commands import EnterVendorQc, OverrideGate, Refusal
from streams.engine import SiteEngine
from streams.fold import FOLD_VERSION
from streams.fold.state import DeviceState
from streams.messages import (
    ClinicCalendarChanged,
    CommissioningSignedOff,
    DeviceReconfigured,
    DeviceRegistered,
    Draft,
    FoldUpgraded,
    GateChanged,
    GateStatus,
    PhantomMeasured,
    TimeReached,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy
from streams.refold import replay, verify
from streams.site import EventConflictError, Receipt, SiteUnavailableError
from streams.sqlite_log import LogError, SqliteEventLog
from tests.folding import DEVICE, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, WEEKDAY_CLINIC, baseline

OTHER = "test-site/dxa-2"
CONFIGURED = {DEVICE: (POLICY, WEEKDAY_CLINIC), OTHER: (POLICY, WEEKDAY_CLINIC)}


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


class Running:
    """An engine on a file, to be stopped and started again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.scans = 0
        self.start()

    def start(self, configured: dict[str, tuple[DevicePolicy, ClinicCalendar]] | None = None) -> None:
        self.log = SqliteEventLog(self.path)
        self.engine = SiteEngine(self.log, clock=self.clock)
        self.engine.start(CONFIGURED if configured is None else configured)

    def stop(self) -> None:
        self.engine.stop()
        self.log.close()

    def restart(self, configured: dict[str, tuple[DevicePolicy, ClinicCalendar]] | None = None) -> None:
        self.stop()
        self.start(configured)

    def draft(self, bmd: float, *, device: str = DEVICE, identity: str | None = None) -> Draft:
        self.scans += 1
        name = identity or f"{device}-{self.scans}"
        fact = PhantomMeasured(PHANTOM, "L1-L4", bmd, self.clock.now, name)
        return Draft(event_id(name), device, fact)

    def scan(self, bmd: float, *, device: str = DEVICE, identity: str | None = None) -> Receipt:
        return self.engine.append([self.draft(bmd, device=device, identity=identity)])

    def open_gate(self, device: str = DEVICE) -> None:
        signed = Draft(event_id(device, "signed"), device, CommissioningSignedOff(PHYSICIST))
        self.engine.append([signed, Draft(event_id(device, "baseline"), device, baseline())])
        self.vendor_qc(device)
        self.scan(1.0, device=device)

    def vendor_qc(self, device: str = DEVICE) -> Receipt | Refusal:
        seq = self.engine.states[device].device_seq
        command = EnterVendorQc(
            device=device, actor=OPERATOR, request_id=f"qc-{device}-{seq}", passed=True, reviewed_by="Pat"
        )
        return self.engine.execute(command, expected_device_seq=seq)

    def sql(self, *statements: str) -> None:
        """Do to the file what no program of ours does."""
        with sqlite3.connect(self.path) as db:
            for statement in statements:
                db.execute(statement)
        db.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "log.sqlite")
    yield running
    running.stop()


def test_the_gate_opens_on_qc_and_the_other_scanner_is_not_affected(site: Running) -> None:
    assert site.engine.gate(DEVICE).status is GateStatus.HELD
    site.open_gate()
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN
    assert site.engine.gate(OTHER).status is GateStatus.HELD
    site.open_gate(OTHER)
    site.scan(1.06)
    assert site.engine.gate(DEVICE).error_comment().startswith("qc_failed")
    assert site.engine.gate(OTHER).status is GateStatus.OPEN


def test_the_same_event_counts_once_and_other_content_is_refused_whole(site: Running) -> None:
    site.open_gate()
    first = site.draft(1.01, identity="a scan")
    assert len(site.engine.append([first]).events) == 1
    again = site.engine.append([first])
    assert again.events == ()
    assert again.duplicates == (first.event_id,)
    before = site.log.count()
    other = Draft(first.event_id, DEVICE, PhantomMeasured(PHANTOM, "L1-L4", 1.02, MONDAY, "a scan"))
    with pytest.raises(EventConflictError):
        site.engine.append([site.draft(1.0), other])
    assert site.log.count() == before, "all or none"
    with pytest.raises(EventConflictError):
        site.engine.append([Draft(first.event_id, OTHER, first.fact)])


@pytest.mark.parametrize("bmd", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_at_the_border(site: Running, bmd: float) -> None:
    before = site.log.count()
    with pytest.raises(ValueError, match="bmd_g_cm2"):
        site.scan(bmd)
    assert site.log.count() == before


def test_a_device_that_is_not_configured_is_refused_and_held(site: Running) -> None:
    with pytest.raises(ValueError, match="not in this site's configuration"):
        site.scan(1.0, device="test-site/nobody")
    assert site.engine.gate("test-site/nobody").status is GateStatus.HELD


def test_many_threads_are_committed_once_each_in_contiguous_sequence(site: Running) -> None:
    barrier = threading.Barrier(16)

    def work(worker: int) -> None:
        barrier.wait()
        for place in range(25):
            device = DEVICE if worker % 2 else OTHER
            site.engine.append([site.draft(1.0, device=device, identity=f"w{worker}-{place}")])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    result = verify(site.log)
    assert result.faults == ()
    assert result.events == 16 * 25 + 2  # and the two registrations
    assert replay(site.log).differences == ()


def test_time_passes_in_the_log_before_a_gate_is_read_and_before_an_event(site: Running) -> None:
    site.open_gate()
    site.clock.now = MONDAY + timedelta(days=3)
    gate = site.engine.gate(DEVICE)
    assert [reason.code.value for reason in gate.reasons] == ["qc_missing", "independent_overdue"]
    assert gate.since == datetime(2026, 11, 3, 0, 0, tzinfo=UTC), (
        "held since the pass lapsed, not since somebody looked"
    )
    events = [codec.decode_event(row.body) for row in site.log.rows(DEVICE)]
    assert isinstance(events[-1].fact, TimeReached)


def test_a_clock_that_goes_back_holds_every_gate(site: Running) -> None:
    site.open_gate()
    site.open_gate(OTHER)
    site.clock.now = MONDAY - timedelta(hours=1)
    for device in (DEVICE, OTHER):
        gate = site.engine.gate(device)
        assert gate.status is GateStatus.HELD
        assert "clock" in gate.reasons[0].text
    site.scan(1.0)
    assert verify(site.log).faults == (), "recorded times never go back"


def test_a_clock_that_goes_back_is_noticed_though_nothing_was_recorded_meanwhile(site: Running) -> None:
    site.open_gate()
    site.clock.now = MONDAY + timedelta(hours=15)
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN
    site.clock.now = MONDAY
    assert "clock" in site.engine.gate(DEVICE).reasons[0].text


class Unspeakable:
    """A log stream on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError("no space left on device")

    def flush(self) -> None:
        raise OSError("no space left on device")


def test_a_writer_that_cannot_even_log_lives_and_recovers(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open_gate()
    monkeypatch.setattr(site.engine._writer, "_logger", structlog.PrintLogger(Unspeakable()))  # type: ignore[arg-type]
    site.log._db.execute("PRAGMA max_page_count = 1")
    drafts = [site.draft(1.0) for _ in range(200)]
    with pytest.raises(SiteUnavailableError):
        site.engine.append(drafts)
    assert not site.engine.ready
    site.log._db.execute("PRAGMA max_page_count = 1000000")
    site.scan(1.06)
    assert site.engine.gate(DEVICE).error_comment().startswith("qc_failed")


def test_a_dead_writer_holds_every_gate(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open_gate()
    site.open_gate(OTHER)
    monkeypatch.setattr(site.engine._writer, "_failed", None)
    monkeypatch.setattr(site.engine._writer, "_turn", None)  # both broken: the thread ends
    monkeypatch.setattr(threading, "excepthook", lambda _failure: None)
    with pytest.raises(SiteUnavailableError):
        site.engine._writer.submit(DEVICE, lambda _state, _now: (), wait_s=0.5)
    assert not site.engine.ready
    assert site.engine.gate(DEVICE).status is site.engine.gate(OTHER).status is GateStatus.HELD


def test_what_its_author_was_told_is_not_recorded_is_never_recorded(site: Running) -> None:
    site.open_gate()
    before = site.log.count()
    entered, leave = threading.Event(), threading.Event()

    def slow(_state: DeviceState, _now: datetime) -> list[Draft]:
        entered.set()
        leave.wait(5.0)
        return []

    blocker = threading.Thread(target=lambda: site.engine._writer.submit(DEVICE, slow))
    blocker.start()
    assert entered.wait(5.0)
    with pytest.raises(SiteUnavailableError, match="nothing was recorded"):
        site.engine._writer.submit(DEVICE, lambda _state, _now: [site.draft(1.06)], wait_s=0.05)
    leave.set()
    blocker.join()
    site.engine._writer.submit(None, lambda _state, _now: ())
    assert site.log.count() == before
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN


def test_one_instant_has_one_spelling_in_the_log(site: Running) -> None:
    here = timezone(timedelta(hours=1))
    fact = PhantomMeasured(PHANTOM, "L1-L4", 1.0, site.clock.now.astimezone(here), "a")
    site.engine.append([Draft("one", DEVICE, fact)])
    site.restart()
    assert replay(site.log).differences == ()


def test_time_restarts_after_an_excursion_of_the_clock_and_passes_of_the_future_are_void(tmp_path: Path) -> None:
    site = Running(tmp_path / "log.sqlite")
    site.open_gate()
    site.clock.now = MONDAY + timedelta(days=400)
    assert site.engine.gate(DEVICE).status is GateStatus.HELD
    assert isinstance(site.vendor_qc(), Receipt)
    site.scan(1.0)
    site.clock.now = MONDAY + timedelta(hours=1)
    assert "clock" in site.engine.gate(DEVICE).reasons[0].text
    site.stop()
    with SqliteEventLog(site.path) as log:
        assert SiteEngine(log, clock=site.clock).correct_clock(PHYSICIST, "the battery was flat") == 2
    site.start()
    assert [r.code.value for r in site.engine.gate(DEVICE).reasons] == ["qc_missing", "independent_overdue"]
    site.vendor_qc()
    site.scan(1.0)
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN
    assert verify(site.log).faults == ()
    assert replay(site.log).differences == ()
    site.stop()


def test_a_restart_resumes_where_the_log_ends(site: Running) -> None:
    site.open_gate()
    before, events = site.engine.states[DEVICE], site.log.count()
    site.restart()
    assert site.engine.states[DEVICE] == before
    assert site.log.count() == events, "nothing is recorded when file and log agree"
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN


def test_before_it_has_started_and_after_it_has_stopped_every_gate_is_held(tmp_path: Path) -> None:
    site = Running(tmp_path / "log.sqlite")
    site.open_gate()
    site.stop()
    assert site.engine.gate(DEVICE).status is GateStatus.HELD
    with pytest.raises(SiteUnavailableError):
        site.scan(1.0)
    with SqliteEventLog(tmp_path / "log.sqlite") as log:
        assert SiteEngine(log, clock=site.clock).gate(DEVICE).reasons[0].code.value == "state_unknown"


def test_a_lost_state_is_folded_anew_from_the_events(site: Running) -> None:
    site.open_gate()
    before = site.engine.states[DEVICE]
    site.stop()
    site.sql("DELETE FROM states")
    site.start()
    assert site.engine.states[DEVICE] == before
    assert replay(site.log).differences == (), "and stands in the log again"


def test_changed_configuration_is_recorded_and_in_force_from_there(site: Running) -> None:
    site.open_gate()
    policy = replace(POLICY, serial="2")
    calendar = ClinicCalendar("Europe/London")
    site.restart({DEVICE: (policy, calendar), OTHER: (POLICY, WEEKDAY_CLINIC)})
    facts = [type(codec.decode_event(row.body).fact) for row in site.log.rows(DEVICE)]
    assert facts[0] is DeviceRegistered
    assert facts[-2:] == [DeviceReconfigured, ClinicCalendarChanged]
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN


def test_a_state_of_another_fold_version_is_folded_anew_and_its_gates_published_again(site: Running) -> None:
    site.open_gate()
    site.stop()
    site.sql("UPDATE states SET fold_version = 0")
    site.start()
    last = list(site.log.rows(DEVICE))[-1]
    assert codec.decode_event(last.body).fact == FoldUpgraded(0, FOLD_VERSION, ())
    published = [codec.decode_outcome(body).outcome for body in last.outcomes]
    assert [(one.mode, one.status) for one in published if isinstance(one, GateChanged)] == [("all", GateStatus.OPEN)]
    assert site.engine.gate(DEVICE).status is GateStatus.OPEN
    assert replay(site.log).differences == ()


def test_an_event_of_an_unknown_version_parks_its_device_and_no_other(site: Running) -> None:
    site.open_gate()
    site.open_gate(OTHER)
    site.stop()
    site.sql(
        "DROP TRIGGER events_stand",
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'phantom-measured.v1', 'phantom-measured.v9')"
        f" AS BLOB) WHERE device = '{DEVICE}' AND type = 'bonewatch.phantom-measured.v1'",
        f"DELETE FROM states WHERE device = '{DEVICE}'",
    )
    site.start()
    assert [reason.code.value for reason in site.engine.gate(DEVICE).reasons] == ["state_unknown"]
    assert site.engine.gate(OTHER).status is GateStatus.OPEN
    assert len(site.scan(1.0).events) == 1, "its events are still kept"
    override = OverrideGate(device=DEVICE, actor=OPERATOR, request_id="o", reason="checked by hand")
    seq = site.engine.states[DEVICE].device_seq
    assert isinstance(site.engine.execute(override, expected_device_seq=seq), Receipt)
    assert site.engine.gate(DEVICE).status is GateStatus.OVERRIDDEN


def test_a_full_disk_holds_every_gate_until_the_log_can_be_written_again(site: Running) -> None:
    site.open_gate()
    site.open_gate(OTHER)
    site.log._db.execute("PRAGMA max_page_count = 1")
    drafts = [site.draft(1.0) for _ in range(200)]
    with pytest.raises(SiteUnavailableError, match="full"):
        site.engine.append(drafts)
    assert not site.engine.ready
    for device in (DEVICE, OTHER):
        assert site.engine.gate(device).status is GateStatus.HELD
        assert site.engine.gate(device).reasons[0].text == "Bonewatch is starting, or cannot record"
    site.log._db.execute("PRAGMA max_page_count = 1000000")
    site.scan(1.0)
    assert site.engine.gate(DEVICE).status is site.engine.gate(OTHER).status is GateStatus.OPEN
    assert verify(site.log).faults == ()


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '1.06', '1.00') AS BLOB)",
        "UPDATE outcomes SET body = CAST(replace(CAST(body AS TEXT), '\"fail\"', '\"pass\"') AS BLOB)",
        "DELETE FROM outcomes WHERE position = (SELECT MAX(position) FROM outcomes)",
        "DELETE FROM events WHERE position = 3",
    ],
)
def test_a_forged_log_does_not_verify(site: Running, forgery: str) -> None:
    site.open_gate()
    site.scan(1.06)
    assert verify(site.log).faults == ()
    triggers = ("events_stand", "events_are_kept", "outcomes_stand", "outcomes_are_kept")
    site.sql("PRAGMA foreign_keys = OFF", *(f"DROP TRIGGER {name}" for name in triggers), forgery)
    assert verify(site.log).faults != ()


def test_the_log_refuses_to_change_or_forget_what_is_in_it(site: Running) -> None:
    site.scan(1.0)
    for statement in ("DELETE FROM events", "UPDATE events SET device = 'x'", "DELETE FROM outcomes"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            site.sql(statement)


def test_history_imported_before_the_start_equals_the_same_days_lived_through(tmp_path: Path) -> None:
    lived = Running(tmp_path / "lived.sqlite")
    entries = []
    for day in range(12):
        lived.clock.now = MONDAY + timedelta(days=day)
        draft = lived.draft(1.0 + 0.001 * day)
        entries.append((lived.clock.now, draft))
        lived.engine.append([draft])
    state = lived.engine.states[DEVICE]
    lived.stop()
    registered = (MONDAY, Draft("registered", DEVICE, DeviceRegistered(POLICY, WEEKDAY_CLINIC)))
    with SqliteEventLog(tmp_path / "imported.sqlite") as log:
        engine = SiteEngine(log)
        assert engine.import_history([registered, *entries]) == 13
        imported = engine.states[DEVICE]
        assert imported.charts[PHANTOM].candidates == state.charts[PHANTOM].candidates
        assert imported.gates == state.gates
        assert replay(log).differences == ()


def test_listeners_hear_of_commits_and_may_stop_listening(site: Running) -> None:
    heard: list[Receipt] = []
    stop = site.engine.subscribe(heard.append)
    site.engine.subscribe(lambda _receipt: 1 / 0)  # type: ignore[arg-type]
    site.scan(1.0)
    stop()
    site.scan(1.0)
    assert [len(receipt.events) for receipt in heard] == [1]


def test_a_file_that_is_no_log_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    path.write_bytes(b"these are no pages of a database, " * 200)
    with pytest.raises(LogError, match="cannot be opened as a site log"):
        SqliteEventLog(path)
