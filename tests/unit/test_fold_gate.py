"""Whether patients may be scanned: what holds, until when, and that unknown is held."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.fold.device import park
from streams.fold.state import DeviceState
from streams.gates import gate_from_state
from streams.messages import (
    DeviceReconfigured,
    DeviceRetired,
    EquipmentHandedOver,
    Event,
    Fact,
    FaultCleared,
    FaultLogged,
    GateOverridden,
    GateStatus,
    HandoverForm,
    OverrideEnded,
    PhantomMeasured,
    VendorQcReported,
    Verdict,
)
from streams.policy import ClinicCalendar, Frequency, Mode, Phantom, PhantomRole
from tests.folding import DEVICE, ENGINEER, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, Folded, baseline, in_service


def test_a_device_nobody_knows_is_held() -> None:
    gate = gate_from_state(DeviceState(DEVICE), None, MONDAY)
    assert gate.status is GateStatus.HELD
    assert [reason.code.value for reason in gate.reasons] == ["state_unknown"]


@pytest.mark.parametrize(
    ("day", "midnight"),
    [
        (datetime(2026, 11, 2, 7, 45, tzinfo=UTC), datetime(2026, 11, 3, 0, 0, tzinfo=UTC)),
        (datetime(2026, 6, 1, 7, 45, tzinfo=UTC), datetime(2026, 6, 1, 23, 0, tzinfo=UTC)),  # summer time
        (datetime(2026, 3, 29, 7, 45, tzinfo=UTC), datetime(2026, 3, 29, 23, 0, tzinfo=UTC)),  # 23-hour day
        (datetime(2026, 10, 25, 7, 45, tzinfo=UTC), datetime(2026, 10, 26, 0, 0, tzinfo=UTC)),  # 25-hour day
    ],
)
def test_a_pass_lapses_at_local_midnight(day: datetime, midnight: datetime) -> None:
    scanner = Folded(start=day)
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert scanner.state.gates["all"].valid_until == midnight
    scanner.until(midnight - timedelta(microseconds=1))
    assert scanner.status is GateStatus.OPEN
    scanner.until(midnight)
    assert scanner.codes == ["qc_missing", "independent_overdue"]
    assert scanner.state.gates["all"].since == midnight


def test_past_valid_until_a_reader_is_refused_whatever_the_state_says() -> None:
    scanner = in_service()
    lapsed = gate_from_state(scanner.state, None, MONDAY + timedelta(days=1))
    assert lapsed.status is GateStatus.HELD
    assert lapsed.reasons[0].code.value == "state_unknown"


def test_a_weekly_phantom_holds_for_seven_days_and_its_grace() -> None:
    weekly = Phantom(PHANTOM, PhantomRole.INDEPENDENT, frequency=Frequency.WEEKLY)
    scanner = in_service(replace(POLICY, phantoms=(weekly,)))
    scanner.until(MONDAY + timedelta(days=8))
    scanner.vendor_qc()
    assert scanner.status is GateStatus.OPEN
    scanner.until(datetime(2026, 11, 11, 0, 0, tzinfo=UTC))  # Monday 2nd + 7 + 1 day of grace, end of day
    assert "independent_overdue" in scanner.codes


def test_a_failed_manufacturer_qc_holds_until_it_passes() -> None:
    scanner = in_service()
    scanner.vendor_qc(passed=False)
    assert scanner.codes == ["qc_failed"]
    scanner.vendor_qc()
    assert scanner.status is GateStatus.OPEN


def test_a_phantom_can_be_the_manufacturers_daily_qc() -> None:
    daily = Phantom("BLOCK-1", PhantomRole.MANUFACTURER_DAILY)
    scanner = Folded(replace(POLICY, phantoms=(daily, *POLICY.phantoms)))
    for phantom in ("BLOCK-1", PHANTOM):
        scanner.fact(baseline(phantom=phantom))
    scanner.scan(1.0)
    assert scanner.codes == ["qc_missing"]
    scanner.scan(1.0, phantom="BLOCK-1")
    assert scanner.status is GateStatus.OPEN


def test_a_fault_that_stops_scanning_holds_until_it_is_cleared() -> None:
    scanner = in_service()
    scanner.fact(FaultLogged("f1", "the arm grinds", stops_scanning=True, logged_by=ENGINEER))
    scanner.fact(FaultLogged("f2", "a scratched panel", stops_scanning=False, logged_by=ENGINEER))
    assert scanner.codes == ["fault_stops_scanning"]
    scanner.fact(FaultCleared("f1", "belt replaced", ENGINEER))
    assert set(scanner.codes) == {"verification_required"}, "what passed before the repair says nothing after it"
    scanner.now += timedelta(minutes=10)
    scanner.vendor_qc()
    assert scanner.codes == ["verification_required"]
    scanner.scan(1.0, at=scanner.now - timedelta(minutes=15))
    assert scanner.codes == ["verification_required"], "measured before the repair"
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN


def test_a_retired_device_is_held_for_good() -> None:
    scanner = in_service()
    scanner.fact(DeviceRetired("end of life", PHYSICIST))
    scanner.scan(1.0)
    assert scanner.codes == ["retired"]


def test_modes_have_gates_of_their_own() -> None:
    modes = (Mode("spine-hip", ("DXASH",)), Mode("forearm", ("DXAFA",)))
    spine = Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine-hip",))
    arm = Phantom("ARM-1", PhantomRole.INDEPENDENT, modes=("forearm",))
    scanner = Folded(replace(POLICY, phantoms=(spine, arm), modes=modes))
    for phantom in (PHANTOM, "ARM-1"):
        scanner.fact(baseline(phantom=phantom))
    scanner.vendor_qc()
    scanner.scan(1.0)
    gates = scanner.state.gates
    assert gates["spine-hip"].status is GateStatus.OPEN
    assert gates["forearm"].status is GateStatus.HELD
    assert gate_from_state(scanner.state, None, scanner.now).status is GateStatus.HELD, "the strictest speaks for all"


def _not_yet_commissioned() -> Folded:
    return Folded(is_signed_off=False)


def _of_yesterday() -> Folded:
    scanner = in_service()
    scanner.until(MONDAY + timedelta(days=1))
    return scanner


def _with(*facts: Fact) -> Folded:
    scanner = in_service()
    for fact in facts:
        scanner.now += timedelta(minutes=1)
        scanner.fact(fact)
    scanner.now += timedelta(minutes=1)
    return scanner


def _failed(*values: float) -> Folded:
    scanner = in_service()
    for value in values:
        scanner.scan(value)
    return scanner


def _ahead() -> Folded:
    scanner = in_service()
    scanner.scan(1.0, at=scanner.now + timedelta(days=1))
    return scanner


def _drifted() -> Folded:
    scanner = in_service(replace(POLICY, qc=replace(POLICY.qc, hold_on_signal=True)))
    for day in range(1, 10):
        scanner.until(MONDAY + timedelta(days=day))
        scanner.vendor_qc()
        scanner.scan(1.014)  # within the tolerance, 2.8 sigmas high
    return scanner


FAULT = FaultLogged("f1", "x", stops_scanning=True, logged_by=ENGINEER)
HANDED_OVER = EquipmentHandedOver("h1", HandoverForm.CONTROLLED_AREA, "stuck", OPERATOR, "Eve", "Ltd", "", "")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_not_yet_commissioned, "not_commissioned"),
        (Folded, "no_baseline"),
        (_of_yesterday, "qc_missing"),
        (_of_yesterday, "independent_overdue"),
        (lambda: _failed(1.06), "qc_failed"),
        (lambda: _failed(1.06, 1.06), "qc_failed"),
        (_ahead, "clock_suspect"),
        (_drifted, "drift_unreviewed"),
        (lambda: _with(FAULT), "fault_stops_scanning"),
        (lambda: _with(FAULT, FaultCleared("f1", "fixed", ENGINEER)), "verification_required"),
        (lambda: _with(HANDED_OVER), "with_engineer"),
        (lambda: _with(DeviceRetired("old", PHYSICIST)), "retired"),
    ],
)
def test_quality_control_is_taken_while_held_for_every_reason(make: Callable[[], Folded], code: str) -> None:
    scanner = make()
    assert code in scanner.codes
    verdict = scanner.scan(1.0).verdict
    assert verdict.passed or (verdict is Verdict.NO_BASELINE and code in {"no_baseline", "not_commissioned"})


class Oracle:
    """An independent reading of the rules: may patients be scanned, from the list of what happened?"""

    def __init__(self) -> None:
        self.vendor: list[tuple[datetime, bool]] = []
        self.scans: list[tuple[datetime, float]] = []

    def may_scan(self, now: datetime) -> bool:
        return self._vendor_good(now) and self._phantom_good(now)

    def _vendor_good(self, now: datetime) -> bool:
        fails = 0
        for _, passed in self.vendor:
            if not passed:
                fails += 1
            elif fails < 2:
                fails = 0
        last_pass = [at for at, passed in self.vendor if passed]
        return fails == 0 and bool(last_pass) and last_pass[-1].date() == now.date()

    def _phantom_good(self, now: datetime) -> bool:
        fails, odd, passed_on = 0, False, None
        for at, bmd in self.scans:
            if 0.985 <= bmd <= 1.015:
                odd, passed_on = False, at.date()
                fails = fails if fails >= 2 else 0
            elif abs(bmd - 1.0) > 0.1:
                odd = True
            else:
                fails, odd = fails + 1, False
        return fails == 0 and not odd and passed_on == now.date()


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("vendor"), st.booleans()),
        st.tuples(st.just("scan"), st.sampled_from([0.98, 0.99, 1.0, 1.01, 1.02, 1.3])),
        st.tuples(st.just("wait"), st.sampled_from([1, 5, 9, 14, 30])),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(happenings)
def test_an_open_gate_always_agrees_with_an_independent_reading_of_the_rules(
    story: list[tuple[str, float]],
) -> None:
    utc = ClinicCalendar("UTC")
    scanner, oracle = Folded(calendar=utc), Oracle()
    scanner.fact(baseline())
    for what, value in story:
        if what == "vendor":
            oracle.vendor.append((scanner.now, bool(value)))
            scanner.fact(VendorQcReported(bool(value), scanner.now, "a", "b"))
        elif what == "scan":
            oracle.scans.append((scanner.now, value))
            scanner.fact(PhantomMeasured(PHANTOM, "L1-L4", value, scanner.now, f"acq-{len(oracle.scans)}"))
        else:
            scanner.until(scanner.now + timedelta(hours=value))
        scanner.now += timedelta(seconds=1)
        assert (scanner.status is GateStatus.OPEN) == oracle.may_scan(scanner.now)


def override(codes: tuple[str, ...], until: datetime) -> GateOverridden:
    return GateOverridden(codes, PHYSICIST, "urgent patient, advised", until)


def test_an_override_ends_at_its_time_and_covers_only_what_it_names() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    until = scanner.now + timedelta(hours=2)
    scanner.fact(override(("qc_failed",), until))
    assert scanner.status is GateStatus.OVERRIDDEN
    scanner.fact(FaultLogged("f1", "smoke", stops_scanning=True, logged_by=ENGINEER))
    assert scanner.codes == ["fault_stops_scanning", "qc_failed"]
    assert gate_from_state(scanner.state, None, scanner.now).status is GateStatus.HELD, "a new reason is not covered"


def test_an_override_is_over_at_its_time() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    until = scanner.now + timedelta(hours=2)
    scanner.fact(override(("qc_failed",), until))
    scanner.until(until)
    assert gate_from_state(scanner.state, None, scanner.now).status is GateStatus.HELD


def test_an_override_does_not_sleep_until_the_next_failure() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    scanner.fact(override(("qc_failed",), scanner.now + timedelta(hours=8)))
    scanner.scan(1.0)
    assert scanner.status is GateStatus.OPEN
    scanner.now += timedelta(hours=4)
    scanner.scan(1.03)
    assert gate_from_state(scanner.state, None, scanner.now).status is GateStatus.HELD


def test_a_second_failure_ends_the_override_of_the_first() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    scanner.fact(override(("qc_failed",), scanner.now + timedelta(hours=8)))
    scanner.scan(1.03)
    assert gate_from_state(scanner.state, None, scanner.now).status is GateStatus.HELD


def test_an_override_can_be_ended_early() -> None:
    scanner = in_service()
    scanner.scan(1.02)
    scanner.fact(override(("qc_failed",), scanner.now + timedelta(hours=2)))
    scanner.fact(OverrideEnded(PHYSICIST))
    assert scanner.status is GateStatus.HELD


def test_a_mode_for_which_no_phantom_vouches_is_held() -> None:
    modes = (Mode("spine-hip"), Mode("forearm"))
    spine = Phantom(PHANTOM, PhantomRole.INDEPENDENT, modes=("spine-hip",))
    scanner = in_service(replace(POLICY, phantoms=(spine,), modes=modes))
    assert scanner.state.gates["spine-hip"].status is GateStatus.OPEN
    assert [r.code.value for r in scanner.state.gates["forearm"].reasons] == ["no_baseline"]


def test_another_scanner_under_the_same_id_begins_anew() -> None:
    policy = replace(POLICY, serial="V1")
    scanner = in_service(policy)
    assert scanner.status is GateStatus.OPEN
    scanner.fact(DeviceReconfigured(replace(policy, serial="V2")))
    assert scanner.codes[0] == "not_commissioned"


def test_a_phantom_in_confirmed_failure_cannot_be_configured_away() -> None:
    other = Phantom("SPINE-0002", PhantomRole.INDEPENDENT)
    scanner = in_service(replace(POLICY, phantoms=(*POLICY.phantoms, other)))
    scanner.scan(1.05)
    scanner.scan(1.05)
    scanner.fact(DeviceReconfigured(replace(POLICY, phantoms=(other,))))
    assert scanner.codes == ["qc_failed"]


def test_a_parked_device_keeps_the_reasons_it_had() -> None:
    scanner = in_service()
    scanner.fact(DeviceRetired("end of life", PHYSICIST))
    event = Event("x", DEVICE, "log", scanner.state.device_seq + 1, scanner.now, 1, OverrideEnded(PHYSICIST))
    parked = park(scanner.state, event, "a test says so").state
    assert [r.code.value for r in parked.gates["all"].reasons] == ["state_unknown", "retired"]
