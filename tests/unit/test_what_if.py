"""Other rules on a past whose answer is known by hand or published; nothing is ever written."""

import csv
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.engine import SiteEngine
from streams.fold import FOLD_VERSION
from streams.messages import (
    CommissioningSignedOff,
    Draft,
    Event,
    Fact,
    Outcome,
    PhantomMeasured,
    ReviewDecided,
    ReviewOpened,
    ReviewVerdict,
    VendorQcReported,
    Verdict,
    event_id,
)
from streams.policy import DevicePolicy, Frequency, QcRules
from streams.sqlite_log import SqliteEventLog
from streams.what_if.differences import Difference, Side
from streams.what_if.expected import expected_of, spread_of
from streams.what_if.proposal import Proposal, proposal_of
from streams.what_if.replay import Replay, replayed
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, POLICY, WEEKDAY_CLINIC, Folded, baseline

NO_REPEAT = replace(POLICY, qc=QcRules(repeats=0))
START = MONDAY - timedelta(days=3)


class Past(Folded):
    """A device whose events are kept, as its log would."""

    def __init__(self, policy: DevicePolicy = POLICY) -> None:
        self.events: list[Event] = []
        self.reviews: list[ReviewOpened] = []
        super().__init__(policy, start=START)
        self.fact(baseline())
        self.until(MONDAY)

    def _fold(self, fact: Fact, identity: str | None) -> tuple[Outcome, ...]:
        seq = self.state.device_seq + 1
        name = identity or event_id("test", str(seq))
        self.events.append(Event(name, DEVICE, "log", seq, self.now, FOLD_VERSION, fact))
        outcomes = super()._fold(fact, name)
        self.reviews += [one for one in outcomes if isinstance(one, ReviewOpened)]
        return outcomes

    def days(self, values: list[float]) -> None:
        """Scan once each weekday at 07:45, the scanner's own QC passed before."""
        for value in values:
            while self.now.weekday() > 4:
                self.until(self.now + timedelta(days=1))
            self.vendor_qc()
            self.scan(value)
            self.until(self.now + timedelta(days=1))

    def under(self, proposal: Proposal, since: datetime = MONDAY) -> Difference:
        replay = Replay(DEVICE, proposal, since)
        for event in self.events:
            replay.take(event)
        return replay.difference()


def rules(**changed: object) -> Proposal:
    return Proposal(replace(POLICY.qc, **changed))


# --- known by hand -----------------------------------------------------------------------------------------


def test_a_step_of_1_2_percent_passes_at_1_5_and_fails_at_1_from_the_reading_at_which_it_came() -> None:
    past = Past()
    past.days([1.0, 1.001, 0.999, 1.012, 1.012, 1.012])
    found = past.under(rules(tolerance_percent=1.0, repeats=0))
    assert [(one.bmd_g_cm2, one.in_force, one.proposed) for one in found.verdicts] == [
        (1.012, Verdict.PASS, Verdict.FAIL_CONFIRMED)
    ] * 3
    assert [one.measured_at for one in found.verdicts] == [MONDAY + timedelta(days=n) for n in (3, 4, 7)]
    # Open from 07:45 each day until then; from Thursday's scan on held: Thursday, Friday and Monday, 08:30 to 16:30.
    held = [one for one in found.gates if one.held_by is Side.PROPOSED]
    assert sum(one.clinic_hours for one in held) == pytest.approx(24.0)
    assert len(found.gates) == len(held)
    assert held[0].since == MONDAY + timedelta(days=3)
    assert {(one.side, one.what) for one in found.only_one} >= {(Side.PROPOSED, "review")}


def test_a_wider_tolerance_takes_a_failure_and_its_held_gate_away() -> None:
    past = Past(NO_REPEAT)
    past.days([1.0, 1.018])
    found = past.under(Proposal(replace(NO_REPEAT.qc, tolerance_percent=2.0)))
    assert [(one.in_force, one.proposed) for one in found.verdicts] == [(Verdict.FAIL_CONFIRMED, Verdict.PASS)]
    (gate,) = found.gates
    assert gate.held_by is Side.IN_FORCE
    assert gate.clinic_hours == pytest.approx(8.0)


