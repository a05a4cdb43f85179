"""Sensitising rules in the fold: they mark, warn and open one review; tolerance goes on binding."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.fold.state import blob_from_state, state_from_blob
from streams.messages import DeviceReconfigured, GateStatus, PhantomMeasured, QcJudged, ReviewDecided, ReviewOpened
from streams.policy import QcRules, RunRules
from tests.folding import MONDAY, PHANTOM, PHYSICIST, POLICY, Folded, in_service


def under(rules: RunRules, **settings: bool) -> Folded:
    return in_service(replace(POLICY, qc=QcRules(rules=rules, **settings)))


def scanned(scanner: Folded, bmd: float, day: int) -> tuple[QcJudged, list[ReviewOpened]]:
    scanner.until(MONDAY + timedelta(days=day))
    scanner.vendor_qc()
    outcomes = scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", bmd, scanner.now, f"day-{day}"))
    (judged,) = (o for o in outcomes if isinstance(o, QcJudged))
    return judged, [o for o in outcomes if isinstance(o, ReviewOpened)]


def test_two_scans_beyond_two_sigmas_open_a_review_long_before_the_cusum() -> None:
    scanner = under("dxa")
    first, none = scanned(scanner, 1.012, 1)  # 2.4 sigmas
    second, reviews = scanned(scanner, 1.011, 2)  # 2.2
    assert first.chart is not None
    assert second.chart is not None
    assert (first.chart.violated, none) == ((), [])
    assert second.chart.violated == ("2_2s",)
    assert second.chart.signal
    assert second.chart.cusum_upper == pytest.approx(1.9 + 1.7)
    assert [(review.basis, review.text) for review in reviews] == [("drift", f"rule 2_2s signal on phantom {PHANTOM}")]
    assert reviews[0].since == MONDAY, "the last reading before both at which nothing leaned upwards"
    assert scanner.warnings == ["drift_unreviewed"]
    assert scanner.status is GateStatus.OPEN


def test_one_review_an_episode_and_the_gate_says_all_that_signalled() -> None:
    scanner = under("dxa")
    opened = []
    for day in range(1, 6):
        opened += scanned(scanner, 1.011, day)[1]
    assert len(opened) == 1
    (reason,) = (r for r in scanner.state.gates["all"].reasons if r.code.value == "drift_unreviewed")
    assert reason.text == f"drift signal on phantom {PHANTOM} (rule 2_2s, CUSUM, rule 4_1s)"


def test_without_rules_the_same_scans_wait_for_the_cusum() -> None:
    scanner = under("none")
    for day in (1, 2):
        judged, reviews = scanned(scanner, 1.012, day)
        assert judged.chart is not None
        assert (judged.chart.violated, judged.chart.signal, reviews) == ((), False, [])


def test_a_rule_that_only_warns_marks_the_scan_and_opens_nothing() -> None:
    judged, reviews = scanned(scanner := under("westgard"), 1.011, 1)
    assert judged.chart is not None
    assert (judged.chart.violated, judged.chart.signal) == (("1_2s",), False)
    assert reviews == []
    assert scanner.warnings == []


def test_a_rule_holds_where_so_configured() -> None:
    scanner = under("dxa", hold_on_signal=True)
    for day in (1, 2):
        scanned(scanner, 1.012, day)
    assert scanner.codes == ["drift_unreviewed"]


def test_a_decided_review_begins_the_rules_anew() -> None:
    scanner = under("western_electric")
    for day in (1, 2):
        scanned(scanner, 1.012, day)
    scanner.fact(ReviewDecided(PHANTOM, "none", PHYSICIST))
    judged, reviews = scanned(scanner, 1.012, 3)
    assert judged.chart is not None
    assert (judged.chart.violated, reviews) == ((), [])
    assert scanner.state.chart(PHANTOM).head.signalled == ()


def test_a_failing_first_scan_is_positioning_and_no_pattern() -> None:
    scanner = under("dxa")
    judged, reviews = scanned(scanner, 1.03, 1)
    assert judged.chart is not None
    assert (judged.chart.violated, reviews) == ((), [])
    assert scanner.state.chart(PHANTOM).head.recent == (0.0,)  # the scan that put it into service


@pytest.mark.parametrize("rules", ["dxa", "western_electric", "westgard", "nelson"])
def test_the_rules_look_back_no_further_than_they_must_and_survive_a_restart(rules: RunRules) -> None:
    scanner = under(rules)
    for day in range(1, 20):
        scanned(scanner, 1.0 + 0.001 * (-1) ** day, day)
        scanner.state = state_from_blob(blob_from_state(scanner.state))
    longest = {"dxa": 10, "western_electric": 8, "westgard": 10, "nelson": 15}[rules]
    recent = scanner.state.chart(PHANTOM).head.recent
    assert len(recent) == longest - 1
    assert recent[-2:] == pytest.approx((0.2, -0.2))


def test_other_rules_from_today_on_take_what_they_can_use() -> None:
    scanner = under("nelson")
    for day in range(1, 12):
        scanned(scanner, 1.001 if day % 3 else 0.999, day)
    scanner.fact(DeviceReconfigured(replace(POLICY, qc=QcRules(rules="western_electric"))))
    judged, _ = scanned(scanner, 1.001, 12)
    assert judged.chart is not None
    assert judged.chart.violated == ()
    assert len(scanner.state.chart(PHANTOM).head.recent) == 7
