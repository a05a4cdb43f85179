"""What no type can say of a column map: each fault with its key and what to write."""

import codecs
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from collectors.files.column_map import CELL, MEASURED, ColumnMap, CsvShape, Kind, plain
from streams.fold.schedule import zone
from streams.policy import DeviceKind, DevicePolicy

_ENCODINGS: Final = (
    "ascii", "utf-8", "utf-16", "cp1250", "cp1252", "cp1257", "iso8859-1", "iso8859-2", "iso8859-15",
)  # fmt: skip
_SAMPLE: Final = datetime(2001, 11, 23, 15, 46, tzinfo=UTC)
_TIMES: Final = ("date_time", "date", "time")
_REQUIRED: Final = {Kind.PHANTOM: ("phantom", "bmd"), Kind.VENDOR_QC: ("result",), Kind.CHECK: ("standard", "read")}
_MAY_BE: Final = {
    Kind.PHANTOM: ("patient_name", "region", "scan_id", "analysis", "software", "performed_by"),
    Kind.VENDOR_QC: ("scan_id", "performed_by", "reviewed_by", "note"),
    Kind.CHECK: ("scan_id", "performed_by"),
}
_DENSITY: Final = ("g/cm2", "mg/cm2")
_MASS: Final = ("kg", "g", "lb")
_LENGTH: Final = ("cm", "mm", "m", "in")
_UNITS: Final[dict[Kind, tuple[str, ...]]] = {Kind.PHANTOM: _DENSITY, Kind.CHECK: (*_MASS, *_LENGTH)}
_NEVER_CONSTANT: Final = frozenset({"date_time", "bmd", "read", "result"})
_TABLES: Final = (("phantoms", Kind.PHANTOM), ("regions", Kind.PHANTOM), ("standards", Kind.CHECK))


def faults_in(found: ColumnMap) -> list[str]:
    """Return what is wrong with a map, whichever device it is for."""
    if sum(shape is not None for shape in (found.csv, found.xlsx, found.xml)) != 1:
        return ["say how the files are written in one of [csv], [xlsx], [xml]"]
    parts = (_csv_faults, _name_faults, _field_faults, _constant_faults, _unit_faults, _date_faults, _word_faults)
    return [fault for part in parts for fault in part(found)]


def device_faults(found: ColumnMap, policy: DevicePolicy) -> list[str]:
    """Return what of a map does not fit the device that it is to read for."""
    if (found.kind is Kind.CHECK) == (policy.kind is DeviceKind.SCANNER):
        return [f'kind = "{found.kind}" does not fit a {policy.kind}']
    phantoms = {*found.phantoms.values(), *filter(None, [found.constants.get("phantom")])}
    phantoms -= {phantom.patient_id for phantom in policy.phantoms}
    standards = {*found.standards.values(), *filter(None, [found.constants.get("standard")])}
    standards -= {standard.standard_id for standard in policy.checks.standards}
    faults = [f"phantom {name} is no [[device.phantom]]'s patient_id" for name in sorted(phantoms)]
    faults += [f"standard {name} is no [[device.standard]]'s id" for name in sorted(standards)]
    fitting = _LENGTH if policy.kind is DeviceKind.STADIOMETER else _MASS
    if found.kind is Kind.CHECK and found.unit not in fitting:
        faults.append(f"units.read: a {policy.kind} has {', '.join(fitting)}")
    return faults


def _csv_faults(found: ColumnMap) -> Iterator[str]:
    shape = found.csv
    if shape is None:
        return
    if not _is_known(shape.encoding):
        yield f"csv.encoding: one of {', '.join(_ENCODINGS)}"
    if not _marks_fit(shape):
        yield r'csv.delimiter and csv.quote: one character each and not the same, such as ";" or "\t"'
    if shape.delimiter == found.decimal and not shape.quote:
        yield "decimal: it is the delimiter too, and nothing quotes a cell"


