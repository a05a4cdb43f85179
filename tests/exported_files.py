"""Exports of invented consoles, and the maps that read them."""

import zipfile
from collections.abc import Iterable, Sequence
from io import BytesIO

from openpyxl import Workbook

PHANTOM_MAP = """
title = "QC history of an invented console"
kind = "phantom"
decimal = ","

[csv]
encoding = "cp1252"
delimiter = ";"

[columns]
date = "Datum"
time = "Zeit"
phantom = "Patienten-ID"
bmd = "BMD gesamt"
scan_id = "Scan"
software = "Version"

[dates]
date = "%d.%m.%Y"
time = "%H:%M"

[units]
bmd = "g/cm2"
"""

HEADER = "Datum;Zeit;Patienten-ID;BMD gesamt;Scan;Version;Kommentar"

VENDOR_MAP = """
title = "Daily QC of an invented console"
kind = "vendor_qc"
decimal = "."

[csv]
encoding = "utf-8"
delimiter = ","

[columns]
date_time = "When"
result = "Outcome"
performed_by = "Who"

[dates]
date_time = "%Y-%m-%d %H:%M:%S"

[words]
passed = ["PASS", "in limits"]
failed = ["FAIL"]
"""

CHECK_MAP = """
title = "Checks of a scale"
kind = "check"
decimal = "."

[csv]
encoding = "utf-8"
delimiter = ","
header = 0

[columns]
date_time = 1
standard = 2
read = 3

[dates]
date_time = "%Y-%m-%dT%H:%M"

[units]
read = "g"

[standards]
"20 kg weight" = "W20"
"""

XLSX_MAP = PHANTOM_MAP.replace('[csv]\nencoding = "cp1252"\ndelimiter = ";"', '[xlsx]\nsheet = "QC"').replace(
    'date = "%d.%m.%Y"\ntime = "%H:%M"', 'date = "cell"\ntime = "cell"'
)

XML_MAP = """
title = "XML of an invented console"
kind = "phantom"
decimal = "."

[xml]
row = "Scan"

[columns]
date_time = "Acquired/@at"
phantom = "@patient"
region = "Result/Region"
bmd = "Result/BMD"

[dates]
date_time = "%Y-%m-%dT%H:%M:%S%z"

[units]
bmd = "mg/cm2"
"""


def line(
    day: int, bmd: str = "0,987", *, phantom: str = "SPINE-1234", year: int = 2026, month: int = 11, scan: str = ""
) -> str:
    """A row of the invented console; its dates are whole numbers."""
    name = scan or f"A{month:02}{day:02}01"
    return f"{day:02}.{month:02}.{year};07:45;{phantom};{bmd};{name};13.6.0.5;"


def csv_export(lines: Iterable[str], *, header: str = HEADER, end: str = "\r\n") -> bytes:
    return (end.join([header, *lines]) + end).encode("cp1252")


def workbook(rows: Iterable[Sequence[object]], *, sheet: str = "QC", header: str = HEADER) -> bytes:
    book = Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    page.append(header.split(";"))
    for row in rows:
        page.append(list(row))
    data = BytesIO()
    book.save(data)
    return data.getvalue()


def with_member(archive: bytes, name: str, data: bytes) -> bytes:
    """The archive with one member's content replaced."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, data if member.filename == name else old.read(member))
    return out.getvalue()
