"""Reviews: only a decision reaches the record, and it can be taken back."""

import pytest
from msgspec.structs import replace

from streams.commands import DecideReview, WithdrawDecision
from streams.messages import (
    DecisionWithdrawn,
    MeasurementsAmended,
    MeasurementValidated,
    PatientMeasured,
    RegionMeasured,
    ReviewVerdict,
)
from tests.folding import DEVICE, MONDAY, OPERATOR, PHYSICIST
from tests.unit.reviews_rig import DAY, HOUR, MINUTE, decision, failed_twice, follow, in_service, the_review

# --- decisions ---------------------------------------------------------------------------------------------


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


def test_a_parked_device_takes_no_decision_that_would_have_no_effect() -> None:
    scanner = in_service()
    review = failed_twice(scanner)
    scanner.state = replace(scanner.state, parked="an event it does not understand")
    refusal = scanner.command(decision(review))
    assert refusal is not None
    assert "folded anew" in refusal.text
