"""Reviews: one an episode, with late passes, late failures and several episodes at a time."""

from msgspec.structs import replace

from streams.commands import DecideReview
from streams.fold.reviews import REVIEWS
from streams.fold.state import blob_from_state, state_from_blob
from streams.messages import (
    DeviceReconfigured,
    MeasurementsAmended,
    PhantomMeasured,
    QcReleased,
    ReviewDecided,
    ReviewEnded,
    ReviewVerdict,
)
from streams.policy import Mode, Phantom, PhantomRole, Standard
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, POLICY, Folded, baseline
from tests.unit.reviews_rig import (
    DAY,
    HOUR,
    MINUTE,
    SCALE,
    check,
    decision,
    failed_twice,
    follow,
    in_service,
    opened,
    the_review,
)

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
