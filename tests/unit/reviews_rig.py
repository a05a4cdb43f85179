"""Scanners and scales that are found to have been wrong, and the decision of a physicist."""

from datetime import datetime, timedelta

from streams.commands import DecideReview, Refusal, WithdrawDecision
from streams.fold.decisions import decide
from streams.fold.state import Review
from streams.messages import CalibrationCheckRead, Outcome, PhantomMeasured, ReviewOpened, ReviewVerdict
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Frequency, Standard
from tests.folding import DEVICE, PHANTOM, PHYSICIST, Folded, baseline

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
    return opened(scanner.fact(scan_again(scanner, 1.02)))


def scan_again(scanner: Folded, bmd: float) -> PhantomMeasured:
    scanner.scans += 1
    return PhantomMeasured(PHANTOM, "L1-L4", bmd, scanner.now, f"again-{scanner.scans}")


def the_review(scanner: Folded) -> Review:
    (one,) = scanner.state.reviews
    return one


SCALE = DevicePolicy(
    DeviceKind.SCALE,
    checks=CheckRules((Standard("W20", 20.0),), Frequency.WEEKLY, limit_kg=0.1, ranges=((200.0, 100.0),)),
)


def check(scale: Folded, read: float, *, at: datetime | None = None) -> tuple[Outcome, ...]:
    return scale.fact(CalibrationCheckRead("W20", read, at or scale.now, "Oz"))


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
