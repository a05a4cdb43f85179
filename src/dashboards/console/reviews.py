"""Reviews over all devices: what a device may have measured wrongly, and what was decided about it."""

import secrets
from collections.abc import Sequence
from typing import Final, NamedTuple

from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Template

from dashboards.auth import Visit, require, signed_in
from dashboards.console import review_words
from dashboards.console.comments import comments_by_subject
from dashboards.console.false_alarms import FalseAlarms, Result
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.console.trend import trend
from dashboards.console.typed import Typed
from dashboards.console.viewed import Viewed, newest, sealed
from dashboards.context import Console
from streams.readings import DeviceView, ReviewStatus
from streams.roles import Permission, may

MOST_AT_ONCE: Final = 100


class Listed(NamedTuple):
    """A review and the device that it is of."""

    view: DeviceView
    review: ReviewStatus


@get("/reviews", sync_to_thread=True)
def reviews_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Show what waits for a physicist on every device, the oldest first, and what was decided lately."""
    return _queue(console, request, Typed({}, console.time))


@get("/reviews/{device_id:str}/{review_id:str}", sync_to_thread=True)
def review_page(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], review_id: FromPath[str]
) -> Template:
    """Show one review with its trend and what was said about it."""
    return _one(console, request, "review.html", device_id, review_id)


@get("/reviews/{device_id:str}/{review_id:str}/trend", sync_to_thread=True)
def review_trend(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], review_id: FromPath[str]
) -> Template:
    """Return the trend of one review for the queue, with the proof that it was shown."""
    return _one(console, request, "parts/review_trend.html", device_id, review_id)


@post("/reviews/decide", sync_to_thread=True, status_code=200)
def decide_reviews(console: NamedDependency[Console], request: Visit, data: FormData) -> Template:
    """Decide that nothing follows, for each review whose trend was opened and ticked; tell it one by one."""
    session = require(request, Permission.DECIDE_REVIEW)
    typed = Typed(data, console.time)
    comment = typed.text("decision", "Record your reasons")
    proofs = data.get("viewed", [])
    ticked = [proofs] if isinstance(proofs, str) else [str(one) for one in proofs]
    if not ticked:
        typed.errors["viewed"] = "Open a trend, then tick the review beside it"
    elif len(ticked) > MOST_AT_ONCE:
        typed.errors["viewed"] = f"Decide at most {MOST_AT_ONCE} at once"
    if typed.errors:
        return _queue(console, request, typed, ticked=ticked[:MOST_AT_ONCE], status_code=422)
    results = FalseAlarms(console, session, comment, typed.values.get("request_id", "")).decide(ticked)
    return _queue(console, request, Typed({}, console.time), results=results)


def _queue(
    console: Console,
    visit: Visit,
    typed: Typed,
    *,
    ticked: Sequence[str] = (),
    results: list[Result] | None = None,
    status_code: int = 200,
) -> Template:
    seen, _ = newest(console, ticked, visit.user.name if visit.user else "")
    listed = [Listed(view, review) for view in console.readings.devices() for review in view.reviews]
    return page(
        console,
        visit,
        "reviews.html",
        status_code=status_code,
        waiting=sorted((one for one in listed if not one.review.verdict), key=lambda one: one.review.opened_at),
        decided=[one for one in listed if one.review.verdict],
        may_decide=visit.user is not None and may(visit.user.role, Permission.DECIDE_REVIEW),
        words=review_words,
        typed=typed,
        ticked={(one.device_id, one.review_id): sealed(console, one) for one in seen},
        results=results or [],
        request_id=secrets.token_hex(16),
    )


def _one(console: Console, visit: Visit, template: str, device_id: str, review_id: str) -> Template:
    session, view = signed_in(visit), console.device(device_id)
    review = next((one for one in view.reviews if one.review_id == review_id), None)
    if review is None:
        raise NotFoundException("There is no such review, or it was decided long ago: see the equipment log")
    drawn = trend(console.readings, view, review)
    may_decide = session.may(Permission.DECIDE_REVIEW)
    seen = Viewed(session.name, view.id, review.review_id, view.device_seq, console.clock())
    return page(
        console,
        visit,
        template,
        view=view,
        review=review,
        trend=drawn,
        proof=sealed(console, seen) if drawn and may_decide and not review.verdict else "",
        may_decide=may_decide,
        may_comment=session.may(Permission.WRITE_LOG) and bool(review.outcome_id),
        comments=comments_by_subject(console, view).get(review.outcome_id, ()) if review.outcome_id else (),
        words=review_words,
        request_id=secrets.token_hex(16),
    )


review_handlers = (reviews_page, review_page, review_trend, decide_reviews)
