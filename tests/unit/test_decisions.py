"""What people ask for: who may, when, and what a refusal says."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.commands import (
    AcceptBaseline,
    ClearFault,
    Command,
    DecideReview,
    EndOverride,
    EnterPhantomScan,
    EnterVendorQc,
    LogFault,
    OverrideGate,
    Refusal,
    ReleaseQc,
    RetireDevice,
)
from streams.fold.decisions import decide
from streams.fold.schedule import clinic_ends
from streams.messages import (
    GateOverridden,
    GateStatus,
    IncidentRecorded,
    Person,
    ReasonCode,
    RefusedRequest,
    ReviewVerdict,
    Verdict,
    WorklistRefused,
)
from streams.roles import PERMITTED, Permission, Role, may
from tests.folding import DEVICE, ENGINEER, MONDAY, OPERATOR, PHANTOM, PHYSICIST, Folded, baseline, in_service


def enter_qc(actor: Person = OPERATOR, **changes: object) -> EnterVendorQc:
    command = EnterVendorQc(device=DEVICE, actor=actor, request_id="r1", passed=True, reviewed_by="Pat")
    return replace(command, **changes)


def override(actor: Person, *, advised_by: str = "", reason: str = "urgent") -> OverrideGate:
    return OverrideGate(device=DEVICE, actor=actor, request_id="o1", reason=reason, advised_by=advised_by)


EVERY_COMMAND: list[Command] = [
    enter_qc(),
    EnterPhantomScan(device=DEVICE, actor=OPERATOR, request_id="1", phantom_id=PHANTOM, bmd_g_cm2=1.0),
    AcceptBaseline(device=DEVICE, actor=OPERATOR, request_id="1", phantom_id=PHANTOM, reason="first"),
    ReleaseQc(device=DEVICE, actor=OPERATOR, request_id="1", phantom_id=PHANTOM, cause="x"),
    DecideReview(
        device=DEVICE, actor=OPERATOR, request_id="1", review_id="x", verdict=ReviewVerdict.NONE, decision="none"
    ),
    override(OPERATOR),
    EndOverride(device=DEVICE, actor=OPERATOR, request_id="1"),
    LogFault(device=DEVICE, actor=OPERATOR, request_id="1", text="noise", stops_scanning=True),
    ClearFault(device=DEVICE, actor=OPERATOR, request_id="1", fault_id="f", text="fixed"),
    RetireDevice(device=DEVICE, actor=OPERATOR, request_id="1", reason="old"),
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_a_stale_page_and_a_role_without_permission_are_refused(command: Command) -> None:
    scanner = in_service()
    before = scanner.state
    refusal = scanner.command(command, stale_by=1)
    assert refusal is not None
    assert refusal.code == "stale"
    refusal = scanner.command(replace(command, actor=Person("Max", "manager")))
    assert refusal is not None
    assert refusal.code == "forbidden"
    assert scanner.state == before


def test_the_table_of_roles_gives_an_unknown_role_nothing() -> None:
    assert set(PERMITTED) == set(Permission)
    assert not any(may("janitor", permission) for permission in Permission)
    assert [role.value for role in Role if may(role.value, Permission.ACCEPT_BASELINE)] == ["physicist"]


def test_manual_qc_names_performer_and_reviewer() -> None:
    scanner = Folded()
    refusal = scanner.command(enter_qc(reviewed_by=" "))
    assert refusal == Refusal("missing", "Give the reviewer's name.")
    assert scanner.command(enter_qc()) is None
    assert "qc_missing" not in scanner.codes


def test_faults_without_end_are_refused() -> None:
    scanner = in_service()
    for n in range(10):
        log = LogFault(device=DEVICE, actor=OPERATOR, request_id=f"f{n}", text="noise", stops_scanning=False)
        assert scanner.command(log) is None
    refusal = scanner.command(LogFault(device=DEVICE, actor=OPERATOR, request_id="f", text="x", stops_scanning=True))
    assert refusal is not None
    assert "clear one" in refusal.text


def test_manual_qc_of_long_ago_is_refused() -> None:
    refusal = Folded().command(enter_qc(measured_at=datetime(1989, 1, 1, tzinfo=UTC)))
    assert refusal is not None
    assert "before 1990" in refusal.text


def test_manual_qc_of_tomorrow_is_refused() -> None:
    refusal = Folded().command(enter_qc(measured_at=MONDAY + timedelta(days=1)))
    assert refusal is not None
    assert "future" in refusal.text


def test_a_phantom_entered_by_hand_after_a_failure_must_be_said_to_be_a_repeat() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    entry = EnterPhantomScan(device=DEVICE, actor=OPERATOR, request_id="e", phantom_id=PHANTOM, bmd_g_cm2=1.0)
    refusal = scanner.command(entry)
    assert refusal is not None
    assert "repositioned" in refusal.text
    assert scanner.command(replace(entry, repeat=True)) is None
    assert scanner.status is GateStatus.OPEN


@pytest.mark.parametrize("bmd", [0.0, -1.0, 5.1, float("nan"), float("inf")])
def test_an_impossible_bmd_entered_by_hand_is_refused(bmd: float) -> None:
    entry = EnterPhantomScan(device=DEVICE, actor=OPERATOR, request_id="e", phantom_id=PHANTOM, bmd_g_cm2=bmd)
    refusal = in_service().command(entry)
    assert refusal is not None
    assert refusal.code == "missing"


def test_a_baseline_is_accepted_from_ten_scans_with_the_numbers_of_a_hand_calculation() -> None:
    scanner = Folded()
    accept = AcceptBaseline(device=DEVICE, actor=PHYSICIST, request_id="b", phantom_id=PHANTOM, reason="new scanner")
    for bmd in (1.000, 1.002, 0.998, 1.001, 0.999, 1.003, 0.997, 1.000, 1.001):
        scanner.scan(bmd)
    refusal = scanner.command(accept)
    assert refusal is not None
    assert "10 scans; 9" in refusal.text
    scanner.scan(0.999)
    assert scanner.command(accept) is None
    accepted = scanner.state.chart(PHANTOM).baseline
    assert accepted is not None
    assert accepted.n == 10
    assert accepted.mean_g_cm2 == pytest.approx(1.0)  # the ten values sum to 10.000
    assert accepted.sd_g_cm2 == pytest.approx((30e-6 / 9) ** 0.5)  # squared deviations sum to 30e-6
    assert accepted.sigma_g_cm2 == pytest.approx(0.005), "the floor of 0.5 % binds"
    assert (accepted.lower_g_cm2, accepted.upper_g_cm2) == pytest.approx((0.985, 1.015))
    assert scanner.state.stage == "clinical"
    assert "no_baseline" not in scanner.codes
    assert "independent_overdue" in scanner.codes, "a scan must pass against the new baseline first"


def test_a_second_baseline_is_a_new_epoch_with_its_step() -> None:
    scanner = in_service()
    for _ in range(10):
        scanner.scan(1.01)
    accept = AcceptBaseline(device=DEVICE, actor=PHYSICIST, request_id="b", phantom_id=PHANTOM, reason="new tube")
    assert scanner.command(accept) is None
    accepted = scanner.state.chart(PHANTOM).baseline
    assert accepted is not None
    assert accepted.epoch == 2
    assert accepted.step_percent == pytest.approx(100 * ((1.0 + 10 * 1.01) / 11 - 1))
    assert (accepted.accepted_by, accepted.reason) == (PHYSICIST, "new tube")


def test_the_baseline_of_scans_that_hardly_differ_has_the_floor_as_sigma() -> None:
    scanner = Folded()
    for _ in range(10):
        scanner.scan(1.0)
    accept = AcceptBaseline(device=DEVICE, actor=PHYSICIST, request_id="b", phantom_id=PHANTOM, reason="ten scans")
    assert scanner.command(accept) is None
    accepted = scanner.state.chart(PHANTOM).baseline
    assert accepted is not None
    assert (accepted.sd_g_cm2, accepted.sigma_g_cm2) == pytest.approx((0.0, 0.005), abs=1e-12)
    assert scanner.scan(1.004).chart is not None
    judged = scanner.scan(1.004).chart
    assert judged is not None
    assert judged.sigma == pytest.approx(0.005)


def test_a_confirmed_failure_is_released_only_by_a_physicist_after_a_pass() -> None:
    scanner = in_service()
    release = ReleaseQc(device=DEVICE, actor=PHYSICIST, request_id="r", phantom_id=PHANTOM, cause="loose phantom")
    assert scanner.command(release) is not None, "nothing to release"
    scanner.scan(1.06)
    scanner.scan(1.06)
    refusal = scanner.command(release)
    assert refusal is not None
    assert "No scan has passed" in refusal.text
    scanner.scan(1.0)
    refusal = scanner.command(replace(release, actor=OPERATOR))
    assert refusal is not None
    assert refusal.code == "forbidden"
    refusal = scanner.command(replace(release, cause=" "))
    assert refusal is not None
    assert "the cause" in refusal.text
    assert scanner.command(release) is None
    assert scanner.status is GateStatus.OPEN


def test_a_drift_review_is_decided_by_a_physicist_and_restarts_the_chart() -> None:
    scanner = in_service()
    for _ in range(4):
        scanner.scan(1.010)
    assert scanner.warnings == ["drift_unreviewed"]
    (review,) = scanner.state.reviews
    decision = DecideReview(
        device=DEVICE,
        actor=PHYSICIST,
        request_id="d",
        review_id=review.review_id,
        verdict=ReviewVerdict.NONE,
        decision="watch",
    )
    assert scanner.command(decision) is None
    assert scanner.warnings == []
    point = scanner.scan(1.010).chart
    assert point is not None
    assert point.cusum_upper == pytest.approx(1.5)
    assert scanner.command(decision) == Refusal("not_now", "This review is decided; withdraw its decision first.")


def test_an_operator_overrides_an_overdue_independent_phantom_to_the_end_of_the_clinic() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    scanner.vendor_qc()
    assert scanner.codes == ["independent_overdue"]
    assert scanner.command(override(OPERATOR)) is None
    assert scanner.status is GateStatus.OVERRIDDEN
    assert scanner.state.gates["all"].overridden_until == datetime(2026, 11, 2, 16, 30, tzinfo=UTC)


def test_an_override_of_a_failed_qc_needs_a_physicist_or_a_named_ones_advice() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    refusal = scanner.command(override(OPERATOR))
    assert refusal is not None
    assert "Name the physicist" in refusal.text
    assert scanner.command(override(OPERATOR, advised_by="Pat Physicist")) is None
    assert scanner.status is GateStatus.OVERRIDDEN


def test_a_physicist_overrides_a_failed_qc_and_an_incident_is_recorded() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    drafts = decide(scanner.state, override(PHYSICIST), expected_device_seq=scanner.state.device_seq, now=scanner.now)
    assert not isinstance(drafts, Refusal)
    assert [type(draft.fact) for draft in drafts] == [GateOverridden, IncidentRecorded]


NEVER = [
    lambda scanner: scanner.command(
        LogFault(device=DEVICE, actor=ENGINEER, request_id="f", text="smoke", stops_scanning=True)
    ),
    lambda scanner: scanner.command(RetireDevice(device=DEVICE, actor=PHYSICIST, request_id="x", reason="old")),
    lambda scanner: scanner.scan(1.0, at=scanner.now + timedelta(days=1)),
    lambda scanner: scanner.until(MONDAY + timedelta(days=1)),
]


@pytest.mark.parametrize("make_held", NEVER, ids=["fault", "retired", "clock_suspect", "qc_missing"])
def test_what_can_never_be_overridden(make_held: object) -> None:
    scanner = in_service()
    assert callable(make_held)
    make_held(scanner)
    refusal = scanner.command(override(PHYSICIST))
    assert refusal is not None
    assert refusal.code == "forbidden"


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_override_needs_a_reason_and_bears_a_name_and_an_end(reason: str) -> None:
    scanner = in_service()
    scanner.scan(1.06)
    refusal = scanner.command(override(PHYSICIST, reason=reason))
    assert refusal is not None
    assert "the reason" in refusal.text
    made = decide(scanner.state, override(PHYSICIST), expected_device_seq=scanner.state.device_seq, now=scanner.now)
    assert not isinstance(made, Refusal)
    given = made[0].fact
    assert isinstance(given, GateOverridden)
    assert (given.overridden_by, given.reason) == (PHYSICIST, "urgent")
    assert given.until == datetime(2026, 11, 2, 16, 30, tzinfo=UTC), "the end of the clinic"


def test_an_open_gate_has_nothing_to_override() -> None:
    refusal = in_service().command(override(PHYSICIST))
    assert refusal is not None
    assert refusal.code == "not_now"


def test_an_override_cannot_outlast_the_clinic_or_end_in_the_past() -> None:
    scanner = in_service()
    scanner.scan(1.06)
    late = replace(override(PHYSICIST), until=MONDAY + timedelta(days=3))
    assert scanner.command(replace(late, until=MONDAY - timedelta(hours=1))) is not None
    assert scanner.command(late) is None
    running = scanner.state.override
    assert running is not None
    assert running.until == clinic_ends(scanner.state.calendar, MONDAY)


def test_a_fault_is_logged_and_cleared_by_hand() -> None:
    scanner = in_service()
    log = LogFault(device=DEVICE, actor=OPERATOR, request_id="f", text="the arm grinds", stops_scanning=True)
    assert scanner.command(log) is None
    assert scanner.codes == [ReasonCode.FAULT_STOPS_SCANNING.value]
    fault = scanner.state.faults[0].fault_id
    clear = ClearFault(device=DEVICE, actor=ENGINEER, request_id="c", fault_id=fault, text="belt replaced")
    assert scanner.command(clear) is None
    scanner.now += timedelta(minutes=5)
    assert scanner.command(replace(clear, request_id="c2")) == Refusal("not_now", "That fault is not open.")
    assert scanner.scan(1.0).verdict is Verdict.PASS


def test_what_is_noted_for_the_record_alone_makes_no_page_out_of_date() -> None:
    folded = in_service()
    refused = WorklistRefused(None, ("qc_missing",), (RefusedRequest("ACC1"),))
    folded.fact(refused)
    folded.fact(refused)
    fault = LogFault(device=DEVICE, actor=OPERATOR, request_id="r1", text="It squeaks", stops_scanning=False)
    assert folded.command(fault, stale_by=2) is None


@pytest.mark.parametrize("stale_by", [3, -1])
def test_what_came_before_such_notes_still_does(stale_by: int) -> None:
    folded = in_service()
    folded.fact(WorklistRefused(None, ("qc_missing",), (RefusedRequest("ACC1"),)))
    folded.fact(WorklistRefused(None, ("qc_missing",), (RefusedRequest("ACC2"),)))
    fault = LogFault(device=DEVICE, actor=OPERATOR, request_id="r1", text="It squeaks", stops_scanning=False)
    refusal = folded.command(fault, stale_by=stale_by)
    assert refusal is not None
    assert refusal.code == "stale"
