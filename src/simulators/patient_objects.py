"""Objects of a patient's scan as a DXA scanner might send them: report, capture, presentation state, printed page.

The vendors' templates are not public: the trees are our own invention, in the several styles a collector must expect,
and so are all persons.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from simulators.phantom_sr import ENHANCED_SR, uid
from simulators.sr_items import coded, container_item, finding_site, laterality, numeric_item

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
PRESENTATION_STATE: Final = "1.2.840.10008.5.1.4.1.1.11.1"
ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"


class Arrangement(StrEnum):
    """Where a report says to which region its numbers belong."""

    CONCEPTS = "concepts"
    CONTAINERS = "containers"
    SITES = "sites"
    CHILDREN = "children"


class Row(msgspec.Struct, frozen=True):
    """One region, as the scanner writes its numbers; empty ones are left out."""

    region: str
    bmd: str
    bmc: str = ""
    area: str = ""
    t_score: str = ""
    z_score: str = ""
    side: str = ""


SPINE: Final = (
    Row("L1", "0.873", "11.58", "13.26", "-1.1", "-0.2"),
    Row("L2", "0.943", "12.94", "13.72", "-0.8", "0.2"),
    Row("L3", "0.941", "13.93", "14.81", "-1.3", "-0.2"),
    Row("L4", "0.959", "13.40", "13.97", "-0.9", "0.1"),
    Row("L1-L4", "0.930", "51.85", "55.77", "-1.1", "0.0"),
)
"""Values of the Hologic report in the protocols reference 1.5; the scores are invented."""

HIPS: Final = (
    Row("Femoral neck", "0.755", "3.79", "5.02", "-0.9", "0.3", "Left"),
    Row("Total hip", "0.883", "29.23", "33.10", "-0.5", "0.3", "Left"),
    Row("Femoral neck", "0.769", "3.92", "5.10", "-0.7", "0.4", "Right"),
    Row("Total hip", "0.896", "29.44", "32.85", "-0.4", "0.4", "Right"),
)


class PatientScan(msgspec.Struct, frozen=True):
    """A scan of an invented person; objects of one `acquisition` belong together."""

    measured_at: datetime
    acquisition: str = "one"
    rows: tuple[Row, ...] = SPINE
    accession_number: str = "RK9-0012345"
    patient_id: str = "INVENTED-0001"
    patient_name: str = "INVENTED^PERSON^ONE"
    birth_date: str = "19010101"
    procedure_code: str = ""
    body_part: str = "LSPINE"
    station: str = "DXA1"
    state_acquisition_uid: bool = True


def scan_report(
    scan: PatientScan, arrangement: Arrangement = Arrangement.CONTAINERS, *, analysis: int = 0, unit: str = "g/cm2"
) -> Dataset:
    """Return the structured report of an analysis."""
    ds = _described(scan, ENHANCED_SR, "report", analysis)
    ds.Modality = "SR"
    analysed_at = scan.measured_at + timedelta(minutes=2 + analysis)
    ds.ContentDate, ds.ContentTime = f"{analysed_at:%Y%m%d}", f"{analysed_at:%H%M%S}"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = Items([coded("BW-DXA", "99BONEWATCH", "Synthetic DXA report")])
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = Items([item for row in scan.rows for item in _row(row, arrangement, unit)])
    return ds


def capture(scan: PatientScan) -> Dataset:
    """Return the secondary capture of the scan's page."""
    ds = _described(scan, SECONDARY_CAPTURE, "capture")
    ds.Modality, ds.ConversionType = "OT", "WSD"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PixelData = bytes(256)
    return ds


def presentation_state(scan: PatientScan) -> Dataset:
    """Return a presentation state of the scan's image."""
    ds = _described(scan, PRESENTATION_STATE, "presentation")
    ds.Modality, ds.ContentLabel = "PR", "DXA"
    return ds


def encapsulated(scan: PatientScan, pdf: bytes) -> Dataset:
    """Return a printed page as an object."""
    ds = _described(scan, ENCAPSULATED_PDF, "page")
    ds.Modality, ds.MIMETypeOfEncapsulatedDocument = "DOC", "application/pdf"
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    ds.EncapsulatedDocumentLength = len(pdf)
    return ds


def objects_of(scan: PatientScan) -> Sequence[Dataset]:
    """Return what a scanner sends of one scan, in the order of some: the numbers last."""
    return capture(scan), presentation_state(scan), scan_report(scan)


def _row(row: Row, arrangement: Arrangement, unit: str) -> Iterator[Dataset]:
    numbers = [
        (name, value, of)
        for name, value, of in (
            ("BMD", row.bmd, unit),
            ("BMC", row.bmc, "g"),
            ("Area", row.area, "cm2"),
            ("T-score", row.t_score, "1"),
            ("Z-score", row.z_score, "1"),
        )
        if value
    ]
    name = f"{row.side} {row.region}".strip()
    match arrangement:
        case Arrangement.CONCEPTS:
            yield from (numeric_item(f"{name} {what}", value, of) for what, value, of in numbers)
        case Arrangement.CONTAINERS:
            yield container_item(name, [numeric_item(*number) for number in numbers])
        case Arrangement.SITES:
            sides = [laterality(row.side)] if row.side else []
            for number in numbers:
                item = numeric_item(*number)
                item.ContentSequence = Items([finding_site(row.region), *sides])
                yield item
        case Arrangement.CHILDREN:
            first, *others = numbers
            item = numeric_item(f"{name} {first[0]}", *first[1:])
            item.ContentSequence = Items([numeric_item(*number) for number in others])
            yield item


def _described(scan: PatientScan, sop_class: str, kind: str, analysis: int = 0) -> Dataset:
    words = (scan.station, scan.patient_id, scan.acquisition)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = scan.patient_name, scan.patient_id
    ds.PatientBirthDate, ds.PatientSex = scan.birth_date, "O"
    ds.SOPClassUID, ds.SOPInstanceUID = UID(sop_class), UID(uid(*words, str(analysis), kind))
    ds.StudyInstanceUID = uid(*words[:2], scan.accession_number, "study")
    ds.SeriesInstanceUID = uid(*words, kind, "series")
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", "1", "1"
    ds.AccessionNumber = scan.accession_number
    ds.Manufacturer, ds.ManufacturerModelName = "Bonewatch simulator", "Virtual DXA"
    ds.SoftwareVersions, ds.StationName = "SIM 1.0", scan.station
    ds.BodyPartExamined = scan.body_part
    if scan.state_acquisition_uid:
        ds.AcquisitionUID = uid(*words, "acquisition")
    at = scan.measured_at.astimezone(UTC)
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.StudyDate, ds.StudyTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    ds.AcquisitionDateTime = f"{at:%Y%m%d%H%M%S}"
    if scan.procedure_code:
        request = Dataset()
        request.RequestedProcedureCodeSequence = Items([coded(scan.procedure_code, "99LOCAL", "Bone density")])
        ds.RequestAttributesSequence = Items([request])
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds
