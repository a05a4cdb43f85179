"""One invented history: phantom and patients every weekday, a change of known onset, shape and size."""

from datetime import datetime, timedelta
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from streams.assessment import assess
from streams.fold.reviews import covers
from streams.messages import (
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    Outcome,
    PatientMeasured,
    PhantomMeasured,
    QcJudged,
    RegionMeasured,
    ReviewAssessed,
    ReviewDecided,
    ReviewOpened,
    ReviewVerdict,
)
from streams.policy import QcRules
from tests.folding import MONDAY, PHANTOM, PHYSICIST, POLICY, Folded, baseline

WEEKDAYS = 520
BASELINE_SCANS = 25
SCATTER_PERCENT = 0.4
PATIENTS_A_DAY = 3


class Change(NamedTuple):
    """From which weekday on the scanner is wrong, and by how much, in percent (of a ramp: a calendar day)."""

    onset: int
    is_ramp: bool
    size: float

    def at(self, days_since: float) -> float:
        """Return how far off the scanner is so many calendar days after the onset."""
        if days_since <= 0:
            return 0.0
        return self.size * (days_since if self.is_ramp else 1.0)


class Result(NamedTuple):
    """What the first review after the onset said, against the truth."""

    change: Change
    onset_is_covered: bool
    size_is_covered: bool
    listed: frozenset[str]
    in_doubt: frozenset[str]
    amended_before_decision: int
    false_alarms: int


def change_of(seed: int) -> Change:
    """Draw a change: a step of 0.5 to 1 %, or a ramp of 0.5 to 3 % in a hundred days, up or down."""
    chance = np.random.default_rng([seed, 0])
    sign = 1.0 if chance.random() < 0.5 else -1.0
    is_ramp = bool(chance.random() < 0.5)
    size = chance.uniform(0.005, 0.03) if is_ramp else chance.uniform(0.5, 1.0)
    return Change(int(chance.integers(40, 400)), is_ramp, sign * size)


def reviewed(seed: int) -> Result | None:
    """Fold a history until a drift that is there is told of; None where it is not within the two years."""
    change, chance = change_of(seed), np.random.default_rng([seed, 1])
    life = _Life(change, chance)
    for day in range(WEEKDAYS):
        told = life.day(day)
        for opened in told:
            if opened.basis != "drift":
                continue
            if day < change.onset:
                life.false_alarm(opened)
            else:
                return life.result(opened)
    return None


class _Life:
    """The scanner's days, and everything that was said of it."""

    def __init__(self, change: Change, chance: np.random.Generator) -> None:
        self._change, self._chance = change, chance
        qc = QcRules(manufacturer_required=False)
        self._scanner = Folded(replace(POLICY, qc=qc), start=MONDAY)
        scans = [1.0 + chance.normal(0.0, SCATTER_PERCENT) / 100.0 for _ in range(BASELINE_SCANS)]
        mean, sd = fmean(scans), stdev(scans)
        sigma = max(sd, 0.005 * mean)
        self._baseline = replace(baseline(mean=mean, sigma=sigma), n=BASELINE_SCANS, sd_g_cm2=sd, established=True)
        self._scanner.fact(self._baseline)
        self._judged: dict[str, QcJudged] = {}
        self._measured: dict[str, datetime] = {}
        self._began: datetime | None = None
        self._amended = 0
        self._false_alarms = 0

    def day(self, day: int) -> list[ReviewOpened]:
        """Scan the phantom, once more if it fails, then the patients."""
        weeks, weekday = divmod(day, 5)
        self._scanner.until(MONDAY + timedelta(days=7 * weeks + weekday))
        if day == self._change.onset:
            self._began = self._scanner.now - timedelta(hours=self._chance.uniform(0.1, 23.0))
        outcomes = self._scan(f"{day}-1")
        if any(isinstance(one, QcJudged) and one.verdict == "fail" for one in outcomes):
            self._scanner.now += timedelta(minutes=5)
            outcomes += self._scan(f"{day}-2")
        opened = [one for one in outcomes if isinstance(one, ReviewOpened)]
        if not opened:
            self._patients(day)
        return opened

    def false_alarm(self, opened: ReviewOpened) -> None:
        """Let the physicist say that nothing follows."""
        self._false_alarms += 1
        self._scanner.fact(ReviewDecided(PHANTOM, "false alarm", PHYSICIST, opened.review_id, ReviewVerdict.NONE))

    def result(self, opened: ReviewOpened) -> Result:
        """Assess the review as the site does, and compare it with the truth."""
        assessed = assess(opened.review_id, self._baseline, list(self._judged.values()))
        assert assessed is not None
        assert self._began is not None
        self._scanner.fact(assessed)
        review = next(one for one in self._scanner.state.reviews if one.review_id == opened.review_id)
        last = assessed.sizes[-1]
        assert last.low is not None
        assert last.high is not None
        truth = self._change.at((last.at - self._began) / timedelta(days=1))
        first = min(begin for begin, _ in assessed.onset.spans)
        return Result(
            change=self._change,
            onset_is_covered=_holds(assessed, self._began),
            size_is_covered=last.low <= truth <= last.high,
            listed=frozenset(name for name, at in self._measured.items() if covers(review, at)),
            in_doubt=frozenset(name for name, at in self._measured.items() if at >= first),
            amended_before_decision=self._amended,
            false_alarms=self._false_alarms,
        )

    def _scan(self, name: str) -> list[Outcome]:
        now = self._scanner.now
        off = self._change.at((now - self._began) / timedelta(days=1)) if self._began else 0.0
        bmd = 1.0 + (off + self._chance.normal(0.0, SCATTER_PERCENT)) / 100.0
        outcomes = self._fact(PhantomMeasured(PHANTOM, "L1-L4", bmd, now, f"scan-{name}"))
        for one in outcomes:
            if isinstance(one, QcJudged):
                self._judged[one.subject_event_id] = one
        return outcomes

    def _patients(self, day: int) -> None:
        for number in range(PATIENTS_A_DAY):
            self._scanner.now += timedelta(hours=1)
            region = RegionMeasured("L1-L4", 0.9)
            name = f"ACC{day:04}{number}"
            fact = PatientMeasured(name, self._scanner.now, f"patient-{name}", regions=(region,))
            judged = [one for one in self._fact(fact) if isinstance(one, MeasurementValidated | MeasurementWithheld)]
            if isinstance(judged[0], MeasurementValidated):
                self._measured[name] = self._scanner.now

    def _fact(self, fact: PhantomMeasured | PatientMeasured) -> list[Outcome]:
        outcomes = list(self._scanner.fact(fact))
        self._amended += sum(isinstance(one, MeasurementsAmended) for one in outcomes)
        return outcomes


def _holds(assessed: ReviewAssessed, moment: datetime) -> bool:
    begins_before = assessed.onset.is_open and moment <= assessed.onset.spans[0][0]
    return begins_before or any(begin < moment <= end for begin, end in assessed.onset.spans)