def _is_known(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in {codecs.lookup(one).name for one in _ENCODINGS}
    except LookupError:
        return False


def _marks_fit(shape: CsvShape) -> bool:
    marks = {shape.delimiter, shape.quote}
    return len(shape.delimiter) == 1 and len(shape.quote) <= 1 and len(marks) == 2 and not marks & set("\r\n\0")


def _name_faults(found: ColumnMap) -> Iterator[str]:
    shape = found.csv or found.xlsx
    if shape is not None and not 0 <= shape.header <= 1000:
        yield "header: the line of the column names, up to 1000; 0: there are none"
    for name in found.names:
        if isinstance(name, int):
            if shape is None or not 1 <= name <= 16_384:
                yield f"columns: {name} is no column's number; the first is 1, and an XML's columns have names"
        elif not name.strip() or (shape is not None and shape.header == 0):
            yield f'columns: "{name}" is a name, but there is no header: give its number'


def _field_faults(found: ColumnMap) -> Iterator[str]:
    may_be = (*_TIMES, *_REQUIRED[found.kind], *_MAY_BE[found.kind])
    for name in (*found.columns, *found.constants):
        if name not in may_be:
            yield f"columns.{name}: a {found.kind} has {', '.join(may_be)}"
    for name in _REQUIRED[found.kind]:
        if name not in found.columns and name not in found.constants:
            yield f"columns.{name} is missing" + ("" if name in _NEVER_CONSTANT else f" (or constants.{name})")
    if "note" in found.columns:
        yield "columns.note: free text of a file may name a patient: a note is a constant"


def _constant_faults(found: ColumnMap) -> Iterator[str]:
    for name, value in found.constants.items():
        if name in found.columns:
            yield f"constants.{name}: it is a column too; one of both"
        if name in _NEVER_CONSTANT:
            yield f"constants.{name}: it is another in every row; name its column"
        if not value.strip():
            yield f"constants.{name} is empty"


def _unit_faults(found: ColumnMap) -> Iterator[str]:
    measured, choices = MEASURED.get(found.kind), _UNITS.get(found.kind, ())
    if measured and found.unit not in choices:
        yield f"units.{measured}: say the unit of the file, one of {', '.join(choices)}"
    for name in found.units:
        if name != measured:
            yield f"units.{name}: only {measured or 'nothing'} has a unit here"


def _date_faults(found: ColumnMap) -> Iterator[str]:
    given = {name for name in _TIMES if name in found.columns or name in found.constants}
    if given not in ({"date_time"}, {"date", "time"}):
        yield (
            "columns: give date_time, or date and time; an export with the day alone gets its time as a constant, "
            'such as constants.time = "00:00"'
        )
    for name in _TIMES:
        written = getattr(found.dates, name)
        if (name in given) != bool(written):
            yield f"dates.{name}: the format of {name}, as the export writes it; given where {name} is, and only there"
        elif written:
            yield from _format_faults(found, name, written)
    if found.dates.time_zone:
        try:
            zone(found.dates.time_zone)
        except ValueError as error:
            yield f"dates.time_zone: {error}"


def _format_faults(found: ColumnMap, name: str, written: str) -> Iterator[str]:
    if written == CELL:
        if found.xlsx is None or name in found.constants:
            yield f'dates.{name}: "{CELL}" is for the date cells of a workbook'
    elif not _tells(name, written):
        yield f"dates.{name}: such as %d/%m/%Y or %H:%M, of Python's strptime; it tells the whole date, or the minute"
    elif name in found.constants and not _fits(found.constants[name], written):
        yield f"constants.{name} is not written as dates.{name} says"


def _tells(name: str, written: str) -> bool:
    """Whether a time written so is read back as it was; a zone's name (%Z) would be read, and not heeded."""
    if "%Z" in written:
        return False
    try:
        back = datetime.strptime(_SAMPLE.strftime(written), written)  # noqa: DTZ007 - zone or not, it is as written
    except (ValueError, re.error):  # the same directive twice is an error of its own kind
        return False
    day = back.date() == _SAMPLE.date() or name == "time"
    minute = (back.hour, back.minute) == (_SAMPLE.hour, _SAMPLE.minute) or name == "date"
    return day and minute


def _fits(text: str, written: str) -> bool:
    try:
        datetime.strptime(text, written)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def _word_faults(found: ColumnMap) -> Iterator[str]:
    if (found.kind is Kind.VENDOR_QC) != (found.words is not None):
        yield "words: what stands for passed and failed in result; given for vendor_qc, and only there"
    if found.words:
        passed, failed = (set(map(plain, words)) for words in (found.words.passed, found.words.failed))
        if not passed or not failed or passed & failed or "" in passed | failed:
            yield "words: passed and failed name words of their own, both"
    for name, kind in _TABLES:
        if getattr(found, name) and found.kind is not kind:
            yield f"{name}: a {found.kind} has none"
    for place, one in enumerate(found.only):
        if bool(one.values) == bool(one.but):
            yield f"only[{place}]: either values or but"
