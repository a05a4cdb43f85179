"""Reviews: what opens them, what each covers, and what ends it."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.fold.reviews import covers
from streams.fold.state import Review
from streams.messages import Onset, PhantomMeasured, ReviewAssessed, ReviewEnded, ReviewOpened, SizeAt
from tests.folding import MONDAY, PHANTOM, Folded, baseline
from tests.unit.reviews_rig import (
    DAY,
    HOUR,
    MINUTE,
    SCALE,
    check,
    failed_twice,
    in_service,
    opened,
    scan_again,
    the_review,
)

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
    (ended,) = (o for o in scanner.fact(scan_again(scanner, 1.0)) if isinstance(o, ReviewEnded))
    assert (ended.review_id, ended.until) == (review.review_id, scanner.now)
    assert the_review(scanner).verdict is None
    assert not [o for o in scanner.fact(scan_again(scanner, 1.0)) if isinstance(o, ReviewEnded)]


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
        assert not [o for o in scanner.fact(scan_again(scanner, 1.01)) if isinstance(o, ReviewOpened)]
    scanner.now += HOUR
    return opened(scanner.fact(scan_again(scanner, 1.01)))


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
    failure = opened(scanner.fact(scan_again(scanner, 1.03)))
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


# --- what is remembered ------------------------------------------------------------------------------------


def test_what_it_covers_has_both_its_ends() -> None:
    review = Review("r", PHANTOM, (), MONDAY, MONDAY + HOUR)
    inside = [MONDAY, MONDAY + MINUTE, MONDAY + HOUR]
    outside = [MONDAY - timedelta(microseconds=1), MONDAY + HOUR + timedelta(microseconds=1)]
    assert [covers(review, at) for at in (*inside, *outside)] == [True, True, True, False, False]
    assert covers(replace(review, until=None), MONDAY + 1000 * DAY)
    assert not covers(replace(review, since=None), MONDAY)
