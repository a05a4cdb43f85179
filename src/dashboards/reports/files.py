"""The forms in which a report is handed out: each from the same figures, so that they cannot disagree."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final

import msgspec

from dashboards.reports.document import Document
from dashboards.reports.html import html_file
from dashboards.reports.qa.csv_files import figures_csv, readings_csv
from dashboards.reports.qa.document import qa_document
from dashboards.reports.qa.figures import QaReport
from dashboards.uptime.csv_file import csv_from_report
from dashboards.uptime.document import document_from_report
from dashboards.uptime.figures import ReportFigures

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "zip": "application/zip",
}
"""By how a file's name ends."""


def pdf_of(document: Document, made_at: datetime) -> bytes:
    """Return a document as a PDF."""
    from dashboards.reports.pdf import pdf_from  # noqa: PLC0415 - a site starts sooner without it

    return pdf_from(document, made_at)


def uptime_file_of(figures: ReportFigures, form: str, made_at: datetime) -> bytes:
    """Return uptime as ``csv``, ``json``, ``pdf`` or ``html``."""
    if form == "csv":
        return csv_from_report(figures).encode()
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(figures)) + b"\n"
    document = document_from_report(figures, made_at)
    return html_file(document) if form == "html" else pdf_of(document, made_at)


QA_FORMS: Final[Mapping[str, Callable[[QaReport], bytes]]] = {
    ".pdf": lambda report: pdf_of(qa_document(report), report.made_at),
    ".html": lambda report: html_file(qa_document(report)),
    "-readings.csv": lambda report: readings_csv(report).encode(),
    "-figures.csv": lambda report: figures_csv(report).encode(),
    ".json": lambda report: msgspec.json.format(msgspec.json.encode(report)) + b"\n",
}
"""A device's month by how the file's name ends."""


def qa_stem(report: QaReport) -> str:
    """``qa-dxa-1-2026-11``, or with both days where it is no month."""
    first, last = report.first, report.last
    is_month = first.day == 1 and (first.year, first.month) == (last.year, last.month)
    period = f"{first:%Y-%m}" if is_month else f"{first}-{last}"
    return f"qa-{report.identity.device}-{period}"


def pack_name(device_id: str, first: date, last: date) -> str:
    """``evidence-dxa-1-2026-01-01-2026-12-31.zip``."""
    return f"evidence-{device_id}-{first}-{last}.zip"
