import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from zoneinfo import ZoneInfo

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from collectors.dicom.structure import MAX_DEPTH, check_whole, inflated
from collectors.dicom.structured_report import ScanReport, read_report
from collectors.errors import (
    AmbiguousRegionError,
    CollectorError,
    ImpossibleTimeError,
    ImpossibleValueError,
    NoBmdError,
    NoTimeError,
    UndecodableError,
    WrongUnitError,
)
from collectors.regions import Anatomy, anatomy_of, known_region
from simulators.phantom_sr import (
    BASIC_TEXT_SR,
    COMPREHENSIVE_3D_SR,
    COMPREHENSIVE_SR,
    ENHANCED_SR,
    RegionStyle,
    ReportSpec,
    build_report,
)
from simulators.series import BmdSeries, spine_readings

LONDON = ZoneInfo("Europe/London")
MEASURED = datetime(2026, 1, 5, 7, 45, tzinfo=UTC)
SPEC = ReportSpec("SPINE-1234", "PHANTOM^SPINE", MEASURED, {"L1": 0.955, "L1-L4": 1.0}, "first")
PERSON = ReportSpec("ID-998877", "SECRET^PERSON", MEASURED, {"L1-L4": 1.0}, "secret", birth_date="19431224")


def spec(**changes: object) -> ReportSpec:
    fields = {name: getattr(SPEC, name) for name in SPEC.__struct_fields__}
    return ReportSpec(**{**fields, **changes})


def read(report: ReportSpec | Dataset, zone: ZoneInfo = LONDON) -> ScanReport:
    ds = build_report(report) if isinstance(report, ReportSpec) else report
    return read_report(over_the_wire(ds), zone)


def over_the_wire(ds: Dataset) -> Dataset:
    """Return the data set as a collector sees it: decoded from bytes, nothing converted."""
    return pydicom.filereader.read_dataset(BytesIO(encoded(ds)), is_implicit_VR=True, is_little_endian=True)


def encoded(ds: Dataset, *, implicit: bool = True) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, True
    plain = Dataset()
    plain.update({element.tag: element for element in ds})
    write_dataset(buffer, plain)
    return bytes(buffer.getvalue())


@pytest.mark.parametrize("sop_class", [BASIC_TEXT_SR, ENHANCED_SR, COMPREHENSIVE_SR, COMPREHENSIVE_3D_SR])
@pytest.mark.parametrize("style", list(RegionStyle))
def test_densities_are_found_in_every_class_and_style(sop_class: str, style: RegionStyle) -> None:
    report = read(spec(sop_class=sop_class, style=style))
    assert {reading.region: reading.bmd_g_cm2 for reading in report.readings} == {"L1": 0.955, "L1-L4": 1.0}


@pytest.mark.parametrize("unit", ["g/cm2", "g/cm^2", "g/cm²", "g.cm-2", "g/cm-2", "G/CM2"])
def test_every_spelling_of_the_unit_is_read(unit: str) -> None:
    assert read(spec(unit=unit)).readings[-1].bmd_g_cm2 == 1.0


def test_unit_may_be_said_by_the_meaning_alone() -> None:
    assert read(spec(unit="99UNIT", unit_meaning="g/cm2")).readings


def test_latin_1_unit_is_read_without_a_stated_character_set() -> None:
    ds = build_report(spec())
    for item in ds.ContentSequence:
        code = item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
        code["CodeValue"]._value = b"g/cm\xb2"
        code["CodeMeaning"]._value = b"g/cm\xb2"
    assert read(ds).readings


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("L1-L4", "L1-L4"),
        ("L1 - L4", "L1-L4"),
        ("L1\u2013L4", "L1-L4"),
        ("Lumbar Spine L1-L4", "L1-L4"),
        ("AP spine L1\u2013L4", "L1-L4"),
        ("AP Spine L1-L4 BMD (g/cm2)", "L1-L4"),
        ("L1-4", "L1-L4"),
        ("l2 to l4", "L2-L4"),
        ("L1,L3", "L1,L3"),
        ("L1-L2,L4", "L1-L2,L4"),
        ("L3", "L3"),
        ("T12", "T12"),
        ("Third lumbar vertebra", "L3"),
        ("T-score", None),
        ("Total", None),
        ("XL15", None),
    ],
)
def test_vertebrae_have_one_spelling(text: str, region: str | None) -> None:
    assert known_region(text) == region


@pytest.mark.parametrize("prefix", ["", "Lumbar Spine ", "AP spine "])
def test_prefix_of_a_region_does_not_matter(prefix: str) -> None:
    assert read(spec(region_prefix=prefix)).reading("L1-L4")


