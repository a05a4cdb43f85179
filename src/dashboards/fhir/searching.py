"""What a search asks for: parameters by FHIR's rules, values of tokens, dates, strings and references.

What is not known is ignored, and does not stand in the self link, unless ``Prefer: handling=strict`` asks for an error
(R4, 3.1.0.5). A modifier or a prefix that is not supported is always an error.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from litestar import Request
from litestar.exceptions import HTTPException

from dashboards.audit.middleware import ASKED_BY_POST
from dashboards.errors import refusal
from dashboards.fhir.model import FhirJson

FORM: Final = "application/x-www-form-urlencoded"
DEFAULT_COUNT: Final = 50
MOST_COUNT: Final = 500
CURSOR: Final = "_cursor"
_OWN: Final = frozenset({"_count", "_format", CURSOR})
_STRICT: Final = re.compile(r"\bhandling\s*=\s*\"?strict\b", re.IGNORECASE)
_DATE: Final = re.compile(
    r"(?P<prefix>eq|ge|gt|le|lt|sa|eb)?(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d{1,6})?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_TICK: Final = timedelta(microseconds=1)
"""Times of the record are this fine."""


class Parameter(NamedTuple):
    """A search parameter: FHIR's type of it, and what to know of it.

    `modifiers` are those that it may have; where `needs_modifier`, it means nothing without one.
    """

    type: str
    words: str
    modifiers: frozenset[str] = frozenset()
    needs_modifier: bool = False

    def names(self, name: str) -> list[str]:
        """Return how it may be written."""
        return [*([] if self.needs_modifier else [name]), *(f"{name}:{one}" for one in sorted(self.modifiers))]


Parameters = Mapping[str, Parameter]


Form = Sequence[tuple[str, str]]
"""Parameters that came in a POST."""


class Given(NamedTuple):
    """A parameter as it was given; of `values` one is to fit."""

    name: str
    modifier: str
    values: tuple[str, ...]


class Search(NamedTuple):
    """A search as it was understood; `accepted` is what of the query was heeded."""

    given: tuple[Given, ...]
    limit: int
    cursor: str | None
    accepted: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[Given]:
        """Return every use of a parameter: all of them are to fit."""
        return [one for one in self.given if one.name == name]


class Token(NamedTuple):
    """A code or identifier; `system` None: of any, blank: of none; `code` blank: any of the system."""

    system: str | None
    code: str

    def fits(self, system: str, code: str) -> bool:
        """Whether a coding or an identifier is meant."""
        return self.system in {None, system} and self.code in {"", code}


class Span(NamedTuple):
    """A span of time, both ends included; None is without end."""

    since: datetime | None = None
    until: datetime | None = None

    def both(self, other: "Span") -> "Span":
        """Return what lies in both."""
        since = [one for one in (self.since, other.since) if one is not None]
        until = [one for one in (self.until, other.until) if one is not None]
        return Span(max(since, default=None), min(until, default=None))


def search(request: Request[Any, Any, Any], known: Parameters, form: Form = ()) -> Search:
    """Return what a request asks for, in its address and its form; 400 for what cannot be meant so."""
    is_strict = any(_STRICT.search(value) for value in request.headers.getall("prefer", []))
    given, accepted, own = [], [], dict[str, str]()
    for name, value in (*request.query_params.multi_items(), *form):
        if name in _OWN:
            own[name] = value
        elif (found := _given(name, value, known)) is not None:
            given.append(found)
            accepted.append((name, value))
        elif is_strict and value:
            raise refusal(400, f"A parameter is not known here: there are {', '.join(known)}, _count and _format")
    return Search(tuple(given), _count(own.get("_count")), own.get(CURSOR), tuple(accepted))


async def form_of(request: Request[Any, Any, Any]) -> Form:
    """Return the parameters of a POST, and tell the record of use their names."""
    body = await request.body()
    if not body:
        return ()
    if request.content_type[0] != FORM:
        raise HTTPException(detail=f"What is searched for comes as {FORM}", status_code=415)
    try:
        form = parse_qsl(body.decode(), max_num_fields=100)
    except ValueError as error:
        raise refusal(400, "This form cannot be read: UTF-8 of 100 fields at most") from error
    request.state[ASKED_BY_POST] = tuple(name for name, _ in form)
    return form


def _given(name: str, value: str, known: Parameters) -> Given | None:
    base, _, modifier = name.partition(":")
    parameter = known.get(base)
    if parameter is None or not value:
        return None
    if modifier not in parameter.modifiers and (modifier or parameter.needs_modifier):
        raise refusal(400, f"Ask for {base} as {' or '.join(parameter.names(base))}", {base: parameter.words})
    return Given(base, modifier, tuple(_or(value)))


def _or(value: str) -> list[str]:
    """Return what stands between commas, nothing left out but blanks; a comma behind a backslash is one of the text."""
    return [_plain(one) for one in re.split(r"(?<!\\),", value) if one.strip()] or [""]


def _plain(text: str) -> str:
    """Return a text without NUL, which no database holds."""
    return re.sub(r"\\([,$\\])", r"\1", text).replace("\x00", "\ufffd")


def _count(given: str | None) -> int:
    if given is None:
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,9}", given) or not int(given):
        raise refusal(400, "_count is 1 or more: how many there are in all is not counted", {"_count": "1 or more"})
    return min(int(given), MOST_COUNT)


# --- values ------------------------------------------------------------------------------------------------


def token(value: str) -> Token:
    """Read ``code``, ``system|code``, ``|code`` or ``system|``."""
    system, bar, code = re.sub(r"\\\|", "\x00", value).partition("|")
    if not bar:
        system, code = "", system
    return Token(system.replace("\x00", "|") if bar else None, code.replace("\x00", "|"))


def tokens(given: Given) -> list[Token]:
    """Return the tokens of a parameter."""
    return [token(value) for value in given.values]


def fits_coding(given: Given, concepts: Iterable[FhirJson]) -> bool:
    """Whether one of some CodeableConcepts has a code that is asked for."""
    codings = [one for concept in concepts for one in concept.get("coding", ())]
    return any(asked.fits(one.get("system", ""), one.get("code", "")) for asked in tokens(given) for one in codings)


def fits_code(given: Given, system: str, code: str) -> bool:
    """Whether an element that is a code is asked for."""
    return any(asked.fits(system, code) for asked in tokens(given))


def fits_identifier(given: Given, identifiers: Iterable[FhirJson]) -> bool:
    """Whether one of some identifiers is asked for."""
    return any(
        asked.fits(one.get("system", ""), one.get("value", "")) for asked in tokens(given) for one in identifiers
    )


def fits_string(given: Given, texts: Sequence[str]) -> bool:
    """Whether a text begins so, whatever the case; with a modifier, contains it or is exactly it."""
    for asked in given.values:
        for text in texts:
            if given.modifier == "exact":
                fits = text == asked
            elif given.modifier == "contains":
                fits = asked.casefold() in text.casefold()
            else:
                fits = text.casefold().startswith(asked.casefold())
            if fits:
                return True
    return False


def referred(value: str, kind: str, base: str) -> str | None:
    """Return the id that a reference to one of our resources names; None for a reference to something else.

    Parameters
    ----------
    kind
        What may be meant where there is only an id.
    base
        The address of this API, without a slash at its end.
    """
    path = value.removeprefix(f"{base}/")
    named, slash, found = path.rpartition("/")
    return found if not slash or named == kind else None


def only(given: Given) -> str:
    """Return the value of a parameter that takes one."""
    if len(given.values) != 1:
        raise refusal(400, f"Ask for one {given.name} at a time", {given.name: "one value"})
    return given.values[0]


def span(given: Given, zone: ZoneInfo) -> Span:
    """Return the span of time that a date names: as fine as it is written, in the site's zone where it names none."""
    words = "A date is one of 2026, 2026-03, 2026-03-01, 2026-03-01T08:30Z, after eq, ge, gt, le, lt, sa or eb"
    wrong = refusal(400, words, {given.name: words})
    match = _DATE.fullmatch(only(given))
    if match is None:
        raise wrong
    try:
        return _meant(match["prefix"] or "eq", *_bounds(match, zone))
    except (ValueError, OverflowError) as error:
        raise wrong from error


