"""A measurement is judged by its device's gate as it stood when it was made, whenever it comes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from streams.commands import OverrideGate, Refusal, ReleaseMeasurement
from streams.fold.decisions import decide
from streams.fold.gate_history import SPANS
from streams.messages import (
    CalibrationCheckRead,
    ClockCorrected,
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DeviceReconfigured,
    FoldUpgraded,
    GateStatus,
    MeasurementValidated,
    MeasurementWithheld,
    PatientMeasured,
    ReasonCode,
    RegionMeasured,
    Source,
    StudyKind,
    WatchInterrupted,
)
from streams.policy import (
    CheckRules,
    DeviceKind,
    DevicePolicy,
    LeastSignificantChange,
    Mode,
    Phantom,
    PhantomRole,
    Standard,
)
from tests.folding import DEVICE, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, Folded, baseline

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SPINE = (RegionMeasured("L1-L4", 0.912, bmc_g=51.2, area_cm2=56.1, t_score=-1.2),)
OPENED = MONDAY + 10 * MINUTE


def measured(at: datetime, number: int = 1, *, mode: str = "", source: Source = Source.DICOM) -> PatientMeasured:
    return PatientMeasured(
        f"ACC{number:04}", at, f"scan-{number}", pseudonym="p1", regions=SPINE, mode=mode, anatomy="spine",
        software="5.6.1", source=source,
    )  # fmt: skip


def in_service() -> Folded:
    """A scanner that passed both duties at 07:55 and is open."""
    scanner = Folded()
    scanner.fact(baseline())
    scanner.now = OPENED
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN
    return scanner


def judged(scanner: Folded, fact: PatientMeasured) -> MeasurementValidated | MeasurementWithheld:
    """Fold a measurement; return what became of it."""
    (one,) = (o for o in scanner.fact(fact) if isinstance(o, MeasurementValidated | MeasurementWithheld))
    return one


def withheld(scanner: Folded, fact: PatientMeasured) -> list[str]:
    """Fold a measurement that must be withheld; return the reasons."""
    one = judged(scanner, fact)
    assert isinstance(one, MeasurementWithheld)
    return [reason.value for reason in one.reasons]


def next_morning(scanner: Folded, days: int = 1) -> None:
    scanner.until(OPENED + timedelta(days=days))
    scanner.vendor_qc()
    scanner.scan(1.0)


def test_a_measurement_of_an_open_scanner_carries_what_stands_behind_it() -> None:
    scanner = in_service()
    scanner.now += HOUR
    one = judged(scanner, measured(scanner.now))
    assert isinstance(one, MeasurementValidated)
    assert (one.make, one.model, one.software, one.kind) == ("Invented", "Virtual 1", "5.6.1", "scanner")
    assert one.regions == SPINE
    assert not one.is_overridden
    assert one.issues == ()
    assert [(qc.phantom_id, qc.epoch, qc.passed_at) for qc in one.qc] == [
        ("manufacturer", None, OPENED),
        (PHANTOM, 1, OPENED),
    ]
    assert one.gate_since == OPENED
    assert one.changes == ()


def test_one_made_before_the_mornings_qc_is_withheld_though_it_comes_after_it() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    scanner.now = OPENED
    scanner.vendor_qc()
    scanner.scan(1.0)
    scanner.now += HOUR
    assert withheld(scanner, measured(OPENED - MINUTE)) == ["qc_missing", "independent_overdue"]
    assert isinstance(judged(scanner, measured(OPENED + MINUTE, 2)), MeasurementValidated)


def test_one_that_comes_days_late_is_judged_by_the_gate_of_its_time() -> None:
    scanner = in_service()
    for day in range(1, 5):
        next_morning(scanner, day)
    assert isinstance(judged(scanner, measured(OPENED + HOUR)), MeasurementValidated)
    night = OPENED + timedelta(days=2) - 2 * HOUR
    assert "qc_missing" in withheld(scanner, measured(night, 2))


def test_one_across_midnight_is_judged_by_its_own_day() -> None:
    scanner = in_service()
    before_midnight = datetime(2026, 11, 2, 23, 59, 50, tzinfo=UTC)
    scanner.until(before_midnight + HOUR)
    assert isinstance(judged(scanner, measured(before_midnight)), MeasurementValidated)
    assert "qc_missing" in withheld(scanner, measured(before_midnight + timedelta(seconds=20), 2))


def test_on_the_day_that_summer_time_ends_the_pass_lasts_until_the_sites_midnight() -> None:
    """26 October 2025 has 25 hours in London: its pass lapses at 00:00 UTC, a day's at 23:00 UTC the day before."""
    london = ZoneInfo("Europe/London")
    scanner = Folded(start=datetime(2025, 10, 26, 9, 0, tzinfo=london).astimezone(UTC))
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    late = datetime(2025, 10, 26, 23, 30, tzinfo=london).astimezone(UTC)
    scanner.until(late + 2 * HOUR)
    assert isinstance(judged(scanner, measured(late)), MeasurementValidated)
    assert "qc_missing" in withheld(scanner, measured(late + HOUR, 2))


