"""While Bonewatch itself was down: the mark it leaves, what the record says of the gap, how its scans stand."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bonewatch.alive import MARK, interruption, marked
from streams.downtime import Gap, GapScan, Standing, gaps, scans_in
from streams.messages import (
    BypassDetected,
    EquipmentHandedOver,
    FaultCleared,
    FaultLogged,
    HandoverForm,
    Outcome,
    PatientMeasured,
    PatientScanStarted,
    PhantomMeasured,
    VendorQcReported,
    WatchInterrupted,
)
from streams.policy import DevicePolicy, Mode, Phantom, PhantomRole
from tests.folding import DEVICE, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, baseline
from tests.postgres import Recorded

TUESDAY = MONDAY + timedelta(days=1)
GAP = Gap(TUESDAY - timedelta(hours=1), TUESDAY + timedelta(hours=8))


# --- the mark ------------------------------------------------------------------------------------------------


def test_a_first_start_and_a_short_stop_tell_nothing(tmp_path: Path) -> None:
    assert interruption(tmp_path, [DEVICE], MONDAY) == []
    with marked(tmp_path, lambda: MONDAY):
        pass
    assert interruption(tmp_path, [DEVICE], MONDAY + timedelta(minutes=2)) == []
    assert interruption(tmp_path, [DEVICE], MONDAY - timedelta(hours=1)) == []


def test_a_long_stop_is_told_for_each_device(tmp_path: Path) -> None:
    with marked(tmp_path, lambda: MONDAY):
        pass
    told = interruption(tmp_path, [DEVICE, "test-site/dxa-2"], MONDAY + timedelta(minutes=4))
    assert [(draft.device, draft.fact) for draft in told] == [
        (device, WatchInterrupted(MONDAY, MONDAY + timedelta(minutes=4))) for device in (DEVICE, "test-site/dxa-2")
    ]
    again = interruption(tmp_path, [DEVICE], MONDAY + timedelta(minutes=5))
    assert again[0].event_id != told[0].event_id, "told again where the mark could not be written: another fact"


def test_a_machine_that_was_suspended_is_told_of_when_it_wakes_and_a_pause_is_not(tmp_path: Path) -> None:
    minutes = iter(
        [0.0, 0.0, 0.5, 1.0, 3.9, 63.9, 64.4, 67.4]
    )  # 2.9 minutes are a pause; an hour and three minutes are not
    woken: list[tuple[float, float]] = []
    ended = threading.Event()

    def clock() -> datetime:
        after = next(minutes, None)
        if after is None:
            ended.set()
        return MONDAY + timedelta(minutes=67.4 if after is None else after)

    def told(since: datetime, until: datetime) -> None:
        mark = datetime.fromisoformat((tmp_path / MARK).read_text(encoding="ascii").strip())
        assert mark == since, "killed now, the next start would tell of it"
        woken.append(((since - MONDAY) / timedelta(minutes=1), (until - MONDAY) / timedelta(minutes=1)))

    with marked(tmp_path, clock, told, every_s=0.001):
        assert ended.wait(30)
    assert woken == [pytest.approx((3.9, 63.9)), pytest.approx((64.4, 67.4))]


def test_a_machine_that_is_stopped_as_soon_as_it_wakes_still_tells_of_it(tmp_path: Path) -> None:
    now, woken, began = [MONDAY], list[tuple[datetime, datetime]](), threading.Event()

    def clock() -> datetime:
        began.set()
        return now[0]

    with marked(tmp_path, clock, lambda since, until: woken.append((since, until)), every_s=60):
        while not (tmp_path / MARK).is_file():
            assert began.wait(30)
        now[0] = TUESDAY
    assert woken == [(MONDAY, TUESDAY)]
    assert interruption(tmp_path, [DEVICE], TUESDAY) == []


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-02T07:45:00", "\0"])
def test_a_mark_that_says_nothing_is_no_mark(tmp_path: Path, text: str) -> None:
    (tmp_path / MARK).write_text(text)
    assert interruption(tmp_path, [DEVICE], MONDAY) == []


# --- the gap -------------------------------------------------------------------------------------------------


class Back(Recorded):
    """A scanner open on Monday; Bonewatch was down on Tuesday from 06:45 to 15:45, and is back."""

    def __init__(self) -> None:
        super().__init__()
        self.fact(baseline())
        self.vendor_qc()
        self.scan(1.0)
        self.until(GAP.until + timedelta(minutes=1))
        self.fact(WatchInterrupted(GAP.since, GAP.until))

    def told(self, number: str, hour: float) -> tuple[Outcome, ...]:
        at = TUESDAY.replace(hour=0, minute=0) + timedelta(hours=hour)
        return self.fact(PatientScanStarted(number, at, f"1.2.{number}"))

    def paper(self, hour: float, bmd: float, *, passed: bool = True) -> None:
        at = TUESDAY.replace(hour=0, minute=0) + timedelta(hours=hour)
        self.fact(VendorQcReported(passed=passed, measured_at=at, performed_by="Oz", reviewed_by="Pat"))
        self.fact(PhantomMeasured(PHANTOM, "L1-L4", bmd, at, f"paper-{hour}"))

    def listed(self) -> list[GapScan]:
        rows = [(row.event, tuple(one.outcome for one in row.outcomes)) for row in self.log.rows]
        return scans_in(GAP, DEVICE, POLICY, "Europe/London", rows)


def test_the_gap_is_on_record_once_however_many_devices_tell_of_it() -> None:
    scanner = Back()
    events = [row.event for row in scanner.log.rows]
    assert gaps([*events, *events]) == [GAP]


def test_scans_of_the_gap_are_no_bypass_and_are_listed_as_without_qc_until_it_is_entered() -> None:
    scanner = Back()
    assert not any(isinstance(one, BypassDetected) for one in scanner.told("ACC1", 9.5))
    (one,) = scanner.listed()
    assert (one.accession_number, one.standing) == ("ACC1", Standing.QC_MISSING)
    assert one.lacking == (PHANTOM, "manufacturer")
    scanner.paper(8.0, 1.001)
    assert [scan.standing for scan in scanner.listed()] == [Standing.COVERED]


def test_a_scan_before_the_qc_of_its_day_is_not_covered_by_it() -> None:
    scanner = Back()
    scanner.told("EARLY", 7.5)
    scanner.told("LATE", 8.5)
    scanner.paper(8.0, 1.001)
    assert [(scan.accession_number, scan.standing) for scan in scanner.listed()] == [
        ("EARLY", Standing.QC_MISSING),
        ("LATE", Standing.COVERED),
    ]


def test_a_phantom_that_failed_on_paper_leaves_what_was_scanned_after_it_as_failed() -> None:
    scanner = Back()
    scanner.paper(8.0, 1.03)
    scanner.told("ACC1", 9.0)
    scanner.paper(10.0, 1.001)
    scanner.told("ACC2", 11.0)
    assert [(scan.accession_number, scan.standing, scan.lacking) for scan in scanner.listed()] == [
        ("ACC1", Standing.QC_FAILED, (PHANTOM,)),
        ("ACC2", Standing.COVERED, ()),
    ]


def test_one_request_told_of_twice_is_listed_once_and_what_lies_outside_the_gap_not_at_all() -> None:
    scanner = Back()
    scanner.told("ACC1", 9.0)
    at = TUESDAY.replace(hour=9, minute=20)
    scanner.fact(PatientMeasured("ACC1", at, "acq-1"))
    scanner.told("AFTER", 15.9)
    assert [(scan.accession_number, scan.at.hour) for scan in scanner.listed()] == [("ACC1", 9)]


def test_a_scan_while_held_outside_the_gap_is_still_a_bypass() -> None:
    scanner = Back()
    assert any(isinstance(one, BypassDetected) for one in scanner.told("ACC9", 15.76))


# --- what a review by fresh eyes found -----------------------------------------------------------------------


class Down(Recorded):
    """A scanner open on Monday; what the test does next happens before Bonewatch goes down on Tuesday at 06:45."""

    def __init__(self, policy: DevicePolicy = POLICY) -> None:
        super().__init__(policy)
        for phantom in policy.phantoms:
            self.fact(baseline(phantom=phantom.patient_id))
        self.vendor_qc()
        for phantom in policy.phantoms:
            self.scan(1.0, phantom=phantom.patient_id)

    def back(self) -> None:
        self.until(GAP.until + timedelta(minutes=1))
        self.fact(WatchInterrupted(GAP.since, GAP.until))

    def paper(self, hour: float, *phantoms: str, passed: bool = True) -> None:
        at = TUESDAY.replace(hour=0, minute=0) + timedelta(hours=hour)
        self.fact(VendorQcReported(passed=passed, measured_at=at, performed_by="Oz", reviewed_by="Pat"))
        for phantom in phantoms or (PHANTOM,):
            self.fact(PhantomMeasured(phantom, "L1-L4", 1.001, at, f"paper-{phantom}-{hour}"))

    def scanned(self, hour: float, mode: str = "") -> None:
        at = TUESDAY.replace(hour=0, minute=0) + timedelta(hours=hour)
        self.fact(PatientScanStarted("ACC1", at, "1.2.3", mode=mode))

    def one(self, policy: DevicePolicy = POLICY) -> GapScan:
        rows = [(row.event, tuple(one.outcome for one in row.outcomes)) for row in self.log.rows]
        (scan,) = scans_in(GAP, DEVICE, policy, "Europe/London", rows)
        return scan


def test_a_scanner_that_a_fault_or_an_engineer_held_before_the_gap_is_not_covered_by_qc() -> None:
    for fact, code in (
        (FaultLogged("f1", "stuck", stops_scanning=True, logged_by=OPERATOR), "fault_stops_scanning"),
        (
            EquipmentHandedOver("h1", HandoverForm.CONTROLLED_AREA, "stuck", OPERATOR, "Eve", "Ltd"),
            "with_engineer",
        ),
    ):
        scanner = Down()
        scanner.fact(fact)
        scanner.back()
        scanner.paper(8.0)
        scanner.scanned(9.0)
        assert scanner.one().standing is Standing.HELD
        assert code in scanner.one().lacking


def test_a_confirmed_failure_before_the_gap_needs_its_release() -> None:
    scanner = Down()
    for bmd in (1.03, 1.03, 1.0):
        scanner.now += timedelta(minutes=1)
        scanner.scan(bmd)
    scanner.back()
    scanner.paper(8.0)
    scanner.scanned(9.0)
    assert (scanner.one().standing, scanner.one().lacking) == (Standing.HELD, ("qc_failed",))


def test_qc_on_paper_that_comes_after_the_books_were_closed_is_judged_by_what_it_says() -> None:
    scanner = Down()
    scanner.back()
    scanner.vendor_qc()
    scanner.scan(1.0)
    scanner.fact(baseline(epoch=2, mean=1.1))  # whatever is in force later
    scanner.fact(FaultLogged("f1", "stuck", stops_scanning=True, logged_by=OPERATOR))
    scanner.fact(FaultCleared("f1", "mended", PHYSICIST))  # closes the books
    scanner.paper(8.0)
    scanner.scanned(9.0)
    assert scanner.one().standing is Standing.COVERED


def test_a_phantom_of_another_mode_is_not_asked_for() -> None:
    policy = replace(
        POLICY,
        modes=(Mode("spine"), Mode("forearm")),
        phantoms=(
            Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine",)),
            Phantom("FOREARM-1", PhantomRole.INDEPENDENT, modes=("forearm",)),
        ),
    )
    scanner = Down(policy)
    scanner.back()
    scanner.paper(8.0, PHANTOM)
    scanner.scanned(9.0, "spine")
    assert scanner.one(policy).standing is Standing.COVERED
    other = Down(policy)
    other.back()
    other.paper(8.0, PHANTOM)
    other.scanned(9.0, "forearm")
    assert (other.one(policy).standing, other.one(policy).lacking) == (Standing.QC_MISSING, ("FOREARM-1",))
