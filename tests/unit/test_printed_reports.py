"""Printed reports: what is read of each make's page, and what makes a page refused whole."""

import random
import zlib
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.printed.dates import read_stamp
from collectors.printed.errors import (
    DateError,
    DoesNotAddUpError,
    MissingError,
    OverLimitError,
    PasswordError,
    PrintedReportError,
    UnreadablePdfError,
)
from collectors.printed.layouts import LAYOUTS, layout_of, read_scans
from collectors.printed.page import Glyph, Line, Page, page_of
from collectors.printed.pdf import read_pages
from collectors.printed.scan import Printer, check_adds_up
from collectors.printed.settings import DateOrder
from simulators.printed import HOLOGIC_SPINE, Report, Text, ge_page, hologic_page, printed
from tests.printed_pages import (
    HIPS,
    LAY_OUT,
    ORDERS,
    SPINES,
    misreadings,
    pages_of,
    retyped,
    scans_of,
    spine,
    swapped,
    table,
    turned,
    with_content,
    without_row,
)

TRUETYPE = str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
MAKES = ("hologic", "ge", "norland")


@lru_cache(maxsize=1)
def mixtures() -> tuple[Page, ...]:
    return pages_of(*(spine(make) for make in MAKES), *(LAY_OUT[make](HIPS[make]) for make in HIPS))


# --- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("font_file", ["", TRUETYPE], ids=["standard font", "embedded font"])
def test_the_published_hologic_page_is_read(font_file: str) -> None:
    (scan,) = scans_of("hologic", spine("hologic"), font_file=font_file)
    assert table(scan) == {
        "L1": ("13.26", "11.58", "0.873"),
        "L2": ("13.72", "12.94", "0.943"),
        "L3": ("14.81", "13.93", "0.941"),
        "L4": ("13.97", "13.40", "0.959"),
        "L1-L4": ("55.77", "51.85", "0.930"),
    }
    assert (scan.k, scan.d0) == (Decimal("1.130"), Decimal("48.6"))
    assert (scan.scan_id, scan.software, scan.scan_type) == ("A12041901", "13.6.0.5", "Lumbar Spine")
    assert scan.scanned.at == datetime(2019, 12, 4)  # noqa: DTZ001 - as printed
    assert not scan.scanned.has_time
    assert scan.analysed is not None
    assert scan.analysed.at == datetime(2019, 12, 4, 12, 57)  # noqa: DTZ001 - as printed
    assert scan.rows[-1].t_score == Decimal("-1.1")


@pytest.mark.parametrize("font_file", ["", TRUETYPE], ids=["standard font", "embedded font"])
def test_the_published_ge_page_is_read(font_file: str) -> None:
    (scan,) = scans_of("ge", spine("ge"), font_file=font_file)
    assert table(scan)["L1-L4"] == ("39.47", "40.36", "1.022")
    assert list(table(scan)) == ["L1", "L2", "L3", "L4", "L1-L4"]
    assert (scan.software, scan.scan_type, scan.scan_mode) == ("16 [SP 2]", "AP Spine", "Standard")
    assert scan.scanned.at == datetime(2019, 12, 4, 12, 55, 10)  # noqa: DTZ001 - as printed


@pytest.mark.parametrize("font_file", ["", TRUETYPE], ids=["standard font", "embedded font"])
def test_the_published_norland_page_is_read(font_file: str) -> None:
    (scan,) = scans_of("norland", spine("norland"), font_file=font_file)
    assert table(scan)["L2-L4"] == ("43.80", "39.17", "0.8942")
    assert (scan.software, scan.scan_type) == ("3.9.4/2.1.0", "AP Spine")
    assert scan.calibrated is not None
    assert scan.calibrated.at == datetime(2019, 12, 4, 8, 7, 53)  # noqa: DTZ001 - as printed


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("hologic", Printer("Horizon A", "300123M")),
        ("ge", Printer("Lunar Prodigy", "DF+12345")),
        ("norland", Printer("Elite", "4711")),
    ],
)
def test_a_page_says_which_scanner_it_is_of(make: str, said: Printer) -> None:
    (page,) = pages_of(spine(make))
    name = layout_of(page)
    assert name is not None
    assert LAYOUTS[name].printer(page) == said


