"""Readings of the past that are recorded now: placed where nothing newer is, else kept for the record alone."""

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.fold.state import DeviceState
from streams.fold.window import WINDOW_AGE
from streams.messages import (
    CalibrationCheckRead,
    CheckJudged,
    GateOverridden,
    GateStatus,
    Outcome,
    PhantomMeasured,
    QcJudged,
    ReviewOpened,
    Source,
    VendorQcReported,
    Verdict,
)
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Phantom, PhantomRole, Standard
from tests.folding import MONDAY, PHANTOM, PHYSICIST, POLICY, Folded, baseline, in_service

YEARS_AGO = MONDAY - timedelta(days=900)
SCALE = DevicePolicy(DeviceKind.SCALE, checks=CheckRules((Standard("W20", 20.0),), limit_kg=0.1))


def old_scan(bmd: float, *, days: float = 0.0, source: Source = Source.HISTORY, name: str = "old") -> PhantomMeasured:
    at = YEARS_AGO + timedelta(days=days)
    return PhantomMeasured(PHANTOM, "L1-L4", bmd, at, f"{name}-{days}", source=source)


def old_vendor_qc(*, passed: bool) -> VendorQcReported:
    return VendorQcReported(passed, YEARS_AGO, "Oz", "Pat", source=Source.HISTORY)


def beside_place(state: DeviceState) -> DeviceState:
    """The state without its place in the log."""
    return replace(state, device_seq=0, now=None)


def judged(outcomes: tuple[Outcome, ...]) -> list[Verdict]:
    return [outcome.verdict for outcome in outcomes if isinstance(outcome, QcJudged)]


@pytest.mark.parametrize(
    ("bmd", "verdict", "words"),
    [
        (1.0, Verdict.HISTORY, "Kept as history: measured before what is already decided."),
        (1.03, Verdict.HISTORY, "outside the limits now in force"),
        (1.2, Verdict.IMPLAUSIBLE, "too far off for this phantom"),
    ],
)
def test_a_row_of_history_older_than_what_is_decided_is_kept_without_review(
    bmd: float, verdict: Verdict, words: str
) -> None:
    scanner = in_service()
    before = beside_place(scanner.state)
    (outcome,) = scanner.fact(old_scan(bmd))
    assert isinstance(outcome, QcJudged)
    assert (outcome.verdict, outcome.verdict.passed, outcome.chart) == (verdict, False, None)
    assert words in outcome.note
    assert outcome.plausible == (verdict is not Verdict.IMPLAUSIBLE)
    assert beside_place(scanner.state) == before, "charts, gate and deadline stand as they stood"


def test_the_same_row_from_a_live_source_is_too_late_and_wants_a_look() -> None:
    scanner = in_service()
    scanner.until(MONDAY + timedelta(hours=1))
    outcomes = scanner.fact(old_scan(1.03, source=Source.IMPORT))
    assert judged(outcomes) == [Verdict.TOO_LATE]
    assert [one.basis for one in outcomes if isinstance(one, ReviewOpened)] == ["late_failure"]
    assert scanner.status is GateStatus.HELD


