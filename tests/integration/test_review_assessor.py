"""A drift's review gets its estimate on record by itself, once, and what is decided about it can be read again."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bonewatch.review_assessor import ReviewAssessor
from streams.commands import DecideReview, Refusal, WithdrawDecision
from streams.messages import CommissioningSignedOff, Draft, ReviewAssessed, ReviewVerdict, event_id
from streams.readings import ReviewStatus
from streams.sqlite_readings import SqliteReadings
from tests.folding import DEVICE, MONDAY, PHYSICIST, baseline
from tests.integration.test_engine import Running

ONSET_DAY = 30


class Drifting:
    """A site whose scanner is 0.9 % high from the thirtieth day on."""

    def __init__(self, folder: Path) -> None:
        self.running = Running(folder / "site.sqlite")
        self.readings = SqliteReadings(folder / "site.sqlite", self.running.engine, {"dxa-1": DEVICE})
        self.assessor = ReviewAssessor(self.running.engine, self.readings, {"dxa-1": DEVICE})

    def drift(self) -> None:
        """Scan every day until the chart signals."""
        self.running.engine.append([Draft(event_id("signed"), DEVICE, CommissioningSignedOff(PHYSICIST))])
        self.running.engine.append([Draft(event_id("baseline"), DEVICE, baseline())])
        chance = np.random.default_rng(11)
        for day in range(60):
            self.running.clock.now = MONDAY + timedelta(days=day)
            bmd = 1.0 + 0.009 * (day >= ONSET_DAY) + float(chance.normal(0.0, 0.003))
            self.running.scan(bmd)
            if self.reviews:
                return

    @property
    def reviews(self) -> tuple[ReviewStatus, ...]:
        view = self.readings.device("dxa-1")
        assert view is not None
        return view.reviews

    def assessments(self) -> int:
        events = self.readings._events(DEVICE, "bonewatch.review-assessed.v1")
        return sum(isinstance(event.fact, ReviewAssessed) for event in events)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Drifting]:
    drifting = Drifting(tmp_path)
    yield drifting
    drifting.running.stop()


def waited(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def test_a_drift_is_dated_and_sized_by_itself_and_once(site: Drifting) -> None:
    site.assessor.start()
    site.drift()
    assert waited(lambda: site.reviews[0].is_assessed)
    (review,) = site.reviews
    assert review.onset is not None
    began = MONDAY + timedelta(days=ONSET_DAY)
    assert any(begin < began <= end for begin, end in review.onset.spans)
    last = review.sizes[-1]
    assert last.low is not None
    assert last.high is not None
    assert last.low < 0.9 < last.high
    assert review.since == review.onset.spans[0][0]
    site.assessor.stop()
    again = ReviewAssessor(site.running.engine, site.readings, {"dxa-1": DEVICE})
    again.start()
    again.stop()
    assert site.assessments() == 1


def test_what_an_earlier_run_left_without_an_estimate_is_assessed_at_the_next_start(site: Drifting) -> None:
    site.drift()
    (review,) = site.reviews
    assert not review.is_assessed
    site.assessor.start()
    assert waited(lambda: site.reviews[0].is_assessed)
    site.assessor.stop()


def test_a_decision_stands_with_its_estimate_and_is_taken_back(site: Drifting) -> None:
    site.assessor.start()
    site.drift()
    assert waited(lambda: site.reviews[0].is_assessed)
    site.assessor.stop()
    engine, (review,) = site.running.engine, site.reviews
    ask = DecideReview(
        device=DEVICE, actor=PHYSICIST, request_id="d1", review_id=review.review_id, verdict=ReviewVerdict.ANNOTATE,
        decision="0.9 % high since the move", unit=review.unit, sizes=review.sizes,
    )  # fmt: skip
    assert not isinstance(engine.execute(ask, expected_device_seq=engine.states[DEVICE].device_seq), Refusal)
    (decided,) = site.reviews
    assert (decided.verdict, decided.decision, decided.decided_by) == (
        "annotate",
        "0.9 % high since the move",
        PHYSICIST.name,
    )
    back = WithdrawDecision(
        device=DEVICE, actor=PHYSICIST, request_id="w1", review_id=review.review_id, reason="wrong scanner"
    )
    assert not isinstance(engine.execute(back, expected_device_seq=engine.states[DEVICE].device_seq), Refusal)
    (waiting,) = site.reviews
    assert (waiting.verdict, waiting.decision, waiting.decided_by) == ("", "", "")
    assert waiting.sizes == review.sizes
