"""What a structured report says of a patient's scan: regions with their numbers, the request, the time.

Of its texts only names that we know, numbers, codes and versions go on: anything else may be a person's.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from pydicom.dataset import Dataset

from collectors.dicom.content_tree import Numeric, numerics
from collectors.dicom.structured_report import (
    bmd_from,
    is_density,
    number_from,
    scanned_at,
)
from collectors.dicom.text import content_at, first_item, items, text
from collectors.errors import (
    AmbiguousRegionError,
    NoBmdError,
    NoKnownRegionError,
    RegionDoesNotAddUpError,
)
from collectors.regions import Anatomy, anatomy_of, body_region, side_in
from streams.messages import RegionMeasured

ROUNDING: Final = 0.01
"""How far BMD may lie from BMC / area, as a share: each is rounded to what was sent."""

_T_SCORE: Final = re.compile(r"(?<![a-z])t.?score", re.IGNORECASE)
_Z_SCORE: Final = re.compile(r"(?<![a-z])z.?score", re.IGNORECASE)
_BMC: Final = re.compile(r"(?<![a-z])bmc(?![a-z])|mineral\s+content", re.IGNORECASE)
_AREA: Final = re.compile(r"(?<![a-z])area(?![a-z])", re.IGNORECASE)
_OF_TWO_SIDES: Final = re.compile(r"(?<![a-z])(?:mean|average|both|bilateral|diff(?:erence)?)(?![a-z])", re.IGNORECASE)
_NO_SCORE: Final = re.compile(
    r"(?<!\b33)(?<!\b33 )%|percent|chang|previous|prior\b|baseline|\brate\b|trend|precision", re.IGNORECASE
)
_SIDES: Final = {"L": "left", "R": "right"}
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")


class PatientReport(msgspec.Struct, frozen=True):
    """One analysis of one patient's scan; times UTC."""

    regions: tuple[RegionMeasured, ...]
    measured_at: datetime
    anatomy: Anatomy
    analysed_at: datetime | None = None


class _Quantity(Enum):
    BMD = auto()
    BMC = auto()
    AREA = auto()
    T_SCORE = auto()
    Z_SCORE = auto()


def read_patient_report(ds: Dataset, zone: ZoneInfo) -> PatientReport:
    """Return what a report says; `zone` is the site's.

    Raises
    ------
    NoBmdError, NoKnownRegionError
        It holds no density, or none of a region whose name is known.
    WrongUnitError, ImpossibleValueError, AmbiguousRegionError, RegionDoesNotAddUpError
        Its numbers cannot be, or contradict one another.
    NoTimeError, ImpossibleTimeError
        It does not say when the patient was scanned.
    """
    content = tuple(numerics(ds))
    measured = _measured(content, _SIDES.get(text(ds, "Laterality") or text(ds, "ImageLaterality"), ""))
    regions = tuple(_region(name, side, of) for (name, side), of in measured.items() if _Quantity.BMD in of)
    if not regions:
        raise NoKnownRegionError if any(is_density(numeric) for numeric in content) else NoBmdError
    return PatientReport(regions, scanned_at(ds, zone), anatomy_in(ds, content), content_at(ds, zone))


def procedure_codes_of(ds: Dataset) -> frozenset[str]:
    """Return the codes of the procedure that an object was made for, requested and performed."""
    requests = [ds, *items(ds, "RequestAttributesSequence"), *items(ds, "ReferencedRequestSequence")]
    names = (
        "ProcedureCodeSequence",
        "RequestedProcedureCodeSequence",
        "ScheduledProtocolCodeSequence",
        "PerformedProtocolCodeSequence",
    )
    values = (text(code, "CodeValue") for one in requests for name in names for code in items(one, name))
    return frozenset(value for value in values if _CODE.fullmatch(value))


