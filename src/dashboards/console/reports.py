"""Reports to read and to hand out: a device's month, uptime, and a device's evidence for an inspection."""

from datetime import date
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from dashboards.access.needs import ON_RECORD
from dashboards.audit.middleware import note_subject
from dashboards.auth import Visit, require
from dashboards.console.templates import page
from dashboards.console.wording import sentence
from dashboards.context import Console
from dashboards.reports.files import MEDIA_TYPES, QA_FORMS, pack_name, qa_stem
from dashboards.reports.html import html_body
from dashboards.reports.qa.document import qa_document
from dashboards.reports.qa.figures import QaReport
from dashboards.reports.source import Reports, days_of, month_before, month_from, pack_within
from streams.roles import Permission

FILES = {".pdf": "PDF", ".html": "HTML", "-readings.csv": "Readings (CSV)", "-figures.csv": "Figures (CSV)"}


@get("/reports", sync_to_thread=True)
def reports_page(console: NamedDependency[Console], request: Visit) -> Template:
    """Let somebody pick a device and a month, or the days of an evidence pack."""
    session = require(request, Permission.VIEW)
    _reports(console)
    today = console.time.now.date()
    return page(
        console,
        request,
        "reports.html",
        devices=console.readings.devices(),
        month=month_before(today),
        this_month=today.replace(day=1),
        today=today,
        takes_evidence=session.may(Permission.TAKE_EVIDENCE),
    )


@get("/reports/qa", sync_to_thread=True, opt=ON_RECORD)
def qa_page(
    console: NamedDependency[Console], request: Visit, *, device: FromQuery[str] = "", month: FromQuery[str] = ""
) -> Template:
    """Show a device's month; the last one that is over unless another is chosen."""
    require(request, Permission.VIEW)
    first = _month(month) if month else month_before(console.time.now.date())
    report = _qa(console, device, first)
    note_subject(request.scope, {"device_id": report.identity.device})
    after = month_before(first, -1)
    return page(
        console,
        request,
        "report.html",
        report=report,
        body=html_body(qa_document(report)),
        stem=qa_stem(report),
        forms=FILES,
        before=month_before(first),
        after=after if after <= console.time.now.date() else None,
    )


@get("/reports/qa/{device_id:str}/{name:str}", sync_to_thread=True, opt=ON_RECORD)
def qa_file(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], name: FromPath[str]
) -> Response[Any]:
    """Return a month as a file, such as ``qa-dxa-1-2026-11.pdf``."""
    require(request, Permission.VIEW)
    stem = f"qa-{device_id}-"
    ending = next((one for one in QA_FORMS if name.endswith(one)), "")
    if not ending or not name.startswith(stem):
        raise NotFoundException("There is no such file")
    report = _qa(console, device_id, _month(name[len(stem) : -len(ending)]))
    return _file(name, QA_FORMS[ending](report))


@get("/reports/evidence", sync_to_thread=True, opt=ON_RECORD)
def evidence_file(
    console: NamedDependency[Console],
    request: Visit,
    *,
    device: FromQuery[str] = "",
    first: FromQuery[date | None] = None,
    last: FromQuery[date | None] = None,
) -> Response[Any]:
    """Return a device's evidence between two days."""
    require(request, Permission.TAKE_EVIDENCE)
    if first is None or last is None:
        raise ClientException("Choose the first and the last day")
    view = console.device(device)
    note_subject(request.scope, {"device_id": view.id})
    try:
        data = pack_within(_reports(console), view.id, first, last)
    except ValueError as error:
        raise ClientException(sentence(str(error))) from error
    return _file(pack_name(view.id, first, last), data)


def _file(name: str, data: bytes) -> Response[Any]:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=MEDIA_TYPES[name.rsplit(".", 1)[1]], headers=headers)


def _reports(console: Console) -> Reports:
    if console.reports is None:
        raise NotFoundException("Reports are not made here")
    return console.reports


def _qa(console: Console, device_id: str, first: date) -> QaReport:
    return _reports(console).qa(console.device(device_id).id, *days_of(first), console.clock())


def _month(text: str) -> date:
    try:
        return month_from(text)
    except ValueError as error:
        raise ClientException(sentence(str(error))) from error


report_handlers = (reports_page, qa_page, qa_file, evidence_file)
