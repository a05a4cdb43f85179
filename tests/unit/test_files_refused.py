"""A file that is not as its map says, is damaged or was made to do harm is refused whole and costs little."""

import csv
import tracemalloc
import zlib
from contextlib import suppress
from datetime import date, time
from io import BytesIO, StringIO
from typing import Final
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.errors import FileRefusedError
from tests.exported_files import HEADER, PHANTOM_MAP, XLSX_MAP, XML_MAP, csv_export, line, with_member, workbook
from tests.unit.file_rig import SHEET, read

# --- files that are refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (csv_export([line(2)], header=HEADER.replace("Datum", "Date")), "header", 'no column "Datum"'),
        (csv_export([line(2)], header=HEADER.replace("Kommentar", "Datum")), "header", "2 times"),
        (b"", "header", "no header"),
        (csv_export([line(2)] * 501), "over_limit", "500 rows"),
        (csv_export(["x;" * 30]), "over_limit", "20 columns"),
        (b"Datum;" + b"x" * 1_000_001, "over_limit", "million"),
    ],
)
def test_a_file_that_is_not_as_the_map_says_is_refused_whole(data: bytes, code: str, words: str) -> None:
    with pytest.raises(FileRefusedError, match=words) as refused:
        read(data)
    assert refused.value.code == code


def test_another_encoding_is_refused_and_none_is_guessed() -> None:
    toml = PHANTOM_MAP.replace("cp1252", "utf-8")
    with pytest.raises(FileRefusedError, match="encoding") as refused:
        read(csv_export([line(2)]) + "Prüfkörper".encode("cp1252"), toml)
    assert refused.value.code == "encoding"
    marked = b"\xef\xbb\xbf" + csv_export([line(2)])
    assert len(read(marked, toml).taken) == 1, "a byte order mark is no part of the first column's name"


BOMB = b"<worksheet><sheetData>" + b"<row/>" * 2_000_000 + b"</sheetData></worksheet>"
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK no zip at all", "unreadable"),
        (workbook([])[:-200], "unreadable"),
        (with_member(workbook([]), SHEET, BOMB), "over_limit"),
        (with_member(workbook([]), SHEET, LAUGHS), "unreadable"),
        (with_member(workbook([]), SHEET, b"<worksheet><sheetData><row>"), "unreadable"),
        (with_member(workbook([]), "xl/workbook.xml", b"<workbook/>"), "header"),
        (workbook([], sheet="Other"), "header"),
        (workbook([[1] * 30]), "over_limit"),
    ],
)
def test_a_workbook_that_is_damaged_or_made_to_do_harm_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(FileRefusedError) as refused:
        read(data, XLSX_MAP)
    assert refused.value.code == code


def test_a_sheet_that_claims_a_million_rows_of_sixteen_thousand_cells_costs_nothing() -> None:
    row = '<row r="{r}"><c r="XFD{r}" t="inlineStr"><is><t>x</t></is></c></row>'
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
    )
    sheet += f"<sheetData>{row.format(r=1)}{row.format(r=1048576)}</sheetData></worksheet>"
    tracemalloc.start()
    with pytest.raises(FileRefusedError):
        read(with_member(workbook([]), SHEET, sheet.encode()), XLSX_MAP)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


ROW_1: Final = [date(2026, 11, 2), time(7, 45), "SPINE-1234", 0.98, "A", 13, None]


def test_empty_rows_of_a_sheet_do_not_count_towards_its_limit() -> None:
    content = read(workbook([ROW_1, *[[]] * 600, [date(2026, 11, 3), *ROW_1[1:]]]), XLSX_MAP)
    assert ([one.line for one in content.taken], content.rows) == ([2, 603], 2)


def test_a_gap_that_no_sheet_can_have_is_refused() -> None:
    data = workbook([ROW_1])
    with ZipFile(BytesIO(data)) as archive:
        sheet = archive.read(SHEET)
    assert sheet.count(b'<row r="2"') == 1
    far = sheet.replace(b'<row r="2"', b'<row r="900000000000"')
    with pytest.raises(FileRefusedError, match="1048576 lines") as refused:
        read(with_member(data, SHEET, far), XLSX_MAP)
    assert refused.value.code == "over_limit"


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        ("<x><Scan></x>", "unreadable"),
        ("<x/>", "header"),
        ("<x><Scan patient='SPINE-1234'/></x>", "header"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "unreadable"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "unreadable"),
        ("<x>" * 40, "over_limit"),
        ("<x><Scan>" + "<y/>" * 30 + "</Scan></x>", "over_limit"),
    ],
)
def test_an_xml_that_is_damaged_or_made_to_do_harm_is_refused(xml: str, code: str) -> None:
    with pytest.raises(FileRefusedError) as refused:
        read(xml.encode(), XML_MAP)
    assert refused.value.code == code


# --- laws --------------------------------------------------------------------------------------------------


texts = st.text(st.characters(codec="cp1252", exclude_characters="\r\n\0"), max_size=12)


@given(st.lists(st.lists(texts, min_size=7, max_size=7), max_size=8), st.sampled_from(["\r\n", "\n"]))
def test_any_cells_written_as_csv_are_counted_row_by_row_and_never_raise(rows: list[list[str]], end: str) -> None:
    written = StringIO()
    writer = csv.writer(written, delimiter=";", lineterminator=end)
    writer.writerow(HEADER.split(";"))
    writer.writerows(rows)
    content = read(written.getvalue().encode("cp1252"))
    assert content.rows == sum(any(row) for row in rows)
    assert content.rows == len(content.taken) + content.repeated + sum(content.rejected.values())


@given(st.binary(max_size=400))
def test_bytes_that_are_no_file_are_refused_or_rejected_and_nothing_else(data: bytes) -> None:
    for toml in (PHANTOM_MAP, XLSX_MAP, XML_MAP):
        with suppress(FileRefusedError):
            assert read(data, toml).taken == []


@given(place=st.integers(0, 5000), value=st.integers(0, 255))
def test_a_workbook_with_any_byte_changed_is_read_or_refused(place: int, value: int) -> None:
    data = bytearray(WORKBOOK)
    data[place % len(data)] = value
    with suppress(FileRefusedError):
        content = read(bytes(data), XLSX_MAP)
        assert content.rows == len(content.taken) + content.left_out + content.repeated + len(content.rejects)


WORKBOOK = workbook([[date(2026, 11, day), time(7, 45), "SPINE-1234", 0.98, "A", 13, None] for day in range(1, 9)])


# --- maps --------------------------------------------------------------------------------------------------


def test_the_bomb_is_one() -> None:
    assert len(zlib.compress(BOMB)) * 200 < len(BOMB), "else the test above would prove nothing"
