"""Rules of alerts that cannot be are told by their key."""

import pytest
from msgspec.structs import replace

from alerts.rules import AlertRules, Timetable
from alerts.rules_checks import problems


def test_the_defaults_can_be_used() -> None:
    assert list(problems(AlertRules())) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pre_clinic_minutes", 0),
        ("group_seconds", -1),
        ("digest_at", "8 o'clock"),
        ("digest_at", "08:00:30"),
        ("assumed_clinic", ("08:30", "25:00")),
        ("digest_days", ()),
        ("urgent", Timetable((30, 15))),
        ("prompt", Timetable((0,))),
    ],
)
def test_what_cannot_be_is_told_by_its_key(key: str, value: object) -> None:
    (problem,) = problems(replace(AlertRules(), **{key: value}))
    assert problem.startswith(key)