def test_the_rules_are_taken_to_be_in_force_from_the_time_asked_about_on() -> None:
    past = Past()
    past.days([1.012, 1.0, 1.0, 1.012])
    found = past.under(rules(tolerance_percent=1.0, repeats=0), since=MONDAY + timedelta(days=1))
    assert [one.measured_at for one in found.verdicts] == [MONDAY + timedelta(days=3)]


def test_a_weekly_scan_that_was_due_daily_would_not_have_held_the_gate() -> None:
    past = Past(replace(POLICY, qc=QcRules(independent_grace_days=0)))
    past.days([1.0])
    for _ in range(2):  # Tuesday and Wednesday without the independent phantom
        past.vendor_qc()
        past.until(past.now + timedelta(days=1))
    found = past.under(Proposal(QcRules(independent_grace_days=0), {PHANTOM: Frequency.WEEKLY}))
    assert {one.held_by for one in found.gates} == {Side.IN_FORCE}
    assert sum(one.clinic_hours for one in found.gates) == pytest.approx(16.0)
    assert not found.verdicts


DAY = timedelta(days=1)


def decided(past: Past, verdict: ReviewVerdict = ReviewVerdict.ANNOTATE) -> None:
    """A physicist decides the latest review: real, if no other verdict is given."""
    opened = past.reviews[-1]
    past.fact(ReviewDecided(PHANTOM, "reads high", PHYSICIST, opened.review_id, verdict))


def test_days_until_a_drift_was_noticed_are_those_counted_by_hand() -> None:
    # Sigma 0.005, k = 0.5: a step of two sigmas adds 1.5 a scan. C+ is 0 on Friday, the last reading in order, and 1.5,
    # 3.0, 4.5 and 6.0 from Monday to Thursday: above 5 on Thursday, above 4 on Wednesday, never above 20.
    past = Past()
    past.days([1.0] * 5 + [1.01] * 4)
    decided(past)
    friday, wednesday, thursday = (MONDAY + n * DAY for n in (4, 9, 10))
    found = past.under(rules(cusum_h=4.0))
    assert [one.at for one in found.only_one if one.what == "signal"] == [wednesday, thursday]
    (fault,) = found.faults
    assert (fault.phantom_id, fault.onset, fault.decided_at) == (PHANTOM, friday, past.now)
    assert (fault.in_force_days, fault.proposed_days) == (6.0, 5.0)
    (fault,) = past.under(rules(cusum_h=20.0)).faults
    assert (fault.in_force_days, fault.proposed_days) == (6.0, None)


def test_a_false_alarm_is_no_fault() -> None:
    past = Past()
    past.days([1.0] * 5 + [1.01] * 4)
    decided(past, ReviewVerdict.NONE)
    assert past.under(rules(cusum_h=4.0)).faults == ()


def test_what_is_noticed_after_a_new_baseline_is_another_fault() -> None:
    # The drift ends with the baseline of 1.010; 1.031 is 2.1 % above that: a failure, whatever the CUSUM's h.
    past = Past()
    past.days([1.0] * 5 + [1.01] * 4)
    decided(past)
    past.fact(baseline(mean=1.01, epoch=2))
    past.days([1.01, 1.01])
    past.scan(1.031)
    past.scan(1.031)
    (fault,) = past.under(rules(cusum_h=20.0)).faults
    assert (fault.in_force_days, fault.proposed_days) == (6.0, None)


# --- published ---------------------------------------------------------------------------------------------


