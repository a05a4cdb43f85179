"""Where people go: the pages of the console that hold for a visitor's role, and which of them is shown."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from litestar import Request

from dashboards.access.scopes import Scope, scopes_of_role
from dashboards.context import Console
from dashboards.sessions import Session
from streams.roles import Permission, Role

Rule = Callable[[Console, Session], bool]


class Place(NamedTuple):
    """A page in the navigation of everybody for whom the rule holds; `below` are addresses that belong to it."""

    path: str
    name: str
    holds: Rule = lambda _, __: True
    below: tuple[str, ...] = ()


class Link(NamedTuple):
    """A line of the navigation; `current` is ARIA's word: ``page``, ``true`` where a page below it is shown, blank."""

    path: str
    name: str
    current: str


def reads_measurements(visitor: Session | None) -> bool:
    """Whether a visitor's role reads measurements."""
    return visitor is not None and Scope.MEASUREMENTS_READ in scopes_of_role(visitor.role)


def _engineers(visitor: Session) -> str:
    return "Handed to me" if visitor.role is Role.ENGINEER else "With engineers"


PLACES: Final = (
    Place("/", "Status", below=("/devices/", "/before-the-scan")),
    Place("/reviews", "Reviews", below=("/reviews/",)),
    Place("/due", "Due work"),
    Place("/engineer", "", lambda _, visitor: visitor.may(Permission.HAND_BACK)),
    Place("/uptime", "Uptime", lambda console, _: console.uptime is not None),
    Place("/measurements", "Measurements", lambda _, visitor: reads_measurements(visitor), ("/measurements/",)),
    Place("/alerts", "Alerts", lambda console, _: console.alerts is not None, ("/alerts/",)),
    Place("/log", "Log"),
    Place("/audit", "Audit", lambda _, visitor: visitor.may(Permission.READ_AUDIT)),
    Place("/people", "People", lambda _, visitor: visitor.may(Permission.MANAGE_USERS), ("/people/",)),
    Place("/reports", "Reports", below=("/reports/",)),
)
"""In their order. A page that the application has no route for is left out."""


def links(console: Console, visitor: Session, request: Request[Any, Any, Any]) -> list[Link]:
    """Return the navigation of a visitor."""
    served = {route.path for route in request.app.routes}
    shown = [place for place in PLACES if place.path in served and place.holds(console, visitor)]
    return [Link(one.path, one.name or _engineers(visitor), _current(one, request.url.path)) for one in shown]


def _current(place: Place, path: str) -> str:
    if path == place.path:
        return "page"
    return "true" if path.startswith(place.below) and place.below else ""