def accession_of(ds: Dataset) -> str:
    """Return the accession number of an object, or of the one request that it names; else nothing."""
    requests = [*items(ds, "ReferencedRequestSequence"), *items(ds, "RequestAttributesSequence")]
    named = {text(ds, "AccessionNumber")} - {""} or {text(one, "AccessionNumber") for one in requests} - {""}
    return named.pop() if len(named) == 1 else ""


def _measured(content: Iterable[Numeric], side: str) -> dict[tuple[str, str], dict[_Quantity, float]]:
    """Return every quantity by region and side; `side` is that of a region that names none.

    Two densities of a region are a contradiction; two scores are of two reference populations, and say nothing.
    """
    found: dict[tuple[str, str], dict[_Quantity, float]] = {}
    unsure = set()
    for numeric in content:
        quantity, place = _quantity(numeric), _place(numeric, side)
        if quantity is None or place is None:
            continue
        value = bmd_from(numeric.value) if quantity is _Quantity.BMD else number_from(numeric.value)
        if found.setdefault(place, {}).setdefault(quantity, value) == value:
            continue
        if quantity not in {_Quantity.T_SCORE, _Quantity.Z_SCORE}:
            raise AmbiguousRegionError
        unsure.add((place, quantity))
    for place, quantity in unsure:
        del found[place][quantity]
    return found


def _quantity(numeric: Numeric) -> _Quantity | None:
    """Return what is measured; None for what is computed from two scans or two sides."""
    names = (numeric.concept, *numeric.surroundings)
    if any(_OF_TWO_SIDES.search(name) for name in (*names, numeric.side)) or any(_NO_SCORE.search(n) for n in names):
        return None
    if _T_SCORE.search(numeric.concept):
        return _Quantity.T_SCORE
    if _Z_SCORE.search(numeric.concept):
        return _Quantity.Z_SCORE
    units = {unit.replace(" ", "").casefold() for unit in numeric.units}
    if _BMC.search(numeric.concept) and "g" in units:
        return _Quantity.BMC
    if _AREA.search(numeric.concept) and units & {"cm2", "cm^2", "cm\u00b2"}:
        return _Quantity.AREA
    return _Quantity.BMD if is_density(numeric) else None


def _place(numeric: Numeric, default_side: str) -> tuple[str, str] | None:
    """Return region and side by the nearest name that names a region; a side may be said further out."""
    names = (numeric.concept, numeric.place, *numeric.surroundings)
    named = next(filter(None, (body_region(name) for name in names)), None)
    if named is None:
        return None
    region, side = named
    return region, side or next(filter(None, (side_in(name) for name in names)), default_side)


def _region(region: str, side: str, measured: dict[_Quantity, float]) -> RegionMeasured:
    bmd, bmc, area = (measured.get(quantity) for quantity in (_Quantity.BMD, _Quantity.BMC, _Quantity.AREA))
    assert bmd is not None  # noqa: S101 - only regions with a density come here
    if bmc is not None and area is not None and (area <= 0 or abs(bmc / area - bmd) > ROUNDING * bmd):
        raise RegionDoesNotAddUpError
    return RegionMeasured(
        region=region,
        bmd_g_cm2=bmd,
        bmc_g=bmc,
        area_cm2=area,
        t_score=measured.get(_Quantity.T_SCORE),
        z_score=measured.get(_Quantity.Z_SCORE),
        laterality=side,
    )


def anatomy_in(ds: Dataset, content: Iterable[Numeric] = ()) -> Anatomy:
    """Return the part of the body by what the object says of it, else by the names around its densities."""
    stated = anatomy_of(text(ds, "BodyPartExamined"))
    if stated is not Anatomy.UNKNOWN:
        return stated
    site = text(first_item(ds, "AnatomicRegionSequence"), "CodeMeaning")
    names = {name for one in content for name in (one.concept, one.place, *one.surroundings)}
    found = {anatomy_of(name) for name in (site, *names)} - {Anatomy.UNKNOWN}
    return found.pop() if len(found) == 1 else Anatomy.UNKNOWN
