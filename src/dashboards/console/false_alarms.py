"""Several reviews decided at once as false alarms, each by a command of its own, of those that were looked at."""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from dashboards.console import review_words
from dashboards.console.carrying_out import carry_out
from dashboards.console.catalogue import ACTIONS
from dashboards.console.typed import Typed
from dashboards.console.viewed import Viewed, newest
from dashboards.context import Console
from dashboards.sessions import Session
from streams.messages import ReviewVerdict
from streams.readings import ReviewStatus


class Result(NamedTuple):
    """How the decision of one review went, in words; `name` says which."""

    name: str
    text: str
    is_done: bool


class FalseAlarms:
    """Decides one review after the other that nothing follows, with the same reasons.

    A decision of ours adds to its device's log; that alone makes no other one of them stale. Whatever else happened to
    the device since its trend was shown does.
    """

    def __init__(self, console: Console, session: Session, reasons: str, request_id: str) -> None:
        self._console = console
        self._session = session
        self._reasons = reasons
        self._request_id = request_id
        self._moved: dict[tuple[str, int], int] = {}

    def decide(self, proofs: Iterable[str]) -> list[Result]:
        """Return how it went for each review whose trend was shown, and for each proof that proves nothing."""
        seen, refused = newest(self._console, proofs, self._session.name)
        return [Result("A review", f"{why}.", is_done=False) for why in refused] + [self._decided(one) for one in seen]

    def _decided(self, viewed: Viewed) -> Result:
        view = self._console.readings.device(viewed.device_id)
        if view is None:
            return Result("A review", "Its device is not configured any more.", is_done=False)
        review = next((one for one in view.reviews if one.review_id == viewed.review_id), None)
        name = review_words.name(view, review)
        if review is None:
            return Result(name, "It does not wait any more: see the equipment log.", is_done=False)
        if review.verdict:
            return self._decided_before(name, review)
        seen = (viewed.device_id, viewed.device_seq)
        typed = self._typed(viewed, self._moved.get(seen, viewed.device_seq))
        done = carry_out(self._console, ACTIONS["decide-review"], view, self._session, typed)
        if done.is_done:
            self._moved[seen] = done.device_seq
            return Result(name, "Recorded: nothing follows.", is_done=True)
        why = done.refusal.text if done.refusal else " ".join(typed.errors.values())
        return Result(name, f"{why} Open its trend anew.", is_done=False)

    def _decided_before(self, name: str, review: ReviewStatus) -> Result:
        """Say that the same was recorded, as by a button pressed twice, or who decided what meanwhile."""
        same = (ReviewVerdict.NONE.value, self._reasons, self._session.name)
        if (review.verdict, review.decision, review.decided_by) == same:
            return Result(name, "Recorded: nothing follows.", is_done=True)
        by = f" by {review.decided_by}" if review.decided_by else ""
        return Result(name, f"It was decided meanwhile{by}: {review_words.verdict(review)}.", is_done=False)

    def _typed(self, viewed: Viewed, expected_device_seq: int) -> Typed:
        """Return the form of one decision, filled in."""
        named = f"{self._request_id} {viewed.device_id} {viewed.review_id}"
        values = {
            "review_id": viewed.review_id,
            "verdict": ReviewVerdict.NONE.value,
            "decision": self._reasons,
            "expected_device_seq": str(expected_device_seq),
            "request_id": sha256(named.encode()).hexdigest()[:32],
        }
        return Typed(values, self._console.time)
