"""Adult or child, from a date of birth or an age string, by hand; nothing where neither can be believed."""

from datetime import UTC, datetime

import pydicom
import pytest
from pydicom.dataset import Dataset

from collectors.dicom.population import population_of


@pytest.fixture(autouse=True)
def _values_as_a_scanner_sends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)


MEASURED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("born", "age", "expected"),
    [
        ("20060301", "", "adult"),  # twenty today
        ("20060302", "", "child"),  # tomorrow
        ("19500101", "010Y", "adult"),  # the date of birth counts
        ("", "020Y", "adult"),
        ("", "019Y", "child"),
        ("", "240M", "adult"),
        ("", "239M", "child"),
        ("", "052W", "child"),
        ("", "", ""),
        ("18700101", "", ""),  # 156 years
        ("20270101", "", ""),  # not born yet
        ("20060231", "", ""),
        ("2006", "", ""),
        ("unknown", "20Y", ""),
        ("", "twoY", ""),
    ],
)
def test_age_is_told_or_not_known(born: str, age: str, expected: str) -> None:
    ds = Dataset()
    ds.add_new("PatientBirthDate", "DA", born)
    ds.add_new("PatientAge", "AS", age)
    assert population_of(ds, MEASURED, 20) == expected


def test_the_age_at_which_adults_begin_is_local_policy() -> None:
    ds = Dataset()
    ds.add_new("PatientAge", "AS", "018Y")
    assert population_of(ds, MEASURED, 18) == "adult"
    assert population_of(ds, MEASURED, 20) == "child"


def test_without_a_time_of_measurement_a_date_of_birth_says_nothing() -> None:
    ds = Dataset()
    ds.add_new("PatientBirthDate", "DA", "19500101")
    assert population_of(ds, None, 20) == ""
