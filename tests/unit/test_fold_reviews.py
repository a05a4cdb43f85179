"""Reviews: what opens and ends them, that only a decision reaches the record, and that it can be taken back."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.commands import DecideReview, Refusal, WithdrawDecision
from streams.fold.decisions import decide
from streams.fold.reviews import REVIEWS, covers
from streams.fold.state import Review, blob_from_state, state_from_blob
from streams.messages import (
    CalibrationCheckRead,
    DecisionWithdrawn,
    DeviceReconfigured,
    MeasurementsAmended,
    MeasurementValidated,
    Onset,
    Outcome,
    PatientMeasured,
    PhantomMeasured,
    QcReleased,
    RegionMeasured,
    ReviewAssessed,
    ReviewDecided,
    ReviewEnded,
    ReviewOpened,
    ReviewVerdict,
    SizeAt,
)
from streams.policy import (
    CheckRules,
    DeviceKind,
    DevicePolicy,
    Frequency,
    Mode,
    Phantom,
    PhantomRole,
    Standard,
)
from tests.folding import DEVICE, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, Folded, baseline

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def in_service() -> Folded:
    scanner = Folded()
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    return scanner


def opened(outcomes: tuple[Outcome, ...]) -> ReviewOpened:
    (one,) = (o for o in outcomes if isinstance(o, ReviewOpened))
    return one


def failed_twice(scanner: Folded) -> ReviewOpened:
    """Fail the phantom an hour after it passed, and again five minutes later."""
    scanner.now += HOUR
    scanner.scan(1.02)
    scanner.now += 5 * MINUTE
    return opened(scanner.fact(_scan(scanner, 1.02)))


def _scan(scanner: Folded, bmd: float) -> "PhantomMeasured":
    scanner.scans += 1
    return PhantomMeasured(PHANTOM, "L1-L4", bmd, scanner.now, f"again-{scanner.scans}")


def the_review(scanner: Folded) -> Review:
    (one,) = scanner.state.reviews
    return one


# --- scanners ----------------------------------------------------------------------------------------------


def test_a_confirmed_failure_reviews_what_was_measured_since_the_last_pass() -> None:
    """By hand: 2 % off; sigma 0.5 %, baseline of ten: 2 +- 1.96 * 0.5 * sqrt(1 + 1 / 10) = 0.972 to 3.028."""
    scanner = in_service()
    review = failed_twice(scanner)
    assert (review.basis, review.since, review.unit, review.revision) == ("failure", MONDAY, "percent", 0)
    (size,) = review.sizes
    assert (size.size, size.low, size.high) == pytest.approx((2.0, 0.972, 3.028), abs=1e-3)
    assert the_review(scanner).until is None


def test_a_pass_ends_it_and_it_still_waits() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    scanner.now += HOUR
    (ended,) = (o for o in scanner.fact(_scan(scanner, 1.0)) if isinstance(o, ReviewEnded))
    assert (ended.review_id, ended.until) == (review.review_id, scanner.now)
    assert the_review(scanner).verdict is None
    assert not [o for o in scanner.fact(_scan(scanner, 1.0)) if isinstance(o, ReviewEnded)]


def test_a_failure_that_comes_late_puts_in_doubt_what_lies_between_the_passes_about_it() -> None:
    scanner = in_service()
    scanner.now = MONDAY + 4 * HOUR
    scanner.scan(1.0)
    scanner.now = MONDAY + 5 * HOUR
    late = PhantomMeasured(PHANTOM, "L1-L4", 1.03, MONDAY + 2 * HOUR, "late")
    outcomes = scanner.fact(late)
    review = opened(outcomes)
    assert (review.basis, review.since) == ("late_failure", MONDAY)
    assert [o.until for o in outcomes if isinstance(o, ReviewEnded)] == [MONDAY + 4 * HOUR]


def drifted(scanner: Folded) -> ReviewOpened:
    """Three scans at +1 % (two sigmas): 1.5, 3.0, 4.5; the fourth reaches 6 > 5."""
    for _ in range(3):
        scanner.now += HOUR
        assert not [o for o in scanner.fact(_scan(scanner, 1.01)) if isinstance(o, ReviewOpened)]
    scanner.now += HOUR
    return opened(scanner.fact(_scan(scanner, 1.01)))


def assessed(review: ReviewOpened, since: datetime) -> ReviewAssessed:
    onset = Onset(since, ((since, since + HOUR),), "step", 5)
    sizes = (SizeAt(since, 0.0, 0.0, 0.5), SizeAt(since + 4 * HOUR, 1.0, 0.6, 1.4))
    return ReviewAssessed(review.review_id, "by hand", onset, "percent", sizes, "digest")


def test_a_drift_is_in_doubt_from_its_earliest_onset_on() -> None:
    scanner = in_service()
    review = drifted(scanner)
    assert (review.basis, review.since) == ("drift", MONDAY)
    scanner.fact(assessed(review, MONDAY - DAY))
    assert the_review(scanner).since == MONDAY - DAY
    assert the_review(scanner).is_assessed


def test_one_review_an_episode_what_else_tells_of_it_joins() -> None:
    scanner = in_service()
    drift = drifted(scanner)
    scanner.now += HOUR
    scanner.scan(1.03)
    scanner.now += MINUTE
    failure = opened(scanner.fact(_scan(scanner, 1.03)))
    assert (failure.review_id, failure.revision) == (drift.review_id, 1)
    assert the_review(scanner).bases == ("drift", "failure")
    scanner.now += HOUR
    scanner.scan(1.0)
    assert the_review(scanner).until is None, "a pass says nothing against a drift"


def test_a_new_baseline_ends_what_goes_on() -> None:
    scanner = in_service()
    drifted(scanner)
    scanner.now += DAY
    outcomes = scanner.fact(baseline(mean=1.01, epoch=2))
    assert [o.until for o in outcomes if isinstance(o, ReviewEnded)] == [scanner.now]


# --- scales ------------------------------------------------------------------------------------------------

SCALE = DevicePolicy(
    DeviceKind.SCALE,
    checks=CheckRules((Standard("W20", 20.0),), Frequency.WEEKLY, limit_kg=0.1, ranges=((200.0, 100.0),)),
)


def check(scale: Folded, read: float, *, at: datetime | None = None) -> tuple[Outcome, ...]:
    return scale.fact(CalibrationCheckRead("W20", read, at or scale.now, "Oz"))


def test_a_failed_check_weight_reviews_every_weight_since_the_last_that_passed() -> None:
    """20.3 kg of 20 kg: 0.3 kg off; the display shows steps of 0.1 kg, so 0.25 to 0.35."""
    scale = Folded(SCALE)
    check(scale, 20.0)
    scale.now += 3 * DAY
    check(scale, 20.0)
    last_pass = scale.now
    scale.now += 2 * DAY
    review = opened(check(scale, 20.3))
    assert (review.phantom_id, review.basis, review.since, review.unit) == ("W20", "failure", last_pass, "kg")
    (size,) = review.sizes
    assert (size.size, size.low, size.high) == pytest.approx((0.3, 0.25, 0.35), abs=1e-9)
    scale.now += HOUR
    ended = [o for o in check(scale, 20.0) if isinstance(o, ReviewEnded)]
    assert [one.until for one in ended] == [scale.now]


def test_a_failed_check_that_comes_late_is_placed_between_passes() -> None:
    scale = Folded(SCALE)
    start = scale.now
    check(scale, 20.0)
    scale.now = start + 4 * DAY
    check(scale, 20.0)
    outcomes = check(scale, 20.3, at=start + 2 * DAY)
    review = opened(outcomes)
    assert (review.basis, review.since) == ("late_failure", start)
    assert [o.until for o in outcomes if isinstance(o, ReviewEnded)] == [start + 4 * DAY]


# --- decisions ---------------------------------------------------------------------------------------------


def decision(review: ReviewOpened, verdict: ReviewVerdict = ReviewVerdict.AMEND) -> DecideReview:
    return DecideReview(
        device=DEVICE,
        actor=PHYSICIST,
        request_id="d",
        review_id=review.review_id,
        verdict=verdict,
        decision="1 % high since the move",
        unit="percent",
        sizes=review.sizes,
    )


def follow(scanner: Folded, command: DecideReview | WithdrawDecision) -> tuple[Outcome, ...]:
    """Ask for something that must be granted; return what it brought about."""
    decided = decide(scanner.state, command, expected_device_seq=scanner.state.device_seq, now=scanner.now)
    assert not isinstance(decided, Refusal)
    return scanner.fact(decided[0].fact)


def test_nothing_is_published_before_a_decision_and_a_decision_of_nothing_publishes_nothing() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    outcomes = follow(scanner, decision(review, ReviewVerdict.NONE))
    assert not [o for o in outcomes if isinstance(o, MeasurementsAmended)]
    assert the_review(scanner).verdict is ReviewVerdict.NONE


def test_a_decision_is_published_with_its_span_and_sizes_and_taken_back_by_another_event() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    failed_at = scanner.now
    scanner.now += HOUR
    (amended,) = (o for o in follow(scanner, decision(review)) if isinstance(o, MeasurementsAmended))
    assert (amended.verdict, amended.since, amended.until) == (ReviewVerdict.AMEND, MONDAY, scanner.now)
    assert (amended.revision, amended.is_withdrawn, amended.decided_by) == (1, False, PHYSICIST)
    assert amended.sizes == review.sizes
    assert failed_at < amended.until
    back = WithdrawDecision(
        device=DEVICE, actor=PHYSICIST, request_id="w", review_id=review.review_id, reason="phantom was cold"
    )
    (withdrawn,) = (o for o in follow(scanner, back) if isinstance(o, MeasurementsAmended))
    assert (withdrawn.revision, withdrawn.is_withdrawn, withdrawn.text) == (2, True, "phantom was cold")
    assert the_review(scanner).verdict is None
    (again,) = (
        o for o in follow(scanner, decision(review, ReviewVerdict.RECALL)) if isinstance(o, MeasurementsAmended)
    )
    assert (again.revision, again.verdict) == (3, ReviewVerdict.RECALL)


def test_a_measurement_that_arrives_after_the_decision_bears_it() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    scanner.now += HOUR
    follow(scanner, decision(review))
    late = PatientMeasured("ACC1", MONDAY + MINUTE, "scan-1", regions=(RegionMeasured("L1-L4", 0.9),))
    (one,) = (o for o in scanner.fact(late) if isinstance(o, MeasurementValidated))
    assert one.decisions == (review.review_id,)
    scanner.fact(DecisionWithdrawn(review.review_id, "phantom was cold", PHYSICIST))
    other = replace(late, acquisition_id="scan-2", accession_number="ACC2")
    (two,) = (o for o in scanner.fact(other) if isinstance(o, MeasurementValidated))
    assert two.decisions == ()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"actor": OPERATOR}, "forbidden", "operator"),
        ({"decision": "  "}, "missing", "the reason"),
        ({"review_id": "unknown"}, "missing", "no such review"),
    ],
)
def test_a_decision_is_refused_with_what_is_missing(changes: dict[str, object], code: str, words: str) -> None:
    scanner = in_service()
    asked = replace(decision(failed_twice(scanner)), **changes)
    refusal = scanner.command(asked)
    assert refusal is not None
    assert refusal.code == code
    assert words in refusal.text
    assert the_review(scanner).verdict is None


def test_a_review_is_decided_once_and_a_decision_that_does_not_stand_is_not_taken_back() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    back = WithdrawDecision(device=DEVICE, actor=PHYSICIST, request_id="w", review_id=review.review_id, reason="x")
    refusal = scanner.command(back)
    assert refusal is not None
    assert "No decision" in refusal.text
    assert scanner.command(decision(review)) is None
    refusal = scanner.command(replace(decision(review), request_id="e"))
    assert refusal is not None
    assert "withdraw its decision first" in refusal.text


def test_where_no_measurement_is_in_doubt_nothing_can_follow() -> None:
    scanner = in_service()
    for _ in range(2):
        scanner.now += HOUR
        scanner.scan(1.02)
        scanner.now += MINUTE
        scanner.scan(1.0)
        scanner.now += DAY
        scanner.vendor_qc()
    review = the_review(scanner)
    assert (review.bases, review.since) == (("repeated_first_failures",), None)
    ask = DecideReview(
        device=DEVICE, actor=PHYSICIST, request_id="d", review_id=review.review_id, verdict=ReviewVerdict.AMEND,
        decision="positioning",
    )  # fmt: skip
    refusal = scanner.command(ask)
    assert refusal is not None
    assert "No measurement is in doubt" in refusal.text
    assert scanner.command(replace(ask, verdict=ReviewVerdict.NONE)) is None


# --- episodes ----------------------------------------------------------------------------------------------


def pass_daily(scanner: Folded, days: int) -> None:
    for _ in range(days):
        scanner.until(scanner.now + DAY)
        scanner.vendor_qc()
        scanner.scan(1.0)


def test_a_late_pass_does_not_end_what_failed_after_it() -> None:
    scanner = in_service()
    scanner.now = MONDAY + 2 * DAY
    scanner.scan(1.02)
    scanner.now += 5 * MINUTE
    scanner.scan(1.02)
    scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", 1.0, MONDAY + DAY, "late"))
    assert the_review(scanner).until is None


def test_what_doubts_no_measurement_moves_no_review_that_has_ended() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    scanner.now += MINUTE
    scanner.scan(1.0)
    ended = the_review(scanner)
    scanner.fact(QcReleased(PHANTOM, "cause", PHYSICIST))
    pass_daily(scanner, 3)
    scanner.now += DAY
    scanner.scan(0.98)
    scanner.now += MINUTE
    scanner.scan(1.0)
    first = next(one for one in scanner.state.reviews if one.review_id == review.review_id)
    assert (first.since, first.until) == (ended.since, ended.until)
    assert [one.since for one in scanner.state.reviews if one is not first] == [None]


def test_two_failures_with_a_pass_between_are_two_reviews() -> None:
    scanner = in_service()
    failed_twice(scanner)
    scanner.now += MINUTE
    scanner.scan(1.0)
    scanner.fact(QcReleased(PHANTOM, "cause", PHYSICIST))
    passed_at = scanner.now
    scanner.now += DAY
    scanner.scan(0.98)
    scanner.now += MINUTE
    scanner.scan(0.98)
    spans = [(one.since, one.until) for one in scanner.state.reviews if "failure" in one.bases]
    assert spans == [(MONDAY, passed_at), (passed_at, None)]


def test_deciding_a_failure_leaves_a_drift_that_waits_as_it_is() -> None:
    scanner = in_service()
    failure = failed_twice(scanner)
    scanner.now += MINUTE
    scanner.scan(1.0)
    scanner.fact(QcReleased(PHANTOM, "cause", PHYSICIST))
    pass_daily(scanner, 12)
    for _ in range(8):
        if "drift_unreviewed" in scanner.warnings:
            break
        scanner.now += HOUR
        scanner.scan(1.012)
    assert "drift_unreviewed" in scanner.warnings
    assert scanner.command(decision(failure, ReviewVerdict.NONE)) is None
    assert "drift_unreviewed" in scanner.warnings


def test_a_review_is_of_the_modes_that_its_phantom_vouched_for_though_it_is_taken_out() -> None:
    forearm = Phantom("FOREARM-1", PhantomRole.INDEPENDENT, modes=("forearm",))
    spine = Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine",))
    policy = replace(POLICY, phantoms=(spine, forearm), modes=(Mode("spine"), Mode("forearm")))
    scanner = Folded(policy)
    scanner.fact(baseline())
    scanner.fact(baseline(mean=0.6, sigma=0.003, phantom="FOREARM-1"))
    scanner.scan(0.6, phantom="FOREARM-1")
    for _ in range(2):
        scanner.now += MINUTE
        scanner.scan(0.62, phantom="FOREARM-1")
    review = the_review(scanner)
    assert review.modes == ("forearm",)
    scanner.fact(DeviceReconfigured(replace(policy, phantoms=(replace(spine, modes=()),))))
    ask = DecideReview(
        device=DEVICE, actor=PHYSICIST, request_id="d", review_id=review.review_id, verdict=ReviewVerdict.AMEND,
        decision="forearm phantom",
    )  # fmt: skip
    (amended,) = (o for o in follow(scanner, ask) if isinstance(o, MeasurementsAmended))
    assert amended.modes == ("forearm",)


def test_a_parked_device_takes_no_decision_that_would_have_no_effect() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    scanner.state = replace(scanner.state, parked="an event it does not understand")
    refusal = scanner.command(decision(review))
    assert refusal is not None
    assert "folded anew" in refusal.text


def test_another_value_of_a_standard_does_not_forget_since_when_weights_were_good() -> None:
    scale = Folded(SCALE)
    check(scale, 20.0)
    passed_at = scale.now
    scale.now += DAY
    edited = replace(SCALE, checks=replace(SCALE.checks, standards=(Standard("W20", 20.001),)))
    scale.fact(DeviceReconfigured(edited))
    scale.now += HOUR
    assert opened(check(scale, 21.0)).since == passed_at


def test_a_late_failure_among_many_passes_lies_between_the_two_about_it() -> None:
    scale = Folded(SCALE)
    start = scale.now
    for _ in range(6):
        check(scale, 20.0)
        scale.now += DAY
    outcomes = check(scale, 20.3, at=start + DAY + 6 * HOUR)
    assert opened(outcomes).since == start + DAY
    assert [o.until for o in outcomes if isinstance(o, ReviewEnded)] == [start + 2 * DAY]


# --- what is remembered ------------------------------------------------------------------------------------


def test_of_many_reviews_those_that_wait_are_kept_and_the_state_stays_small() -> None:
    scanner = in_service()
    for number in range(30):
        scanner.now += HOUR
        scanner.scan(1.02)
        scanner.now += MINUTE
        scanner.scan(1.02)
        scanner.now += MINUTE
        scanner.scan(1.0)
        for review in scanner.state.reviews:
            if number < 25 and review.verdict is None:
                scanner.fact(ReviewDecided(PHANTOM, "x", PHYSICIST, review.review_id, ReviewVerdict.AMEND))
        scanner.fact(QcReleased(PHANTOM, "cause", PHYSICIST))
    assert len(scanner.state.reviews) <= REVIEWS
    assert any(one.verdict is None for one in scanner.state.reviews)
    assert sum(one.reaches_the_record for one in scanner.state.reviews) >= 4
    assert len(blob_from_state(scanner.state)) < 8192
    assert state_from_blob(blob_from_state(scanner.state)) == scanner.state


def test_what_it_covers_has_both_its_ends() -> None:
    review = Review("r", PHANTOM, (), MONDAY, MONDAY + HOUR)
    inside = [MONDAY, MONDAY + MINUTE, MONDAY + HOUR]
    outside = [MONDAY - timedelta(microseconds=1), MONDAY + HOUR + timedelta(microseconds=1)]
    assert [covers(review, at) for at in (*inside, *outside)] == [True, True, True, False, False]
    assert covers(replace(review, until=None), MONDAY + 1000 * DAY)
    assert not covers(replace(review, since=None), MONDAY)