def test_one_during_an_override_is_marked_with_what_was_overridden() -> None:
    scanner = in_service()
    next_day = OPENED + timedelta(days=1)
    scanner.until(next_day)
    scanner.vendor_qc()
    scanner.until(next_day + timedelta(days=1))
    scanner.vendor_qc()
    assert scanner.codes == ["independent_overdue"]
    ask = OverrideGate(
        device=DEVICE, actor=OPERATOR, request_id="o", reason="phantom lent out", until=scanner.now + 2 * HOUR
    )
    assert scanner.command(ask) is None
    began = scanner.now
    scanner.until(began + 5 * HOUR)
    one = judged(scanner, measured(began + HOUR))
    assert isinstance(one, MeasurementValidated)
    assert one.is_overridden
    assert one.issues == (ReasonCode.INDEPENDENT_OVERDUE,)
    assert one.gate_since == began
    assert withheld(scanner, measured(began + 3 * HOUR, 2)) == ["independent_overdue"]


def test_a_time_ahead_of_the_clock_is_not_believed_and_a_little_is() -> None:
    scanner = in_service()
    scanner.now += HOUR
    assert withheld(scanner, measured(scanner.now + 6 * MINUTE)) == ["clock_suspect"]
    assert isinstance(judged(scanner, measured(scanner.now + 4 * MINUTE, 2)), MeasurementValidated)


def test_what_nobody_remembers_the_gate_of_is_too_late() -> None:
    scanner = in_service()
    for day in range(1, SPANS + 3):
        next_morning(scanner, day)
    assert withheld(scanner, measured(OPENED + HOUR)) == ["too_late"]
    assert isinstance(judged(scanner, measured(scanner.now, 2)), MeasurementValidated)


def test_before_the_device_was_known_nobody_vouches_for_it() -> None:
    scanner = in_service()
    assert withheld(scanner, measured(MONDAY - HOUR)) == ["too_late"]


def test_history_is_withheld_whatever_its_time() -> None:
    scanner = in_service()
    scanner.now += HOUR
    assert withheld(scanner, measured(scanner.now, source=Source.HISTORY)) == ["too_late"]


def test_while_bonewatch_did_not_run_nobody_vouches_for_the_gate() -> None:
    scanner = in_service()
    scanner.now += 3 * HOUR
    scanner.fact(WatchInterrupted(OPENED + HOUR, OPENED + 2 * HOUR))
    assert withheld(scanner, measured(OPENED + HOUR)) == ["not_watched"]
    assert isinstance(judged(scanner, measured(OPENED + 2 * HOUR, 2)), MeasurementValidated)


def test_a_parked_device_validates_nothing() -> None:
    scanner = in_service()
    scanner.state = replace(scanner.state, parked="an event it does not understand")
    assert withheld(scanner, measured(scanner.now)) == ["state_unknown"]


