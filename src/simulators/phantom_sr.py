"""Structured reports as a DXA scanner might send them.

The vendors' templates are not public: the trees here are our own invention, in the several styles a collector must
expect. Nothing in them comes from a real scanner or person.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from simulators.sr_items import coded, container_item, finding_site, numeric_item

BASIC_TEXT_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"
ENHANCED_SR: Final = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR: Final = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR: Final = "1.2.840.10008.5.1.4.1.1.88.34"

IMAGE: Final = "1.2.840.10008.5.1.4.1.1.7"
"""The secondary capture that a report is evidence for."""


class RegionStyle(StrEnum):
    """Where a report says what region a density belongs to."""

    CONCEPT = "concept"
    CONTAINER = "container"
    FINDING_SITE = "finding_site"
    CONTAINER_SITE = "container_site"


class ReportSpec(msgspec.Struct, frozen=True):
    """One analysed scan; `readings` are g/cm2 by region, or the text to put in their place.

    `acquisition` names the acquisition: two reports of one name are two analyses of it. `analysis` makes the SOP
    Instance UID differ.
    """

    patient_id: str
    patient_name: str
    measured_at: datetime
    readings: Mapping[str, float | str]
    acquisition: str
    analysis: int = 0
    sop_class: str = ENHANCED_SR
    unit: str = "g/cm2"
    unit_meaning: str = ""
    style: RegionStyle = RegionStyle.CONCEPT
    region_prefix: str = ""
    body_part: str = "LSPINE"
    station: str = "DXA1"
    birth_date: str = ""
    accession_number: str = ""
    state_zone: bool = True
    state_acquisition_uid: bool = True


def build_report(spec: ReportSpec) -> Dataset:
    """Return the report as a data set with file header, Explicit VR Little Endian."""
    ds = Dataset()
    _describe_patient(ds, spec)
    _describe_study(ds, spec)
    _describe_time(ds, spec)
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = Sequence([coded("BW-DXA", "99BONEWATCH", "Synthetic DXA report")])
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = Sequence(_content(spec))
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _describe_patient(ds: Dataset, spec: ReportSpec) -> None:
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = spec.patient_name
    ds.PatientID = spec.patient_id
    ds.PatientBirthDate = spec.birth_date
    ds.PatientSex = "O"


def _describe_study(ds: Dataset, spec: ReportSpec) -> None:
    ds.SOPClassUID = spec.sop_class
    ds.SOPInstanceUID = uid(spec.station, spec.acquisition, str(spec.analysis), "report")
    ds.StudyInstanceUID = uid(spec.station, spec.acquisition, "study")
    ds.SeriesInstanceUID = uid(spec.station, spec.acquisition, str(spec.analysis), "series")
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", "1", "1"
    ds.AccessionNumber = spec.accession_number
    ds.Modality = "SR"
    ds.Manufacturer, ds.ManufacturerModelName = "Bonewatch simulator", "Virtual DXA"
    ds.SoftwareVersions = "SIM 1.0"
    ds.StationName = spec.station
    ds.BodyPartExamined = spec.body_part
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    if spec.state_acquisition_uid:
        ds.AcquisitionUID = uid(spec.station, spec.acquisition, "acquisition")


def _describe_time(ds: Dataset, spec: ReportSpec) -> None:
    if spec.state_zone:
        ds.TimezoneOffsetFromUTC = f"{spec.measured_at:%z}"
    ds.StudyDate = ds.SeriesDate = f"{spec.measured_at:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = f"{spec.measured_at:%H%M%S}"
    ds.AcquisitionDateTime = f"{spec.measured_at:%Y%m%d%H%M%S}"
    analysed_at = spec.measured_at + timedelta(minutes=1 + spec.analysis)
    ds.ContentDate, ds.ContentTime = f"{analysed_at:%Y%m%d}", f"{analysed_at:%H%M%S}"


def _content(spec: ReportSpec) -> list[Dataset]:
    return [_region_item(spec, region, value) for region, value in spec.readings.items()]


def _region_item(spec: ReportSpec, region: str, value: float | str) -> Dataset:
    name = f"{spec.region_prefix}{region}"
    match spec.style:
        case RegionStyle.CONCEPT:
            return _numeric(spec, f"{name} BMD", value)
        case RegionStyle.CONTAINER:
            others = [numeric_item("T-score", "0.1", "1"), numeric_item("Area", "55.77", "cm2")]
            return container_item(name, [_numeric(spec, "BMD", value), *others])
        case RegionStyle.FINDING_SITE:
            item = _numeric(spec, "BMD", value)
            item.ContentSequence = Sequence([finding_site(name)])
            return item
        case RegionStyle.CONTAINER_SITE:
            return container_item("Findings", [finding_site(name), _numeric(spec, "BMD", value)])


def _numeric(spec: ReportSpec, concept: str, value: float | str) -> Dataset:
    shown = value if isinstance(value, str) else f"{value:.4f}"
    return numeric_item(concept, shown, spec.unit, spec.unit_meaning or spec.unit)


def uid(*words: str) -> str:
    """Return the UID that these words always give."""
    return str(generate_uid(prefix="2.25.", entropy_srcs=list(words)))