def test_on_montgomerys_series_h_5_signals_at_29_and_h_4_at_28(reference_data: Path) -> None:
    # Table 9.1 (target 10, sigma 1, k = 0.5): C+ is 4.48 at observation 28 and 5.28 at 29.
    lines = (reference_data / "montgomery_table9_1_cusum_ewma.csv").read_text().splitlines()
    table = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    sums = [float(row["Cplus"]) for row in table]
    assert max(sums[:27]) <= 4 < sums[27] <= 5 < sums[28]
    past = Past(replace(POLICY, qc=QcRules(tolerance_percent=5.0)))
    past.days([1.0 + 0.005 * (float(x) - 10) for x in (row["x"] for row in table)])
    found = past.under(Proposal(QcRules(tolerance_percent=5.0, cusum_h=4.0)))
    scans = [event.fact.measured_at for event in past.events if isinstance(event.fact, PhantomMeasured)]
    signals = [(one.side, one.at) for one in found.only_one if one.what == "signal"]
    assert signals == [(Side.PROPOSED, scans[27]), (Side.IN_FORCE, scans[28])]
    assert not found.verdicts


def test_expected_run_lengths_are_the_published_ones() -> None:
    # Hawkins (1993) in Montgomery's table 9.4: k = 0.5, one sigma shift, 8.38 scans at h = 4 and 10.4 at h = 5.
    for h, arl in ((4.0, 8.38), (5.0, 10.4)):
        (_, cusum) = expected_of(QcRules(cusum_h=h), 0.5, 5.0).charts
        (at_one_sigma, *_) = cusum.detections
        assert at_one_sigma.shift_percent == 0.5
        assert at_one_sigma.scans == pytest.approx(arl, abs=0.05)
    # h = 5: ARL0 of 465, so 250 scans a year give 0.54 false alarms.
    assert cusum.arl0_scans == pytest.approx(465, abs=1)


def test_spread_and_rate_are_those_of_the_readings() -> None:
    past = Past()
    past.days([1.0, 1.002] * 10)
    (places,) = past.under(proposal_of(POLICY)).places.values()
    spread = spread_of(places)
    assert spread is not None
    assert spread[0] == pytest.approx(100 * 0.002 / 1.128 / 1.001, rel=1e-3)
    assert spread[1] == pytest.approx(7 * 19 / 25, rel=1e-6), "20 weekdays span 25 days"
    assert spread_of(places[:5]) is None


# --- laws --------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.97, 0.99, 0.998, 1.0, 1.004, 1.012, 1.02, 1.3]), max_size=30), st.integers(-4, 20))
def test_the_same_rules_make_no_difference(values: list[float], days: int) -> None:
    past = Past()
    past.days(values)
    found = past.under(proposal_of(POLICY), since=MONDAY + timedelta(days=days))
    assert found.is_none
    assert not found.faults


def test_the_log_is_byte_for_byte_what_it_was_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    with SqliteEventLog(path) as log:
        now = [MONDAY]
        site = SiteEngine(log, clock=lambda: now[0])
        site.start({DEVICE: (POLICY, WEEKDAY_CLINIC)})
        site.append([Draft("signed", DEVICE, CommissioningSignedOff(PHYSICIST)), Draft("base", DEVICE, baseline())])
        for day in range(5):
            now[0] = MONDAY + timedelta(days=day)
            scan = PhantomMeasured(PHANTOM, "L1-L4", 1.012, now[0], f"acquisition-{day}")
            own = VendorQcReported(passed=True, measured_at=now[0], performed_by="Oz", reviewed_by="Pat")
            site.append([Draft(f"own-{day}", DEVICE, own), Draft(f"scan-{day}", DEVICE, scan)])
        site.stop()
        log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = hashlib.sha256(path.read_bytes()).digest()
    with SqliteEventLog(path, read_only=True) as log:
        same = replayed(DEVICE, log.rows(DEVICE), proposal_of(POLICY), datetime(2020, 1, 1, tzinfo=UTC))
        found = replayed(DEVICE, log.rows(DEVICE), rules(tolerance_percent=1.0), datetime(2020, 1, 1, tzinfo=UTC))
    assert same.is_none
    assert [one.proposed for one in found.verdicts][:2] == [Verdict.FAIL, Verdict.FAIL_CONFIRMED]
    assert hashlib.sha256(path.read_bytes()).digest() == before
