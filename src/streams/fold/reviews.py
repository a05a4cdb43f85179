"""Reviews of what a device measured: opened by drift, failure or a failed check, and decided by a physicist alone.

One review per episode: what else tells of the same phantom or standard before anybody has decided joins it. What it
covers is a span of time; who was measured in it is told by the record.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.fold.state import DeviceState, Review, earliest
from streams.messages import (
    DecisionWithdrawn,
    Event,
    MeasurementsAmended,
    ReviewAssessed,
    ReviewBasis,
    ReviewDecided,
    ReviewEnded,
    ReviewOpened,
    ReviewVerdict,
    SizeAt,
    event_id,
)
from streams.policy import DeviceKind

REVIEWS: Final = 10
"""So many reviews are remembered by a device's state; those that wait for a decision before all others."""
REVIEW_ID: Final = 12
"""Characters of a review's id: 72 bits."""
UNITS: Final = {
    DeviceKind.SCANNER: "percent",
    DeviceKind.SCALE: "kg",
    DeviceKind.HOIST: "kg",
    DeviceKind.STADIOMETER: "cm",
}
_ONGOING: Final = frozenset({ReviewBasis.DRIFT})
"""What a passing reading does not end."""


Result = tuple[DeviceState, tuple[ReviewOpened | ReviewEnded | MeasurementsAmended, ...]]


def review(state: DeviceState, review_id: str) -> Review | None:
    """Return a review that is remembered, or None."""
    return next((one for one in state.reviews if one.review_id == review_id), None)


def opened(
    state: DeviceState,
    event: Event,
    subject: str,
    basis: ReviewBasis,
    text: str,
    *,
    since: datetime | None,
    until: datetime | None = None,
    sizes: tuple[SizeAt, ...] = (),
) -> Result:
    """Open a review of what was measured since a time, or let it join the one that waits on the same subject.

    Parameters
    ----------
    subject
        The phantom or standard that tells.
    since, until
        None: no measurement is in doubt; and: it goes on.
    """
    joined = _to_join(state, subject, since, until)
    if joined is None:
        phantom = state.policy.phantom(subject) if state.policy else None
        name = event_id("review", event.event_id, subject, basis)[:REVIEW_ID]
        made = Review(name, subject, (basis,), since, until, modes=phantom.modes if phantom is not None else ())
    else:
        bases = joined.bases if basis in joined.bases else (*joined.bases, basis)
        made = replace(joined, bases=bases, opened=joined.opened + 1)
        if since is not None:  # else it doubts no measurement
            ends = None if joined.until is None or until is None else max(joined.until, until)
            made = replace(made, since=earliest(joined.since, since), until=ends)
    told = ReviewOpened(
        phantom_id=subject,
        basis=basis,
        since=made.since,
        text=text,
        review_id=made.review_id,
        revision=made.opened,
        modes=made.modes,
        unit=UNITS[state.policy.kind] if state.policy and sizes else "",
        sizes=sizes,
    )
    state = _with_review(state, made)
    if made.until is not None:
        return state, (told, ReviewEnded(made.review_id, made.until))
    return state, (told,)


def _to_join(state: DeviceState, subject: str, since: datetime | None, until: datetime | None) -> Review | None:
    """Return the review of the same episode that waits: one that goes on, else one that overlaps, and stays ended.

    Where as many wait as are remembered, the last of the subject takes what comes: rather too much is in doubt.
    """
    waiting = [one for one in _waiting(state) if one.subject == subject]
    for one in waiting:
        if one.until is None:
            return one
    for one in waiting:
        if one.until is not None and until is not None and since is not None and since < one.until:
            return one
    is_full = len(_waiting(state)) >= REVIEWS - 1
    return waiting[-1] if waiting and is_full else None


def passed(state: DeviceState, subject: str, at: datetime) -> Result:
    """Let a passing reading end what a failure of the same phantom or standard began."""
    ended: list[ReviewEnded] = []
    for one in state.reviews:
        is_its = one.subject == subject and one.verdict is None and one.until is None
        if is_its and not _ONGOING & set(one.bases) and (one.since is None or one.since < at):
            state = _with_review(state, replace(one, until=at))
            ended.append(ReviewEnded(one.review_id, at))
    return state, tuple(ended)


def begun_anew(state: DeviceState, subject: str, at: datetime) -> Result:
    """Let a new baseline end whatever goes on about a phantom: values are judged by another mean from here."""
    ended: list[ReviewEnded] = []
    for one in state.reviews:
        if one.subject == subject and one.verdict is None and one.until is None:
            state = _with_review(state, replace(one, until=at))
            ended.append(ReviewEnded(one.review_id, at))
    return state, tuple(ended)