def test_both_hips_of_a_hologic_page_are_scans_of_their_own() -> None:
    left, right = scans_of("hologic", LAY_OUT["hologic"](HIPS["hologic"]))
    assert [(row.region, row.side) for row in left.rows] == [("Neck", "left"), ("Total", "left")]
    assert [(row.region, row.side) for row in right.rows] == [("Neck", "right"), ("Total", "right")]
    assert (left.scan_id, left.k, left.d0) == ("A12041901", Decimal("1.132"), Decimal("52.0"))
    assert (right.scan_id, right.k, right.d0) == ("A12041902", Decimal("1.133"), Decimal("52.2"))


def test_a_group_named_once_holds_for_the_sides_below_it() -> None:
    page = LAY_OUT["hologic"](HIPS["hologic"])
    for side in ("Right", "Mean", "|Diff.|"):
        page = retyped(page, f"Neck {side}", side)
    left, _right = scans_of("hologic", page)
    assert [row.region for row in left.rows] == ["Neck", "Total"]


def test_dual_femurs_of_a_ge_page_are_told_apart() -> None:
    (scan,) = scans_of("ge", LAY_OUT["ge"](HIPS["ge"]))
    assert [(row.region, row.side) for row in scan.rows] == [
        ("Neck", "left"),
        ("Neck", "right"),
        ("Total", "left"),
        ("Total", "right"),
    ]


@pytest.mark.parametrize("make", MAKES)
def test_the_order_in_which_a_page_is_drawn_says_nothing(make: str) -> None:
    page = spine(make)
    shuffled = random.Random(5).sample(page, len(page))  # noqa: S311 - an order, no secret
    assert scans_of(make, shuffled) == scans_of(make, page)


@pytest.mark.parametrize("make", MAKES)
def test_columns_are_told_by_their_headings(make: str) -> None:
    assert scans_of(make, swapped(spine(make), "BMC", "Area", values=False)) == scans_of(make, spine(make))


@pytest.mark.parametrize("make", ["hologic", "norland"])
def test_an_empty_column_of_scores_shifts_nothing(make: str) -> None:
    report = SPINES[make]
    rows = tuple(msgspec.structs.replace(row, t_score="") for row in report.rows)
    (scan,) = scans_of(make, LAY_OUT[make](msgspec.structs.replace(report, rows=rows)))
    assert {row.t_score for row in scan.rows} == {None}
    assert [row.z_score for row in scan.rows] == [row.z_score for row in scans_of(make, spine(make))[0].rows]


def test_the_total_of_a_spine_is_called_by_its_vertebrae() -> None:
    (scan,) = scans_of("hologic", retyped(spine("hologic"), "L1-L4", "Total"))
    assert list(table(scan)) == ["L1", "L2", "L3", "L4", "L1-L4"]


def test_bold_that_is_struck_twice_is_read_once() -> None:
    page = spine("hologic")
    again = [msgspec.structs.replace(text, x=text.x + 0.2) for text in page]
    assert scans_of("hologic", [*page, *again]) == scans_of("hologic", page)


def test_an_exclusion_is_a_range_of_what_is_left() -> None:
    rows = (*HOLOGIC_SPINE[:2], HOLOGIC_SPINE[3])
    total = msgspec.structs.replace(HOLOGIC_SPINE[4], region="L1-L2,L4", area="40.95", bmc="37.92", bmd="0.926")
    (scan,) = scans_of("hologic", hologic_page(Report((*rows, total))))
    assert table(scan)["L1-L2,L4"] == ("40.95", "37.92", "0.926")


def test_when_a_page_was_printed_says_nothing() -> None:
    report = SPINES["ge"]
    later = msgspec.structs.replace(report, printed_at=datetime(2024, 2, 29, 17, 1))  # noqa: DTZ001 - as printed
    assert ge_page(later) != ge_page(report)
    assert scans_of("ge", ge_page(later)) == scans_of("ge", ge_page(report))


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKES)
def test_values_in_swapped_columns_do_not_add_up(make: str) -> None:
    with pytest.raises(DoesNotAddUpError):
        scans_of(make, swapped(spine(make), "BMC", "Area", values=True))


