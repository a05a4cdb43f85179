"""Exports out of files: what a map makes of the rows of each kind of file."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.decimals import decimal_from
from collectors.files.errors import FileRefusedError, MapError
from collectors.files.map_checks import device_faults
from collectors.files.map_file import load, map_from_toml
from collectors.files.tables import Cell
from streams.messages import CalibrationCheckRead, PhantomMeasured, Source, VendorQcReported
from streams.policy import DevicePolicy
from tests.exported_files import (
    CHECK_MAP,
    PHANTOM_MAP,
    VENDOR_MAP,
    XLSX_MAP,
    XML_MAP,
    csv_export,
    line,
    with_member,
    workbook,
)
from tests.unit.file_rig import SCALE, SCANNER, SHEET, facts, read, rejected

# --- what a row becomes ------------------------------------------------------------------------------------


def test_a_row_of_a_phantom_becomes_its_reading_in_the_sites_time() -> None:
    summer = line(3, "1,0234", month=7)
    (fact,) = facts(read(csv_export([summer])))
    assert isinstance(fact, PhantomMeasured)
    assert (fact.phantom_id, fact.region, fact.bmd_g_cm2) == ("SPINE-1234", "L1-L4", 1.0234)
    assert fact.measured_at == datetime(2026, 7, 3, 6, 45, tzinfo=UTC)
    assert (fact.software, fact.source) == ("13.6.0.5", Source.IMPORT)


@pytest.mark.parametrize("word", ["PASS", " pass ", "In  limits", "FAIL"])
def test_a_row_of_the_manufacturers_qc_says_passed_or_failed_in_the_maps_words(word: str) -> None:
    (fact,) = facts(read(f"When,Outcome,Who\n2026-11-02 07:30:15,{word},Oz\n".encode(), VENDOR_MAP))
    assert isinstance(fact, VendorQcReported)
    assert (fact.passed, fact.performed_by) == (word != "FAIL", "Oz")
    assert fact.measured_at == datetime(2026, 11, 2, 7, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "written", "kg", "imperial"), [("g", "20010", 20.01, False), ("kg", "20.01", 20.01, False),
                                            ("lb", "44.0", 19.95806428, True)]
)  # fmt: skip
def test_a_row_of_a_check_is_in_kilograms_whatever_the_export_has(
    unit: str,
    written: str,
    kg: float,
    imperial: bool,  # noqa: FBT001
) -> None:
    toml = CHECK_MAP.replace('read = "g"', f'read = "{unit}"')
    (fact,) = facts(read(f"2026-11-02T07:30,20 kg weight,{written}\n".encode(), toml, policy=SCALE))
    assert isinstance(fact, CalibrationCheckRead)
    assert (fact.standard_id, fact.read, fact.unit_sent, fact.imperial) == ("W20", kg, unit, imperial)


def test_an_xml_of_attributes_and_elements_is_read_by_their_names() -> None:
    xml = """<?xml version="1.0"?><q:Export xmlns:q="urn:invented"><Made by="x"/>
      <q:Scan patient="SPINE-1234"><q:Acquired at="2026-11-02T07:45:00+0100"/>
        <q:Result><q:Region>L1-L4</q:Region><q:BMD> 987.5 </q:BMD></q:Result></q:Scan>
      <q:Scan patient="SPINE-1234"><q:Acquired at="2026-11-03T07:45:00+0100"/>
        <q:Result><q:Region>L1-L4</q:Region><q:BMD>none</q:BMD></q:Result></q:Scan></q:Export>"""
    content = read(xml.encode(), XML_MAP)
    (fact,) = facts(content)
    assert isinstance(fact, PhantomMeasured)
    assert (fact.bmd_g_cm2, fact.measured_at) == (0.9875, datetime(2026, 11, 2, 6, 45, tzinfo=UTC))
    assert rejected(content) == [(2, "number")], "of an XML, the line is the number of the row"


def test_of_a_row_of_xml_that_says_something_twice_both_are_kept() -> None:
    row = '<Scan patient="SPINE-1234"><Result><BMD>987.5</BMD><BMD>988</BMD></Result></Scan>'
    found = "<Scan patient='SPINE-1234'><Acquired at='x'/><Result><Region>L1-L4</Region><BMD>1</BMD></Result></Scan>"
    content = read(f"<x>{row}{found}</x>".encode(), XML_MAP)
    assert rejected(content)[0] == (1, "cells")
    assert {"Result/BMD=987.5", "Result/BMD=988"} <= set(content.rejects[0].texts)


def test_a_workbook_has_real_dates_and_real_numbers() -> None:
    rows = [[date(2026, 11, 2), time(7, 45), "SPINE-1234", 0.9875, "A1", 13, None],
            ["02.11.2026", time(7, 45), "SPINE-1234", 0.9875, "A2", 13, None],
            [datetime(2026, 11, 3), time(7, 45), "SPINE-1234", "0,9880", 7.0, 13, None]]  # noqa: DTZ001  # fmt: skip
    content = read(workbook(rows), XLSX_MAP)
    first, second = facts(content)
    assert isinstance(first, PhantomMeasured)
    assert isinstance(second, PhantomMeasured)
    assert (first.bmd_g_cm2, first.software, second.bmd_g_cm2) == (0.9875, "13", 0.988)
    assert first.measured_at == datetime(2026, 11, 2, 7, 45, tzinfo=UTC)
    assert rejected(content) == [(3, "date")], "a text where the map says date cells"


def test_a_formula_is_read_by_the_value_that_the_workbook_caches() -> None:
    data = workbook([[date(2026, 11, 2), time(7, 45), "SPINE-1234", 0.5, "A1", 13, None]])
    with ZipFile(BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<v>0.5</v>" in sheet
    cached = sheet.replace("<v>0.5</v>", "<f>2*0.49375</f><v>0.9875</v>").encode()
    (fact,) = facts(read(with_member(data, "xl/worksheets/sheet1.xml", cached), XLSX_MAP))
    assert isinstance(fact, PhantomMeasured)
    assert fact.bmd_g_cm2 == 0.9875


@pytest.mark.filterwarnings("ignore:Cell A2 is marked as a date:UserWarning")
def test_a_date_that_no_calendar_has_is_a_rejected_row_and_no_broken_workbook() -> None:
    data = workbook([[date(2026, 11, 2), time(7, 45), "SPINE-1234", 0.5, "A1", 13, None]])
    with ZipFile(BytesIO(data)) as archive:
        sheet = archive.read(SHEET).decode()
    assert "<v>46328</v>" in sheet
    wrong = sheet.replace("<v>46328</v>", "<v>46328000000</v>").encode()
    assert rejected(read(with_member(data, SHEET, wrong), XLSX_MAP)) == [(2, "date")]


def test_rows_that_the_map_leaves_out_are_counted_and_are_no_rejects() -> None:
    toml = PHANTOM_MAP + '\n[[only]]\ncolumn = "Patienten-ID"\nvalues = ["spine-1234"]\n'
    content = read(csv_export([line(2), line(3, phantom="943 476 5919")]), toml)
    assert (len(content.taken), content.left_out, content.rejects) == (1, 1, [])
    toml = PHANTOM_MAP + '\n[[only]]\ncolumn = "Patienten-ID"\nbut = ["SPINE-1234"]\n'
    assert read(csv_export([line(2)]), toml).left_out == 1


def test_words_of_the_file_name_a_phantom_and_a_region() -> None:
    toml = PHANTOM_MAP.replace('scan_id = "Scan"', 'region = "Scan"')
    toml += '\n[phantoms]\n"the block" = "BLOCK"\n[regions]\n"gesamt" = "L1-L4"\n'
    content = read(csv_export([line(2, phantom="The Block", scan="Gesamt"), line(3, scan="Knie")]), toml)
    (fact,) = facts(content)
    assert isinstance(fact, PhantomMeasured)
    assert (fact.phantom_id, fact.region) == ("BLOCK", "L1-L4")
    assert rejected(content) == [(3, "region")]


# --- files that are refused --------------------------------------------------------------------------------


def test_a_header_further_down_and_columns_by_number() -> None:
    toml = PHANTOM_MAP.replace('delimiter = ";"', 'delimiter = ";"\nheader = 3')
    content = read(b'made by "x\r\n\r\n' + csv_export([line(2), line(3, "?")]), toml)
    assert ([one.line for one in content.taken], rejected(content)) == ([4], [(5, "number")])


def test_rows_may_lack_their_last_cells_where_the_map_says_so() -> None:
    short = "02.11.2026;07:45;SPINE-1234;0,987"
    assert rejected(read(csv_export([short]))) == [(2, "cells")]
    toml = PHANTOM_MAP.replace('delimiter = ";"', 'delimiter = ";"\nshort_rows = true')
    content = read(csv_export([short, "02.11.2026;07:45;SPINE-1234"]), toml)
    assert (len(content.taken), rejected(content)) == (1, [(3, "number")])


NUMBERS = {"Datum": 1, "Zeit": 2, "Patienten-ID": 3, "BMD gesamt": 4, "Scan": 5, "Version": 6}


def test_a_sheet_without_names_is_read_by_numbers() -> None:
    toml = XLSX_MAP.replace('sheet = "QC"', 'sheet = "QC"\nheader = 0')
    for name, number in NUMBERS.items():
        toml = toml.replace(f'"{name}"', str(number))
    row = [date(2026, 11, 2), time(7, 45), "SPINE-1234", 0.98, "A", 13]
    content = read(workbook([row, row]), toml)
    assert rejected(content) == [(1, "date")], "here the names are a row like any other"
    assert ([one.line for one in content.taken], content.repeats) == ([2], [(3, 2)])
    with pytest.raises(FileRefusedError, match="the map names column 99"):
        read(workbook([row]), toml.replace("= 6", "= 99"))


# --- laws --------------------------------------------------------------------------------------------------


@given(st.decimals(-10_000, 10_000, places=4))
def test_a_number_is_read_exactly_as_it_was_written(number: Decimal) -> None:
    assert decimal_from(str(number), ".") == number
    assert decimal_from(str(number).replace(".", ","), ",") == number
    assert decimal_from(float(number), ",") == number


@pytest.mark.parametrize(
    "cell", [None, True, "", "1 000", "1.2.3", "0x1", "\u0661", "nan", float("inf"), date(2026, 1, 1)]
)
def test_what_is_no_number_is_none(cell: Cell) -> None:
    assert decimal_from(cell, ".") is None


# --- maps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[csv]", "[cvs]", "unknown field"),
        ('encoding = "cp1252"\n', "", "encoding"),
        ('"cp1252"', '"rot13"', "csv.encoding: one of ascii"),
        ('delimiter = ";"', 'delimiter = ";;"', "csv.delimiter"),
        ('delimiter = ";"', 'delimiter = ","\nquote = ""', "decimal: it is the delimiter too"),
        ('delimiter = ";"', 'delimiter = ";"\nheader = 0', "there is no header: give its number"),
        ('kind = "phantom"', 'kind = "patient"', "Invalid enum value"),
        ('decimal = ","', 'decimal = "\'"', "Invalid enum value"),
        ('bmd = "BMD gesamt"', "", "columns.bmd is missing"),
        ('phantom = "Patienten-ID"', "", r"columns.phantom is missing \(or constants.phantom\)"),
        ('scan_id = "Scan"', 'name = "Scan"', "columns.name: a phantom has date_time"),
        ('scan_id = "Scan"', "scan_id = 0", "0 is no column's number"),
        ('time = "Zeit"\n', "", "the day alone gets its time as a constant"),
        ('date = "%d.%m.%Y"', 'date = "%d.%m."', "dates.date: such as"),
        ('date = "%d.%m.%Y"', 'date = "cell"', "for the date cells of a workbook"),
        ('time = "%H:%M"', 'time = "%I:%M"', "dates.time: such as"),
        ('[units]\nbmd = "g/cm2"', "", "units.bmd: say the unit of the file"),
        ('bmd = "g/cm2"', 'bmd = "g/cm2"\nread = "kg"', "units.read: only bmd"),
        ("[units]", '[constants]\nbmd = "1"\n[units]', "constants.bmd: it is another in every row"),
        ("[units]", '[constants]\nregion = " "\n[units]', "constants.region is empty"),
        ("[units]", '[words]\npassed = ["a"]\nfailed = ["b"]\n[units]', "given for vendor_qc"),
        ("[units]", '[standards]\na = "b"\n[units]', "standards: a phantom has none"),
        ("[units]", '[[only]]\ncolumn = "Scan"\n[units]', r"only\[0\]: either values or but"),
        ("[dates]", '[dates]\ntime_zone = "Mars/Base"', "dates.time_zone"),
        ('time = "%H:%M"', 'time = "%H:%M %Z"', "dates.time: such as"),
        ('time = "%H:%M"', 'time = "%H:%H"', "dates.time: such as"),
        ('date = "%d.%m.%Y"', 'date = "%d.%m.%Q"', "dates.date: such as"),
        ('"cp1252"', '"no-such"', "csv.encoding: one of ascii"),
        ('delimiter = ";"', 'delimiter = ";"\nheader = -1', "header: the line of the column names"),
        ('time = "Zeit"', 'note = "Kommentar"\ntime = "Zeit"', "columns.note: free text of a file may name a patient"),
        ("[units]", '[constants]\nsoftware = "1"\n[units]', "constants.software: it is a column too"),
        ('time = "Zeit"\n', '\n[constants]\ntime = "noon"\n', "constants.time is not written as dates.time says"),
    ],
)
def test_a_map_that_does_not_hold_says_which_key_and_what_to_do(old: str, new: str, words: str) -> None:
    assert PHANTOM_MAP.count(old) >= 1
    with pytest.raises(MapError, match=words) as wrong:
        map_from_toml(PHANTOM_MAP.replace(old, new, 1), "maps/qc.toml")
    assert str(wrong.value).startswith("maps/qc.toml: ")


def test_words_of_a_vendors_qc_say_one_or_the_other() -> None:
    with pytest.raises(MapError, match="passed and failed name words of their own"):
        map_from_toml(VENDOR_MAP.replace('["FAIL"]', '["pass "]'), "map.toml")


def test_a_map_is_a_small_file_that_is_there(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_text("# " + "x" * 70_000)
    with pytest.raises(MapError, match="such a file has at most 65536 bytes"):
        load(large)
    with pytest.raises(MapError, match=r"none\.toml cannot be read"):
        load(tmp_path / "none.toml")


def test_the_day_alone_has_its_time_as_a_constant() -> None:
    toml = PHANTOM_MAP.replace('time = "Zeit"\n', "") + '\n[constants]\ntime = "00:00"\n'
    (fact,) = facts(read(csv_export([line(2)]), toml))
    assert isinstance(fact, PhantomMeasured)
    assert fact.measured_at == datetime(2026, 11, 2, 0, 0, tzinfo=UTC)


def test_a_clock_that_does_not_follow_the_site_has_its_own_zone() -> None:
    toml = PHANTOM_MAP.replace("[dates]", '[dates]\ntime_zone = "Etc/GMT-1"')
    assert read(csv_export([line(2)]), toml).taken[0].measured_at == datetime(2026, 11, 2, 6, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("toml", "policy", "words"),
    [
        (PHANTOM_MAP, SCALE, ['kind = "phantom" does not fit a scale']),
        (CHECK_MAP, SCANNER, ['kind = "check" does not fit a scanner']),
        (PHANTOM_MAP + '[phantoms]\na = "NONE"\n', SCANNER, ["phantom NONE is no [[device.phantom]]'s patient_id"]),
        (CHECK_MAP.replace('"W20"', '"W21"'), SCALE, ["standard W21 is no [[device.standard]]'s id"]),
        (CHECK_MAP.replace('"g"', '"mm"'), SCALE, ["units.read: a scale has kg, g, lb"]),
        (PHANTOM_MAP, SCANNER, []),
        (VENDOR_MAP, SCANNER, []),
        (CHECK_MAP, SCALE, []),
    ],
)
def test_a_map_that_does_not_fit_its_device_says_so(toml: str, policy: DevicePolicy, words: list[str]) -> None:
    assert device_faults(map_from_toml(toml, "map"), policy) == words