def test_a_mode_that_is_not_configured_is_withheld_and_each_other_has_its_own_gate() -> None:
    phantoms = (Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine-hip",)),)
    modes = (Mode("spine-hip"), Mode("forearm"))
    scanner = Folded(replace(POLICY, phantoms=phantoms, modes=modes))
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    scanner.now += HOUR
    assert withheld(scanner, measured(scanner.now, mode="whole-body")) == ["mode_unknown"]
    assert withheld(scanner, measured(scanner.now, 2)) == ["mode_unknown"]
    assert withheld(scanner, measured(scanner.now, 3, mode="forearm")) == ["no_baseline"]
    assert isinstance(judged(scanner, measured(scanner.now, 4, mode="spine-hip")), MeasurementValidated)


def test_a_physicist_releases_a_withheld_measurement_and_it_says_so() -> None:
    scanner = in_service()
    scanner.now += HOUR
    early = measured(MONDAY + MINUTE)
    assert "qc_missing" in withheld(scanner, early)
    ask = ReleaseMeasurement(
        device=DEVICE, actor=PHYSICIST, request_id="r", subject_event_id="event-1", measured=early, reason="QC was seen"
    )
    refusal = scanner.command(replace(ask, actor=OPERATOR))
    assert refusal is not None
    assert refusal.code == "forbidden"
    refusal = scanner.command(replace(ask, reason=" "))
    assert refusal is not None
    assert "the reason" in refusal.text
    decided = decide(scanner.state, ask, expected_device_seq=scanner.state.device_seq, now=scanner.now)
    assert not isinstance(decided, Refusal)
    (released,) = (o for o in scanner.fact(decided[0].fact) if isinstance(o, MeasurementValidated))
    assert (released.subject_event_id, released.revision, released.released_by) == ("event-1", 1, PHYSICIST)
    assert released.reason == "QC was seen"
    assert ReasonCode.QC_MISSING in released.issues
    assert released.regions == SPINE


def test_scales_are_judged_by_their_checks() -> None:
    checks = CheckRules((Standard("W20", 20.0),), limit_kg=0.1)
    scale = Folded(DevicePolicy(DeviceKind.SCALE, make="Invented", checks=checks))
    weight = PatientMeasured("ACC0001", scale.now, "reading-1", weight_kg=71.4)
    assert "check_due" in withheld(scale, weight)
    checked_at = scale.now
    scale.fact(CalibrationCheckRead("W20", 20.02, checked_at, "Oz"))
    scale.now += HOUR
    one = judged(scale, replace(weight, measured_at=scale.now, acquisition_id="reading-2"))
    assert isinstance(one, MeasurementValidated)
    assert one.weight_kg == 71.4
    assert [(qc.phantom_id, qc.passed_at) for qc in one.qc] == [("W20", checked_at)]


def test_heights_are_judged_by_the_rods() -> None:
    checks = CheckRules((Standard("R100", 100.0),))
    rod = Folded(DevicePolicy(DeviceKind.STADIOMETER, make="Invented", checks=checks))
    height = PatientMeasured("ACC0001", rod.now, "reading-1", height_cm=168.2)
    assert "check_due" in withheld(rod, height)
    rod.fact(CalibrationCheckRead("R100", 100.0, rod.now, "Oz"))
    rod.now += HOUR
    rod.fact(CalibrationCheckRead("R100", 101.0, rod.now, "Oz"))  # 10 mm off: 5 mm are too many
    rod.now += HOUR
    assert withheld(rod, replace(height, measured_at=rod.now, acquisition_id="reading-2")) == ["check_failed"]
    rod.fact(CalibrationCheckRead("R100", 100.0, rod.now, "Oz"))
    rod.now += HOUR
    one = judged(rod, replace(height, measured_at=rod.now, acquisition_id="reading-3"))
    assert isinstance(one, MeasurementValidated)
    assert one.height_cm == 168.2


# --- what helps to compare ---------------------------------------------------------------------------------

ADULT = LeastSignificantChange("L1-L4", 5.3, "Invented precision study 2026, 30 patients", anatomy="spine")
CHILD = replace(ADULT, value=7.0, population="child")


@pytest.mark.parametrize(
    ("population", "expected"), [("adult", (ADULT,)), ("child", (CHILD,)), ("", ())], ids=["adult", "child", "unknown"]
)
def test_a_least_significant_change_is_of_the_same_population_which_must_be_known(
    population: str, expected: tuple[LeastSignificantChange, ...]
) -> None:
    hip = LeastSignificantChange("L1-L4", 4.9, "another anatomy", anatomy="hip")
    scanner = Folded(replace(POLICY, significant_changes=(ADULT, CHILD, hip)))
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    one = judged(scanner, replace(measured(scanner.now), population=population))
    assert isinstance(one, MeasurementValidated)
    assert one.changes == expected


def study(version: int = 1, *, region: str = "L1-L4", upper: float = 1.5) -> CrossCalibrationAccepted:
    return CrossCalibrationAccepted(
        "spine-2026", version, StudyKind.PHANTOM, "test-site/dxa-2", region, "deming", 1.02, -0.01, 0.012, 0.5, upper,
        30, "digest", MONDAY, PHYSICIST, "replacement",
    )  # fmt: skip


def test_a_cross_calibrated_value_stands_beside_the_raw_one() -> None:
    """By hand: 1.02 * 0.912 - 0.01 = 0.92024."""
    scanner = in_service()
    scanner.fact(study())
    one = judged(scanner, measured(scanner.now))
    assert isinstance(one, MeasurementValidated)
    (other,) = one.cross_calibrated
    assert (other.region, other.as_device, other.study_id, other.version) == (
        "L1-L4",
        "test-site/dxa-2",
        "spine-2026",
        1,
    )
    assert other.bmd_g_cm2 == pytest.approx(0.92024, abs=1e-12)
    assert one.regions[0].bmd_g_cm2 == 0.912


def test_no_cross_calibrated_value_out_of_range_of_another_anatomy_or_once_withdrawn() -> None:
    scanner = in_service()
    scanner.fact(study(upper=0.9))
    assert _cross_calibrated(scanner, measured(scanner.now)) == 0
    scanner.fact(study(2))
    assert _cross_calibrated(scanner, measured(scanner.now, 2)) == 1
    scanner.fact(study(3, region="Total"))
    whole_body = replace(measured(scanner.now, 3), regions=(RegionMeasured("Total", 0.9),), anatomy="whole_body")
    assert _cross_calibrated(scanner, whole_body) == 0
    hip = replace(whole_body, anatomy="hip", acquisition_id="scan-4", accession_number="ACC0004")
    assert _cross_calibrated(scanner, hip) == 1
    scanner.fact(CrossCalibrationWithdrawn("spine-2026", "phantom was damaged", PHYSICIST))
    assert _cross_calibrated(scanner, measured(scanner.now, 5)) == 0


def _cross_calibrated(scanner: Folded, fact: PatientMeasured) -> int:
    one = judged(scanner, fact)
    assert isinstance(one, MeasurementValidated)
    return len(one.cross_calibrated)


# --- what nobody can prove is never a pass -------------------------------------------------------------------


def held_since_midnight() -> Folded:
    """A scanner whose pass lapsed at midnight; it is 09:50 of the next day."""
    scanner = in_service()
    scanner.until(OPENED + timedelta(days=1, hours=2))
    assert scanner.status is GateStatus.HELD
    return scanner


def test_after_an_upgrade_of_the_fold_what_was_measured_before_it_is_too_late() -> None:
    scanner = held_since_midnight()
    scanner.fact(FoldUpgraded(3, 4))
    assert withheld(scanner, measured(scanner.now - HOUR)) == ["too_late"]
    assert "qc_missing" in withheld(scanner, measured(scanner.now, 2))


def test_after_a_clock_that_ran_ahead_a_held_gate_is_held() -> None:
    scanner = held_since_midnight()
    now = scanner.now
    scanner.until(now + timedelta(days=30))
    scanner.now = now + MINUTE
    scanner._fold(ClockCorrected(now + timedelta(days=30), "set back", PHYSICIST), None)
    scanner.now += 10 * MINUTE
    assert scanner.status is GateStatus.HELD
    assert "qc_missing" in withheld(scanner, measured(scanner.now))


def test_a_mode_that_is_new_was_not_open_before() -> None:
    scanner = held_since_midnight()
    scanner.fact(DeviceReconfigured(replace(POLICY, modes=(Mode("spine"),))))
    assert withheld(scanner, measured(scanner.now - HOUR, mode="spine")) == ["too_late"]
    assert "qc_missing" in withheld(scanner, measured(scanner.now, 2, mode="spine"))


def test_what_another_scanner_measured_is_not_the_new_ones() -> None:
    scanner = Folded(replace(POLICY, serial="OLD"))
    scanner.fact(baseline())
    scanner.now = OPENED
    scanner.vendor_qc()
    scanner.scan(1.0)
    for day in range(1, SPANS + 3):
        next_morning(scanner, day)
    at = scanner.now
    scanner.now += HOUR
    scanner.fact(DeviceReconfigured(replace(POLICY, serial="NEW")))
    assert withheld(scanner, measured(at + MINUTE)) == ["too_late"]
