"""Bundles of what was found: the self link with what was heeded, the next page behind an opaque cursor.

How many there are in all is not counted.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from litestar import Request

from dashboards.context import Console
from dashboards.errors import refusal
from dashboards.fhir.model import FhirJson, resource
from dashboards.fhir.outcome import FHIR_PATH
from dashboards.fhir.searching import CURSOR, Given, Search
from dashboards.manner.paging import Position

BY_POST: Final = "/_search"
"""What the address of a search by POST ends with."""


class Found(NamedTuple):
    """A page, and where the next one begins; None where there is none."""

    resources: Sequence[FhirJson]
    follows: Position | None = None


def base_of(request: Request[Any, Any, Any]) -> str:
    """Return the address of this API, as the caller sees it, without a slash at its end.

    Where cookies go over TLS only, TLS ends in front of us, and the address begins with ``https``.
    """
    console: Console = request.app.state.console
    seen = str(request.base_url).rstrip("/")
    return (f"https://{seen.partition('://')[2]}" if console.settings.secure_cookies else seen) + FHIR_PATH


def begins_at(request: Request[Any, Any, Any], console: Console, asked: Search) -> Position | None:
    """Return where the page begins that is asked for; None for the first."""
    return console.cursors.opened(_question(request, asked), asked.cursor)


def bundle(request: Request[Any, Any, Any], console: Console, asked: Search, found: Found) -> FhirJson:
    """Return a page of what was found."""
    address = f"{base_of(request)}{_path(request)}"
    query = [*asked.accepted, ("_count", str(asked.limit))]
    here = [*query, (CURSOR, asked.cursor)] if asked.cursor is not None else query
    links = [{"relation": "self", "url": f"{address}?{urlencode(here)}"}]
    if found.follows is not None:
        cursor = console.cursors.sealed(_question(request, asked), found.follows)
        links.append({"relation": "next", "url": f"{address}?{urlencode([*query, (CURSOR, cursor)])}"})
    entries = [
        {"fullUrl": f"{base_of(request)}/{one['resourceType']}/{one['id']}", "search": {"mode": "match"}}
        for one in found.resources
    ]
    made = resource("Bundle", type="searchset", link=links, entry=entries)
    for entry, one in zip(made.get("entry", ()), found.resources, strict=True):
        entry["resource"] = one  # checked when it was made
    return made


def sliced(resources: Sequence[FhirJson], count: int, begins: Position | None) -> Found:
    """Return a page of what is there as a whole."""
    first = int(begins[0]) if begins else 0
    last = first + count
    return Found(resources[first:last], [last] if last < len(resources) else None)


def _path(request: Request[Any, Any, Any]) -> str:
    """Return what is searched: links are asked for by GET, however the first page was."""
    return request.url.path.removeprefix(FHIR_PATH).removesuffix(BY_POST)


def _question(request: Request[Any, Any, Any], asked: Search) -> str:
    """Return a digest of what is asked, whatever part of it and however much at a time."""
    return sha256(f"{_path(request)}?{urlencode(sorted(asked.accepted))}".encode()).hexdigest()[:16]


def refuse_many(given: Given, most: int) -> None:
    """Refuse to look up more than so many at once."""
    if len(given.values) > most:
        raise refusal(400, f"Ask for {most} at most at once", {given.name: f"{most} at most"})
