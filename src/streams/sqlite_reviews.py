"""Reviews of a device as the site's log tells them, for those that the device's state still knows of."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from msgspec.structs import replace

from streams import codec
from streams.fold.state import DeviceState, Review
from streams.messages import ReviewAssessed, ReviewDecided, ReviewOpened
from streams.readings import ReviewStatus

Query = Callable[[str, tuple[object, ...]], list[tuple[Any, ...]]]

_OUTCOMES: Final = (
    "SELECT o.body, e.recorded_at, o.outcome_id FROM outcomes o JOIN events e ON e.position = o.event_position"
    " WHERE o.device = ? AND o.type = 'bonewatch.review-opened.v1' ORDER BY o.position DESC LIMIT 500"
)
_FACTS: Final = (
    "SELECT body FROM events WHERE device = ? AND type IN"
    " ('bonewatch.review-assessed.v1', 'bonewatch.review-decided.v1') ORDER BY position DESC LIMIT 100"
)


def device_reviews(key: str, state: DeviceState, query: Query) -> tuple[ReviewStatus, ...]:
    """Return the reviews that a device's state knows of: first those that wait, the oldest first.

    Parameters
    ----------
    query
        Runs a statement on the site's log.
    """
    if not state.reviews:
        return ()
    found = {status.review_id: status for status in _opened(key, query)}
    for (body,) in reversed(query(_FACTS, (key,))):
        event = codec.decode_event(body)
        fact = event.fact
        if isinstance(fact, ReviewAssessed) and fact.review_id in found:
            found[fact.review_id] = replace(
                found[fact.review_id], unit=fact.unit, sizes=fact.sizes, onset=fact.onset, is_assessed=True
            )
        elif isinstance(fact, ReviewDecided) and fact.review_id in found:
            found[fact.review_id] = replace(
                found[fact.review_id],
                decision=fact.decision,
                decided_by=fact.decided_by.name,
                decided_at=event.recorded_at,
            )
    listed = []
    for one in state.reviews:
        status = found.get(one.review_id) or _as_known(key, one, state)
        stands = replace(status, bases=one.bases, since=one.since, until=one.until, verdict=one.verdict or "")
        listed.append(stands if one.verdict else replace(stands, decision="", decided_by="", decided_at=None))
    return tuple(sorted(listed, key=lambda status: (bool(status.verdict), status.opened_at)))


def _as_known(key: str, one: Review, state: DeviceState) -> ReviewStatus:
    """Return what the state itself knows of a review whose opening lies far back in the log."""
    return ReviewStatus(
        review_id=one.review_id,
        device=key,
        subject=one.subject,
        bases=one.bases,
        text=f"{' and '.join(one.bases).replace('_', ' ')} of {one.subject}".capitalize(),
        opened_at=one.since or state.now or datetime.now(UTC),
        since=one.since,
        until=one.until,
        modes=one.modes,
        is_assessed=one.is_assessed,
    )


def _opened(key: str, query: Query) -> Iterator[ReviewStatus]:
    """Yield each review as it was last opened, with the time of its first opening."""
    firsts: dict[str, tuple[datetime, str]] = {}
    lasts: dict[str, tuple[ReviewOpened, tuple[str, ...]]] = {}
    for body, at, name in reversed(query(_OUTCOMES, (key,))):
        outcome = codec.decode_outcome(body).outcome
        if isinstance(outcome, ReviewOpened):
            firsts.setdefault(outcome.review_id, (datetime.fromisoformat(at), name))
            before = lasts.get(outcome.review_id)
            texts = (*(before[1] if before else ()), outcome.text)
            sizes = (
                outcome
                if outcome.sizes or before is None
                else replace(outcome, sizes=before[0].sizes, unit=before[0].unit)
            )
            lasts[outcome.review_id] = (sizes, texts)
    for review_id, (last, texts) in lasts.items():
        yield ReviewStatus(
            review_id=review_id,
            device=key,
            subject=last.phantom_id,
            bases=(last.basis,),
            text="; ".join(texts),
            opened_at=firsts[review_id][0],
            since=last.since,
            until=None,
            modes=last.modes,
            unit=last.unit,
            sizes=last.sizes,
            outcome_id=firsts[review_id][1],
        )
