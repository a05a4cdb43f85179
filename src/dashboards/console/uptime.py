"""The page of uptime: a month, each device by cause, both conventions, the contract; the same as CSV and PDF."""

import re
from calendar import monthrange
from datetime import date
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from dashboards.auth import Visit
from dashboards.console.templates import page
from dashboards.context import Console
from dashboards.uptime import words
from dashboards.uptime.csv_file import csv_from_report
from dashboards.uptime.figures import Figures, ReportFigures, figures_of

_MONTH: Final = re.compile(r"(2[01]\d{2})-(0[1-9]|1[0-2])", re.ASCII)
_FILE: Final = re.compile(r"uptime-(\d{4}-\d{2})\.(csv|pdf)")
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
        before=_moved(first, -1),
        after=_moved(first, 1) if _moved(first, 1) <= console.time.now.date() else None,
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
    if asked[2] == "csv":
        data, media_type = csv_from_report(figures).encode(), "text/csv; charset=utf-8"
    else:
        from dashboards.uptime.sheet import pdf_from_report  # noqa: PLC0415 - a site starts sooner without it

        data, media_type = pdf_from_report(figures, console.clock()), "application/pdf"
    return Response(data, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


def _says_something(line: Figures) -> bool:
    """Whether a device has anything to show: a scale for which no clinic is configured has not."""
    return bool(line.covered_hours or line.not_counted_hours or line.failures or line.repairs or line.rebook)


def _figures(console: Console, first: date) -> ReportFigures:
    if console.uptime is None:
        raise NotFoundException("Uptime is not kept here")
    last = first.replace(day=monthrange(first.year, first.month)[1])
    return figures_of(console.uptime.report(first, last, console.clock()))


def _month(console: Console, text: str) -> date:
    """Return the first day of a month."""
    if not text:
        return console.time.now.date().replace(day=1)
    asked = _MONTH.fullmatch(text)
    if asked is None:
        raise ClientException("A month is written as year and month, such as 2026-11")
    return date(int(asked[1]), int(asked[2]), 1)


def _moved(first: date, months: int) -> date:
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


uptime_handlers = (uptime_page, uptime_file)