def test_another_phantoms_value_in_the_past_is_said() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT, nominal_g_cm2=1.2)
    scanner = Folded(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.scan(1.0)
    scanner.fact(baseline())
    scanner.scan(1.0)
    assert judged(scanner.fact(old_scan(1.2))) == [Verdict.WRONG_PHANTOM]


@pytest.mark.parametrize(("passed", "words"), [(True, "Kept as history"), (False, "It was reported as failed.")])
def test_an_old_manufacturers_qc_neither_opens_nor_holds(passed: bool, words: str) -> None:  # noqa: FBT001
    scanner = in_service()
    before = beside_place(scanner.state)
    (outcome,) = scanner.fact(old_vendor_qc(passed=passed))
    assert isinstance(outcome, QcJudged)
    assert outcome.verdict is Verdict.HISTORY
    assert words in outcome.note
    assert beside_place(scanner.state) == before


WITHIN: Final = WINDOW_AGE - timedelta(hours=18)
"""So far before the chart's newest reading, a live one would still be placed."""


@pytest.mark.parametrize(
    ("bmd", "verdict"), [(1.0, Verdict.HISTORY), (1.03, Verdict.HISTORY), (1.2, Verdict.IMPLAUSIBLE)]
)
def test_history_that_could_still_be_placed_judges_nothing_anew(bmd: float, verdict: Verdict) -> None:
    """A row becomes history 14 days after it was measured, the window reaches 14 days back from the newest reading."""
    scanner = in_service()
    scanner.until(MONDAY + timedelta(days=3))
    newest = scanner.scan(1.0).measured_at
    scanner.until(MONDAY + timedelta(days=16))
    before = beside_place(scanner.state)
    for again in ("one", "two"):
        row = PhantomMeasured(PHANTOM, "L1-L4", bmd, newest - WITHIN, f"old-{again}", source=Source.HISTORY)
        outcomes = scanner.fact(row)
        assert judged(outcomes) == [verdict]
        assert len(outcomes) == 1
    assert beside_place(scanner.state) == before


def test_history_is_no_newer_analysis_of_what_newer_scans_stand_on() -> None:
    scanner = in_service()
    first = scanner.scan(1.0, acquisition="first").measured_at
    scanner.until(MONDAY + timedelta(days=3))
    scanner.scan(1.0)
    before = beside_place(scanner.state)
    again = PhantomMeasured(PHANTOM, "L1-L4", 1.03, first, "first", source=Source.HISTORY)
    assert judged(scanner.fact(again)) == [Verdict.HISTORY]
    assert beside_place(scanner.state) == before


def test_history_does_not_clear_what_waits_for_a_newer_scan() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    scanner.scan(1.0, at=MONDAY + timedelta(days=300))
    assert scanner.state.chart(PHANTOM).unplaced is Verdict.CLOCK_SUSPECT
    assert judged(scanner.fact(old_scan(1.0))) == [Verdict.HISTORY]
    assert scanner.state.chart(PHANTOM).unplaced is Verdict.CLOCK_SUSPECT


def test_the_manufacturers_qc_of_the_past_shows_its_verdict_and_opens_and_holds_nothing() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    before = beside_place(scanner.state)
    for day, passed in enumerate([True, False, False, False, True]):
        row = VendorQcReported(passed, YEARS_AGO + timedelta(days=day), "Oz", "Pat", source=Source.HISTORY)
        outcomes = scanner.fact(row)
        assert judged(outcomes) == [Verdict.PASS if passed else Verdict.FAIL]
        assert len(outcomes) == 1
    assert beside_place(scanner.state) == before
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


@pytest.mark.parametrize("read", [20.0, 21.0])
def test_an_old_check_of_a_scale_makes_it_neither_clinical_nor_failed(read: float) -> None:
    scale = Folded(replace(SCALE, checks=replace(SCALE.checks, standards=(Standard("W20", 20.0), Standard("W5", 5.0)))))
    scale.fact(CalibrationCheckRead("W5", 5.0, scale.now, "Oz"))
    before = beside_place(scale.state)
    (outcome,) = scale.fact(CalibrationCheckRead("W20", read, YEARS_AGO, "Oz", source=Source.HISTORY))
    assert isinstance(outcome, CheckJudged)
    assert outcome.verdict == ("pass" if read == 20.0 else "fail")
    assert (beside_place(scale.state), scale.state.stage) == (before, "commissioning")
    scale.fact(CalibrationCheckRead("W20", 20.0, scale.now, "Oz"))
    assert scale.state.stage == "clinical"


def test_history_leaves_an_override_running_and_a_live_reading_ends_it() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    until = scanner.now + timedelta(hours=4)
    scanner.fact(GateOverridden(("qc_failed",), PHYSICIST, "urgent patient, advised", until))
    stands = []
    for source in (Source.HISTORY, Source.IMPORT):
        scanner.fact(old_scan(1.2, source=source, name=source))
        stands.append(scanner.status)
    assert stands == [GateStatus.OVERRIDDEN, GateStatus.HELD]


def test_history_before_any_reading_is_placed_in_order_and_feeds_the_baseline() -> None:
    scanner = Folded()
    verdicts = [judged(scanner.fact(old_scan(1.0 + day / 10_000, days=day))) for day in range(12)]
    assert verdicts == [[Verdict.NO_BASELINE]] * 12
    assert [value for _, value in scanner.state.chart(PHANTOM).candidates] == [
        pytest.approx(1.0 + day / 10_000) for day in range(12)
    ]


def test_an_old_pass_is_none_of_today() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    assert judged(scanner.fact(old_scan(1.0))) == [Verdict.PASS], "nothing newer: judged in order"
    scanner.fact(old_vendor_qc(passed=True))
    assert scanner.status is GateStatus.HELD
    assert "qc_missing" in scanner.codes


def test_an_old_failed_check_of_a_scale_is_judged_and_opens_nothing() -> None:
    scale = Folded(SCALE)
    scale.fact(CalibrationCheckRead("W20", 20.0, scale.now, "Oz"))
    assert scale.status is GateStatus.OPEN
    late = scale.fact(CalibrationCheckRead("W20", 21.0, YEARS_AGO, "Oz", source=Source.HISTORY))
    assert [type(one) for one in late] == [CheckJudged]
    assert isinstance(late[0], CheckJudged)
    assert late[0].verdict == "fail"
    assert scale.status is GateStatus.OPEN
    live = scale.fact(CalibrationCheckRead("W20", 21.0, YEARS_AGO, "Oz", source=Source.IMPORT))
    assert [one.basis for one in live if isinstance(one, ReviewOpened)] == ["late_failure"]


old_rows = st.lists(
    st.one_of(
        st.builds(old_scan, st.sampled_from([0.5, 0.97, 1.0, 1.004, 1.03, 1.2]), days=st.floats(0, 899.9)),
        st.builds(old_vendor_qc, passed=st.booleans()),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(rows=old_rows)
def test_no_history_whatever_moves_anything_in_a_scanner_in_service(
    rows: list[PhantomMeasured | VendorQcReported],
) -> None:
    scanner = in_service()
    before = beside_place(scanner.state)
    outcomes = [outcome for row in rows for outcome in scanner.fact(row)]
    assert len(outcomes) == len(rows)
    assert not any(verdict.passed for verdict in judged(tuple(outcomes)))
    assert beside_place(scanner.state) == before