@pytest.mark.parametrize(
    ("make", "old", "new"),
    [
        ("hologic", "0.873", "0.378"),
        ("hologic", "13.26", "13.62"),
        ("hologic", "51.85", "51.58"),
        ("ge", "1.022", "1.202"),
        ("ge", "40.36", "40.63"),
        ("norland", ".8942", ".8492"),
    ],
)
def test_a_misread_figure_does_not_add_up(make: str, old: str, new: str) -> None:
    with pytest.raises(DoesNotAddUpError):
        scans_of(make, retyped(spine(make), old, new))


@pytest.mark.parametrize("make", MAKES)
def test_a_missing_vertebra_is_noticed(make: str) -> None:
    with pytest.raises(DoesNotAddUpError, match="missing"):
        scans_of(make, without_row(spine(make), "L3"))


def test_two_tables_that_differ_are_noticed() -> None:
    first = True
    page = []
    for text in ge_page(SPINES["ge"]):
        if text.text == "1.022" and first:
            page.append(msgspec.structs.replace(text, text="1.122"))
            first = False
        else:
            page.append(text)
    with pytest.raises(DoesNotAddUpError, match="tables differ"):
        scans_of("ge", page)


@pytest.mark.parametrize("old", ["11.58", "0.873", "13.26"])
def test_a_row_without_all_three_is_refused(old: str) -> None:
    with pytest.raises(MissingError):
        scans_of("hologic", retyped(spine("hologic"), old, ""))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("L2", "Smith"),  # a row that is none of ours, and whose name must not reach the log
        ("(g/cm\u00b2)", "(mg/cm\u00b2)"),
        ("BMC", "BMD"),
        ("11.58", "11.5S"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(old: str, new: str) -> None:
    with pytest.raises(MissingError) as failed:
        scans_of("hologic", retyped(spine("hologic"), old, new))
    assert "Smith" not in str(failed.value)


def test_the_mean_of_two_hips_is_checked() -> None:
    with pytest.raises(DoesNotAddUpError, match="mean or difference"):
        scans_of("hologic", retyped(LAY_OUT["hologic"](HIPS["hologic"]), "0.890", "0.980"))


def test_a_region_that_stands_twice_is_refused() -> None:
    (scan,) = scans_of("hologic", spine("hologic"))
    with pytest.raises(DoesNotAddUpError, match="twice"):
        check_adds_up((*scan.rows, scan.rows[0]))


def test_an_analysis_before_its_scan_is_a_misread_date() -> None:
    report = msgspec.structs.replace(SPINES["hologic"], analysed_at=datetime(2019, 11, 4, 12, 0))  # noqa: DTZ001
    with pytest.raises(DateError):
        scans_of("hologic", hologic_page(report))


def test_a_page_without_a_patient_id_is_refused() -> None:
    with pytest.raises(MissingError, match="patient id"):
        scans_of("hologic", retyped(spine("hologic"), "Patient ID: SPINE-1234", "Patient ID:"))


# --- dates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "order", "iso"),
    [
        ("December 04, 2019 12:57 Version 13.6", "", "2019-12-04T12:57:00"),
        ("04 December 2019", "", "2019-12-04T00:00:00"),
        ("2019-12-04 09:05", "", "2019-12-04T09:05:00"),
        ("04/05/2019 9:28:46 AM", "month-first", "2019-04-05T09:28:46"),
        ("04/05/2019 9:28:46 PM", "day-first", "2019-05-04T21:28:46"),
        ("04.05.2019 21:28", "day-first", "2019-05-04T21:28:00"),
        ("4/5/2019 12:00:00 AM", "month-first", "2019-04-05T00:00:00"),
        ("4/5/2019 12:00:00 PM", "month-first", "2019-04-05T12:00:00"),
    ],
)
def test_a_date_is_read_in_the_configured_order(text: str, order: DateOrder, iso: str) -> None:
    assert read_stamp(text, order).at.isoformat() == iso


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("04/05/2019", ""),
        ("25/04/2019", "month-first"),
        ("04/25/2019", "day-first"),
        ("4/5/19", "day-first"),
        ("4/5/2019 13:00 PM", "day-first"),
        ("31 June 2019", ""),
        ("yesterday", "day-first"),
    ],
)
def test_a_date_is_never_guessed(text: str, order: DateOrder) -> None:
    with pytest.raises(DateError):
        read_stamp(text, order)


def test_a_page_whose_date_order_is_not_configured_is_refused() -> None:
    (page,) = pages_of(spine("ge"))
    with pytest.raises(DateError):
        read_scans(page, "ge-encore", "")