def test_unknown_region_is_kept_as_it_stands() -> None:
    report = read(spec(readings={"  Block   low ": 0.5, "L1-L4": 1.0}, style=RegionStyle.FINDING_SITE))
    assert report.reading("Block low")


@pytest.mark.parametrize(
    ("text", "anatomy"),
    [
        ("L1-L4", Anatomy.SPINE),
        ("Left Femoral Neck", Anatomy.HIP),
        ("Ultradistal radius", Anatomy.FOREARM),
        ("Whole body", Anatomy.WHOLE_BODY),
        ("Total", Anatomy.UNKNOWN),
    ],
)
def test_anatomy_is_told_by_the_name(text: str, anatomy: Anatomy) -> None:
    assert anatomy_of(text) is anatomy


@pytest.mark.parametrize(
    "value", ["NaN", "inf", "-inf", "-0.5", "0", "5.01", "abc", "0,98", "1_0", "0.9\\0.8", "1e400"]
)
def test_impossible_density_is_refused(value: str) -> None:
    with pytest.raises(ImpossibleValueError):
        read(spec(readings={"L1-L4": value}))


@pytest.mark.parametrize("unit", ["mg/cm2", "g/cm3", "kg/m2", "g", "%"])
@pytest.mark.parametrize("style", [RegionStyle.CONCEPT, RegionStyle.CONTAINER])
def test_density_in_another_unit_is_refused(unit: str, style: RegionStyle) -> None:
    with pytest.raises(WrongUnitError):
        read(spec(unit=unit, style=style))


def test_unit_whose_code_and_meaning_disagree_is_refused() -> None:
    with pytest.raises(WrongUnitError):
        read(spec(unit="g/cm2", unit_meaning="mg/cm2"))


@pytest.mark.parametrize(
    "name", ["T-score", "BMD T-score", "Z-score", "Total BMD CV", "BMD change", "BMD % of young adult", "Previous BMD"]
)
def test_what_is_derived_from_a_density_is_no_reading(name: str) -> None:
    report = build_report(spec(readings={"L1-L4": 1.0}))
    derived = build_report(spec(readings={"L1-L4": 2.0})).ContentSequence[0]
    derived.ConceptNameCodeSequence[0].CodeMeaning = f"L1-L4 {name}"
    report.ContentSequence.append(derived)
    assert [reading.bmd_g_cm2 for reading in read(report).readings] == [1.0]


def test_area_and_mineral_content_are_no_readings() -> None:
    report = build_report(spec())
    for name, unit in (("L1-L4 Area", "cm2"), ("L1-L4 BMC", "g"), ("L1-L4 T-score", "{score}")):
        item = build_report(spec(readings={"x": 3.0}, unit=unit)).ContentSequence[0]
        item.ConceptNameCodeSequence[0].CodeMeaning = name
        report.ContentSequence.append(item)
    assert len(read(report).readings) == 2


def test_report_without_a_density_is_refused() -> None:
    with pytest.raises(NoBmdError):
        read(spec(readings={}))


def test_region_that_was_not_analysed_is_no_reading() -> None:
    report = build_report(spec())
    report.ContentSequence[0].MeasuredValueSequence[0].NumericValue = None
    assert [reading.region for reading in read(report).readings] == ["L1-L4"]


def test_same_region_twice_must_agree() -> None:
    ds = build_report(spec(readings={"L1-L4": 1.0}))
    ds.ContentSequence.append(build_report(spec(readings={"L1 - L4": 1.0})).ContentSequence[0])
    assert len(read(ds).readings) == 1
    ds.ContentSequence.append(build_report(spec(readings={"AP L1-L4": 1.1})).ContentSequence[0])
    with pytest.raises(AmbiguousRegionError):
        read(ds)


# --- times -------------------------------------------------------------------------------------------------


def raw(ds: Dataset, keyword: str, value: str) -> None:
    """Set an element to bytes as they are: pydicom would warn of what it finds wrong."""
    data = value.encode() + b" " * (len(value) % 2)
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(data), data, 0, is_implicit_VR=False, is_little_endian=True)


def strip_times(ds: Dataset, *sources: str) -> Dataset:
    for source in sources:
        for keyword in (f"{source}DateTime", f"{source}Date", f"{source}Time"):
            if keyword in ds.dir(source):
                delattr(ds, keyword)
    return ds


