"""What a printed report says of one analysed scan, and whether its table adds up."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from collectors.printed.dates import Stamp
from collectors.printed.errors import DoesNotAddUpError

LEFT: Final = "left"
RIGHT: Final = "right"
MEAN: Final = "mean"
DIFFERENCE: Final = "difference"

_VERTEBRAE: Final = tuple(f"T{n}" for n in range(1, 13)) + tuple(f"L{n}" for n in range(1, 6))
_PLACES: Final = {name: place for place, name in enumerate(_VERTEBRAE)}


class PrintedRow(msgspec.Struct, frozen=True):
    """One row of the table, with as many decimals as were printed.

    `side` is ``left``, ``right``, ``mean``, ``difference`` or empty; the mean and the difference of two sides have a
    BMD alone.
    """

    region: str
    side: str
    bmd_g_cm2: Decimal
    bmc_g: Decimal | None = None
    area_cm2: Decimal | None = None
    t_score: Decimal | None = None
    z_score: Decimal | None = None

    @property
    def is_measured(self) -> bool:
        """Whether this is a region of a scan, not a number computed from two."""
        return self.side not in {MEAN, DIFFERENCE}


class Printer(msgspec.Struct, frozen=True):
    """The scanner that a page says it comes from; `model` is empty where the page does not print it."""

    model: str
    serial: str


class PrintedScan(msgspec.Struct, frozen=True):
    """One analysed scan. Times are local to the site.

    `scan_id` tells acquisitions apart, `analysis` the analyses of one; neither depends on when the page was
    printed. `k` and `d0` are the calibration constants of a Hologic. Name and id of the person are here to be compared,
    and go nowhere else.
    """

    patient_id: str
    patient_name: str
    scan_id: str
    scanned: Stamp
    analysis: str
    analysed: Stamp | None
    rows: tuple[PrintedRow, ...]
    software: str = ""
    scan_type: str = ""
    scan_mode: str = ""
    k: Decimal | None = None
    d0: Decimal | None = None
    calibrated: Stamp | None = None


def check_adds_up(rows: Sequence[PrintedRow]) -> None:
    """Refuse a table whose rows contradict themselves or one another.

    Raises
    ------
    DoesNotAddUpError
        BMD is not BMC / area within rounding, a range is not the sum of its vertebrae or one is missing, a region
        stands twice, or the mean or difference of two sides is not that.
    """
    if len({(row.region, row.side) for row in rows}) != len(rows):
        raise DoesNotAddUpError("a region stands twice")
    for row in rows:
        if row.is_measured and not _is_quotient(row):
            raise DoesNotAddUpError("a BMD is not BMC / area")
    _check_ranges([row for row in rows if row.is_measured])
    _check_sides(rows)


def vertebrae(region: str) -> tuple[str, ...]:
    """Return the vertebrae of a region in known spelling; none of another region.

    Examples
    --------
    >>> vertebrae("L1-L2,L4"), vertebrae("Neck")
    (('L1', 'L2', 'L4'), ())
    """
    found: list[str] = []
    for part in region.split(","):
        first, _, last = part.partition("-")
        if first not in _PLACES or (last or first) not in _PLACES:
            return ()
        found += _VERTEBRAE[_PLACES[first] : _PLACES[last or first] + 1]
    return tuple(found)


def _is_quotient(row: PrintedRow) -> bool:
    if row.bmc_g is None or row.area_cm2 is None or min(row.bmc_g, row.area_cm2, row.bmd_g_cm2) <= 0:
        return False
    error = abs(row.bmd_g_cm2 - row.bmc_g / row.area_cm2)
    spread = (_half(row.bmc_g) + row.bmd_g_cm2 * _half(row.area_cm2)) / row.area_cm2
    return error <= _half(row.bmd_g_cm2) + spread


def _half(value: Decimal) -> Decimal:
    """Return half a unit of the last printed decimal."""
    exponent = value.as_tuple().exponent
    return Decimal(5).scaleb(int(exponent) - 1)


def _check_ranges(rows: Sequence[PrintedRow]) -> None:
    single = {parts[0]: row for row in rows if len(parts := vertebrae(row.region)) == 1}
    for row in rows if single else ():
        parts = vertebrae(row.region)
        if len(parts) < 2:
            continue
        if not set(parts) <= set(single):
            raise DoesNotAddUpError("a vertebra of a range is missing")
        for whole, of_parts in _totals(row, [single[part] for part in parts]):
            if abs(whole - sum(of_parts)) > _half(whole) + sum(map(_half, of_parts)):
                raise DoesNotAddUpError("a range is not the sum of its vertebrae")


def _totals(row: PrintedRow, parts: Sequence[PrintedRow]) -> Iterator[tuple[Decimal, list[Decimal]]]:
    for name in ("area_cm2", "bmc_g"):
        whole = getattr(row, name)
        if whole is not None:
            yield whole, [value for part in parts if (value := getattr(part, name)) is not None]


def _check_sides(rows: Sequence[PrintedRow]) -> None:
    by_place = {(row.region, row.side): row.bmd_g_cm2 for row in rows}
    for (region, side), bmd in by_place.items():
        if side not in {MEAN, DIFFERENCE}:
            continue
        sides = [by_place.get((region, one)) for one in (LEFT, RIGHT)]
        left, right = sides
        if left is None or right is None:
            raise DoesNotAddUpError("a side is missing")
        expected = (left + right) / 2 if side == MEAN else abs(left - right)
        if abs(abs(bmd) - expected) > _half(bmd) + _half(left) + _half(right):
            raise DoesNotAddUpError("mean or difference is not that of the two sides")
