"""Standardised BMD against the published equations, Norland's report and Genant's pairwise equations."""

import csv
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from qa_models.cross_calibration import standardised_bmd
from qa_models.cross_calibration.standardised_bmd import SINGLE_PATIENT_ERROR_PERCENT

GENANT_TO_LUNAR_FROM_HOLOGIC = (1.074, 0.054)
GENANT_TO_NORLAND_FROM_HOLOGIC = (1.068, -0.070)
"""Slope and offset of the spine, Genant 1994 as Bonnick prints them."""


def equations(reference_data: Path) -> list[dict[str, str]]:
    with (reference_data / "sbmd_equations.csv").open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@pytest.mark.parametrize("bmd", [0.45, 0.8942, 1.0, 1.35])
def test_every_published_equation(reference_data: Path, bmd: float) -> None:
    for row in equations(reference_data):
        a, b, make = float(row["a_or_centre"]), float(row["b_or_slope"]), row["make"].lower()
        site, _, study = row["site"].partition("_") if row["site"].startswith("spine") else (row["site"], "", "")
        form = {"Hui1997": "hui", "Genant1994_memory": "proportional", "": None}[study]
        expected_g_cm2 = b * (bmd - a) + 1.0436 if form == "hui" else a + b * bmd
        got = standardised_bmd(bmd, make, site, form=form)  # type: ignore[arg-type]
        assert got == pytest.approx(1000 * expected_g_cm2, abs=1e-9)


def test_there_is_an_equation_for_every_make_and_site(reference_data: Path) -> None:
    assert len(equations(reference_data)) == 15


@pytest.mark.parametrize(("make", "slope", "centre"), [("hologic", 1.055, 0.972), ("lunar", 0.9683, 1.1)])
def test_the_spine_is_hui_unless_told_otherwise(make: Any, slope: float, centre: float) -> None:
    assert standardised_bmd(1.2, make, "spine") == pytest.approx(1000 * (slope * (1.2 - centre) + 1.0436), abs=1e-9)
    assert standardised_bmd(1.2, make, "spine") == standardised_bmd(1.2, make, "spine", form="hui")


def test_norlands_report_prints_the_proportional_form() -> None:
    # BMD .8942 and sBMD 962.3 on one report: the BMD is rounded, and so is the sBMD.
    lowest, highest = (standardised_bmd(bmd, "norland", "spine", form="proportional") for bmd in (0.89415, 0.89425))
    assert lowest < 962.35
    assert highest > 962.25
    assert abs(standardised_bmd(0.8942, "norland", "spine") - 962.3) > 1


@pytest.mark.parametrize(
    ("make", "pairwise"), [("lunar", GENANT_TO_LUNAR_FROM_HOLOGIC), ("norland", GENANT_TO_NORLAND_FROM_HOLOGIC)]
)
def test_the_proportional_form_agrees_with_the_pairwise_equations(make: Any, pairwise: tuple[float, float]) -> None:
    slope, offset = pairwise
    hologic = standardised_bmd(1.0, "hologic", "spine", form="proportional")
    other = standardised_bmd(slope * 1.0 + offset, make, "spine", form="proportional")
    assert hologic == pytest.approx(1075.5, abs=1e-9)
    assert other == pytest.approx(hologic, rel=0.002)


def test_hologic_at_one_reads_1074_1_when_carried_through_lunar() -> None:
    assert standardised_bmd(1.128, "lunar", "spine", form="proportional") == pytest.approx(1074.1, abs=0.05)


def test_the_error_for_a_single_patient_is_stated() -> None:
    assert SINGLE_PATIENT_ERROR_PERCENT == 3.5
    assert "Not for a single patient" in (standardised_bmd.__doc__ or "")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0, 0.0499, 5.001, 894.2])
def test_what_is_no_bmd_in_g_cm2_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match=f"value_g_cm2 = {bad!r} is not between 0.05 and 5"):
        standardised_bmd(bad, "hologic", "total_hip")


@pytest.mark.parametrize("bad", [None, "1.0", True])
def test_what_is_no_number_is_named(bad: Any) -> None:
    with pytest.raises(ValueError, match=f"^value_g_cm2 = {bad!r} is not a number$"):
        standardised_bmd(bad, "hologic", "total_hip")


@pytest.mark.parametrize(
    ("make", "site", "plain_make", "plain_site"),
    [
        ("Hologic", "Total hip", "hologic", "total_hip"),
        ("HOLOGIC", "TOTAL-HIP", "hologic", "total_hip"),
        ("GE", "Femoral Neck", "lunar", "femoral_neck"),
        ("ge lunar", "femoral-neck", "lunar", "femoral_neck"),
        ("GE_Lunar", " trochanter ", "lunar", "trochanter"),
        ("Lunar", "lumbar_spine", "lunar", "spine"),
        ("Norland", "Lumbar spine", "norland", "spine"),
    ],
)
def test_makes_and_sites_are_known_by_the_names_of_reports(
    make: str, site: str, plain_make: str, plain_site: str
) -> None:
    assert standardised_bmd(1.1, make, site) == standardised_bmd(1.1, plain_make, plain_site)


def test_a_bmd_may_be_a_decimal() -> None:
    bmd: Any = Decimal("0.8942")
    assert standardised_bmd(bmd, "norland", "spine") == standardised_bmd(0.8942, "norland", "spine")


@pytest.mark.parametrize(("bmd", "expected"), [(0.05, 56.4), (5.0, 5046.0)])
def test_the_smallest_and_the_largest_bmd_are_taken(bmd: float, expected: float) -> None:
    assert standardised_bmd(bmd, "hologic", "total_hip") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "site", "form", "message"),
    [
        ("gee", "spine", None, "make = 'gee' is not one of hologic, lunar, ge, ge_lunar, norland$"),
        (None, "total_hip", None, "make = None is not one of hologic"),
        (
            "lunar",
            "ward",
            None,
            "site = 'ward' is not one of spine, lumbar_spine, total_hip, femoral_neck, trochanter$",
        ),
        ("lunar", "totalhip", None, "site = 'totalhip' is not one of"),
        ("lunar", 3, None, "site = 3 is not one of"),
        ("lunar", "", None, "site = '' is not one of"),
        ("GE", "Total hip", "hui", "form = 'hui' is for the spine, not for total_hip"),
        ("lunar", "total_hip", "proportional", "form = 'proportional' is for the spine, not for total_hip"),
        ("lunar", "spine", "genant", "form = 'genant' is neither hui nor proportional"),
    ],
)
def test_an_unknown_equation_is_named(make: Any, site: Any, form: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        standardised_bmd(1.0, make, site, form=form)
