"""What a route of the API asks of its caller, in one word at the route; what it may answer, for the document."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

import msgspec
from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import SecurityRequirement
from litestar.routes import HTTPRoute
from litestar.types import Scope as AsgiScope

from dashboards.access.scopes import Scope

ON_RECORD: Final = {"on_record": True}
"""Option of a page of the console that shows what is linked to patients: each use goes on record."""

ALWAYS_ON_RECORD: Final = {"on_record": "always"}
"""The same for a page that needs no sign-in: what it is about goes on record by `note_subject`."""

SIGN_IN_ON_RECORD: Final = {"on_record": "sign_in"}
"""The same for signing in and out: of whom `note_person` names, and done whether or not it can be put on record."""

PROBLEM: Final = "application/problem+json"

API_PATHS: Final = ("/api/", "/fhir")
"""Where every route names what it needs, and what goes wrong is told as problem details."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_ALWAYS: Final = {
    400: "The request cannot be meant so",
    401: "No right credential: a token, or name and password",
    403: "The credential is right and does not suffice",
    429: "Too many requests, or too many wrong passwords or tokens: see Retry-After",
    500: "Something went wrong here; it is in the log",
    503: "Not now: try again in a moment",
}
_OF_READS: Final = {404: "There is no such thing"}
_OF_WRITES: Final = {
    404: "There is no such thing",
    409: "What it was asked about has changed, or the same was asked before",
    413: "The content is too large",
    422: "Something is missing or not right, or the Idempotency-Key came with other content",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Problem details (RFC 9457); `errors` says what is wrong with which field."""

    type: str
    title: str
    status: int
    detail: str
    errors: dict[str, str] = {}


class Needs(msgspec.Struct, frozen=True):
    """What a route asks for, under its option ``needs``.

    Parameters
    ----------
    scope
        What a token must have and a person's role must permit.
    or_scopes
        What suffices instead; the route gives less for less.
    public_status
        Open without sign-in where the site's policy shows its status to everybody.
    patient_linked
        Reads go on record: what is answered is linked to patients.
    asks_only
        A POST that reads: what is asked may stand in no address. Nothing of it is kept.
    """

    scope: Scope
    public_status: bool = False
    patient_linked: bool = False
    or_scopes: tuple[Scope, ...] = ()
    asks_only: bool = False

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes of which one suffices."""
        return (self.scope, *self.or_scopes)


class RouteNeeds(TypedDict):
    """Arguments of a route."""

    opt: dict[str, Any]
    security: list[SecurityRequirement]
    responses: dict[int, ResponseSpec]


def needs(
    scope: Scope,
    *or_scopes: Scope,
    writes: bool = False,
    public_status: bool = False,
    patient_linked: bool = False,
    asks_only: bool = False,
    answers: Mapping[int, str] | None = None,
) -> RouteNeeds:
    """Return the arguments of a route that needs a scope, as in ``@get("/devices", **needs(Scope.GATES_READ))``.

    Reads are GETs; a route that `writes` takes no session, for another site's page could send it. One that
    `asks_only` is a POST too, and takes none either. `answers` are refusals beyond those that every route may give.
    """
    is_post = writes or asks_only
    asked = Needs(scope, public_status, patient_linked, or_scopes, asks_only)
    security: list[SecurityRequirement] = [*({"token": [one.value]} for one in asked.scopes), {"password": []}]
    if not is_post:
        security.append({"session": []})
    if public_status:
        security.append({})
    refusals = _ALWAYS | (_OF_WRITES if is_post else _OF_READS) | dict(answers or {})
    responses = {status: _problem_spec(words) for status, words in refusals.items()}
    if not is_post:
        responses[304] = ResponseSpec(None, description="It is what If-None-Match says that the caller has")
    return RouteNeeds(opt={"needs": asked}, security=security, responses=responses)


def needs_of(scope: AsgiScope | Mapping[str, Any]) -> Needs | None:
    """Return what the route of a request asks for; None for what is no route of the API."""
    handler = scope.get("route_handler")
    return handler.opt.get("needs") if isinstance(handler, BaseRouteHandler) else None


def method_of(scope: AsgiScope | Mapping[str, Any]) -> str:
    """Return the method of a request; blank for what is none."""
    return str(scope.get("method", ""))


def writes(scope: AsgiScope | Mapping[str, Any]) -> bool:
    """Whether a request to a route of the API is to change something."""
    found = needs_of(scope)
    return method_of(scope) not in SAFE and not (found is not None and found.asks_only)


def is_api(path: str) -> bool:
    """Whether programs are answered at a path, rather than people."""
    return path.startswith(API_PATHS)


def refuse_unnamed(app: Litestar) -> None:
    """Refuse an application with a route of the API that does not say who may use it."""
    for path, handler in _api_routes(app):
        if "needs" not in handler.opt and handler.opt.get("public") != "always":
            raise ImproperlyConfiguredException(f"{path} ({handler}) does not say what it needs: see dashboards.access")


def _api_routes(app: Litestar) -> Iterable[tuple[str, BaseRouteHandler]]:
    for route in app.routes:
        if is_api(route.path):
            handlers = route.route_handlers if isinstance(route, HTTPRoute) else [route.route_handler]
            for handler in handlers:
                # OPTIONS is Litestar's own: it says which methods there are
                if not (isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"OPTIONS"}):
                    yield route.path, handler


def _problem_spec(words: str) -> ResponseSpec:
    return ResponseSpec(Problem, description=words, media_type=PROBLEM, generate_examples=False)
