"""What the console says about a review: since when, how far off, what was decided."""

from typing import Final

from dashboards.console.review_actions import VERDICTS
from dashboards.console.wording import device_name
from streams.messages import ReviewBasis
from streams.readings import DeviceView, ReviewStatus
from streams.site_time import SiteTime

_UNITS: Final = {"percent": "%", "kg": "kg", "cm": "cm"}
_DIGITS: Final = {"percent": 2, "kg": 2, "cm": 1}


def title(waiting: int) -> str:
    """Say how many reviews wait."""
    if not waiting:
        return "Reviews: none waits"
    return f"Reviews: {waiting} wait{'s' if waiting == 1 else ''} for a physicist"


def name(view: DeviceView, review: ReviewStatus | None) -> str:
    """Name a review by its device and what told of it."""
    return f"{device_name(view)}: {review.text}" if review is not None else f"{device_name(view)}: a review"


def span(review: ReviewStatus, time: SiteTime) -> str:
    """Say which measurements are in doubt, and how sure the beginning is."""
    if review.since is None:
        return "No measurement is in doubt."
    until = time.when(review.until) if review.until else "now"
    text = f"In doubt: what was measured from {time.when(review.since)} to {until}."
    if ReviewBasis.DRIFT in review.bases and not review.is_assessed:
        return f"{text} The onset is being estimated."
    if review.onset is not None:
        shape = "drifting" if review.onset.shape == "drift" else "off"
        text += f" Most likely {shape} since {time.when(review.onset.likeliest)}"
        text += "; it may have begun before the first reading looked at." if review.onset.is_open else "."
    return text


def size(review: ReviewStatus, time: SiteTime) -> str:
    """Say how far off the device was at last, with what is certain about it."""
    if not review.sizes:
        return "Size not known"
    last, unit, digits = review.sizes[-1], _UNITS.get(review.unit, review.unit), _DIGITS.get(review.unit, 2)
    text = f"{last.size:+.{digits}f} {unit}"
    if last.low is not None and last.high is not None:
        text += f" (95 %: {last.low:+.{digits}f} to {last.high:+.{digits}f})"
    return f"{text} at {time.when(last.at)}"


def verdict(review: ReviewStatus) -> str:
    """Say what was decided."""
    return VERDICTS.get(review.verdict, review.verdict).split(":")[0]
