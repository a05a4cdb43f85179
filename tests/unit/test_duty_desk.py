"""People record work as done, are refused with what to do, and see all that is due in one list."""

from typing import Any, cast

import pytest
from msgspec.structs import replace

from streams.commands import RecordDuty, Refusal, RetireDevice
from streams.due import DueItem
from streams.fold.due_work import due_list
from streams.messages import CalibrationCheckRead, ClinicCalendarChanged, Person
from streams.policy import CheckRules, Closure, DeviceKind, DevicePolicy, Frequency, Standard
from tests.folding import ENGINEER, OPERATOR, PHYSICIST, POLICY, WEEKDAY_CLINIC, Folded, in_service
from tests.unit.duties_rig import CERTIFICATE, MANAGER, MONTHLY, at, next_due, with_duties

# --- recording ------------------------------------------------------------------------------------------------


def record(folded: Folded, actor: Person = OPERATOR, request_id: str = "r1", **fields: str) -> Refusal | None:
    given = {"duty_id": "service", "done_on": "2026-01-31", "done_by": "Eve Engineer"} | fields
    return folded.command(RecordDuty(device="test-site/dxa-1", actor=actor, request_id=request_id, **given))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"duty_id": "servise"}, "servise is no due work of this device; there is: service, certificate-W20."),
        ({"done_on": ""}, "Give the day on which it was done"),
        ({"done_on": "31/01/2026"}, "Give the day on which it was done"),
        ({"done_on": "2026-02-01"}, "2026-02-01 lies in the future"),
        ({"done_on": "1989-12-31"}, "1989-12-31 lies before 1990"),
        ({"done_by": " "}, "Give who did it"),
        ({"note": "x" * 501}, "Keep the note under 500"),
        ({"reference": "x" * 501}, "Keep the number of the report or certificate under 500"),
        ({"valid_until": "2028-01-01"}, "Only a certificate is valid until"),
        ({"duty_id": "certificate-W20"}, "Give the day until which the new certificate is valid"),
        ({"duty_id": "certificate-W20", "valid_until": "later"}, "Give the day until which the certificate"),
        ({"duty_id": "certificate-W20", "valid_until": "2026-01-31"}, "until before it was renewed"),
        ({"duty_id": "certificate-W20", "valid_until": "2126-01-31"}, "more than 30 years"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(fields: dict[str, str], words: str) -> None:
    folded = with_duties(MONTHLY, CERTIFICATE, start=at(2026, 1, 31, 9))
    before, given = folded.state, cast("Any", fields)
    refusal = record(folded, **given)
    assert refusal is not None
    assert words in refusal.text
    assert folded.state == before


def test_a_device_without_due_work_says_so() -> None:
    refusal = record(Folded(start=at(2026, 1, 31, 9)))
    assert refusal is not None
    assert "there is: none is configured" in refusal.text


@pytest.mark.parametrize(("actor", "is_refused"), [(OPERATOR, 0), (PHYSICIST, 0), (ENGINEER, 0), (MANAGER, 1)])
def test_who_may_record_it(actor: Person, is_refused: int) -> None:
    refusal = record(with_duties(MONTHLY, start=at(2026, 1, 31, 9)), actor)
    assert (refusal is not None and refusal.code == "forbidden") == bool(is_refused)


def test_a_stale_page_is_refused() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    given = {"duty_id": "service", "done_on": "2026-01-31", "done_by": "Eve"}
    refusal = folded.command(RecordDuty(device="d", actor=OPERATOR, request_id="r", **given), stale_by=1)
    assert refusal is not None
    assert refusal.code == "stale"


def test_the_same_work_recorded_twice_is_refused_and_covers_nothing_more() -> None:
    folded = with_duties(replace(MONTHLY, warn_days=27), start=at(2026, 2, 5, 9))
    assert record(folded, done_on="2026-02-05") is None
    refusal = record(folded, request_id="r2", done_on="2026-02-05")
    assert refusal is not None
    assert "on record already that this was done on 2026-02-05" in refusal.text
    assert next_due(folded, "service") == "2026-02-28"


def test_a_certificates_day_that_was_mistyped_can_be_put_right() -> None:
    folded = with_duties(CERTIFICATE, start=at(2026, 1, 31, 9))
    assert record(folded, duty_id="certificate-W20", valid_until="2038-01-01") is None
    assert record(folded, duty_id="certificate-W20", valid_until="2028-01-01", request_id="r2") is None
    assert next_due(folded, "certificate-W20") == "2028-01-01"


def test_nothing_is_recorded_on_a_device_that_is_retired() -> None:
    folded = with_duties(MONTHLY, start=at(2026, 1, 31, 9))
    folded.command(RetireDevice(device="test-site/dxa-1", actor=PHYSICIST, request_id="r", reason="old"))
    refusal = record(folded)
    assert refusal is not None
    assert "retired" in refusal.text


# --- for people -------------------------------------------------------------------------------------------------


def listed(folded: Folded) -> list[tuple[str, str, str]]:
    items: tuple[DueItem, ...] = due_list(folded.state, folded.now)
    return [(one.name, one.standing.value, one.due_on.isoformat() if one.due_on else "") for one in items]


def test_qc_and_other_work_stand_in_one_list_the_most_urgent_first() -> None:
    scanner = in_service(replace(POLICY, duties=(replace(MONTHLY, first_due="2026-11-05"),)))
    assert listed(scanner) == [
        ("Maintenance", "due_soon", "2026-11-05"),
        ("Manufacturer's daily QC", "ok", "2026-11-03"),
        ("Phantom SPINE-0001", "ok", "2026-11-03"),
    ]
    scanner.until(at(2026, 11, 3, 7))
    assert [one[1] for one in listed(scanner)] == ["due", "due", "due_soon"]
    scanner.until(at(2026, 11, 4, 7))
    assert listed(scanner)[0] == ("Manufacturer's daily QC", "overdue", "2026-11-03")


def test_daily_qc_is_not_due_on_a_closed_day() -> None:
    scanner = in_service()
    scanner.until(at(2026, 11, 6, 7))
    scanner.vendor_qc()
    scanner.fact(ClinicCalendarChanged(replace(WEEKDAY_CLINIC, closures=(Closure("2026-11-09", "2026-11-09"),))))
    scanner.until(at(2026, 11, 9, 7))
    assert ("Manufacturer's daily QC", "ok", "2026-11-10") in listed(scanner)


def test_a_qc_that_never_passed_is_due_on_the_next_day_with_a_clinic() -> None:
    sunday = Folded(start=at(2026, 11, 8, 9))
    assert ("Manufacturer's daily QC", "ok", "2026-11-09") in listed(sunday)


def test_a_weekly_check_is_due_soon_then_due_through_its_grace_then_overdue() -> None:
    checks = CheckRules((Standard("W20", 20.0),), Frequency.WEEKLY, grace_days=1, limit_kg=0.1)
    scale = Folded(DevicePolicy(DeviceKind.SCALE, checks=checks), start=at(2026, 11, 2, 9))
    assert listed(scale) == [("Check with W20", "due", "2026-11-02")]
    scale.fact(CalibrationCheckRead("W20", 20.0, scale.now, "Oz"))
    expected = {2: "ok", 6: "ok", 7: "due_soon", 9: "due", 10: "due", 11: "overdue"}
    for day, standing in expected.items():
        scale.until(at(2026, 11, day, 12))
        assert listed(scale) == [("Check with W20", standing, "2026-11-09")]
    assert scale.codes == ["check_due"]
