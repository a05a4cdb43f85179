"""Patients scanned while the gate was held: told at once, once, and also when word of it comes late."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.fold.state import blob_from_state
from streams.messages import (
    BypassDetected,
    BypassEvidence,
    Fact,
    GateOverridden,
    GateStatus,
    ObjectKind,
    PatientMeasured,
    PatientObjectReceived,
    PatientScanStarted,
    ReasonCode,
    RegionMeasured,
    Verdict,
)
from streams.policy import DeviceKind, Enforcement, Mode, Phantom, PhantomRole
from tests.folding import MONDAY, PHANTOM, PHYSICIST, POLICY, Folded, baseline, in_service

MINUTE = timedelta(minutes=1)


def held_at_0745() -> Folded:
    """A scanner in service, the Tuesday after: nothing has passed yet today."""
    scanner = in_service()
    scanner.until(MONDAY + timedelta(days=1))
    assert scanner.status is GateStatus.HELD
    return scanner


def started(at: datetime, *, accession: str = "RK9-0000001", mode: str = "") -> PatientScanStarted:
    return PatientScanStarted(accession, at, mpps_uid=f"1.2.3.{accession[-1:] or 0}", mode=mode)


def measured(at: datetime, *, accession: str = "RK9-0000001", acquisition: str = "study:1.2.3") -> PatientMeasured:
    return PatientMeasured(accession, at, acquisition, regions=(RegionMeasured("L1-L4", 0.93),))


def image(at: datetime | None, *, accession: str = "RK9-0000001") -> PatientObjectReceived:
    return PatientObjectReceived(ObjectKind.IMAGE, accession, "study:1.2.3", acquired_at=at)


def detected(scanner: Folded, fact: Fact) -> list[BypassDetected]:
    return [outcome for outcome in scanner.fact(fact) if isinstance(outcome, BypassDetected)]


def test_a_patient_started_while_held_is_told_with_what_held() -> None:
    scanner = held_at_0745()
    (alarm,) = detected(scanner, started(scanner.now))
    assert alarm.evidence is BypassEvidence.SCAN_STARTED
    assert set(alarm.reasons) == {ReasonCode.INDEPENDENT_OVERDUE, ReasonCode.QC_MISSING}
    assert (alarm.at, alarm.accession_number) == (scanner.now, "RK9-0000001")
    assert alarm.enforcement is Enforcement.WORKLIST


def test_an_open_gate_tells_nothing() -> None:
    scanner = in_service()
    assert detected(scanner, started(scanner.now)) == []
    assert detected(scanner, measured(scanner.now)) == []
    assert detected(scanner, image(None)) == []


@pytest.mark.parametrize("first", range(3))
def test_step_report_and_image_of_one_request_are_one_bypass(first: int) -> None:
    scanner = held_at_0745()
    facts: list[Fact] = [started(scanner.now), measured(scanner.now), image(scanner.now)]
    assert len(detected(scanner, facts.pop(first))) == 1
    assert [alarm for fact in facts for alarm in detected(scanner, fact)] == []
    assert len(detected(scanner, started(scanner.now, accession="RK9-0000002"))) == 1


def test_without_a_request_number_the_acquisition_tells_scans_apart() -> None:
    scanner = held_at_0745()
    assert len(detected(scanner, measured(scanner.now, accession="", acquisition="study:1"))) == 1
    assert len(detected(scanner, measured(scanner.now, accession="", acquisition="study:1"))) == 0
    assert len(detected(scanner, measured(scanner.now, accession="", acquisition="study:2"))) == 1


def test_without_a_request_number_a_person_s_day_is_one_bypass() -> None:
    scanner = held_at_0745()
    facts: list[Fact] = [
        replace(started(scanner.now, accession=""), pseudonym="1.abc"),
        replace(measured(scanner.now, accession="", acquisition="study:1"), pseudonym="1.abc"),
        replace(image(scanner.now, accession=""), pseudonym="1.abc"),
    ]
    assert [len(detected(scanner, fact)) for fact in facts] == [1, 0, 0]
    assert len(detected(scanner, replace(facts[0], pseudonym="1.def"))) == 1


def test_word_that_comes_after_the_gate_opened_still_tells() -> None:
    scanner = held_at_0745()
    scanned_at = scanner.now
    scanner.now += 10 * MINUTE
    scanner.vendor_qc()
    scanner.now += 10 * MINUTE
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN
    scanner.now += 20 * MINUTE
    (later,) = detected(scanner, measured(scanned_at + 10 * MINUTE, accession="RK9-0000003"))
    assert later.reasons == (ReasonCode.INDEPENDENT_OVERDUE,)
    (alarm,) = detected(scanner, measured(scanned_at))
    assert set(alarm.reasons) == {ReasonCode.INDEPENDENT_OVERDUE, ReasonCode.QC_MISSING}
    assert detected(scanner, measured(scanner.now, accession="RK9-0000002")) == []


def test_what_was_scanned_before_the_gate_was_held_is_none() -> None:
    scanner = in_service()
    while_open = scanner.now + 30 * MINUTE
    scanner.until(MONDAY + timedelta(days=1))
    assert scanner.status is GateStatus.HELD
    assert detected(scanner, measured(while_open)) == []


def test_an_override_lets_the_patient_through() -> None:
    scanner = held_at_0745()
    codes = ("independent_overdue", "qc_missing")
    until = scanner.now + 60 * MINUTE
    scanner.fact(GateOverridden(codes=codes, reason="the phantom is away", until=until, overridden_by=PHYSICIST))
    assert scanner.status is GateStatus.OVERRIDDEN
    assert detected(scanner, started(scanner.now + MINUTE)) == []


def test_only_the_gate_of_the_scan_s_mode_counts_and_an_unknown_mode_counts_for_all() -> None:
    spine = Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine",))
    forearm = Phantom("FOREARM-1", PhantomRole.INDEPENDENT, modes=("forearm",))
    policy = replace(POLICY, phantoms=(spine, forearm), modes=(Mode("spine", ("DXA1",)), Mode("forearm", ("DXA2",))))
    scanner = Folded(policy)
    scanner.fact(baseline())
    scanner.fact(baseline(mean=0.6, phantom="FOREARM-1"))
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert {mode: gate.status for mode, gate in scanner.state.gates.items()} == {
        "spine": GateStatus.OPEN,
        "forearm": GateStatus.HELD,
    }
    assert detected(scanner, started(scanner.now, mode="spine")) == []
    (forearms,) = detected(scanner, started(scanner.now, accession="RK9-0000002", mode="forearm"))
    assert forearms.reasons == (ReasonCode.INDEPENDENT_OVERDUE,)
    (unknown,) = detected(scanner, started(scanner.now, accession="RK9-0000003", mode="vfa"))
    assert unknown.mode == "vfa"


def test_modes_that_are_held_alike_share_what_is_remembered() -> None:
    modes = tuple(Mode(f"mode-{n}", (f"C{n}",)) for n in range(5))
    scanner = in_service(replace(POLICY, modes=modes))
    for day in range(1, 4):
        scanner.until(MONDAY + timedelta(days=day))
        scanner.vendor_qc()
        scanner.now += MINUTE
        scanner.scan(1.0)
    assert len(scanner.state.spans) == 6  # two a morning: both duties, then one
    late = replace(measured(MONDAY + timedelta(days=1, seconds=-1)), mode="mode-4")
    (alarm,) = detected(scanner, late)
    assert set(alarm.reasons) == {ReasonCode.QC_MISSING, ReasonCode.INDEPENDENT_OVERDUE}


def test_a_time_ahead_counts_as_now() -> None:
    scanner = held_at_0745()
    (alarm,) = detected(scanner, started(scanner.now + timedelta(days=3)))
    assert alarm.at == scanner.now


def test_a_scale_is_no_scanner() -> None:
    scale = Folded(replace(POLICY, kind=DeviceKind.SCALE, phantoms=()))
    assert detected(scale, PatientMeasured("RK9-0000001", scale.now, "", weight_kg=70.0)) == []


def test_what_is_remembered_stays_small() -> None:
    scanner = held_at_0745()
    for day in range(60):
        for patient in range(20):
            detected(scanner, measured(scanner.now, accession=f"RK9-{day:03}{patient:04}"))
        scanner.vendor_qc()
        scanner.scan(1.0)
        scanner.until(scanner.now + timedelta(days=1))
    assert len(scanner.state.spans) == 20
    assert len(scanner.state.bypassed) == 16
    assert len(blob_from_state(scanner.state)) < 8192


def test_reasons_keep_their_places_for_states_remember_them_by_these() -> None:
    assert [code.value for code in ReasonCode] == [
        "qc_missing", "qc_failed", "independent_overdue", "no_baseline", "fault_stops_scanning", "with_engineer",
        "verification_required", "check_due", "check_failed", "not_commissioned", "retired", "clock_suspect",
        "state_unknown", "drift_unreviewed", "duty_overdue", "mode_unknown", "too_late", "not_watched",
    ]  # fmt: skip


def test_verdicts_keep_their_places_for_states_remember_them_by_these() -> None:
    assert [verdict.value for verdict in Verdict] == [
        "pass", "pass_with_note", "fail", "fail_confirmed", "wrong_phantom", "implausible", "no_baseline",
        "clock_suspect", "too_late", "reanalysis", "history",
    ]  # fmt: skip
