"""`/api/v1/reports`: a device's month, uptime, and a device's evidence; each download goes on record."""

from datetime import date
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import ServiceUnavailableException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec.structs import replace

from dashboards.access.needs import RouteNeeds, needs
from dashboards.access.scopes import Scope
from dashboards.context import Console
from dashboards.reports.files import MEDIA_TYPES, QA_FORMS
from dashboards.reports.qa.figures import QaReport
from dashboards.reports.source import Reports, days_of, month_from, pack_within
from dashboards.uptime.figures import ReportFigures, figures_of
from streams.sqlite_log import LogError

Month = Annotated[
    str,
    QueryParameter(
        pattern=r"^2[01][0-9]{2}-(0[1-9]|1[0-2])$",
        description="Year and month, such as 2026-11; one that is not over is up to now",
    ),
]
First = Annotated[date, QueryParameter(description="The first day")]
Last = Annotated[date, QueryParameter(description="The last day, included; a year after the first at most")]


@get("/reports/qa/{device_id:str}", **needs(Scope.QC_READ, patient_linked=True), sync_to_thread=True)
def qa_figures(console: NamedDependency[Console], device_id: FromPath[str], month: Month) -> QaReport:
    """A device's month of QA: every figure of the report, in numbers and times."""
    return _qa(console, device_id, month)


def _of_form(ending: str, form: str, words: str) -> HTTPRouteHandler:
    """Return the route of one form of a device's month."""
    media_type = MEDIA_TYPES[ending.rsplit(".", 1)[1]]

    @get(
        f"/reports/qa/{{device_id:str}}/{form}",
        media_type=media_type,
        name=f"qa_{form}",
        operation_id=f"QaReport{form.title().replace('-', '')}",
        description=words,
        **_giving(Scope.QC_READ, media_type),
        sync_to_thread=True,
    )
    def handed_out(console: NamedDependency[Console], device_id: FromPath[str], month: Month) -> Response[Any]:
        return Response(QA_FORMS[ending](_qa(console, device_id, month)), media_type=media_type)

    return handed_out


def _giving(scope: Scope, media_type: str) -> RouteNeeds:
    route = needs(scope, patient_linked=True)
    route["responses"][200] = ResponseSpec(
        bytes, description="The file", media_type=media_type, generate_examples=False
    )
    return route


@get("/reports/uptime", **needs(Scope.GATES_READ), sync_to_thread=True)
def uptime_figures(console: NamedDependency[Console], month: Month) -> ReportFigures:
    """A month's uptime of each device, each make and the site; without what is to be rebooked."""
    first, last = _days(month)
    if console.uptime is None:
        raise ServiceUnavailableException("This application has no log to reckon uptime from")
    try:
        figures = figures_of(console.uptime.report(first, last, console.clock()))
    except LogError as error:
        raise ServiceUnavailableException("The site's log cannot be read now") from error
    return replace(figures, devices=tuple(replace(line, rebook=()) for line in figures.devices))


@get(
    "/reports/evidence/{device_id:str}",
    media_type="application/zip",
    **_giving(Scope.EVIDENCE_READ, "application/zip"),
    sync_to_thread=True,
)
def take_evidence(
    console: NamedDependency[Console], device_id: FromPath[str], first: First, last: Last
) -> Response[Any]:
    """A device's evidence between two days, for an inspection: a ZIP that can be checked against the log."""
    view = console.device(device_id)
    try:
        data = pack_within(_reports(console), view.id, first, last)
    except ValueError as error:
        raise ValidationException(str(error)) from error
    except LogError as error:
        raise ServiceUnavailableException("The site's log cannot be read now") from error
    return Response(data, media_type="application/zip")


def _reports(console: Console) -> Reports:
    if console.reports is None:
        raise ServiceUnavailableException("This application has no log to make reports from")
    return console.reports


def _days(month: str) -> tuple[date, date]:
    try:
        return days_of(month_from(month))
    except ValueError as error:
        raise ValidationException(str(error)) from error


def _qa(console: Console, device_id: str, month: str) -> QaReport:
    view = console.device(device_id)
    try:
        return _reports(console).qa(view.id, *_days(month), console.clock())
    except LogError as error:
        raise ServiceUnavailableException("The site's log cannot be read now") from error


report_handlers: Final = (
    qa_figures,
    _of_form(".pdf", "pdf", "A device's month of QA as a PDF."),
    _of_form(".html", "html", "A device's month of QA as one HTML file."),
    _of_form("-readings.csv", "readings", "The readings of a device's month as CSV."),
    _of_form("-figures.csv", "figures", "Every other figure of a device's month as CSV."),
    uptime_figures,
    take_evidence,
)