@pytest.mark.parametrize(
    ("missing", "hour"),
    [
        ((), 7),
        (("Acquisition",), 8),
        (("Acquisition", "Content"), 9),
        (("Acquisition", "Content", "Series"), 10),
    ],
)
def test_best_time_is_used(missing: tuple[str, ...], hour: int) -> None:
    ds = build_report(spec())
    for keyword, value in (("ContentTime", "084500"), ("SeriesTime", "0945"), ("StudyTime", "10:45:00.5")):
        raw(ds, keyword, value)
    assert read(strip_times(ds, *missing)).measured_at.hour == hour


def test_no_usable_time_is_refused() -> None:
    ds = strip_times(build_report(spec()), "Acquisition", "Content", "Series", "Study")
    raw(ds, "StudyDate", "20261399")
    raw(ds, "StudyTime", "0800")
    with pytest.raises(NoTimeError):
        read(ds)


@pytest.mark.parametrize("time", ["00010101000000", "19891231235959", "21000101000000", "99991231235959"])
def test_impossible_time_is_refused(time: str) -> None:
    ds = build_report(spec())
    raw(ds, "AcquisitionDateTime", time)
    with pytest.raises(ImpossibleTimeError, match="before 1990") as caught:
        read(ds)
    assert (caught.value.status, len(str(caught.value)) <= 64) == (0xC216, True)


@pytest.mark.parametrize("time", ["19900101000000", "20991231235959"])
def test_unlikely_time_is_for_the_log_to_judge(time: str) -> None:
    ds = build_report(spec())
    raw(ds, "AcquisitionDateTime", time)
    assert f"{read(ds).measured_at:%Y%m%d%H%M%S}" == time


@pytest.mark.parametrize(
    ("day", "offset", "utc_hour"),
    [
        ("20260705", "", 6),  # British summer time, from the site's zone
        ("20260105", "", 7),
        ("20260705", "+0000", 7),
        ("20260705", "-0500", 12),
        ("20260705", "nonsense", 6),
    ],
)
def test_local_time_becomes_utc(day: str, offset: str, utc_hour: int) -> None:
    ds = build_report(spec(state_zone=False))
    raw(ds, "AcquisitionDateTime", f"{day}070000")
    ds.TimezoneOffsetFromUTC = offset
    assert read(ds).measured_at.hour == utc_hour


def test_offset_within_the_time_itself_wins() -> None:
    ds = build_report(spec())
    ds.AcquisitionDateTime = "20260705070000.123456+0200"
    assert read(ds).measured_at == datetime(2026, 7, 5, 5, 0, 0, 123456, tzinfo=UTC)


# --- acquisition -------------------------------------------------------------------------------------------


def with_evidence(ds: Dataset, *uids: str) -> Dataset:
    series, study = Dataset(), Dataset()
    series.ReferencedSOPSequence = Sequence([Dataset() for _ in uids])
    for reference, uid in zip(series.ReferencedSOPSequence, uids, strict=True):
        reference.ReferencedSOPInstanceUID = uid
    study.ReferencedSeriesSequence = Sequence([series])
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study])
    return ds


def without_uid(ds: Dataset) -> Dataset:
    del ds.AcquisitionUID
    return ds


def without_times(ds: Dataset) -> Dataset:
    return strip_times(without_uid(ds), "Acquisition")


@pytest.mark.parametrize("change", [lambda ds: ds, without_uid, without_times, lambda ds: with_evidence(ds, "1.2.3")])
def test_reanalysis_is_the_same_acquisition(change: Callable[[Dataset], Dataset]) -> None:
    first, second = (change(build_report(spec(analysis=analysis))) for analysis in (0, 1))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert read(first).acquisition_id == read(second).acquisition_id


@pytest.mark.parametrize("change", [lambda ds: ds, without_uid])
def test_repeat_is_another_acquisition(change: Callable[[Dataset], Dataset]) -> None:
    later = spec(acquisition="second", measured_at=MEASURED + timedelta(minutes=5))
    assert read(change(build_report(spec()))).acquisition_id != read(change(build_report(later))).acquisition_id


@pytest.mark.parametrize("evidence", [(), ("1.2.9", "1.2.10"), ("1.2.10",), ("1.2.9", "1.2.9")])
def test_images_that_an_analysis_adds_or_makes_anew_are_no_other_acquisition(evidence: tuple[str, ...]) -> None:
    first, second = (with_evidence(without_times(build_report(spec())), *uids) for uids in (("1.2.9",), evidence))
    assert read(first).acquisition_id == read(second).acquisition_id


def test_another_study_is_another_acquisition() -> None:
    first, second = (without_times(build_report(spec(acquisition=name))) for name in ("first", "second"))
    assert read(first).acquisition_id != read(second).acquisition_id


