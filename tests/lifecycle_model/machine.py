"""A state machine that lets anybody ask for anything at any time, and looks at the gate after each step."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.commands import (
    ClearFault,
    Command,
    DecideReturn,
    EnterPhantomScan,
    EnterVendorQc,
    HandBack,
    HandOver,
    LogFault,
    OverrideGate,
    RecordCommissioning,
    RecordRemoteService,
    Refusal,
    ReleaseQc,
    RetireDevice,
    SaidAffected,
    SignOffCommissioning,
    VerifyMeasurement,
)
from streams.fold.decisions import decide
from streams.messages import DeviceRetired, GateStatus, Person, PhantomMeasured
from streams.policy import CommissioningStep
from tests.folding import ENGINEER, OPERATOR, PHANTOM, PHYSICIST, Folded, baseline
from tests.lifecycle_model.oracle import Oracle

PEOPLE = st.sampled_from(
    [
        Person("Oz Operator", "operator"),
        Person("Pat Physicist", "physicist"),
        Person("Eve Engineer", "engineer"),
        Person("eve  engineer", "operator"),
        Person("Mo Manager", "manager"),
    ]
)
BLANK = st.sampled_from([None, False, True])
AFFECTED = st.builds(SaidAffected, BLANK, BLANK, BLANK, BLANK) | st.just(SaidAffected(False, False, False, False))  # noqa: FBT003
AGO = st.sampled_from([0, 0, 0, 10, 300, 1500, -3, -20]).map(lambda minutes: timedelta(minutes=minutes))
NAMES = st.sampled_from(["Eve Engineer", "Eve Engineer", "Oz Operator", ""])
YES = st.booleans()
SEEN: Counter[str] = Counter()
"""How often gates were seen so: a campaign that never sees an open one after service proves little."""


class Department(RuleBasedStateMachine):
    """A scanner, the people around it, and the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.folded = Folded(is_signed_off=False)
        self.oracle = Oracle()
        self.asked = 0

    @initialize(is_in_service=YES)
    def begin(self, *, is_in_service: bool) -> None:
        """Some scanners are in service; some are new."""
        if is_in_service:
            self.record(baseline())
            self.ask(SignOffCommissioning, PHYSICIST, in_service_since="2020-01-31", note="in the red folder")

    # --- hands -----------------------------------------------------------------------------------------------

    def record(self, fact: Any) -> None:
        self.folded.fact(fact)
        self.oracle.take(fact, self.folded.now)

    def ask(self, kind: type[Command], actor: Person, **fields: object) -> Refusal | None:
        self.asked += 1
        state = self.folded.state
        whole: Any = {"device": state.device, "actor": actor, "request_id": f"r{self.asked}", **fields}
        decided = decide(state, kind(**whole), expected_device_seq=state.device_seq, now=self.folded.now)
        if isinstance(decided, Refusal):
            return decided
        for draft in decided:
            self.folded.fact(draft.fact, identity=draft.event_id)
            self.oracle.take(draft.fact, self.folded.now)
            self.oracle.retired |= isinstance(draft.fact, DeviceRetired)
        return None

    # --- what happens ----------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 1, 7, 90, 600, 1440, 4320]))
    def time_passes(self, minutes: int) -> None:
        self.folded.until(self.folded.now + timedelta(minutes=minutes))

    @rule(bmd=st.sampled_from([1.0, 1.0, 1.0, 1.004, 1.03, 0.97, 2.0]), ago=AGO)
    def the_phantom_is_scanned(self, bmd: float, ago: timedelta) -> None:
        self.asked += 1
        self.record(PhantomMeasured(PHANTOM, "L1-L4", bmd, self.folded.now - ago, f"scan-{self.asked}"))

    @rule()
    def ten_scans(self) -> None:
        for _ in range(10):
            self.folded.now += timedelta(minutes=1)
            self.the_phantom_is_scanned(1.0, timedelta())

    @rule(actor=PEOPLE, passed=YES, ago=AGO)
    def the_scanner_s_own_qc_is_entered(self, actor: Person, ago: timedelta, *, passed: bool) -> None:
        at = self.folded.now - ago
        refusal = self.ask(EnterVendorQc, actor, passed=passed, reviewed_by="Pat Physicist", measured_at=at)
        self._never_locked_out(refusal, actor, at)

    @rule(actor=PEOPLE, bmd=st.sampled_from([1.0, 1.0, 1.03]), ago=AGO)
    def a_scan_is_entered(self, actor: Person, bmd: float, ago: timedelta) -> None:
        at = self.folded.now - ago
        refusal = self.ask(EnterPhantomScan, actor, phantom_id=PHANTOM, bmd_g_cm2=bmd, measured_at=at, repeat=True)
        self._never_locked_out(refusal, actor, at)

    def _never_locked_out(self, refusal: Refusal | None, actor: Person, at: datetime) -> None:
        is_future = at > self.folded.now + timedelta(minutes=5)
        assert (refusal is None) == (actor.role in {"operator", "physicist"} and not is_future), refusal

    @rule()
    def every_duty_passes(self) -> None:
        self.folded.now += timedelta(minutes=1)
        self.the_scanner_s_own_qc_is_entered(PHYSICIST, timedelta(), passed=True)
        self.the_phantom_is_scanned(1.0, timedelta())

    @rule(actor=PEOPLE, measurement=YES)
    def it_goes_to_the_engineer_and_back(self, actor: Person, *, measurement: bool) -> None:
        self.it_is_handed_over(OPERATOR, "Eve Engineer", signed=True)
        self.folded.now += timedelta(minutes=1)
        affected = SaidAffected(dose=False, image_quality=False, safety=False, measurement=measurement)
        self.it_is_handed_back(ENGINEER, "Eve Engineer", affected, works=True, signed=True)
        self.its_return_is_decided(actor, returns=True)

    @rule(actor=PEOPLE)
    def the_failure_is_released(self, actor: Person) -> None:
        for phantom_id in (PHANTOM, "manufacturer"):
            self.ask(ReleaseQc, actor, phantom_id=phantom_id, cause="positioning")

    @rule(actor=PEOPLE, stops=YES)
    def a_fault_is_reported(self, actor: Person, *, stops: bool) -> None:
        self.ask(LogFault, actor, text="a rattle", stops_scanning=stops)

    @rule(actor=PEOPLE)
    def a_fault_is_cleared(self, actor: Person) -> None:
        for fault in self.folded.state.faults[:1]:
            self.ask(ClearFault, actor, fault_id=fault.fault_id, text="tightened")

    @rule(actor=PEOPLE, engineer=NAMES, signed=YES)
    def it_is_handed_over(self, actor: Person, engineer: str, *, signed: bool) -> None:
        self.ask(HandOver, actor, reason="a rattle", engineer=engineer, company="Invented Ltd", engineer_signed=signed)

    @rule(actor=PEOPLE, engineer=NAMES, affected=AFFECTED, works=YES, signed=YES)
    def it_is_handed_back(
        self, actor: Person, engineer: str, affected: SaidAffected, *, works: bool, signed: bool
    ) -> None:
        refusal = self.ask(
            HandBack,
            actor,
            engineer=engineer,
            work_done="tightened",
            affected=affected,
            is_working=works,
            engineer_signed=signed,
        )
        answers = (affected.dose, affected.image_quality, affected.safety, affected.measurement)
        assert refusal is not None or None not in answers

    @rule(actor=PEOPLE, returns=YES)
    def its_return_is_decided(self, actor: Person, *, returns: bool) -> None:
        was_back = self.oracle.custody == "back"
        refusal = self.ask(DecideReturn, actor, returns=returns, note="so be it")
        assert refusal is not None or was_back

    @rule(actor=PEOPLE, affected=AFFECTED)
    def it_is_serviced_from_afar(self, actor: Person, affected: SaidAffected) -> None:
        self.ask(
            RecordRemoteService,
            actor,
            engineer="Eve Engineer",
            company="Invented Ltd",
            work_done="settings",
            affected=affected,
        )

    @rule(actor=PEOPLE)
    def before_and_after_are_compared(self, actor: Person) -> None:
        refusal = self.ask(VerifyMeasurement, actor, phantom_id=PHANTOM)
        assert refusal is not None or actor.role == "physicist"

    @rule()
    def a_new_baseline_is_accepted(self) -> None:
        self.record(baseline(epoch=2))

    @rule(actor=PEOPLE, step=st.sampled_from(CommissioningStep), good=YES, adviser=st.sampled_from(["", "Ray Adviser"]))
    def a_step_of_commissioning_is_recorded(
        self, actor: Person, step: CommissioningStep, adviser: str, *, good: bool
    ) -> None:
        self.ask(
            RecordCommissioning,
            actor,
            step=step,
            done_on="2026-10-30",
            done_by="Eve Engineer",
            organisation="Invented Ltd",
            is_satisfactory=good,
            result="as it should be",
            endorsed_by=adviser,
        )

    @rule()
    def every_step_is_recorded(self) -> None:
        for step in CommissioningStep:
            self.a_step_of_commissioning_is_recorded(PHYSICIST, step, "Ray Adviser", good=True)

    @rule(actor=PEOPLE, since=st.sampled_from(["", "", "2020-01-31", "2090-01-31"]))
    def it_is_signed_off(self, actor: Person, since: str) -> None:
        refusal = self.ask(SignOffCommissioning, actor, in_service_since=since, note="in the red folder")
        assert refusal is not None or since != "2090-01-31"

    @rule(actor=PEOPLE, advised=st.sampled_from(["", "Pat Physicist"]))
    def it_is_overridden(self, actor: Person, advised: str) -> None:
        self.ask(OverrideGate, actor, reason="a full clinic", advised_by=advised)

    @rule(actor=PEOPLE, really=st.integers(0, 19))
    def it_is_retired(self, actor: Person, really: int) -> None:
        if really == 0:
            self.ask(RetireDevice, actor, reason="worn out")

    # --- what must hold --------------------------------------------------------------------------------------

    @invariant()
    def an_open_gate_breaks_no_rule(self) -> None:
        gate = self.folded.state.gates["all"]
        SEEN[f"{gate.status}, {'serviced' if self.oracle.serviced_at else 'never serviced'}"] += 1
        if gate.valid_until is not None and gate.valid_until <= self.folded.now:
            return
        if gate.status is GateStatus.OPEN:
            assert self.oracle.why_not_open(self.folded.now) == []
        if gate.status is GateStatus.OVERRIDDEN:
            assert self.oracle.may_never_be_overridden() == []
        assert self.oracle.broken == []
