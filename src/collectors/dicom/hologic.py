"""What a Hologic writes into private elements: results as XML, with the calibration constants k and d0.

Built from one public note on one Horizon W (whole body, APEX 13.6): group 0019 under the private creator holds UTF-8
XML with `ScanID`, `k`, `d0` and, for each region, area, BMC and BMD. How regions are nested is not known: any element
with those three in it, or as attributes, is taken as one. Never tried on a scanner.
"""

import math
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import msgspec
import structlog
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from prometheus_client import Counter
from pydicom.dataset import Dataset

from collectors.dicom.structured_report import bmd_from, number_from
from collectors.errors import CollectorError, RegionDoesNotAddUpError, UndecodableError
from collectors.regions import body_region
from streams.messages import RegionMeasured

CREATOR: Final = "HOLOGIC, Inc."
MAX_XML_BYTES: Final = 1024 * 1024
ROUNDING: Final = 0.01

PRIVATE: Final = Counter(
    "bonewatch_dicom_private_results_total",
    "Objects with results in private elements, by what became of them",
    ["code"],
)
_GROUP: Final = 0x0019
_RESULTS: Final = 0x00
_NAMES: Final = ("name", "region", "id", "label")

_log: Final = structlog.get_logger("collectors.dicom.hologic")


class PrivateResults(msgspec.Struct, frozen=True):
    """Results in private elements; None or empty where they are not said."""

    scan_id: str = ""
    k: float | None = None
    d0: float | None = None
    regions: tuple[RegionMeasured, ...] = ()


NO_RESULTS: Final = PrivateResults()


def private_results(ds: Dataset) -> PrivateResults:
    """Return what the private elements say; nothing where there are none.

    The block is found by its private creator, wherever it was reserved.

    Raises
    ------
    UndecodableError
        They hold something other than results.
    ImpossibleValueError, RegionDoesNotAddUpError
        A number cannot be, or BMD is not BMC / area.
    """
    root = _root(ds)
    if root is None:
        return NO_RESULTS
    scan_id = next((text for one in root.iter() if _tag(one) == "scanid" and (text := (one.text or "").strip())), "")
    return PrivateResults(scan_id[:64], _constant(root, "k"), _constant(root, "d0"), tuple(_regions(root)))


def results_or_none(ds: Dataset, device: str) -> PrivateResults:
    """Return what the private elements say; nothing where they cannot be read, which is logged and counted."""
    try:
        results = private_results(ds)
    except CollectorError as error:
        PRIVATE.labels(error.code).inc()
        _log.warning("private_results_not_read", device=device, why=error.code)
        return NO_RESULTS
    if results != NO_RESULTS:
        PRIVATE.labels("read").inc()
    return results


def _root(ds: Dataset) -> Element | None:
    try:
        value = ds.private_block(_GROUP, CREATOR)[_RESULTS].value
    except KeyError:
        return None
    except Exception as error:  # pydicom raises whatever it stumbles over where a value is not of its representation
        raise UndecodableError("the private results cannot be decoded") from error
    data = value.encode() if isinstance(value, str) else value
    if not isinstance(data, bytes) or not data.strip(b"\0 \r\n"):
        return None
    if len(data) > MAX_XML_BYTES:
        raise UndecodableError("the private results are too large")
    try:
        root: Element = fromstring(data.strip(b"\0 \r\n"), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise UndecodableError("the private results are no XML") from error
    return root


def _constant(root: Element, name: str) -> float | None:
    """Return a constant; None where it is not said, or said in two ways."""
    values = {number_from((one.text or "").strip()) for one in root.iter() if _tag(one) == name and one.text}
    return values.pop() if len(values) == 1 else None


def _regions(root: Element) -> Iterator[RegionMeasured]:
    seen: dict[tuple[str, str], RegionMeasured] = {}
    for one in root.iter():
        cells = {name.casefold(): value for name, value in one.attrib.items()}
        cells |= {_tag(child): child.text or "" for child in one if len(child) == 0}
        named = _named(one, cells)
        if named is None or not {"area", "bmc", "bmd"} <= cells.keys() or not cells["bmd"].strip():
            continue
        region = _region(*named, cells)
        if seen.setdefault(named, region) != region:
            raise RegionDoesNotAddUpError
    yield from seen.values()


def _named(one: Element, cells: dict[str, str]) -> tuple[str, str] | None:
    names = [cells[name] for name in _NAMES if cells.get(name)] or [_tag(one)]
    return next(filter(None, map(body_region, names)), None)


def _region(region: str, side: str, cells: dict[str, str]) -> RegionMeasured:
    bmd = bmd_from(cells["bmd"].strip())
    bmc, area = number_from(cells["bmc"].strip()), number_from(cells["area"].strip())
    if area <= 0 or not math.isclose(bmc / area, bmd, rel_tol=ROUNDING):
        raise RegionDoesNotAddUpError
    return RegionMeasured(region, bmd, bmc_g=bmc, area_cm2=area, laterality=side)


def _tag(one: Element) -> str:
    """Return an element's name without its namespace, in small letters."""
    return one.tag.rpartition("}")[2].casefold()
