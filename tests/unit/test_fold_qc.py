"""How a phantom scan is judged: tolerance, repeats, re-analyses, late readings, drift."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.fold.state import blob_from_state, state_from_blob
from streams.messages import (
    DeviceReconfigured,
    FaultLogged,
    GateStatus,
    Person,
    PhantomMeasured,
    QcJudged,
    ReviewOpened,
    Verdict,
)
from streams.policy import Phantom, PhantomRole, QcRules, RunRules
from tests.folding import MONDAY, PHANTOM, POLICY, Folded, baseline, in_service


@pytest.mark.parametrize(
    ("bmd", "verdict"),
    [
        (1.000, Verdict.PASS),
        (1.015, Verdict.PASS),
        (0.985, Verdict.PASS),
        (1.0151, Verdict.FAIL),
        (0.9849, Verdict.FAIL),
        (1.099, Verdict.FAIL),
        (1.101, Verdict.IMPLAUSIBLE),
        (0.600, Verdict.IMPLAUSIBLE),
    ],
)
def test_tolerance_is_inclusive_and_the_implausible_is_no_mere_failure(bmd: float, verdict: Verdict) -> None:
    scanner = in_service()
    assert scanner.scan(bmd).verdict is verdict
    assert (scanner.status is GateStatus.OPEN) == (verdict is Verdict.PASS)


def test_a_failed_scan_holds_and_the_allowed_repeat_that_passes_opens() -> None:
    scanner = in_service()
    assert scanner.status is GateStatus.OPEN
    scanner.scan(1.06)
    assert scanner.codes == ["qc_failed"]
    assert scanner.scan(1.001).verdict is Verdict.PASS_WITH_NOTE
    assert scanner.status is GateStatus.OPEN


def test_failing_twice_needs_a_passing_scan_and_a_release() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    assert scanner.scan(1.05).verdict is Verdict.FAIL_CONFIRMED
    scanner.scan(1.0)
    assert scanner.codes == ["qc_failed"], "a pass alone must not open a confirmed failure"


def test_a_reanalysis_never_counts_as_the_repeat() -> None:
    scanner = in_service()
    scanner.scan(1.06, acquisition="the-failed-one")
    assert scanner.scan(1.0, acquisition="the-failed-one").verdict is Verdict.REANALYSIS
    assert scanner.codes == ["qc_failed"]
    assert scanner.scan(1.0, acquisition="the-failed-one").verdict is Verdict.REANALYSIS
    assert scanner.codes == ["qc_failed"]
    assert scanner.scan(1.0, acquisition="another").verdict is Verdict.PASS_WITH_NOTE
    assert scanner.status is GateStatus.OPEN


def test_a_failing_reanalysis_is_not_a_second_failure_but_withdraws_a_pass() -> None:
    scanner = in_service()
    scanner.scan(1.06, acquisition="x")
    scanner.scan(1.07, acquisition="x")
    assert scanner.scan(1.0).verdict is Verdict.PASS_WITH_NOTE
    scanner.scan(1.001, acquisition="y")
    assert scanner.status is GateStatus.OPEN
    scanner.scan(1.06, acquisition="y")
    assert scanner.codes == ["qc_failed"]


def test_a_reanalysis_revises_its_subject() -> None:
    scanner = in_service()
    first = scanner.scan(1.06, acquisition="x")
    outcomes = scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", 1.055, scanner.now, "x"))
    revised = [o for o in outcomes if isinstance(o, QcJudged) and o.subject_event_id == first.subject_event_id]
    assert [(o.revision, o.bmd_g_cm2, o.verdict) for o in revised] == [(1, 1.055, Verdict.FAIL)]


def test_another_known_phantom_is_a_wrong_phantom_and_never_a_pass() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT, nominal_g_cm2=1.06)
    scanner = Folded(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.fact(baseline())
    judged = scanner.scan(1.061)
    assert judged.verdict is Verdict.WRONG_PHANTOM
    assert not judged.verdict.passed
    assert scanner.scan(1.03).verdict is Verdict.FAIL, "a value of no known phantom is the scanner's"


def test_a_wrong_phantom_holds_an_open_gate_until_the_right_one_passes() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT, nominal_g_cm2=1.06)
    scanner = in_service(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.fact(baseline(mean=1.06, phantom="SPINE-0002", epoch=2))
    scanner.scan(1.06, phantom="SPINE-0002")
    assert scanner.status is GateStatus.OPEN
    scanner.scan(1.06)
    assert scanner.codes == ["qc_failed"]
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


def test_another_tolerance_is_in_force_from_where_it_stands_in_the_log() -> None:
    scanner = in_service()
    assert scanner.scan(1.012).verdict is Verdict.PASS
    scanner.fact(DeviceReconfigured(replace(POLICY, qc=QcRules(tolerance_percent=1.0))))
    assert scanner.status is GateStatus.OPEN, "what passed has passed"
    scanner.now += timedelta(minutes=1)
    judged = scanner.scan(1.012)
    assert judged.verdict is Verdict.FAIL
    assert judged.chart is not None
    assert (judged.chart.lower, judged.chart.upper) == (0.99, 1.01)


@pytest.mark.parametrize("change", [{"region": "L2-L4"}, {"serial": "another"}])
def test_another_region_or_phantom_under_the_same_id_needs_a_baseline_of_its_own(change: dict[str, str]) -> None:
    scanner = in_service()
    scanner.fact(DeviceReconfigured(replace(POLICY, phantoms=(replace(POLICY.phantoms[0], **change),))))
    assert scanner.codes == ["no_baseline", "independent_overdue"]


def test_a_scan_without_a_baseline_is_never_a_pass() -> None:
    scanner = Folded()
    scanner.vendor_qc()
    assert scanner.scan(1.0).verdict is Verdict.NO_BASELINE
    assert scanner.codes == ["not_commissioned", "no_baseline", "independent_overdue"]


def test_a_clock_set_to_tomorrow_is_never_a_pass_and_holds_until_a_sane_scan() -> None:
    scanner = in_service()
    assert scanner.scan(1.0, at=scanner.now + timedelta(days=1)).verdict is Verdict.CLOCK_SUSPECT
    assert scanner.codes == ["clock_suspect"]
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


def test_a_clock_a_few_minutes_fast_does_not_make_tonights_scan_tomorrows() -> None:
    scanner = in_service()
    scanner.until(datetime(2026, 11, 2, 23, 58, tzinfo=UTC))
    scanner.scan(1.0, at=scanner.now + timedelta(minutes=4))
    scanner.until(datetime(2026, 11, 3, 7, 0, tzinfo=UTC))
    assert "independent_overdue" in scanner.codes


def test_cusum_sums_are_those_of_a_hand_calculation() -> None:
    scanner = in_service()  # one scan at target: both sums 0
    upper = [scanner.scan(bmd).chart.cusum_upper for bmd in (1.010, 1.010, 1.010, 1.010)]  # type: ignore[union-attr]
    assert upper == pytest.approx([1.5, 3.0, 4.5, 6.0])  # z = 2, k = 0.5
    assert scanner.warnings == ["drift_unreviewed"]
    assert scanner.status is GateStatus.OPEN, "a drift signal warns; it holds only where so configured"


def test_a_drift_signal_holds_where_so_configured_and_its_onset_is_frozen() -> None:
    scanner = in_service(replace(POLICY, qc=QcRules(hold_on_signal=True)))
    reviews = []
    for day in range(8):
        scanner.until(MONDAY + timedelta(days=day + 1))
        scanner.vendor_qc()
        outcomes = scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", 1.010, scanner.now, f"day-{day}"))
        reviews += [o for o in outcomes if isinstance(o, ReviewOpened) and o.basis == "drift"]
    assert scanner.codes == ["drift_unreviewed"]
    assert [review.since for review in reviews] == [MONDAY], "one review an episode, from the last zero of the sum"


def test_a_first_failure_does_not_enter_the_cusum_and_a_confirmed_one_does() -> None:
    scanner = in_service()
    first = scanner.scan(1.06)
    assert first.chart is not None
    assert first.chart.cusum_upper == 0.0
    second = scanner.scan(1.05)
    assert second.chart is not None
    assert second.chart.cusum_upper == pytest.approx(9.5)  # z = 10, k = 0.5


def test_two_first_scan_failures_in_ten_qc_days_warn_the_physicist() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    scanner.scan(1.0)
    scanner.until(MONDAY + timedelta(days=1))
    outcomes = scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", 1.02, scanner.now, "next-day"))
    assert [o.basis for o in outcomes if isinstance(o, ReviewOpened)] == ["repeated_first_failures"]


def test_a_late_failure_revises_the_verdict_after_it() -> None:
    scanner = in_service()
    scanner.until(MONDAY + timedelta(minutes=30))
    second = scanner.scan(1.0, at=MONDAY + timedelta(minutes=20))
    assert second.verdict is Verdict.PASS
    late = PhantomMeasured(PHANTOM, "L1-L4", 1.06, MONDAY + timedelta(minutes=10), "late")
    judged = [o for o in scanner.fact(late) if isinstance(o, QcJudged)]
    assert [(o.verdict, o.revision) for o in judged] == [(Verdict.FAIL, 0), (Verdict.PASS_WITH_NOTE, 1)]
    assert judged[1].subject_event_id == second.subject_event_id
    assert scanner.codes == ["qc_failed"], "whatever its date says: it failed, and no newer scan has passed since"
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


def test_a_reading_older_than_the_window_is_too_late_and_opens_a_review() -> None:
    scanner = in_service()
    scanner.until(MONDAY + timedelta(days=15))
    scanner.scan(1.0)
    late = PhantomMeasured(PHANTOM, "L1-L4", 1.0, MONDAY - timedelta(days=1), "very-late")
    outcomes = scanner.fact(late)
    assert [o.verdict for o in outcomes if isinstance(o, QcJudged)] == [Verdict.TOO_LATE]
    assert [o.basis for o in outcomes if isinstance(o, ReviewOpened)] == ["too_late"]


def test_after_a_decision_a_new_scan_of_the_same_second_counts_and_a_reanalysis_does_not() -> None:
    scanner = in_service()
    at = scanner.now
    scanner.scan(1.0, at=at, acquisition="before")
    scanner.fact(baseline(epoch=2))
    assert scanner.scan(1.0, at=at, acquisition="before").verdict is Verdict.REANALYSIS
    assert scanner.scan(1.0, at=at, acquisition="after").verdict is Verdict.PASS


readings = st.lists(st.sampled_from([0.97, 0.99, 1.0, 1.004, 1.01, 1.02, 1.2]), min_size=2, max_size=12)


@settings(max_examples=60, deadline=None)
@given(values=readings, data=st.data())
def test_any_order_of_arrival_within_the_window_gives_the_same_chart(values: list[float], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(values))))
    in_time, shuffled = in_service(), in_service()
    for scanner in (in_time, shuffled):
        scanner.now = MONDAY + timedelta(hours=10)
    final: dict[str, Verdict] = {}
    expected: dict[str, Verdict] = {}
    for places, scanner, verdicts in ((range(len(values)), in_time, expected), (order, shuffled, final)):
        for place in places:
            at = MONDAY + timedelta(minutes=place + 1)
            fact = PhantomMeasured(PHANTOM, "L1-L4", values[place], at, f"acquisition-{place}")
            for outcome in scanner.fact(fact, identity=f"scan-{place}"):
                if isinstance(outcome, QcJudged):
                    verdicts[outcome.subject_event_id] = outcome.verdict
    assert final == expected
    assert shuffled.state.chart(PHANTOM).head == in_time.state.chart(PHANTOM).head
    assert set(in_time.codes) <= set(shuffled.codes), "a failure that comes late may hold longer, never less"


def test_a_reanalysis_is_known_as_one_after_a_release_a_baseline_or_a_change_of_rules() -> None:
    for closing in (baseline(epoch=2), DeviceReconfigured(replace(POLICY, qc=QcRules(repeats=2)))):
        scanner = in_service()
        scanner.scan(1.06, acquisition="failed")
        scanner.fact(closing)
        scanner.now += timedelta(minutes=5)
        assert scanner.scan(1.0, acquisition="failed").verdict is Verdict.REANALYSIS
        assert scanner.codes == ["qc_failed"]


def test_words_about_a_device_leave_its_charts_alone() -> None:
    scanner = in_service()
    scanner.scan(1.06, acquisition="failed")
    scanner.fact(DeviceReconfigured(replace(POLICY, ring="extension 2")))
    assert len(scanner.state.chart(PHANTOM).window) == 2


def test_a_scan_of_tomorrow_cannot_pass_by_being_analysed_again() -> None:
    scanner = in_service()
    scanner.scan(1.06, at=scanner.now + timedelta(days=1), acquisition="tomorrow")
    assert scanner.scan(1.0, acquisition="tomorrow").verdict is Verdict.REANALYSIS
    assert scanner.codes == ["clock_suspect"]


def test_an_older_pass_does_not_settle_a_suspect_clock() -> None:
    scanner = in_service()
    scanner.until(MONDAY + timedelta(hours=2))
    scanner.scan(1.06, at=scanner.now + timedelta(days=1))
    scanner.scan(1.0, at=MONDAY - timedelta(days=3))
    assert scanner.codes == ["clock_suspect"]


@pytest.mark.parametrize("days_ago", [1, 30])
def test_a_failure_that_comes_late_holds_until_a_new_scan_passes_and_opens_a_review(days_ago: int) -> None:
    scanner = in_service()
    late = PhantomMeasured(PHANTOM, "L1-L4", 1.08, scanner.now - timedelta(days=days_ago), "late")
    reviews = [o.basis for o in scanner.fact(late) if isinstance(o, ReviewOpened)]
    assert reviews == ["late_failure"]
    assert scanner.codes == ["qc_failed"]
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


def test_a_reanalysis_changes_its_own_candidate_for_a_baseline_and_no_other() -> None:
    scanner = Folded()
    for n in range(10):
        scanner.scan(1.0, acquisition=f"a{n}")
    scanner.scan(1.02, acquisition="a3")
    values = [value for _, value in scanner.state.chart(PHANTOM).candidates]
    assert sorted(values) == [1.0] * 9 + [1.02]


def test_another_phantoms_baseline_says_nothing_in_retrospect() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT)
    scanner = Folded(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.fact(baseline())
    scanner.scan(1.06)
    scanner.scan(1.06)
    scanner.fact(baseline(mean=1.06, phantom="SPINE-0002"))
    scanner.scan(1.0, at=MONDAY - timedelta(minutes=1))
    assert scanner.state.chart(PHANTOM).head.confirmed


def test_a_phantom_too_like_this_one_is_no_excuse() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT, nominal_g_cm2=1.03)
    scanner = Folded(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.fact(baseline())
    assert scanner.scan(1.025).verdict is Verdict.FAIL


def test_what_cannot_be_this_phantom_is_marked_whatever_the_verdict() -> None:
    scanner = in_service()
    assert scanner.scan(1.4, at=scanner.now + timedelta(days=1)).plausible is False
    assert scanner.scan(1.4, at=MONDAY - timedelta(days=40)).plausible is False
    scanner.scan(1.0, acquisition="again")
    assert scanner.scan(1.4, acquisition="again").plausible is False
    assert scanner.scan(1.05).plausible is True


def test_the_size_of_a_failure_is_the_failures_own() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    scanner.scan(0.6)
    assert "+2.0 %" in scanner.state.gates["all"].reasons[0].text


def test_a_scan_of_the_year_one_does_not_stop_the_stream() -> None:
    scanner = Folded()
    scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", 1.0, datetime(1, 1, 1, tzinfo=UTC), "ancient"))
    assert scanner.state.parked is None


@pytest.mark.parametrize("rules", ["none", "nelson"])
def test_state_stays_under_eight_kilobytes_at_its_worst(rules: RunRules) -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT)
    scanner = in_service(replace(POLICY, phantoms=(*POLICY.phantoms, other), qc=QcRules(rules=rules)))
    for n in range(200):
        scanner.now += timedelta(minutes=1)
        scanner.scan(1.0 + 0.05 * (n % 2), phantom=PHANTOM)
        scanner.scan(1.0 + 0.05 * (n % 2), phantom="SPINE-0002")
        scanner.vendor_qc(passed=bool(n % 2))
        scanner.fact(FaultLogged(f"{n:08}", "x" * 500, stops_scanning=True, logged_by=Person("n" * 500, "operator")))
    assert len(blob_from_state(scanner.state)) < 8192


def test_state_is_bounded_and_survives_its_bytes() -> None:
    scanner = in_service()
    sizes = []
    for day in range(1, 400):
        scanner.until(MONDAY + timedelta(days=day))
        scanner.vendor_qc()
        scanner.scan(1.0 + 0.001 * (day % 5))
        sizes.append(len(blob_from_state(scanner.state)))
    assert max(sizes) < 4096
    assert abs(sizes[-1] - sizes[60]) < 32, "the state must not grow with history"
    assert state_from_blob(blob_from_state(scanner.state)) == scanner.state
