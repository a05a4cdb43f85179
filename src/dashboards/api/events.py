"""`/api/v1/events`: what is published of the site, as server-sent events (WHATWG HTML, 9.2)."""

import asyncio
import sqlite3
from typing import Annotated, Final, Literal

import structlog
from litestar import get
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException, ServiceUnavailableException
from litestar.middleware import ASGIMiddleware
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.caller import Caller, caller_of
from dashboards.access.credentials import Credentials, require_scope
from dashboards.access.needs import Needs, RouteNeeds, needs
from dashboards.access.permit import Permit
from dashboards.access.scopes import Scope as Part
from dashboards.api.event_stream import Begin, EventStream
from dashboards.auth import Visit
from dashboards.context import Console
from dashboards.errors import refusal
from publishing.published import OtherLogError, PublishedLog, Selection

EventType = Literal[
    "bonewatch.gate-changed.v1",
    "bonewatch.measurement-validated.v1",
    "bonewatch.measurement-withheld.v1",
    "bonewatch.measurements-amended.v1",
]

PART_OF_TYPE: Final[dict[EventType, Part]] = {
    "bonewatch.gate-changed.v1": Part.GATES_READ,
    "bonewatch.measurement-validated.v1": Part.MEASUREMENTS_READ,
    "bonewatch.measurement-withheld.v1": Part.MEASUREMENTS_READ,
    "bonewatch.measurements-amended.v1": Part.MEASUREMENTS_READ,
}
"""What somebody needs to be told of it."""

LONGEST_S: Final = 3600

_NEWS: Final = "bonewatch.news"
_COME_BACK: Final = {"Retry-After": "30"}

_log = structlog.get_logger("dashboards.api")

Types = Annotated[list[EventType] | None, QueryParameter(description="Those wanted; otherwise all that you may read")]
Devices = Annotated[list[str] | None, QueryParameter(description="Ids of devices at this site; otherwise all")]
Since = Annotated[str | None, QueryParameter(description="The id of the last event that you have, or a log position")]
LastEventId = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", description="The same; goes before `since`: readers send it")
]
MaxSeconds = Annotated[
    int | None, QueryParameter(ge=0, le=LONGEST_S, description="End after so long; 0: when you have what there is")
]


class StreamMiddleware(ASGIMiddleware):
    """Gives a stream one of the places there are, and takes it back from who does not read."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let it be answered while there is a place."""
        console: Console = scope["litestar_app"].state.console
        settings, is_deaf = console.settings.streams, False
        if console.live.watchers >= settings.most:
            raise ServiceUnavailableException("There are as many streams as this site keeps", headers=_COME_BACK)

        async def in_time(message: Message) -> None:
            nonlocal is_deaf
            try:
                async with asyncio.timeout(settings.slow_s):
                    await send(message)
            except TimeoutError:
                is_deaf = True
                raise

        with console.live.watching() as news:
            scope["state"][_NEWS] = news
            try:
                await next_app(scope, receive, in_time)
            except Exception:
                if not is_deaf:
                    raise
                _log.warning("slow_stream_dropped", waited_s=settings.slow_s)


def _route() -> RouteNeeds:
    route = needs(
        Part.GATES_READ,
        Part.MEASUREMENTS_READ,
        patient_linked=True,
        answers={409: "The place to go on from is not in this log: read what there is over the API, then begin anew"},
    )
    words = "Server-sent events: `data` is a CloudEvent 1.0 in JSON, `event` its type, `id` its place to go on from"
    route["responses"][200] = ResponseSpec(
        str, description=words, media_type="text/event-stream", generate_examples=False
    )
    del route["responses"][304]  # a stream is never what somebody has
    return route


@get("/events", **_route(), middleware=[StreamMiddleware()])
async def stream_events(
    console: NamedDependency[Console],
    credentials: NamedDependency[Credentials],
    request: Visit,
    *,
    types: Types = None,
    device: Devices = None,
    since: Since = None,
    last_event_id: LastEventId = None,
    max_seconds: MaxSeconds = None,
) -> ServerSentEvent:
    """Changes of gates, measurements and what was decided of them, from now on or from a place of the log on."""
    log, caller = console.published, caller_of(request)
    if caller is None:
        raise PermissionDeniedException("Sign in first")
    selection = Selection(_permitted(types, caller), tuple({console.device(one).device: None for one in device or ()}))
    if log is None:
        raise ServiceUnavailableException("This application has no log to read events from")
    begin = await _begin(log, since, last_event_id)
    scopes = {part for one, part in PART_OF_TYPE.items() if one in selection.types}
    permit = await Permit.begin(console, credentials, request, caller, scopes)
    longest = console.settings.streams.lasts_s
    lasts_s = longest if max_seconds is None else min(max_seconds, longest)
    stream = EventStream(console, log, request.scope["state"][_NEWS], permit, lasts_s)
    return ServerSentEvent(stream.after(begin, selection), headers={"X-Accel-Buffering": "no"})


def _permitted(types: list[EventType] | None, caller: Caller) -> tuple[str, ...]:
    """Return the types asked for, or refuse; where none are named, all that the caller may be told of."""
    for one in types or ():
        require_scope(caller, Needs(PART_OF_TYPE[one]))
    return tuple(one for one, part in PART_OF_TYPE.items() if (one in types if types else part in caller.scopes))


async def _begin(log: PublishedLog, since: str | None, last_event_id: str | None) -> Begin:
    """Return where to begin: behind what the caller has, or now."""
    name, given = ("Last-Event-ID", last_event_id) if last_event_id else ("since", since)

    def found() -> Begin:
        place = log.end() if given is None else log.place_of(given)
        return place, log.mark(place)

    try:
        return await sync_to_thread(found)
    except OtherLogError as error:
        words = f"{error}. Read what there is over the API, then begin without {name}"
        raise refusal(409, words, {name: str(error)}) from error
    except ValueError as error:
        raise refusal(400, f"{name} is not right", {name: str(error)}) from error
    except sqlite3.Error as error:
        raise ServiceUnavailableException("The site's log cannot be read now", headers=_COME_BACK) from error
