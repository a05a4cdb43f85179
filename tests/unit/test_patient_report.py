"""A patient's structured report: every number under its region and side, and nothing of the person."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from collectors.dicom.patient_report import PatientReport, accession_of, procedure_codes_of, read_patient_report
from collectors.dicom.structured_report import acquisition_id
from collectors.errors import (
    AmbiguousRegionError,
    CollectorError,
    ImpossibleTimeError,
    ImpossibleValueError,
    NoBmdError,
    NoKnownRegionError,
    RegionDoesNotAddUpError,
    WrongUnitError,
)
from collectors.regions import Anatomy, body_region
from simulators.patient_objects import HIPS, SPINE, Arrangement, PatientScan, Row, scan_report
from simulators.sr_items import numeric_item
from streams.messages import RegionMeasured

LONDON = ZoneInfo("Europe/London")
MEASURED = datetime(2026, 6, 1, 9, 15, tzinfo=UTC)
SCAN = PatientScan(MEASURED)


def read(scan: PatientScan, arrangement: Arrangement = Arrangement.CONTAINERS) -> PatientReport:
    return read_patient_report(scan_report(scan, arrangement), LONDON)


@pytest.mark.parametrize("arrangement", Arrangement)
def test_a_spine_is_read_in_every_arrangement(arrangement: Arrangement) -> None:
    report = read(SCAN, arrangement)
    assert report.regions == (
        RegionMeasured("L1", 0.873, 11.58, 13.26, -1.1, -0.2),
        RegionMeasured("L2", 0.943, 12.94, 13.72, -0.8, 0.2),
        RegionMeasured("L3", 0.941, 13.93, 14.81, -1.3, -0.2),
        RegionMeasured("L4", 0.959, 13.40, 13.97, -0.9, 0.1),
        RegionMeasured("L1-L4", 0.930, 51.85, 55.77, -1.1, 0.0),
    )
    assert report.measured_at == MEASURED
    assert report.analysed_at == MEASURED + timedelta(minutes=2)
    assert report.anatomy is Anatomy.SPINE


@pytest.mark.parametrize("arrangement", Arrangement)
def test_two_hips_are_told_apart(arrangement: Arrangement) -> None:
    report = read(replace(SCAN, rows=HIPS, body_part="HIP"), arrangement)
    assert [(r.region, r.laterality, r.bmd_g_cm2) for r in report.regions] == [
        ("Neck", "left", 0.755),
        ("Total", "left", 0.883),
        ("Neck", "right", 0.769),
        ("Total", "right", 0.896),
    ]
    assert report.anatomy is Anatomy.HIP


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Femoral neck", ("Neck", "")),
        ("Structure of neck of femur", ("Neck", "")),
        ("Left femoral neck BMD", ("Neck", "left")),
        ("Right Total Hip", ("Total", "right")),
        ("Ward's triangle", ("Wards", "")),
        ("AP Spine L1-L4 BMD", ("L1-L4", "")),
        ("Radius 33%", ("Radius 33%", "")),
        ("L Spine", ("L Spine", "")),
        ("L Spine BMD", ("L Spine", "")),
        ("T Spine BMD", ("T Spine", "")),
        ("T Spine T-score", ("T Spine", "")),
        ("L Arm BMD", ("L Arm", "")),
        ("Left arm", ("L Arm", "")),
        ("Femoral neck Z-score", ("Neck", "")),
        ("Ultra distal radius", ("Radius UD", "")),
        ("Left", None),
        ("Left hip", None),
        ("Mrs Neck of Femur Street", None),
        ("INVENTED^PERSON", None),
        ("", None),
    ],
)
def test_a_free_name_names_a_region_for_sure_or_not_at_all(name: str, expected: tuple[str, str] | None) -> None:
    assert body_region(name) == expected


def test_the_side_of_the_whole_object_is_that_of_a_region_without_one() -> None:
    ds = scan_report(replace(SCAN, rows=(replace(HIPS[0], side=""),), body_part="HIP"))
    ds.Laterality = "R"
    assert [region.laterality for region in read_patient_report(ds, LONDON).regions] == ["right"]


def test_mean_and_difference_of_two_sides_are_no_regions() -> None:
    rows = (*HIPS, Row("Femoral neck mean", "0.762"), Row("Total hip difference", "0.013"))
    for arrangement in Arrangement:
        assert len(read(replace(SCAN, rows=rows), arrangement).regions) == 4


@pytest.mark.parametrize("arrangement", Arrangement)
def test_a_region_with_a_percent_sign_in_its_name_is_no_percentage(arrangement: Arrangement) -> None:
    rows = (Row("Radius 33%", "0.712", "1.95", "2.74", "-0.4"), Row("Radius UD", "0.421"))
    report = read(replace(SCAN, rows=rows, body_part="FOREARM"), arrangement)
    assert [(r.region, r.bmd_g_cm2, r.t_score) for r in report.regions] == [
        ("Radius 33%", 0.712, -0.4),
        ("Radius UD", 0.421, None),
    ]
    assert read(replace(SCAN, rows=(*rows, Row("Change in %", "0.5")))).regions == report.regions


def test_two_scores_of_a_region_say_nothing_and_its_density_stays() -> None:
    ds = scan_report(SCAN)
    ds.ContentSequence[0].ContentSequence.append(numeric_item("T-score", "-1.6", "1"))
    first = read_patient_report(ds, LONDON).regions[0]
    assert (first.bmd_g_cm2, first.t_score, first.z_score) == (0.873, None, -0.2)


def changed(row: Row) -> PatientScan:
    return replace(SCAN, rows=(*SPINE[:4], row))


@pytest.mark.parametrize(
    ("scan", "error"),
    [
        (changed(Row("L1-L4", "0.930", "55.77", "51.85")), RegionDoesNotAddUpError),  # columns exchanged
        (changed(Row("L1-L4", "0.930", "51.85", "0")), RegionDoesNotAddUpError),
        (changed(Row("L1", "0.900")), AmbiguousRegionError),
        (changed(Row("L1-L4", "930")), ImpossibleValueError),
        (changed(Row("L1-L4", "0.930", "51.85", "NaN")), ImpossibleValueError),
        (replace(SCAN, rows=(Row("Invented region", "0.930"),)), NoKnownRegionError),
        (replace(SCAN, rows=()), NoBmdError),
        (replace(SCAN, measured_at=datetime(1980, 1, 1, tzinfo=UTC)), ImpossibleTimeError),
    ],
)
def test_what_cannot_be_is_refused_whole_and_quotes_nothing(scan: PatientScan, error: type[CollectorError]) -> None:
    with pytest.raises(error) as caught:
        read(scan)
    assert "INVENTED" not in str(caught.value).upper()


def test_rounding_is_no_contradiction() -> None:
    exact = changed(Row("L1-L4", "0.930", "51.9", "55.8"))  # 0.9301
    assert read(exact).regions[-1].bmc_g == 51.9


def test_another_unit_is_refused() -> None:
    with pytest.raises(WrongUnitError):
        read_patient_report(scan_report(SCAN, unit="mg/cm2"), LONDON)


def test_a_reanalysis_shares_its_acquisition_and_a_repeat_does_not() -> None:
    objects = [scan_report(SCAN), scan_report(SCAN, analysis=1), scan_report(replace(SCAN, acquisition="two"))]
    first, again, repeat = (acquisition_id(ds, LONDON) for ds in objects)
    assert first == again != repeat
    analysed = [read_patient_report(ds, LONDON).analysed_at for ds in objects[:2]]
    assert analysed == [MEASURED + timedelta(minutes=minutes) for minutes in (2, 3)]


def test_codes_are_those_of_requested_and_performed_procedure() -> None:
    ds = scan_report(replace(SCAN, procedure_code="DXASH"))
    code = Dataset()
    code.CodeValue = "INVENTED PERSON"
    ds.ProcedureCodeSequence = Sequence([code])
    assert procedure_codes_of(ds) == {"DXASH"}


def test_the_request_s_number_is_also_read_from_the_requests_that_a_report_names() -> None:
    ds = scan_report(SCAN)
    assert accession_of(ds) == "RK9-0012345"
    ds.AccessionNumber = ""
    requests = [Dataset(), Dataset()]
    requests[0].AccessionNumber = requests[1].AccessionNumber = "RK9-0000002"
    ds.ReferencedRequestSequence = Sequence(requests)
    assert accession_of(ds) == "RK9-0000002"
    requests[1].AccessionNumber = "RK9-0000003"
    assert accession_of(ds) == ""