def _meant(prefix: str, begins: datetime, ends: datetime) -> Span:
    match prefix:
        case "eq":
            return Span(begins, ends - _TICK)
        case "ge":
            return Span(since=begins)
        case "gt" | "sa":
            return Span(since=ends)
        case "le":
            return Span(until=ends - _TICK)
        case _:
            return Span(until=begins - _TICK)


def _bounds(match: re.Match[str], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when a date begins and when what follows it does."""
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    begins = datetime(year, month, day, tzinfo=zone)
    if match["month"] is None:
        ends = begins.replace(year=year + 1)
    elif match["day"] is None:
        ends = begins.replace(year=year + month // 12, month=month % 12 + 1)
    elif match["hour"] is None:
        ends = datetime.combine(begins.date() + timedelta(days=1), begins.timetz())
    else:
        return _moment(match, begins)
    return begins.astimezone(UTC), ends.astimezone(UTC)


def _moment(match: re.Match[str], begins: datetime) -> tuple[datetime, datetime]:
    fraction = match["fraction"] or ""
    moment = begins.replace(
        hour=int(match["hour"]),
        minute=int(match["minute"]),
        second=int(match["second"] or 0),
        microsecond=int(fraction[1:].ljust(6, "0") or 0) if fraction else 0,
    )
    if match["zone"]:
        moment = moment.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00:00{match['zone']}").tzinfo)
    if fraction:
        fineness = timedelta(microseconds=10 ** (7 - len(fraction)))
    else:
        fineness = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    moment = moment.astimezone(UTC)
    return moment, moment + fineness


# --- format ------------------------------------------------------------------------------------------------

_FORMATS: Final = frozenset({"json", "application/json", "application/fhir+json", "text/json"})
_ACCEPTED: Final = frozenset(
    {"*/*", "application/*", "application/json", "application/fhir+json", "text/json", "text/*"}
)


async def refuse_other_formats(request: Request[Any, Any, Any]) -> None:
    """Answer 406 to who takes no JSON, or another version of FHIR than R4."""
    asked = request.query_params.get("_format")
    if asked is not None:
        fits = _is_ours(asked.replace(" ", "+"), _FORMATS)  # a plus in an address is a space
    else:
        accepted = ",".join(request.headers.getall("accept", [])) or "*/*"
        fits = any(_is_ours(one, _ACCEPTED) for one in accepted.split(","))
    if not fits:
        raise HTTPException(detail="There is JSON of FHIR 4.0.1 alone: ask for application/fhir+json", status_code=406)


def _is_ours(media_range: str, formats: frozenset[str]) -> bool:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    said = dict(part.replace(" ", "").partition("=")[::2] for part in parameters)
    quality = re.fullmatch(r"0(\.0*)?", said.get("q", "1"))
    return name in formats and quality is None and said.get("fhirversion", "4.0").strip('"') in {"4.0", "4.0.1"}
