"""Which measurements an answer held, told by the route to the record of use."""

from collections.abc import Iterable
from typing import Any, Final

from litestar import Request
from litestar.types import Scope

_KEY: Final = "bonewatch.shown"


def note_shown(request: Request[Any, Any, Any], event_ids: Iterable[str]) -> None:
    """Have the use put on record with the measurements that it is answered with, by their events' ids."""
    request.scope["state"][_KEY] = tuple(event_ids)


def shown_by(scope: Scope) -> tuple[str, ...]:
    """Return what the route said that it answers with."""
    shown: tuple[str, ...] = scope["state"].get(_KEY, ())
    return shown
