"""Bone densities out of a DICOM structured report, whatever its SR class, template and vendor.

The vendors' templates are not public, so the tree is walked for NUM items in g/cm2 and nothing is keyed on
modality, template or concept code. What a density belongs to is said by its concept name, a finding-site modifier,
or the containers around it.
"""

import math
import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from pydicom.dataset import Dataset

from collectors.dicom.content_tree import Numeric, numerics
from collectors.dicom.text import acquired_at, measured_at, text
from collectors.errors import (
    AmbiguousRegionError,
    ImpossibleTimeError,
    ImpossibleValueError,
    NoBmdError,
    NoTimeError,
    NotThePhantomError,
    WrongUnitError,
)
from collectors.plausible import EARLIEST, LATEST, MAX_PLAUSIBLE_G_CM2
from collectors.regions import UNNAMED, Anatomy, anatomy_of, known_region, verbatim_region

SR_CLASSES: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in ("11", "22", "33", "34", "35", "50", "65", "67", "70", "75")
)
"""SOP classes that carry a content tree."""

_UNITS: Final = frozenset({"g/cm2", "g/cm^2", "g/cm\u00b2", "g.cm-2", "g/cm-2", "g/cm**2", "g.cm^-2"})
_OTHER_DENSITY_UNIT: Final = re.compile(r"^[mkuµ]+g\b|cm\W{0,2}3|cm\u00b3|/m\b|/m2|/mm", re.IGNORECASE)
_SAYS_DENSITY: Final = re.compile(r"(?<![a-z])bmd(?![a-z])|bone\s+(?:mineral\s+)?density", re.IGNORECASE)
_DERIVED: Final = re.compile(
    r"[tz].?score|(?<![a-z])(?:cv|sd|sbmd)(?![a-z])|standardi[sz]ed|standard deviation|percent|chang|diff"
    r"|(?<!\b33)(?<!\b33 )%"
    r"|precision|reference|young|age.?match|previous|prior\b|baseline|\brate\b|trend",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


class BmdReading(msgspec.Struct, frozen=True):
    """The bone mineral density of one region."""

    region: str
    bmd_g_cm2: float


class ScanReport(msgspec.Struct, frozen=True):
    """What one structured report says; `acquisition_id` is equal for every analysis of one acquisition."""

    readings: tuple[BmdReading, ...]
    measured_at: datetime
    acquisition_id: str
    software: str = ""

    def reading(self, region: str) -> BmdReading | None:
        """Return the reading of `region`, or None."""
        return next((reading for reading in self.readings if reading.region == region), None)


def read_report(ds: Dataset, zone: ZoneInfo, *, anatomy: Anatomy = Anatomy.UNKNOWN) -> ScanReport:
    """Return the densities of a report with its time (UTC; `zone` is the site's) and acquisition.

    Raises
    ------
    NotThePhantomError
        A density is named after another part of the body than `anatomy`.
    NoBmdError, WrongUnitError, ImpossibleValueError, AmbiguousRegionError, NoTimeError, ImpossibleTimeError
        By what the sender can do about it.
    """
    content = tuple(numerics(ds))
    _refuse_other_anatomy(content, anatomy)
    readings = _readings(content)
    software = text(ds, "SoftwareVersions")[:64]
    return ScanReport(readings, scanned_at(ds, zone), acquisition_id(ds, zone), software)


def scanned_at(ds: Dataset, zone: ZoneInfo) -> datetime:
    """Return when an object's scan was made, UTC, or raise `NoTimeError` or `ImpossibleTimeError`."""
    time = measured_at(ds, zone)
    if time is None:
        raise NoTimeError
    if not EARLIEST <= time < LATEST:
        raise ImpossibleTimeError
    return time


def acquisition_id(ds: Dataset, zone: ZoneInfo) -> str:
    """Return what tells a repeat (another acquisition) from a re-analysis (the same one).

    AcquisitionUID, else study with acquisition time, else the study alone: what is not known must look like the
    same acquisition, for only another one may open a gate. The images that a report refers to tell nothing: an
    analysis may make new ones, or add a capture.
    """
    if uid := text(ds, "AcquisitionUID"):
        return f"acquisition:{uid}"
    study = text(ds, "StudyInstanceUID")
    if study and (time := acquired_at(ds, zone)):
        return f"study:{study}@{time:%Y%m%dT%H%M%SZ}"
    return f"study:{study or 'unknown'}"


def _refuse_other_anatomy(found: tuple[Numeric, ...], own: Anatomy) -> None:
    names = (
        name
        for numeric in found
        if any(_plain(unit) in _UNITS for unit in numeric.units)
        for name in (numeric.place, numeric.concept, *numeric.surroundings)
    )
    if own is not Anatomy.UNKNOWN and {anatomy_of(name) for name in set(names)} - {own, Anatomy.UNKNOWN}:
        raise NotThePhantomError


def _readings(content: tuple[Numeric, ...]) -> tuple[BmdReading, ...]:
    found: dict[str, float] = {}
    for numeric in content:
        if not is_density(numeric):
            continue
        region, bmd = _region(numeric), bmd_from(numeric.value)
        if found.setdefault(region, bmd) != bmd:
            raise AmbiguousRegionError
    if not found:
        raise NoBmdError
    return tuple(BmdReading(region, bmd) for region, bmd in found.items())


def is_density(numeric: Numeric) -> bool:
    """Whether this is a measured density; raise `WrongUnitError` if it claims to be one in another unit."""
    if any(_DERIVED.search(name) for name in (numeric.concept, *numeric.surroundings)):
        return False
    units = [_plain(unit) for unit in numeric.units]
    if any(unit in _UNITS for unit in units) and not any(_OTHER_DENSITY_UNIT.search(unit) for unit in units):
        return True
    if _SAYS_DENSITY.search(numeric.concept):
        raise WrongUnitError
    if any(_SAYS_DENSITY.search(name) for name in numeric.surroundings):
        return _refuse_other_density(units)
    return False


def _refuse_other_density(units: list[str]) -> bool:
    """Within a section on bone density, mass and area are no readings, but another density unit is a mistake."""
    if any("/" in unit and _OTHER_DENSITY_UNIT.search(unit) for unit in units):
        raise WrongUnitError
    return False


def _plain(unit: str) -> str:
    return unit.replace(" ", "").lower()


def _region(numeric: Numeric) -> str:
    names = (numeric.place, numeric.concept, *numeric.surroundings)
    known = (known_region(name) for name in names)
    verbatim = (verbatim_region(name) for name in names)
    return next(filter(None, known), None) or next(filter(None, verbatim), UNNAMED)


def bmd_from(value: str) -> float:
    """Return a density in g/cm2, or raise `ImpossibleValueError`."""
    number = number_from(value)
    if not 0.0 < number <= MAX_PLAUSIBLE_G_CM2:
        raise ImpossibleValueError(number)
    return number


def number_from(value: str) -> float:
    """Return a number as DICOM writes one, or raise `ImpossibleValueError`."""
    number = float(value) if _NUMBER.fullmatch(value) else math.nan
    if not math.isfinite(number):
        raise ImpossibleValueError(number)
    return number