# --- the file ----------------------------------------------------------------------------------------------


def test_a_truncated_file_is_no_report() -> None:
    with pytest.raises(UnreadablePdfError):
        read_pages(printed([spine("hologic")])[:200], max_pages=12, timeout_s=60)


@pytest.mark.parametrize("data", [b"", b"not a PDF at all", b"%PDF-1.7\n" + bytes(4000)])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadablePdfError):
        read_pages(data, max_pages=12, timeout_s=60)


def test_a_file_with_a_password_is_refused() -> None:
    with pytest.raises(PasswordError):
        read_pages(printed([spine("hologic")], password="secret"), max_pages=12, timeout_s=60)


def test_too_many_pages_are_refused() -> None:
    with pytest.raises(OverLimitError):
        read_pages(printed([[Text(40, 40, "x")]] * 13), max_pages=12, timeout_s=60)


def test_more_text_than_any_report_has_is_refused() -> None:
    page = [Text(10, 10 * place, "x" * 100) for place in range(80)]
    with pytest.raises(OverLimitError):
        read_pages(printed([page] * 8), max_pages=12, timeout_s=60)


def test_a_page_that_unpacks_without_end_is_refused() -> None:
    bomb = zlib.compress(zlib.compress(b"BT ET " * 60_000_000, 1), 9)
    assert len(bomb) < 100_000
    enough = 300 * 1024 * 1024
    assert read_pages(printed([spine("hologic")]), max_pages=12, timeout_s=60, max_memory=enough)
    with pytest.raises(OverLimitError):
        read_pages(with_content(bomb), max_pages=12, timeout_s=60, max_memory=enough)


def test_a_file_that_takes_too_long_is_refused() -> None:
    with pytest.raises(OverLimitError):
        read_pages(printed([spine("hologic")]), max_pages=12, timeout_s=0.001)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_is_stored_turned_is_read_as_it_is_seen(degrees: int) -> None:
    (page,) = read_pages(turned(spine("hologic"), degrees), max_pages=12, timeout_s=60)
    assert read_scans(page, "hologic-apex", "") == scans_of("hologic", spine("hologic"))


def test_pages_are_read_one_by_one() -> None:
    first, second = pages_of(spine("hologic"), spine("ge"))
    assert (layout_of(first), layout_of(second)) == ("hologic-apex", "ge-encore")


def test_glyphs_make_words_by_their_gaps() -> None:
    glyphs = [
        Glyph(text, left, left + 5, 10.0, 10.0) for text, left in (("b", 5.0), ("a", 0.0), ("c", 13.0), ("d", 40.0))
    ]
    assert page_of(glyphs).text == "ab c  d"


# --- laws --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKES)
def test_no_single_misread_figure_of_the_table_changes_a_density_by_more_than_rounding(make: str) -> None:
    (page,) = pages_of(spine(make))
    name = layout_of(page)
    assert name is not None
    right = {row.region: row for row in read_scans(page, name, ORDERS[make])[0].rows}
    figures = {str(value) for row in right.values() for value in (row.bmd_g_cm2, row.bmc_g, row.area_cm2)}
    refused = 0
    for misread in misreadings(page, figures | {figure.removeprefix("0") for figure in figures}):
        try:
            (scan,) = read_scans(misread, name, ORDERS[make])
        except PrintedReportError:
            refused += 1
            continue
        for row in scan.rows:
            assert abs(row.bmd_g_cm2 - right[row.region].bmd_g_cm2) <= Decimal("0.002")
    assert refused > 350


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_mixture_of_words_is_read_or_refused(data: st.DataObject) -> None:
    page = data.draw(st.sampled_from(mixtures()))
    lines = [
        Line(tuple(word for word in line.words if data.draw(st.integers(0, 15))) or line.words)
        for line in page.lines
        if data.draw(st.integers(0, 15))
    ]
    mixed = Page(tuple(data.draw(st.permutations(lines)) if data.draw(st.booleans()) else lines))
    name = layout_of(mixed)
    if name is None:
        return
    try:
        LAYOUTS[name].printer(mixed)
        scans = read_scans(mixed, name, "month-first")
    except PrintedReportError:
        return
    assert all(row.bmc_g and row.area_cm2 for scan in scans for row in scan.rows)
