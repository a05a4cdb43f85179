"""Scales and stadiometers: checked with standards, held until each has passed, used in sessions that people open."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.commands import CloseSession, Command, EnterCheck, EnterMeasurement, OpenSession, Refusal
from streams.fold.decisions import decide
from streams.messages import (
    CalibrationCheckRead,
    CheckJudged,
    ClockCorrected,
    DeviceReconfigured,
    FaultCleared,
    FaultLogged,
    GateStatus,
    PatientMeasured,
    Person,
    ReviewOpened,
    SessionPurpose,
    Source,
    StateChanged,
)
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Frequency, Standard
from tests.folding import ENGINEER, MONDAY, OPERATOR, PHYSICIST, Folded

LIGHT, HEAVY = Standard("W20", 20.0, "cert-1"), Standard("W80", 80.0, "cert-2")
ROD = Standard("R100", 100.0, "cert-3")
SCALE = DevicePolicy(
    DeviceKind.SCALE,
    make="Invented",
    serial="SIM-0001",
    checks=CheckRules((LIGHT, HEAVY), Frequency.WEEKLY, ranges=((200.0, 100.0),)),
)
STADIOMETER = DevicePolicy(DeviceKind.STADIOMETER, make="Invented", checks=CheckRules((ROD,), Frequency.DAILY))


def check(folded: Folded, standard_id: str, read: float, *, at: datetime | None = None) -> CheckJudged:
    outcomes = folded.fact(CalibrationCheckRead(standard_id, read, at or folded.now, "Oz"))
    return next(outcome for outcome in outcomes if isinstance(outcome, CheckJudged))


def checked_scale(policy: DevicePolicy = SCALE) -> Folded:
    folded = Folded(policy)
    check(folded, "W20", 20.0)
    check(folded, "W80", 80.0)
    return folded


def texts(folded: Folded) -> str:
    return " | ".join(reason.text for reason in folded.state.gates["all"].reasons)


def test_a_scale_opens_when_every_standard_has_passed() -> None:
    folded = Folded(SCALE)
    assert folded.codes == ["not_commissioned", "check_due", "check_due"]
    assert check(folded, "W20", 20.0).verdict == "pass"
    assert folded.codes == ["not_commissioned", "check_due"]
    assert "W80 (80 kg)" in texts(folded)
    outcomes = folded.fact(CalibrationCheckRead("W80", 80.0, folded.now, "Oz"))
    assert StateChanged(stage="clinical", previous="commissioning") in outcomes
    assert folded.status is GateStatus.OPEN


@pytest.mark.parametrize(
    ("standard_id", "read", "verdict"),
    [  # class III, e 100 g: 50 g to 50 kg, 100 g to 200 kg at verification, twice that in service; rounding 50 g
        ("W20", 20.0, "pass"),
        ("W20", 20.1, "warn"),
        ("W20", 20.2, "fail"),
        ("W20", 19.8, "fail"),
        ("W80", 80.0, "pass"),
        ("W80", 80.1, "warn"),
        ("W80", 80.2, "warn"),
        ("W80", 80.3, "fail"),
    ],
)
def test_a_scale_is_judged_by_the_errors_that_class_iii_permits(standard_id: str, read: float, verdict: str) -> None:
    assert check(Folded(SCALE), standard_id, read).verdict == verdict


def test_a_limit_of_the_departments_own_tightens() -> None:
    strict = replace(SCALE, checks=replace(SCALE.checks, limit_kg=0.1))
    assert check(Folded(strict), "W80", 80.2).verdict == "fail"
    alone = replace(SCALE, checks=replace(SCALE.checks, limit_kg=0.2, ranges=()))
    assert check(Folded(alone), "W80", 80.2).verdict == "pass"  # on the limit, though floats say 0.2000000000000028
    assert check(Folded(alone), "W80", 80.3).verdict == "fail"


def test_a_scale_without_any_limit_is_not_judged_and_never_passes() -> None:
    folded = Folded(replace(SCALE, checks=replace(SCALE.checks, ranges=())))
    assert check(folded, "W20", 20.0).verdict == "not_judged"
    assert folded.codes == ["not_commissioned", "check_due", "check_due"]


def test_a_load_beyond_the_scales_range_is_not_judged() -> None:
    policy = replace(SCALE, checks=replace(SCALE.checks, standards=(Standard("W250", 250.0),)))
    judged = check(Folded(policy), "W250", 250.0)
    assert judged.verdict == "not_judged"
    assert "above Max" in judged.note


@pytest.mark.parametrize(
    ("read", "verdict"), [(100.0, "pass"), (100.2, "pass"), (100.3, "warn"), (99.5, "warn"), (99.4, "fail")]
)
def test_a_stadiometer_is_judged_by_its_rods(read: float, verdict: str) -> None:
    assert check(Folded(STADIOMETER), "R100", read).verdict == verdict


def test_a_failed_check_holds_opens_a_review_and_a_passing_one_opens_again() -> None:
    folded = checked_scale()
    passed_at = folded.now
    folded.now += timedelta(days=1)
    outcomes = folded.fact(CalibrationCheckRead("W80", 80.9, folded.now, "Oz"))
    (review,) = (outcome for outcome in outcomes if isinstance(outcome, ReviewOpened))
    assert (review.basis, review.since) == ("failure", passed_at)
    assert folded.codes == ["check_failed"]
    assert "+0.9 kg off" in texts(folded)
    again = folded.fact(CalibrationCheckRead("W80", 80.9, folded.now, "Oz"))
    assert not any(isinstance(outcome, ReviewOpened) for outcome in again)  # one review an episode
    check(folded, "W80", 80.0)
    assert folded.status is GateStatus.OPEN


def test_a_warning_is_shown_and_holds_nothing() -> None:
    folded = checked_scale()
    check(folded, "W80", 80.2)
    assert folded.status is GateStatus.OPEN
    assert folded.warnings == ["check_failed"]


def test_checks_lapse_with_their_period() -> None:
    folded = checked_scale()
    folded.until(datetime(2026, 11, 10, 23, 59, tzinfo=UTC))  # seven days and one of grace after Monday 2 November
    assert folded.status is GateStatus.OPEN
    folded.until(datetime(2026, 11, 11, 0, 0, tzinfo=UTC))
    assert folded.codes == ["check_due", "check_due"]
    daily = Folded(STADIOMETER)
    check(daily, "R100", 100.0)
    daily.until(datetime(2026, 11, 3, 0, 0, tzinfo=UTC))
    assert daily.codes == ["check_due"]


def test_an_older_pass_does_not_undo_a_failure_and_a_late_failure_opens_a_review() -> None:
    folded = checked_scale()
    folded.now += timedelta(days=1)
    check(folded, "W80", 80.9)
    check(folded, "W80", 80.0, at=folded.now - timedelta(hours=1))
    assert folded.codes == ["check_failed"]
    check(folded, "W80", 80.0)
    late = folded.fact(CalibrationCheckRead("W80", 81.0, folded.now - timedelta(hours=2), "Oz"))
    assert [outcome.basis for outcome in late if isinstance(outcome, ReviewOpened)] == ["late_failure"]
    assert folded.status is GateStatus.OPEN


def test_a_check_from_the_future_is_no_pass() -> None:
    folded = Folded(SCALE)
    judged = check(folded, "W20", 20.0, at=folded.now + timedelta(minutes=6))
    assert judged.verdict == "not_judged"
    assert "clock" in judged.note


def test_an_unknown_standard_is_not_judged() -> None:
    assert check(Folded(SCALE), "W99", 20.0).verdict == "not_judged"


def test_after_a_repair_every_check_must_pass_again_measured_later() -> None:
    folded = checked_scale()
    folded.now += timedelta(hours=1)
    folded.fact(FaultLogged("f", "display dark", stops_scanning=True, logged_by=OPERATOR))
    assert folded.codes == ["fault_stops_scanning"]
    folded.now += timedelta(hours=1)
    folded.fact(FaultCleared("f", "new cable", cleared_by=ENGINEER))
    assert folded.codes == ["check_due", "check_due"]
    check(folded, "W20", 20.0, at=folded.now - timedelta(minutes=30))
    assert folded.codes == ["check_due", "check_due"]
    folded.now += timedelta(minutes=5)
    check(folded, "W20", 20.0)
    check(folded, "W80", 80.0)
    assert folded.status is GateStatus.OPEN


def test_another_device_or_another_value_of_a_standard_begins_anew() -> None:
    folded = checked_scale()
    folded.fact(DeviceReconfigured(replace(SCALE, serial="SIM-0002")))
    assert folded.codes == ["not_commissioned", "check_due", "check_due"]
    folded = checked_scale()
    other = replace(SCALE.checks, standards=(LIGHT, Standard("W80", 80.01, "cert-4")))
    folded.fact(DeviceReconfigured(replace(SCALE, checks=other)))
    assert folded.codes == ["check_due"]
    assert "W80" in texts(folded)


def test_a_clock_that_had_run_ahead_voids_its_checks() -> None:
    folded = Folded(SCALE, start=MONDAY + timedelta(days=30))
    check(folded, "W20", 20.0)
    check(folded, "W80", 80.0)
    folded.now = MONDAY
    folded.fact(ClockCorrected(MONDAY + timedelta(days=30), "battery", PHYSICIST))
    assert folded.codes == ["check_due", "check_due"]


# --- sessions ----------------------------------------------------------------------------------------------


def request(folded: Folded, kind: type[Command], **fields: object) -> Refusal | None:
    whole: Any = {"device": folded.state.device, "actor": OPERATOR, "request_id": "r1", **fields}
    return folded.command(kind(**whole))


def patient(folded: Folded, typed: str = "TEST-4711", read_back: str = "TEST-4711") -> Refusal | None:
    return request(folded, OpenSession, purpose=SessionPurpose.PATIENT, accession_number=typed, read_back=read_back)


def test_a_check_session_names_a_standard_and_runs_out() -> None:
    folded = Folded(SCALE)
    assert request(folded, OpenSession, purpose=SessionPurpose.CHECK, standard_id="W20") is None
    session = folded.state.session
    assert session is not None
    assert (session.purpose, session.standard_id, session.by) == (SessionPurpose.CHECK, "W20", OPERATOR.name)
    folded.until(folded.now + timedelta(minutes=9))
    assert folded.state.session is not None
    folded.until(folded.now + timedelta(minutes=1))
    assert folded.state.session is None


def test_one_reading_ends_a_check_so_that_nobody_who_steps_on_next_is_one() -> None:
    folded = Folded(SCALE)
    request(folded, OpenSession, purpose=SessionPurpose.CHECK, standard_id="W20")
    assert folded.state.session is not None
    session_id = folded.state.session.session_id
    folded.fact(CalibrationCheckRead("W20", 20.0, folded.now, "Oz", session_id="another"))
    assert folded.state.session is not None
    folded.fact(CalibrationCheckRead("W20", 20.0, folded.now, "Oz", session_id=session_id))
    assert folded.state.session is None


def test_a_patients_session_needs_an_open_gate_and_a_number_read_back() -> None:
    folded = checked_scale()
    assert patient(folded) is None
    assert folded.state.session is not None
    assert folded.state.session.accession_number == "TEST-4711"
    for typed, back in (("", ""), ("TEST-4711", "TEST-4712"), ("x" * 17, "x" * 17), ("a\n", "a\n")):
        refusal = patient(folded, typed, back)
        assert refusal is not None or typed.strip() == "a"
    held = Folded(SCALE)
    refusal = patient(held)
    assert refusal is not None
    assert "W20 (20 kg) is due" in refusal.text


def test_a_patients_session_runs_out_so_that_nobody_on_the_scale_later_is_that_patient() -> None:
    folded = checked_scale()
    assert patient(folded) is None
    folded.until(folded.now + timedelta(minutes=10, seconds=-1))
    assert folded.state.session is not None
    folded.until(folded.now + timedelta(seconds=1))
    assert folded.state.session is None


def test_a_session_is_closed_or_taken_over() -> None:
    folded = checked_scale()
    assert request(folded, CloseSession) is not None  # none is open
    patient(folded)
    assert request(folded, OpenSession, purpose=SessionPurpose.CHECK, standard_id="W20", request_id="r2") is None
    assert folded.state.session is not None
    assert folded.state.session.purpose is SessionPurpose.CHECK
    assert request(folded, CloseSession, request_id="r3") is None
    assert folded.state.session is None


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (OpenSession, {"purpose": SessionPurpose.CHECK, "standard_id": "W99"}, "W99 is not a standard"),
        (EnterCheck, {"standard_id": "W99", "read": 20.0}, "W99 is not a standard"),
        (EnterCheck, {"standard_id": "W20", "read": 1e9}, "below 1000"),
        (EnterCheck, {"standard_id": "W20", "read": float("nan")}, "below 1000"),
        (EnterCheck, {"standard_id": "W20", "read": 20.0, "actor": Person("Eve", "engineer")}, "may not do this"),
    ],
)
def test_what_does_not_hold_is_refused_with_what_is_missing(
    kind: type[Command], fields: dict[str, object], words: str
) -> None:
    refusal = request(checked_scale(), kind, **fields)
    assert refusal is not None
    assert words in refusal.text


REQUESTED: dict[str, object] = {"accession_number": "TEST-4711", "read_back": "TEST-4711"}


def entered(folded: Folded, **fields: object) -> PatientMeasured:
    """What a reading entered by hand becomes."""
    whole: Any = {"device": folded.state.device, "actor": OPERATOR, "request_id": "r1", **REQUESTED, **fields}
    decided = decide(
        folded.state, EnterMeasurement(**whole), expected_device_seq=folded.state.device_seq, now=folded.now
    )
    assert not isinstance(decided, Refusal)
    (draft,) = decided
    assert isinstance(draft.fact, PatientMeasured)
    return draft.fact


def test_a_patients_reading_by_hand_is_a_measurement_of_what_the_device_measures() -> None:
    fact = entered(checked_scale(), read=71.5)
    assert (fact.weight_kg, fact.height_cm, fact.accession_number) == (71.5, None, "TEST-4711")
    assert (fact.source, fact.performed_by) == (Source.MANUAL, "Oz Operator")
    stadiometer = Folded(STADIOMETER)
    check(stadiometer, "R100", 100.0)
    tall = entered(stadiometer, read=171.5)
    assert (tall.weight_kg, tall.height_cm) == (None, 171.5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"read": 71.5, "accession_number": "TEST-4711", "read_back": "TEST-4712"}, "read back differently"),
        ({"read": 71.5, "accession_number": "", "read_back": ""}, "accession number of the request is needed"),
        ({"read": 715.0, **REQUESTED}, "between 1 and 500 kg"),
        ({"read": 0.7, **REQUESTED}, "between 1 and 500 kg"),
        ({"read": float("nan"), **REQUESTED}, "between 1 and 500 kg"),
        ({"read": 71.5, **REQUESTED, "measured_at": MONDAY + timedelta(days=3)}, "future"),
        ({"read": 71.5, **REQUESTED, "actor": Person("Mo", "manager")}, "may not do this"),
    ],
)
def test_a_slip_in_a_patients_reading_is_refused(fields: dict[str, object], words: str) -> None:
    refusal = request(checked_scale(), EnterMeasurement, **fields)
    assert refusal is not None
    assert words in refusal.text


def test_no_patient_is_entered_on_a_device_that_is_held() -> None:
    refusal = request(Folded(SCALE), EnterMeasurement, read=71.5, **REQUESTED)
    assert refusal is not None
    assert "may not be used for patients" in refusal.text


def test_a_scanner_has_no_sessions_and_no_checks() -> None:
    folded = Folded()
    for kind, fields in (
        (OpenSession, {"purpose": SessionPurpose.CHECK, "standard_id": "W20"}),
        (EnterCheck, {"standard_id": "W20", "read": 20.0}),
    ):
        refusal = request(folded, kind, **fields)
        assert refusal is not None
        assert "neither a scale nor a stadiometer" in refusal.text


def test_a_check_by_hand_counts_like_one_that_the_device_sent() -> None:
    folded = Folded(SCALE)
    assert request(folded, EnterCheck, standard_id="W20", read=20.0) is None
    assert folded.codes == ["not_commissioned", "check_due"]
