"""The small rules of FHIR: ids, dates, tokens, codes; expectations by hand, by HL7's text or by DICOM's code tables."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from litestar.exceptions import HTTPException
from pydicom.sr.codedict import codes

from dashboards.fhir.identity import id_of, names_of
from dashboards.fhir.searching import Given, Span, _or, fits_string, referred, span, token
from dashboards.fhir.terms import SIDES, SITES
from streams.messages import event_id

LONDON = ZoneInfo("Europe/London")
BASE = "https://bonewatch.example.org/fhir"


# --- ids ---------------------------------------------------------------------------------------------------


@given(st.lists(st.text(alphabet="aZ0-._ü€\x00", max_size=8), min_size=1, max_size=3))
@example(["a..b", ".u", "_", ""])
def test_an_id_is_one_that_fhir_allows_and_names_what_it_was_made_of(names: list[str]) -> None:
    try:
        made = id_of(*names)
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", made)
    assert names_of(made) == (None if "\x00" in "".join(names) else tuple(names))


@given(st.text(alphabet="aAzZ09-._ux ü\x00", max_size=70))
def test_what_is_no_id_of_ours_names_nothing_and_what_is_names_one_thing(text: str) -> None:
    names = names_of(text)
    assert names is None or id_of(*names) == text


@given(st.text(alphabet="abc"), st.sampled_from(["", "weight", "99"]))
def test_every_identity_of_an_event_fits_into_an_id(seed: str, part: str) -> None:
    name = event_id(seed)
    assert names_of(id_of(name, part)) == (name, part)
    assert names_of(id_of("_" * 24, "weight")) == ("_" * 24, "weight")


def test_ids_by_hand() -> None:
    assert id_of("a-B_9", "weight") == "a-B.u9..weight"
    assert id_of("dxa.1") == "dxa.x2e1"
    assert names_of("dxa.x2E1") is None, "one thing has one id"


# --- dates: R4 3.1.1.4.7 -----------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("value", "since", "until"),
    [
        ("2026", "2026-01-01T00:00Z", "2026-12-31T23:59:59.999999Z"),
        ("2026-12", "2026-12-01T00:00Z", "2026-12-31T23:59:59.999999Z"),
        ("2026-11-02", "2026-11-02T00:00Z", "2026-11-02T23:59:59.999999Z"),
        ("eq2026-07-01", "2026-06-30T23:00Z", "2026-07-01T22:59:59.999999Z"),  # summer time
        ("2026-03-29", "2026-03-29T00:00Z", "2026-03-29T22:59:59.999999Z"),  # 23 hours
        ("2026-10-25", "2026-10-24T23:00Z", "2026-10-25T23:59:59.999999Z"),  # 25 hours
        ("2026-11-02T07:46", "2026-11-02T07:46Z", "2026-11-02T07:46:59.999999Z"),
        ("2026-11-02T07:46:30Z", "2026-11-02T07:46:30Z", "2026-11-02T07:46:30.999999Z"),
        ("2026-11-02T07:46:30.25+01:00", "2026-11-02T06:46:30.25Z", "2026-11-02T06:46:30.259999Z"),
        ("ge2026-11-02", "2026-11-02T00:00Z", None),
        ("gt2026-11-02", "2026-11-03T00:00Z", None),
        ("sa2026-11-02", "2026-11-03T00:00Z", None),
        ("lt2026-11-02", None, "2026-11-01T23:59:59.999999Z"),
        ("eb2026-11-02", None, "2026-11-01T23:59:59.999999Z"),
        ("le2026-11-02", None, "2026-11-02T23:59:59.999999Z"),
    ],
)
def test_a_date_is_as_long_as_it_is_written(value: str, since: str | None, until: str | None) -> None:
    expected = Span(moment(since) if since else None, moment(until) if until else None)
    assert span(Given("date", "", (value,)), LONDON) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "ne2026",
        "ap2026",
        "2026-13",
        "2026-02-30",
        "0000",
        "9999",
        "lt0001-01-01T00:00Z",
        "2026-11-02T25:00",
    ],
)
def test_a_date_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(HTTPException) as refused:
        span(Given("date", "", (value,)), LONDON)
    assert refused.value.status_code == 400
    assert "2026-03-01T08:30Z" in refused.value.detail


# --- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "system", "code", "fits"),
    [
        ("8302-2", "http://loinc.org", "8302-2", True),
        ("http://loinc.org|8302-2", "http://loinc.org", "8302-2", True),
        ("http://loinc.org|8302-2", "urn:x", "8302-2", False),
        ("http://loinc.org|", "http://loinc.org", "anything", True),
        ("|ACC1", "", "ACC1", True),
        ("|ACC1", "urn:x", "ACC1", False),
        (r"A\|1", "", "A|1", True),
    ],
)
def test_a_token_names_code_system_or_both(value: str, system: str, code: str, *, fits: bool) -> None:
    assert token(value).fits(system, code) is fits


def test_commas_divide_unless_a_backslash_is_before_them() -> None:
    assert _or(r"a,b\,c") == ["a", "b,c"]


@pytest.mark.parametrize(
    ("modifier", "value", "fits"),
    [("", "holo", True), ("", "logic", False), ("contains", "LOGIC", True), ("exact", "hologic", False)],
)
def test_a_string_begins_so_contains_it_or_is_exactly_it(modifier: str, value: str, *, fits: bool) -> None:
    assert fits_string(Given("manufacturer", modifier, (value,)), ["Hologic"]) is fits


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("dxa-1", "dxa-1"),
        ("Device/dxa-1", "dxa-1"),
        (f"{BASE}/Device/dxa-1", "dxa-1"),
        ("Patient/dxa-1", None),
        ("https://elsewhere.example.org/fhir/Device/dxa-1", None),
    ],
)
def test_a_reference_is_an_id_a_path_or_an_address_of_ours(value: str, expected: str | None) -> None:
    assert referred(value, "Device", BASE) == expected


def test_places_and_sides_have_the_codes_of_dicoms_tables() -> None:
    sct: Any = codes.SCT
    names = {"hip": sct.Femur, "spine": sct.LumbarSpine, "forearm": sct.Forearm, "whole_body": sct.EntireBody}
    assert {anatomy: (code.value, code.meaning) for anatomy, code in names.items()} == SITES
    assert {"left": codes.cid244.Left.value, "right": codes.cid244.Right.value} == SIDES
