"""A device folded by hand: facts go in at times the test names, what people would see comes out."""

from datetime import UTC, datetime, timedelta

from streams import codec
from streams.commands import Command, Refusal
from streams.fold import FOLD_VERSION
from streams.fold.decisions import decide
from streams.fold.device import step
from streams.fold.state import DeviceState
from streams.messages import (
    BaselineAccepted,
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Event,
    Fact,
    GateStatus,
    Outcome,
    Person,
    PhantomMeasured,
    QcJudged,
    TimeReached,
    VendorQcReported,
    event_id,
)
from streams.policy import (
    Clinic,
    ClinicCalendar,
    DeviceKind,
    DevicePolicy,
    Enforcement,
    Phantom,
    PhantomRole,
)

DEVICE = "test-site/dxa-1"
PHANTOM = "SPINE-0001"
PHYSICIST = Person("Pat Physicist", "physicist")
OPERATOR = Person("Oz Operator", "operator")
ENGINEER = Person("Eve Engineer", "engineer")
MONDAY = datetime(2026, 11, 2, 7, 45, tzinfo=UTC)
WEEKDAY_CLINIC = ClinicCalendar("Europe/London", (Clinic((0, 1, 2, 3, 4), "08:30", "16:30"),))

POLICY = DevicePolicy(
    kind=DeviceKind.SCANNER,
    make="Invented",
    model="Virtual 1",
    ae_title="DXA1",
    enforcement=Enforcement.WORKLIST,
    phantoms=(Phantom(PHANTOM, PhantomRole.INDEPENDENT),),
)


def baseline(*, mean: float = 1.0, sigma: float = 0.005, phantom: str = PHANTOM, epoch: int = 1) -> BaselineAccepted:
    """A baseline with the numbers the test names; limits are 1.5 % of the mean, by hand."""
    return BaselineAccepted(
        phantom_id=phantom,
        epoch=epoch,
        n=10,
        mean_g_cm2=mean,
        sd_g_cm2=sigma,
        sigma_g_cm2=sigma,
        lower_g_cm2=mean * 0.985,
        upper_g_cm2=mean * 1.015,
        established=False,
        accepted_by=PHYSICIST,
        reason="test",
    )


class Folded:
    """One device's state, moved by facts."""

    def __init__(
        self,
        policy: DevicePolicy = POLICY,
        calendar: ClinicCalendar = WEEKDAY_CLINIC,
        *,
        start: datetime = MONDAY,
        is_signed_off: bool = True,
    ) -> None:
        self.state = DeviceState(DEVICE)
        self.now = start
        self.scans = 0
        self.fact(DeviceRegistered(policy, calendar))
        if is_signed_off:
            self.fact(CommissioningSignedOff(PHYSICIST))  # so that the baselines are all that is missing

    def fact(self, fact: Fact, *, identity: str | None = None) -> tuple[Outcome, ...]:
        """Fold a fact that is recorded now; time that is due passes first."""
        while self.state.deadline is not None and self.state.deadline <= self.now:
            self._fold(TimeReached(self.state.deadline), None)
        return self._fold(fact, identity)

    def _fold(self, fact: Fact, identity: str | None) -> tuple[Outcome, ...]:
        seq = self.state.device_seq + 1
        event = Event(identity or event_id("test", str(seq)), DEVICE, "log", seq, self.now, FOLD_VERSION, fact)
        result = step(self.state, codec.decode_event(codec.encode(event)))
        self.state = result.state
        return result.outcomes

    def until(self, when: datetime) -> None:
        """Let time pass."""
        self.now = when
        while self.state.deadline is not None and self.state.deadline <= self.now:
            self._fold(TimeReached(self.state.deadline), None)

    def scan(
        self, bmd: float, *, at: datetime | None = None, acquisition: str | None = None, phantom: str = PHANTOM
    ) -> QcJudged:
        """Scan the phantom; return the judgement of this very scan."""
        self.scans += 1
        outcomes = self.fact(
            PhantomMeasured(
                phantom_id=phantom,
                region="L1-L4",
                bmd_g_cm2=bmd,
                measured_at=at or self.now,
                acquisition_id=acquisition or f"acquisition-{self.scans}",
            )
        )
        return next(outcome for outcome in outcomes if isinstance(outcome, QcJudged))

    def vendor_qc(self, *, passed: bool = True) -> None:
        """Enter the scanner's own QC."""
        self.fact(VendorQcReported(passed=passed, measured_at=self.now, performed_by="Oz", reviewed_by="Pat"))

    def command(self, command: Command, *, stale_by: int = 0) -> Refusal | None:
        """Ask for something; record what it becomes."""
        decided = decide(self.state, command, expected_device_seq=self.state.device_seq - stale_by, now=self.now)
        if isinstance(decided, Refusal):
            return decided
        for draft in decided:
            assert isinstance(draft, Draft)
            self.fact(draft.fact, identity=draft.event_id)
        return None

    @property
    def status(self) -> GateStatus:
        return self.state.gates["all"].status

    @property
    def codes(self) -> list[str]:
        """Codes of the reasons that hold the gate."""
        return [reason.code.value for reason in self.state.gates["all"].reasons if reason.holds]

    @property
    def warnings(self) -> list[str]:
        return [reason.code.value for reason in self.state.gates["all"].reasons if not reason.holds]


def in_service(policy: DevicePolicy = POLICY) -> Folded:
    """A scanner with a baseline of 1.000 g/cm2 whose QC of Monday 07:45 has passed: its gate is open."""
    folded = Folded(policy)
    for phantom in policy.phantoms:
        folded.fact(baseline(phantom=phantom.patient_id))
    folded.vendor_qc()
    for phantom in policy.phantoms:
        folded.scan(1.0, phantom=phantom.patient_id)
    folded.now += timedelta(minutes=1)
    return folded
