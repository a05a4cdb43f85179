"""What a row becomes: a fact with an identity of its own content, so that a cumulative export repeats it harmlessly.

A row's key is what it was measured with, when, and its scan: the digest of these is the event's identity. The same key
with other content is a conflict, for a person to look at; never is one put in place of the other.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from collectors.files.column_map import CELL, ColumnMap, Kind, Name, plain
from collectors.files.decimals import decimal_from
from collectors.files.errors import RowError
from collectors.files.tables import Cell, Row
from collectors.plausible import EARLIEST, LATEST, MAX_PLAUSIBLE_G_CM2
from collectors.regions import known_region
from streams.fold.schedule import zone as zone_named
from streams.messages import CalibrationCheckRead, Draft, Fact, PhantomMeasured, Source, VendorQcReported, event_id
from streams.policy import DevicePolicy, Phantom

_FACTOR: Final = {
    "g/cm2": Decimal(1), "mg/cm2": Decimal("0.001"),
    "kg": Decimal(1), "g": Decimal("0.001"), "lb": Decimal("0.45359237"),
    "cm": Decimal(1), "mm": Decimal("0.1"), "m": Decimal(100), "in": Decimal("2.54"),
}  # fmt: skip
Cells = Mapping[Name, Cell]

_IMPERIAL: Final = frozenset({"lb", "in"})
_TEXT: Final = 64
_LARGEST_CHECK: Final = Decimal(1000)
"""No standard is as heavy (kg) or as long (cm)."""


class Mapped(NamedTuple):
    """A row that was understood."""

    line: int
    measured_at: datetime
    draft: Draft


class Mapper:
    """Makes facts of one device's rows.

    Parameters
    ----------
    column_map
        What stands where.
    device
        The device's key, ``site/device``.
    policy
        Its phantoms and standards.
    zone
        The site's time zone; the map may name another.
    """

    def __init__(self, column_map: ColumnMap, device: str, policy: DevicePolicy, zone: ZoneInfo) -> None:
        self._map, self._device, self._policy = column_map, device, policy
        self._zone = zone_named(column_map.dates.time_zone) if column_map.dates.time_zone else zone
        self._phantoms = {plain(said): patient_id for said, patient_id in column_map.phantoms.items()}
        self._regions = {plain(said): region for said, region in column_map.regions.items()}
        self._standards = {plain(said): name for said, name in column_map.standards.items()}
        words = column_map.words
        self._words = {plain(word): True for word in words.passed} if words else {}
        self._words |= {plain(word): False for word in words.failed} if words else {}
        self._only = [
            (one.column, {plain(word) for word in one.values or one.but}, bool(one.values)) for one in column_map.only
        ]

    def mapped(self, row: Row) -> Mapped | None:
        """Return what a row becomes; None where the map leaves it out.

        Raises
        ------
        RowError
            It is rejected, with the reason.
        """
        if row.fault is not None:
            raise row.fault
        if any((plain(_text(row.cells[column])) in words) != wanted for column, words, wanted in self._only):
            return None
        at = self._measured_at(row.cells)
        key, fact = self._fact(row.cells, at)
        identity = event_id("file", self._map.kind, self._device, f"{at:%Y-%m-%dT%H:%M:%S.%f}", *key)
        return Mapped(row.line, at, Draft(identity, self._device, fact))

    def _fact(self, cells: Cells, at: datetime) -> tuple[tuple[str, ...], Fact]:
        match self._map.kind:
            case Kind.PHANTOM:
                return self._phantom(cells, at)
            case Kind.VENDOR_QC:
                return self._vendor_qc(cells, at)
            case Kind.CHECK:
                return self._check(cells, at)

    def _phantom(self, cells: Cells, at: datetime) -> tuple[tuple[str, ...], PhantomMeasured]:
        phantom = self._phantom_of(self._field(cells, "phantom"))
        self._check_name(cells, phantom)
        region = self._region(cells, phantom)
        bmd = self._number(cells, "bmd")
        if not 0 < bmd <= Decimal(repr(MAX_PLAUSIBLE_G_CM2)):
            raise RowError("impossible_value", f'"{self._map.columns["bmd"]}" cannot be a bone density')
        scan, analysis = self._field(cells, "scan_id", ""), self._field(cells, "analysis", "")
        fact = PhantomMeasured(
            phantom_id=phantom.patient_id,
            region=region,
            bmd_g_cm2=float(bmd),
            measured_at=at,
            acquisition_id=f"file:{event_id(self._device, phantom.patient_id, f'{at:%Y%m%dT%H%M%S%f}', scan)}",
            software=self._field(cells, "software", ""),
            source=Source.IMPORT,
            performed_by=self._field(cells, "performed_by", ""),
        )
        return (phantom.patient_id, region, scan, analysis), fact

    def _vendor_qc(self, cells: Cells, at: datetime) -> tuple[tuple[str, ...], VendorQcReported]:
        said = self._words.get(plain(self._field(cells, "result")))
        if said is None:
            raise RowError("word", f'"{self._map.columns["result"]}" is none of the words for passed or failed')
        fact = VendorQcReported(
            passed=said,
            measured_at=at,
            performed_by=self._field(cells, "performed_by", ""),
            reviewed_by=self._field(cells, "reviewed_by", ""),
            note=self._map.constants.get("note", ""),
            source=Source.IMPORT,
        )
        return (self._field(cells, "scan_id", ""),), fact

    def _check(self, cells: Cells, at: datetime) -> tuple[tuple[str, ...], CalibrationCheckRead]:
        said = self._field(cells, "standard")
        standard = self._policy.checks.standard(self._standards.get(plain(said), said))
        if standard is None:
            raise RowError("standard", "its standard is none of the device's; [standards] of the map may name it")
        read = self._number(cells, "read")
        if not 0 <= read <= _LARGEST_CHECK:
            raise RowError("impossible_value", f'"{self._map.columns["read"]}" cannot be a standard\'s reading')
        fact = CalibrationCheckRead(
            standard_id=standard.standard_id,
            read=float(read),
            measured_at=at,
            performed_by=self._field(cells, "performed_by", ""),
            unit_sent=self._map.unit,
            imperial=self._map.unit in _IMPERIAL,
            source=Source.IMPORT,
        )
        return (standard.standard_id, self._field(cells, "scan_id", "")), fact

    def _phantom_of(self, said: str) -> Phantom:
        phantom = self._policy.phantom(self._phantoms.get(plain(said), said))
        if phantom is None:
            raise RowError("not_a_phantom", "it is none of the device's phantoms; [[only]] of the map may leave it out")
        return phantom

    def _check_name(self, cells: Cells, phantom: Phantom) -> None:
        """Refuse a row under the phantom's id and another name, where both are known: it is a patient's."""
        if phantom.patient_name is None or "patient_name" not in self._map.columns:
            return
        if _words(self._field(cells, "patient_name", "")) != _words(phantom.patient_name):
            raise RowError("another_name", "it stands under the phantom's id and another name")

    def _region(self, cells: Cells, phantom: Phantom) -> str:
        said = self._field(cells, "region", phantom.region)
        region = self._regions.get(plain(said), said)
        if region != phantom.region and known_region(region) != region:
            raise RowError("region", "its region is not known; [regions] of the map may name it")
        return region

    def _field(self, cells: Cells, name: str, default: str | None = None) -> str:
        """Return a field's text; without a default it must be there."""
        if name in self._map.constants:
            return self._map.constants[name]
        column = self._map.columns.get(name)
        text = " ".join(_text(cells[column]).split()) if column is not None else ""
        if len(text) > _TEXT or not text.isprintable():
            raise RowError("text", f'"{column}" has more than {_TEXT} characters, or some that cannot be printed')
        if not text and default is None:
            raise RowError("empty", f'"{column}" is empty')
        return text or str(default)

    def _number(self, cells: Cells, name: str) -> Decimal:
        column = self._map.columns[name]
        number = decimal_from(cells[column], self._map.decimal)
        if number is None:
            raise RowError("number", f'"{column}" is no number with the decimal separator "{self._map.decimal}"')
        return number * _FACTOR[self._map.unit]

    # --- time ----------------------------------------------------------------------------------------------

    def _measured_at(self, cells: Cells) -> datetime:
        """Return when a row was measured, UTC."""
        if self._map.dates.date_time:
            local = self._time(cells, "date_time")
        else:
            day, clock = self._time(cells, "date"), self._time(cells, "time")
            local = datetime.combine(day.date(), clock.time(), clock.tzinfo)
        if not EARLIEST.year <= local.year < LATEST.year:
            raise RowError("impossible_time", "its time is before 1990 or after 2099")
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        found = local.replace(tzinfo=self._zone).astimezone(UTC)
        if found.astimezone(self._zone).replace(tzinfo=None) != local:
            raise RowError("no_such_time", "clocks skipped its time; a clock that stays gets its own dates.time_zone")
        return found

    def _time(self, cells: Cells, name: str) -> datetime:
        written = getattr(self._map.dates, name)
        if name in self._map.constants:
            return datetime.strptime(self._map.constants[name], written)  # noqa: DTZ007 - local, or as it says
        column = self._map.columns[name]
        cell = cells[column]
        try:
            if written != CELL:
                return datetime.strptime(_written(cell), written)  # noqa: DTZ007 - local, or as it says
            return _real(cell)
        except ValueError as error:
            expected = "a date cell" if written == CELL else f"a text such as {written}"
            raise RowError("date", f'"{column}" is not {expected}') from error


def _words(name: str) -> list[str]:
    """Return the words of a name for comparison: consoles write family and given name in either order."""
    return sorted(re.findall(r"\w+", name.casefold()))


def _written(cell: Cell) -> str:
    """Return the text of a cell that holds a time as text.

    Raises
    ------
    ValueError
        It is a real date: the map says otherwise.
    """
    if isinstance(cell, datetime | date | time | float) or cell is None:
        raise ValueError
    return " ".join(str(cell).split())


def _real(cell: Cell) -> datetime:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime.combine(cell, time())
    if isinstance(cell, time):
        return datetime.combine(date(2000, 1, 1), cell)
    raise ValueError


def _text(cell: Cell) -> str:
    """Return a cell as text; a whole number in a workbook is written without a point."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def with_source(draft: Draft, source: Source) -> Draft:
    """Return the draft with its fact's source."""
    assert isinstance(draft.fact, PhantomMeasured | VendorQcReported | CalibrationCheckRead)  # noqa: S101 - made here
    return msgspec.structs.replace(draft, fact=msgspec.structs.replace(draft.fact, source=source))
