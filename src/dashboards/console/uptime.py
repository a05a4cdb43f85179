"""The page of uptime: a month, each device by cause, both conventions, the contract; the same as CSV and PDF."""

import re
from datetime import date
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from dashboards.auth import Visit
from dashboards.console.templates import page
from dashboards.console.wording import sentence
from dashboards.context import Console
from dashboards.reports.files import MEDIA_TYPES, uptime_file_of
from dashboards.reports.source import days_of, month_before, month_from
from dashboards.uptime import words
from dashboards.uptime.figures import Figures, ReportFigures, figures_of

_FILE: Final = re.compile(r"uptime-(\d{4}-\d{2})\.(csv|pdf|html)")
REBOOK_SHOWN: Final = 200


@get("/uptime", sync_to_thread=True)
def uptime_page(console: NamedDependency[Console], request: Visit, *, month: FromQuery[str] = "") -> Template:
    """Show a month; this one unless another is chosen."""
    first = _month(console, month)
    report = _figures(console, first)
    reckoned = [line for line in report.devices if _says_something(line)]
    return page(
        console,
        request,
        "uptime.html",
        report=report,
        reckoned=reckoned,
        without_clinic=[line for line in report.devices if line not in reckoned],
        first=first,
        before=month_before(first),
        after=after if (after := month_before(first, -1)) <= console.time.now.date() else None,
        this_month=console.time.now.date().replace(day=1),
        words=words,
        rebook_shown=REBOOK_SHOWN,
    )


@get("/uptime/files/{name:str}", sync_to_thread=True)
def uptime_file(console: NamedDependency[Console], name: FromPath[str]) -> Response[Any]:
    """Return a month as a file, such as ``uptime-2026-11.csv``."""
    asked = _FILE.fullmatch(name)
    if asked is None:
        raise NotFoundException("There is no such file")
    figures = _figures(console, _month(console, asked[1]))
    data = uptime_file_of(figures, asked[2], console.clock())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=MEDIA_TYPES[asked[2]], headers=headers)


def _says_something(line: Figures) -> bool:
    """Whether a device has anything to show: a scale for which no clinic is configured has not."""
    return bool(line.covered_hours or line.not_counted_hours or line.failures or line.repairs or line.rebook)


def _figures(console: Console, first: date) -> ReportFigures:
    if console.uptime is None:
        raise NotFoundException("Uptime is not kept here")
    return figures_of(console.uptime.report(*days_of(first), console.clock()))


def _month(console: Console, text: str) -> date:
    """Return the first day of a month."""
    if not text:
        return console.time.now.date().replace(day=1)
    try:
        return month_from(text)
    except ValueError as error:
        raise ClientException(sentence(str(error))) from error


uptime_handlers = (uptime_page, uptime_file)