def test_unknown_acquisition_looks_like_the_same() -> None:
    first, second = without_times(build_report(spec())), without_times(build_report(spec(acquisition="second")))
    for ds in (first, second):
        del ds.StudyInstanceUID
    assert read(first).acquisition_id == read(second).acquisition_id


# --- privacy -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"readings": {}},
        {"readings": {"L1-L4": "NaN"}},
        {"readings": {"SECRET^PERSON 19431224": "-1"}},
        {"unit": "mg/cm2", "unit_meaning": "SECRET^PERSON"},
        {"readings": {"L1-L4": "SECRET^PERSON"}},
    ],
)
def test_no_message_tells_anything_of_the_data_set(changes: dict[str, object]) -> None:
    fields = {name: getattr(PERSON, name) for name in PERSON.__struct_fields__}
    with pytest.raises(CollectorError) as caught:
        read(ReportSpec(**{**fields, **changes}))
    told = f"{caught.value} {caught.value!r} {caught.value.args}"
    assert not any(secret in told for secret in ("SECRET", "PERSON", "1943", "998877"))
    assert len(str(caught.value)) <= 64


# --- truncated objects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("style", list(RegionStyle))
def test_whole_report_passes_and_no_cut_within_its_content_does(style: RegionStyle, *, implicit: bool) -> None:
    data = encoded(build_report(spec(style=style)), implicit=implicit)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    check_whole(data, syntax)
    content_starts = data.index(b"\x40\x00\x30\xa7")  # ContentSequence (0040,A730), the last element
    for end in range(content_starts + 1, len(data)):
        with pytest.raises(UndecodableError):
            check_whole(data[:end], syntax)


@pytest.mark.parametrize("data", [b"", b"DICM", bytes(200), b"\xff" * 64, b"HTTP/1.1 400 Bad Request"])
def test_what_is_no_data_set_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableError):
        check_whole(data, ExplicitVRLittleEndian)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_either_whole_or_refused(data: bytes, implicit: bool) -> None:  # noqa: FBT001 - drawn
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    try:
        check_whole(data, syntax)
    except UndecodableError as error:
        assert len(str(error)) <= 64  # noqa: PT017 - either outcome is right


def test_nesting_is_bounded() -> None:
    nested = b""
    for _ in range(MAX_DEPTH + 2):
        item = b"\xfe\xff\x00\xe0" + len(nested).to_bytes(4, "little") + nested
        nested = b"\x40\x00\x30\xa7" + len(item).to_bytes(4, "little") + item
    with pytest.raises(UndecodableError, match="deeply"):
        check_whole(nested, ImplicitVRLittleEndian)


def test_deflated_object_is_bounded() -> None:
    import zlib  # noqa: PLC0415 - this test alone

    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(bytes(10_000_000)) + deflater.flush()
    syntax = UID(DeflatedExplicitVRLittleEndian)
    assert len(inflated(bomb, syntax, max_bytes=10_000_001)) == 10_000_000
    for data in (bomb, bomb[:100], b"no deflate"):
        with pytest.raises(UndecodableError):
            inflated(data, syntax, max_bytes=1_000_000)


# --- the synthetic series ----------------------------------------------------------------------------------


def test_series_is_the_same_for_the_same_seed_in_any_order() -> None:
    series = BmdSeries(seed=7)
    assert list(series.days(5)) == [series.bmd_g_cm2(day) for day in range(5)]
    assert series.bmd_g_cm2(3) != BmdSeries(seed=8).bmd_g_cm2(3) != series.bmd_g_cm2(3, scan=1)


def test_series_drifts_and_steps_from_its_days() -> None:
    series = BmdSeries(cv_percent=0.0, drift_percent_per_day=0.1, drift_from_day=10, step_percent=-2.0, step_at_day=15)
    assert [series.bmd_g_cm2(day) for day in (10, 12, 15)] == [1.0, 1.002, 0.985]


def test_noise_has_the_stated_precision() -> None:
    values = list(BmdSeries(cv_percent=0.5, seed=1).days(2_000))
    mean = sum(values) / len(values)
    sd = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    assert mean == pytest.approx(1.0, abs=0.0005)
    assert sd == pytest.approx(0.005, rel=0.05)


def test_spine_has_its_vertebrae_and_their_total() -> None:
    assert spine_readings(1.0) == {"L1": 0.955, "L2": 0.985, "L3": 1.015, "L4": 1.045, "L1-L4": 1.0}


def test_wrong_clock_keeps_its_offset() -> None:
    ds = build_report(spec(measured_at=MEASURED.astimezone(timezone(timedelta(hours=1)))))
    assert read(ds).measured_at == MEASURED
