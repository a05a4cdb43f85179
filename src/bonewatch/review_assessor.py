"""Estimates each drift's onset and size when its review opens, beside the writer, and puts it on record."""

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from streams.engine import SiteEngine
from streams.messages import Draft, ReviewBasis, ReviewOpened, event_id
from streams.readings import Readings, ReviewStatus
from streams.site import Receipt, SiteUnavailableError

WAIT_S: Final = 5.0
MOST_READINGS: Final = 5_000
_STOP: Final = ""


class ReviewAssessor:
    """Assesses drifts of one site; `start` it once the engine is open, `stop` it before the engine.

    Parameters
    ----------
    engine
        The site's engine.
    readings
        What has been judged.
    names
        Device id within the site to device key.
    """

    def __init__(self, engine: SiteEngine, readings: Readings, names: Mapping[str, str]) -> None:
        self._engine, self._readings = engine, readings
        self._ids = {key: name for name, key in names.items()}
        self._asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._unsubscribe: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="review-assessor", daemon=True)
        self._log = structlog.get_logger("bonewatch.reviews")

    def start(self) -> None:
        """Begin with what an earlier run left without an estimate."""
        self._unsubscribe = self._engine.subscribe(self._committed)
        for device in self._ids:
            self._asked.put(device)
        self._thread.start()

    def stop(self) -> None:
        """End after the estimate that is being made."""
        self._unsubscribe()
        self._asked.put(_STOP)
        if self._thread.is_alive():
            self._thread.join(WAIT_S)

    def _committed(self, receipt: Receipt) -> None:
        for recorded in receipt.outcomes:
            if isinstance(recorded.outcome, ReviewOpened) and recorded.outcome.basis == ReviewBasis.DRIFT:
                self._asked.put(recorded.device)

    def _run(self) -> None:
        while (device := self._asked.get()) != _STOP:
            try:
                self._assess(device)
            except SiteUnavailableError:
                self._log.warning("review_not_assessed", device=device, reason="the site could not record it")
            except Exception as error:  # noqa: BLE001 - one device's trouble is not the others', and the review stands
                self._log.error("review_not_assessed", device=device, reason=type(error).__name__)

    def _assess(self, device: str) -> None:
        view = self._readings.device(self._ids.get(device, ""))
        if view is None:
            return
        for review in view.reviews:
            is_drift = ReviewBasis.DRIFT in review.bases
            if is_drift and not review.is_assessed and not review.verdict:
                self._put_on_record(view.id, device, review, view.reviews)

    def _put_on_record(self, name: str, device: str, review: ReviewStatus, reviews: tuple[ReviewStatus, ...]) -> None:
        epochs = [one.baseline for one in self._readings.epochs(name) if one.baseline.phantom_id == review.subject]
        if not epochs:
            return
        found_wrong = [
            one.decided_at
            for one in reviews
            if one.subject == review.subject and one.verdict not in {"", "none"} and one.decided_at is not None
        ]
        from streams.assessment import assess  # noqa: PLC0415 - a site starts sooner without its mathematics

        readings = self._readings.qc(name, limit=MOST_READINGS)
        assessed = assess(review.review_id, epochs[-1], readings, since=max(found_wrong, default=None))
        if assessed is None:
            return
        fact = Draft(event_id("assessed", review.review_id, assessed.method), device, assessed)
        self._engine.append([fact])
        self._log.info("review_assessed", device=device, phantom=review.subject, readings=assessed.onset.readings)
