"""A row of an export that cannot be read is rejected with its reason and costs no other."""

from typing import Final

import pytest

from streams.messages import PhantomMeasured
from streams.policy import DeviceKind, DevicePolicy, Phantom, PhantomRole
from tests.exported_files import CHECK_MAP, HEADER, PHANTOM_MAP, VENDOR_MAP, csv_export, line
from tests.unit.file_rig import SCALE, facts, read, rejected

# --- what a row becomes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codes"), [("Spine^Phantom", []), ("INVENTED IRIS", [(2, "another_name")])])
def test_another_name_under_the_phantoms_id_is_a_patients(name: str, codes: list[tuple[int, str]]) -> None:
    phantom = Phantom("SPINE-1234", PhantomRole.INDEPENDENT, patient_name="PHANTOM^SPINE")
    policy = DevicePolicy(DeviceKind.SCANNER, phantoms=(phantom,))
    toml = PHANTOM_MAP.replace('software = "Version"', 'patient_name = "Kommentar"')
    assert rejected(read(csv_export([line(2) + name]), toml, policy=policy)) == codes


# --- what is rejected --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (line(2, "0.987"), "number"),
        (line(2, "1.234,5"), "number"),
        (line(2, ""), "number"),
        (line(2, "1e-1"), "number"),
        (line(2, "-0,9"), "impossible_value"),
        (line(2, "98,7"), "impossible_value"),
        (line(2).replace("02.11.2026", "11/02/2026"), "date"),
        (line(2).replace("02.11.2026", "31.11.2026"), "date"),
        (line(2).replace("2026", "1826"), "impossible_time"),
        (line(29, month=3).replace("07:45", "01:30"), "no_such_time"),
        (line(2, phantom="INVENTED^IRIS"), "not_a_phantom"),
        (line(2, phantom=""), "empty"),
        (line(2, scan="x" * 61), "too_long"),
        (line(2, scan="a\x07b"), "text"),
        (line(2) + ";too many", "cells"),
        ("02.11.2026;07:45;SPINE-1234", "cells"),
        ('02.11.2026;"07:45"x;SPINE-1234;0,987;;;', "quotes"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_with_its_line_and_the_others_are_taken(row: str, code: str) -> None:
    content = read(csv_export([line(1), row, line(4)]))
    assert rejected(content) == [(3, code)]
    assert [mapped.line for mapped in content.taken] == [2, 4]
    assert "INVENTED" not in content.rejects[0].reason


STRAY: Final = line(2) + '"24 h after service'


@pytest.mark.parametrize("closing", ["", '"ok"', '"another', 'closed"'])
def test_a_stray_quote_costs_its_own_row_and_no_other(closing: str) -> None:
    """The quote may fit another one further down, a quarter of an hour or a month later: there are rows between."""
    content = read(csv_export([line(1), STRAY, line(3), line(4) + closing, line(5)]))
    lost = 4 if closing == '"another' else 3
    assert rejected(content)[0] == (3, "quotes")
    assert content.rejects[0].texts == (STRAY,), "the line as it stands, for a person to look at"
    assert [mapped.line for mapped in content.taken] == ([2, 4, 5, 6] if lost == 3 else [2, 4, 6])


def test_stray_quotes_in_every_row_reject_each_and_cost_no_more_than_time() -> None:
    content = read(csv_export([STRAY] * 400 + [line(3)]))
    assert content.rejected == {"quotes": 400}
    assert [mapped.line for mapped in content.taken] == [402]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_quoted_cell_may_have_several_lines(end: str) -> None:
    comment = f'"repositioned;{end}then ""again""{end}{end}by Oz"'
    content = read(csv_export([line(2) + comment, line(3, "?"), line(4)], end=end))
    assert [mapped.line for mapped in content.taken] == [2, 7]
    assert rejected(content) == [(6, "number")], "lines are the file's, not the records'"


def test_a_header_and_a_first_cell_may_have_several_lines() -> None:
    toml = PHANTOM_MAP.replace('bmd = "BMD gesamt"', 'bmd = "BMD gesamt"\nperformed_by = "Wer war es"')
    header = '"Wer\r\nwar es";' + HEADER
    content = read(csv_export(['"Oz\r\nand Pat";' + line(2), "Oz;" + line(3)], header=header), toml)
    assert [mapped.line for mapped in content.taken] == [3, 5]


def test_a_cell_that_goes_on_for_more_than_a_record_may_is_a_quote_that_nobody_closed() -> None:
    content = read(csv_export([line(2) + '"' + "\r\nmore" * 60 + '"', line(4)]))
    assert set(content.rejected) == {"quotes", "cells"}
    assert [mapped.line for mapped in content.taken] == [63]


def test_no_reason_says_what_stands_in_a_cell() -> None:
    told = [reject.reason for reject in read(csv_export([line(2, "secret"), line(3, phantom="secret")])).rejects]
    assert len(told) == 2
    assert not any("secret" in reason for reason in told)


def test_the_same_row_twice_in_a_file_counts_once_and_says_which() -> None:
    content = read(csv_export([line(2), line(3), line(2)]))
    assert ([mapped.line for mapped in content.taken], content.repeats) == ([2, 3], [(4, 2)])


def test_the_same_scan_with_another_value_in_a_file_is_a_conflict_and_the_first_stands() -> None:
    content = read(csv_export([line(2, "0,987"), line(2, "0,988")]))
    (fact,) = facts(content)
    assert isinstance(fact, PhantomMeasured)
    assert fact.bmd_g_cm2 == 0.987
    assert rejected(content) == [(3, "conflict")]
    assert "line 2" in content.rejects[0].reason


def test_another_analysis_of_a_scan_is_another_row_of_the_same_acquisition() -> None:
    toml = PHANTOM_MAP.replace('software = "Version"', 'analysis = "Version"')
    content = read(csv_export([line(2), line(2, "0,990").replace("13.6", "14.0")]), toml)
    first, second = facts(content)
    assert isinstance(first, PhantomMeasured)
    assert isinstance(second, PhantomMeasured)
    assert first.acquisition_id == second.acquisition_id
    assert len({mapped.draft.event_id for mapped in content.taken}) == 2


# --- files that are refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2026-11-02T07:30,W21,20010", "standard"),
        ("2026-11-02T07:30,W20,-1", "impossible_value"),
        ("2026-11-02T07:30,W20,2000000", "impossible_value"),
        ("2026-11-02T07:30,W20,n/a", "number"),
    ],
)
def test_a_check_that_cannot_be_is_rejected(row: str, code: str) -> None:
    assert rejected(read(f"{row}\n".encode(), CHECK_MAP, policy=SCALE)) == [(1, code)]


def test_another_word_than_the_maps_is_neither_passed_nor_failed() -> None:
    content = read(b"When,Outcome,Who\n2026-11-02 07:30:15,OK,Oz\n", VENDOR_MAP)
    assert rejected(content) == [(2, "word")]
