"""Reviews over all devices: what a device may have measured wrongly, and what was decided about it."""

from typing import NamedTuple

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from dashboards.auth import Visit
from dashboards.console import review_words
from dashboards.console.templates import page
from dashboards.context import Console
from streams.readings import DeviceView, ReviewStatus
from streams.roles import Permission, may


class Listed(NamedTuple):
    """A review and the device that it is of."""

    view: DeviceView
    review: ReviewStatus


@get("/reviews", sync_to_thread=True)
def reviews_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Show what waits for a physicist on every device, the oldest first, and what was decided lately."""
    listed = [Listed(view, review) for view in console.readings.devices() for review in view.reviews]
    waiting = sorted((one for one in listed if not one.review.verdict), key=lambda one: one.review.opened_at)
    decided = [one for one in listed if one.review.verdict]
    may_decide = request.user is not None and may(request.user.role, Permission.DECIDE_REVIEW)
    return page(
        console, request, "reviews.html", waiting=waiting, decided=decided, may_decide=may_decide, words=review_words
    )