def all_ended(state: DeviceState, at: datetime) -> Result:
    """End whatever goes on about a device that another has taken the place of."""
    ended: list[ReviewEnded] = []
    for one in state.reviews:
        if one.verdict is None and one.until is None:
            state = _with_review(state, replace(one, until=at))
            ended.append(ReviewEnded(one.review_id, at))
    return state, tuple(ended)


def without_future(state: DeviceState, now: datetime) -> DeviceState:
    """Return the state with no review that begins or ends in a future that never was."""
    kept = [
        replace(
            one,
            since=min(one.since, now) if one.since is not None else None,
            until=min(one.until, now) if one.until is not None else None,
        )
        for one in state.reviews
    ]
    return replace(state, reviews=tuple(kept))


def is_of_drift(state: DeviceState, fact: ReviewDecided) -> bool:
    """Whether a decision is about a drift that waits for it; one that names no review is of its phantom's."""
    one = review(state, fact.review_id)
    return not fact.review_id or (one is not None and one.verdict is None and ReviewBasis.DRIFT in one.bases)


def assessed(state: DeviceState, fact: ReviewAssessed) -> DeviceState:
    """Take the estimated onset: what was measured since the earliest that the data allow is in doubt."""
    one = review(state, fact.review_id)
    if one is None or one.verdict is not None:
        return state
    first = min((begin for begin, _ in fact.onset.spans), default=fact.onset.likeliest)
    return _with_review(state, replace(one, since=earliest(one.since, first), is_assessed=True))


def decided(state: DeviceState, fact: ReviewDecided, event: Event) -> Result:
    """Publish what a physicist decided; a decision of nothing publishes nothing."""
    of_phantom = (one for one in _waiting(state) if one.subject == fact.phantom_id and not fact.review_id)
    one = review(state, fact.review_id) or next(of_phantom, None)
    if one is None or one.verdict is not None:
        return state, ()
    until = one.until or event.recorded_at
    after = replace(one, verdict=fact.verdict, until=until)
    told: list[ReviewEnded | MeasurementsAmended] = []
    if one.until is None:
        told.append(ReviewEnded(one.review_id, event.recorded_at))
    if after.reaches_the_record and one.since is not None:
        after = replace(after, amended=one.amended + 1)
        told.append(
            MeasurementsAmended(
                review_id=one.review_id,
                revision=after.amended,
                verdict=fact.verdict,
                since=one.since,
                until=until,
                modes=one.modes,
                unit=fact.unit,
                sizes=fact.sizes,
                text=fact.decision,
                decided_by=fact.decided_by,
                decided_at=event.recorded_at,
            )
        )
    return _with_review(state, after), tuple(told)


def withdrawn(state: DeviceState, fact: DecisionWithdrawn, event: Event) -> Result:
    """Take a decision back: the record stands as before, and the review waits again."""
    one = review(state, fact.review_id)
    if one is None or one.verdict is None:
        return state, ()
    after = replace(one, verdict=None)
    if not one.reaches_the_record or one.since is None or one.until is None:
        return _with_review(state, after), ()
    after = replace(after, amended=one.amended + 1)
    amended = MeasurementsAmended(
        review_id=one.review_id,
        revision=after.amended,
        verdict=ReviewVerdict.NONE,
        since=one.since,
        until=one.until,
        modes=(),
        unit="",
        sizes=(),
        text=fact.reason,
        decided_by=fact.withdrawn_by,
        decided_at=event.recorded_at,
        is_withdrawn=True,
    )
    return _with_review(state, after), (amended,)


def in_force(state: DeviceState, mode: str, at: datetime) -> tuple[str, ...]:
    """Return the decided reviews whose decision is about a measurement of this mode and time."""
    found = []
    for one in state.reviews:
        is_its_mode = not one.modes or mode in one.modes
        if one.reaches_the_record and is_its_mode and covers(one, at):
            found.append(one.review_id)
    return tuple(found)


def covers(one: Review, at: datetime) -> bool:
    """Whether a time lies in what a review is about; what it began with and ended with included."""
    return one.since is not None and one.since <= at and (one.until is None or at <= one.until)


def _waiting(state: DeviceState) -> list[Review]:
    return [one for one in state.reviews if one.verdict is None]


def _with_review(state: DeviceState, one: Review) -> DeviceState:
    """Keep a review; of too many the oldest goes that nobody waits for, first those whose decision was of nothing."""
    if any(other.review_id == one.review_id for other in state.reviews):
        kept = tuple(one if other.review_id == one.review_id else other for other in state.reviews)
    else:
        kept = (*state.reviews, one)
    decided_ones = sorted((other for other in kept if other.verdict is not None), key=lambda o: o.reaches_the_record)
    if len(kept) > REVIEWS and decided_ones:  # one that waits is never forgotten
        kept = tuple(other for other in kept if other is not decided_ones[0])
    return replace(state, reviews=kept)
